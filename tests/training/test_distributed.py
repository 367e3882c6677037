"""Two processes that share no disk, and batch normalisation over the images of both."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import torch
import torch.distributed as dist
from torch import nn

from cxrloc.datasets.batches import Batch
from cxrloc.errors import CxrlocError
from cxrloc.training.distributed import SharedBatchNorm, rank, synchronised, world_size
from cxrloc.training.fit import Run, fit
from tests.training.test_fit import CONFIG, IMAGES, LABELS, Tiny, new_network, validate

SHORT = replace(CONFIG, steps=8, validate_every=2, averaging=0.8, loss="cel", keep="best")
CPU = torch.device("cpu")


def shared_batches(first_step: int) -> Iterator[list[Batch]]:
    """Eight images a step, in turn; of each process its share."""
    for step in range(first_step, 99):
        rows = (torch.arange(8) * 5 + step) % len(IMAGES)
        share = rows[rank() :: world_size()]
        yield [Batch((IMAGES[share],), LABELS[share])]


def killed(first_step: int) -> Iterator[list[Batch]]:
    for step, batch in enumerate(shared_batches(first_step), start=first_step):
        if step == 5:
            raise KeyboardInterrupt
        yield batch


def without_dropout() -> Tiny:
    network = new_network()
    network.prediction[0].p = 0.0
    return network


def activated() -> Tiny:
    """Its backbone normalises and activates in one layer, as timm's networks do."""
    from timm.layers import BatchNormAct2d

    network = without_dropout()
    network.backbone = nn.Sequential(network.backbone[0], BatchNormAct2d(4))
    return network


TOGETHER = {"together": without_dropout, "activated": activated}
"""Networks whose normalisation moves."""


def normalised_together(new: Callable[[], Tiny], folder: Path) -> nn.Module:
    network = new()
    if world_size() > 1:
        network = synchronised(network, CPU, frozen_normalisation=False)
    # Adam would make steps of the rounding errors of the bias, whose gradient is 0.
    config = replace(SHORT, keep="last", optimizer="sgd")
    return fit(network, shared_batches, validate, config, Run(folder))


def work(process: int, place: str) -> None:
    """What each process does; its folder stands for a host of its own."""
    dist.init_process_group("gloo", f"file://{place}/store", rank=process, world_size=2)
    host = Path(place) / f"host{process}"
    frozen = replace(SHORT, frozen_normalisation=True)
    kept = {"whole": fit(new_network(), shared_batches, validate, frozen, Run(host / "whole"))}
    try:
        fit(new_network(), killed, validate, frozen, Run(host / "parts"))
    except KeyboardInterrupt:
        again = Run(host / "parts", resume=True)
        kept["parts"] = fit(new_network(), shared_batches, validate, frozen, again)
    for name, new in TOGETHER.items():
        kept[name] = normalised_together(new, host / name)
    states = {name: dict(network.state_dict()) for name, network in kept.items()}
    complaints = []
    for run in (Run(host / "whole"), Run(host / "other", identity={"images": process})):
        try:
            fit(new_network(), shared_batches, validate, frozen, run)
        except CxrlocError as error:
            complaints.append(str(error))
    torch.save({"states": states, "complaints": complaints}, host / "result.pt")
    dist.barrier()
    dist.destroy_process_group()


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("two")
    torch.multiprocessing.spawn(work, (str(folder),), nprocs=2)
    return folder


@pytest.fixture(scope="module")
def results(place: Path) -> list[dict]:
    return [torch.load(place / f"host{process}" / "result.pt") for process in (0, 1)]


@pytest.mark.slow
def test_only_the_first_process_keeps_files(place: Path, results: list[dict]) -> None:
    assert (place / "host0/parts/last.ckpt").is_file()
    assert not [*place.glob("host1/*/*")]


@pytest.mark.slow
def test_a_run_resumed_from_the_first_hosts_disk_is_equal_to_the_bit(results: list[dict]) -> None:
    first, second = (result["states"] for result in results)
    for states in (first, second):
        for name, tensor in first["whole"].items():
            assert torch.equal(tensor, states["parts"][name]), name
            assert torch.equal(tensor, states["whole"][name]), name


@pytest.mark.slow
@pytest.mark.parametrize("name", TOGETHER)
def test_normalised_together_two_processes_learn_what_one_does(
    name: str, results: list[dict], tmp_path: Path
) -> None:
    one = normalised_together(TOGETHER[name], tmp_path).state_dict()
    first, second = (result["states"][name] for result in results)
    assert one.keys() == first.keys()
    for key, tensor in one.items():
        assert torch.equal(first[key], second[key]), key
        torch.testing.assert_close(first[key], tensor, rtol=1e-3, atol=1e-5)


@pytest.mark.slow
def test_what_stops_one_process_is_said_by_both(results: list[dict]) -> None:
    for result in results:
        there, other = result["complaints"]
        assert "last.ckpt is there: go on with it (--resume), or choose another --out" in there
        assert "process 1 has other data or settings than process 0: images is 0" in other


def test_a_layer_that_does_more_than_normalise_cannot_be_shared() -> None:
    class Weighted(nn.BatchNorm2d):
        pass

    with pytest.raises(CxrlocError, match="of Weighted layers: set frozen_normalisation = true"):
        synchronised(nn.Sequential(Weighted(1)), CPU, frozen_normalisation=False)


@pytest.mark.parametrize("new", TOGETHER.values(), ids=TOGETHER)
def test_on_accelerators_torch_shares_and_what_follows_in_a_layer_stays(
    new: Callable[[], Tiny],
) -> None:
    network = new().eval()
    wanted = network(IMAGES)[0]
    shared = synchronised(network, torch.device("cuda"), frozen_normalisation=False)
    assert isinstance(shared.backbone[1], nn.SyncBatchNorm)
    torch.testing.assert_close(shared(IMAGES)[0], wanted)  # in evaluation a CPU does too


def test_in_one_process_shared_normalisation_is_that_of_torch() -> None:
    plain = nn.BatchNorm2d(3)
    shared = SharedBatchNorm(plain)
    images = torch.randn(4, 3, 5, 5, generator=torch.Generator().manual_seed(0))
    for _ in range(2):
        torch.testing.assert_close(shared(images), plain(images))
    torch.testing.assert_close(dict(shared.state_dict()), dict(plain.state_dict()))
    torch.testing.assert_close(shared.eval()(images), plain.eval()(images))
