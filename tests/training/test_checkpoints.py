"""Training runs whose files are damaged or cannot be written."""

import os
import resource
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from cxrloc.errors import CxrlocError
from cxrloc.training.checkpoints import (
    State,
    last_checkpoint,
    read_weights,
    restore,
    write_checkpoint,
    write_weights,
)
from cxrloc.training.optimizers import OPTIMIZERS, parameter_groups

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


def stepped() -> dict[str, Any]:
    """A network and its optimizer after one step."""
    network = nn.Linear(4, 4)
    optimizer = torch.optim.AdamW(network.parameters())
    network(torch.ones(1, 4)).sum().backward()
    optimizer.step()
    return {"network": network, "optimizer": optimizer}


@pytest.mark.parametrize(
    ("place", "value"),
    [
        ("identity", "text"),
        ("state", [1]),
        ("parts", torch.zeros(3)),
        ("state", {}),
        ("state.step", "3"),
        ("state.step", -1),
        ("state.loss", float("nan")),
        ("state.history", "text"),
        ("state.history", [1, 2]),
        ("state.more", 1),
        ("parts.network", torch.zeros(3)),
        ("parts.network.weight", torch.full((4, 4), float("nan"))),
        ("parts.optimizer", {}),
        ("parts.optimizer.param_groups.0.lr", "fast"),
        ("parts.optimizer.param_groups.0.lr", float("inf")),
        ("parts.optimizer.param_groups.0.betas", 0.9),
        ("parts.optimizer.state.0.exp_avg", torch.zeros(2, 2)),
    ],
)
def test_a_checkpoint_with_a_wrong_value_is_one_line_that_names_it(
    tmp_path: Path, place: str, value: object
) -> None:
    path = tmp_path / "last.ckpt"
    write_checkpoint(path, stepped(), State(step=3), IDENTITY)
    content = torch.load(path)
    *above, last = (int(name) if name.isdigit() else name for name in place.split("."))
    owner = content
    for name in above:
        owner = owner[name]
    owner[last] = value
    torch.save(content, path)
    with pytest.raises(CxrlocError, match=r"last\.ckpt: .*remove it") as said:
        restore(last_checkpoint(path, resume=True) or {}, stepped(), IDENTITY)
    assert "\n" not in str(said.value)


def test_a_checkpoint_with_one_changed_byte_is_not_taken_for_whole(tmp_path: Path) -> None:
    path = tmp_path / "last.ckpt"
    write_checkpoint(path, stepped(), State(step=3), IDENTITY)
    weight = torch.load(path)["parts"]["network"]["weight"].numpy().tobytes()
    content = bytearray(path.read_bytes())
    content[content.index(weight)] ^= 1
    path.write_bytes(content)
    with pytest.raises(CxrlocError, match="not a whole checkpoint"):
        last_checkpoint(path, resume=True)


def test_a_named_pipe_in_place_of_a_checkpoint_never_blocks(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "last.ckpt")
    with pytest.raises(CxrlocError, match="not a regular file"):
        last_checkpoint(tmp_path / "last.ckpt", resume=True)


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_every_optimizer_goes_on_from_its_checkpoint(tmp_path: Path, name: str) -> None:
    def trained(steps: int) -> tuple[nn.Linear, torch.optim.Optimizer]:
        network = nn.Linear(4, 4)
        nn.init.constant_(network.weight, 0.5)
        nn.init.constant_(network.bias, 0.0)
        groups = parameter_groups(network, weight_decay=0.1, backbone_rate=1.0)
        optimizer = OPTIMIZERS[name](groups, 0.1, 0.9, False)
        for _ in range(steps):
            optimizer.zero_grad()
            network(torch.ones(1, 4)).square().sum().backward()
            optimizer.step()
        return network, optimizer

    names = ("network", "optimizer")
    path = tmp_path / "last.ckpt"
    write_checkpoint(path, dict(zip(names, trained(2), strict=True)), State(step=2), IDENTITY)
    network, optimizer = trained(0)
    parts = {"network": network, "optimizer": optimizer}
    assert restore(last_checkpoint(path, resume=True) or {}, parts, IDENTITY).step == 2
    optimizer.zero_grad()
    network(torch.ones(1, 4)).square().sum().backward()
    optimizer.step()
    assert torch.equal(network.weight, trained(3)[0].weight)
