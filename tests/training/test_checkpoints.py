"""Training runs whose files are damaged or cannot be written."""

import resource
from pathlib import Path

import pytest
import torch
from torch import nn

from cxrloc.training.checkpoints import (
    State,
    last_checkpoint,
    read_weights,
    restore,
    write_checkpoint,
    write_weights,
)
from cxrloc.types import CxrlocError

IDENTITY = {"recipe": "mine"}


@pytest.fixture
def checkpoint(tmp_path: Path) -> Path:
    path = tmp_path / "last.ckpt"
    write_checkpoint(path, {"network": nn.Linear(64, 64)}, State(step=3), IDENTITY)
    return path


def test_a_checkpoint_comes_back_as_it_was_written(checkpoint: Path) -> None:
    network = nn.Linear(64, 64)
    found = last_checkpoint(checkpoint, resume=True)
    assert found is not None
    assert restore(found, {"network": network}, IDENTITY) == State(step=3)
    assert torch.equal(network.weight, found["parts"]["network"]["weight"])


def cut(content: bytes) -> bytes:
    return content[: len(content) // 2]


@pytest.mark.parametrize(
    "damage",
    [
        pytest.param(lambda content: b"", id="empty"),
        pytest.param(cut, id="cut short"),
        pytest.param(lambda content: b"PK" + content[2:900], id="only its beginning"),
        pytest.param(lambda content: b"epoch,loss\n1,0.5\n", id="text"),
    ],
)
def test_a_damaged_checkpoint_is_one_line_that_names_it(checkpoint: Path, damage) -> None:
    checkpoint.write_bytes(damage(checkpoint.read_bytes()))
    with pytest.raises(
        CxrlocError, match=r"last\.ckpt: not a whole checkpoint .*remove it"
    ) as said:
        last_checkpoint(checkpoint, resume=True)
    assert "\n" not in str(said.value)


@pytest.mark.parametrize("content", [[1], {"weight": torch.zeros(1)}], ids=["a list", "weights"])
def test_another_file_of_torch_is_no_checkpoint(tmp_path: Path, content: object) -> None:
    torch.save(content, tmp_path / "last.ckpt")
    with pytest.raises(CxrlocError, match="no checkpoint of `cxrloc train`"):
        last_checkpoint(tmp_path / "last.ckpt", resume=True)


def test_a_checkpoint_of_another_network_is_refused(checkpoint: Path) -> None:
    found = last_checkpoint(checkpoint, resume=True)
    assert found is not None
    with pytest.raises(CxrlocError, match=r"last\.ckpt: does not fit the network"):
        restore(found, {"network": nn.Linear(2, 2)}, IDENTITY)
    write_weights(checkpoint.with_name("best.ckpt"), nn.Linear(2, 2))
    with pytest.raises(CxrlocError, match=r"best\.ckpt: weights of another network"):
        read_weights(checkpoint.with_name("best.ckpt"), nn.Linear(64, 64))


def test_a_disk_that_takes_no_more_is_named_and_the_last_whole_checkpoint_stays(
    checkpoint: Path,
) -> None:
    """The largest file that this process may write is as full a disk as a test can have."""
    before = checkpoint.read_bytes()
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, hard))
    try:
        with pytest.raises(CxrlocError, match=r"last\.ckpt: cannot be written: File too large"):
            write_checkpoint(checkpoint, {"network": nn.Linear(64, 64)}, State(), IDENTITY)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert checkpoint.read_bytes() == before
    assert [path.name for path in checkpoint.parent.iterdir()] == ["last.ckpt"]
