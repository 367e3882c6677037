"""Several devices give what one gives, and a process that dies costs the image at fault."""

import pickle
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from cxrloc.devices import CPU
from cxrloc.errors import CxrlocError, UsageError
from cxrloc.inference import streaming
from cxrloc.inference.localize import localize
from cxrloc.inference.localized import Localized
from cxrloc.inference.predict import pooled_features, predict
from cxrloc.inference.prepared import Failure, Image, InferenceSettings
from cxrloc.inference.read_ahead import prepared_images
from cxrloc.inference.streaming import devices_for
from cxrloc.models.model import Model
from cxrloc.models.weights import read_model
from cxrloc.types import Radiograph
from cxrloc.workers import StartError, TaskDiedError

ONE, TWO = InferenceSettings(device="cpu", seed=5), InferenceSettings(device="cpu,cpu", seed=5)


class HereProcess:
    """A `TaskProcess` that runs in this process, with all that would be sent pickled."""

    fails: Exception | None = None

    def __init__(self, prepare: Callable[[], Callable[[Any], Any]], limits: Any) -> None:
        self.function = pickle.loads(pickle.dumps(prepare))()

    def run(self, argument: Any) -> Any:
        if self.fails and any(item.image_id == "c" for item in argument):
            raise self.fails
        return pickle.loads(pickle.dumps(self.function(pickle.loads(pickle.dumps(argument)))))

    def close(self) -> None:
        pass


@pytest.fixture
def processes(monkeypatch: pytest.MonkeyPatch) -> type[HereProcess]:
    monkeypatch.setattr(HereProcess, "fails", None)
    monkeypatch.setattr(streaming, "TaskProcess", HereProcess)
    return HereProcess


@pytest.fixture(scope="module")
def model(untrained_model: Path) -> Model:
    return read_model(str(untrained_model))


def radiograph(seed: int) -> Radiograph:
    return Radiograph(np.random.default_rng(seed).random((70, 60)), bits_stored=8)


def broken() -> Radiograph:
    raise CxrlocError("b: an empty file")


IMAGES = [
    Image(name, broken if name == "b" else lambda seed=seed: radiograph(seed))
    for seed, name in enumerate("abcde")
]


def numbers(result: Any) -> Any:
    """All that a result says, to be compared to the bit."""
    if isinstance(result, Localized):
        scores, pixels = result.heatmaps.scores, result.radiograph.pixels
        return pickle.dumps((result.probabilities, scores, pixels, result.suitability))
    return pickle.dumps(result)


@pytest.mark.parametrize("settings", [TWO, replace(TWO, versions="five-patch")])
@pytest.mark.parametrize("run", [localize, predict])
def test_several_devices_give_what_one_gives(
    run: Any, settings: InferenceSettings, model: Model, processes: type[HereProcess]
) -> None:
    one = [*run([model], IMAGES[:3], replace(settings, device="cpu"))]
    two = [*run([model], IMAGES[:3], settings)]
    assert two[1] == Failure("b", "b: an empty file")
    assert [numbers(result) for result in one] == [numbers(result) for result in two]


def test_pooled_features_come_from_several_devices_too(
    model: Model, processes: type[HereProcess]
) -> None:
    one, two = (list(pooled_features(model, IMAGES[:1], each)) for each in (ONE, TWO))
    np.testing.assert_array_equal(one[0], two[0])


@pytest.mark.parametrize("together", [1, 4])
def test_a_process_that_dies_costs_the_image_that_is_the_cause(
    together: int, model: Model, processes: type[HereProcess], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(streaming, "images_together", lambda settings: together)
    processes.fails = TaskDiedError("ended its process by signal 9")
    results = [*localize([model], IMAGES, TWO)]
    assert [isinstance(result, Failure) for result in results] == [False, True, True, False, False]
    assert isinstance(results[2], Failure)
    assert "c: cannot be processed (TaskDiedError: ended" in results[2].reason
    assert isinstance(results[3], Localized)
    np.testing.assert_array_equal(results[3].radiograph.pixels, radiograph(3).pixels)


def test_a_process_that_does_not_start_ends_the_run(
    model: Model, processes: type[HereProcess]
) -> None:
    processes.fails = StartError("ended its process with status 1")
    with pytest.raises(
        CxrlocError, match=r"a process for a device does not start: it ended .*__main__"
    ):
        list(localize([model], IMAGES, TWO))


def test_wrong_options_are_refused_before_a_process_starts(
    model: Model, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(streaming, "TaskProcess", None)
    with pytest.raises(UsageError, match="--finding Hernia"):
        next(localize([model], IMAGES, replace(TWO, findings=("Hernia",))))


def test_a_network_that_cannot_be_sent_runs_on_one_device(
    model: Model, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Local(type(model.network)):  # type: ignore[misc]  # its class is known here alone
        pass

    own = read_model("phantom-v1")
    own.network.__class__ = Local
    with pytest.raises(UsageError, match="--device: a model that cannot be sent"):
        next(localize([own], IMAGES, TWO))
    monkeypatch.setattr(streaming, "choose_devices", lambda name: (CPU, CPU))
    monkeypatch.setattr(streaming, "WORTH_PROCESSES", 1)
    monkeypatch.setattr(streaming, "TaskProcess", None)  # so that no process can start
    assert len([*localize([own], IMAGES[:2], InferenceSettings())]) == 2


@pytest.mark.parametrize(
    ("name", "images", "count"),
    [("auto", 1, 1), ("auto", 511, 1), ("auto", 512, 2), ("auto", 9999, 4), ("all four", 1, 4)],
)
def test_a_further_gpu_is_used_if_it_pays_or_is_named(
    name: str, images: int, count: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    four = tuple(torch.device("cuda", number) for number in range(4))
    monkeypatch.setattr(streaming, "choose_devices", lambda name: four)
    wanted = [f"cuda:{number}" for number in range(count)]
    assert devices_for(IMAGES[:1] * images, InferenceSettings(device=name)) == wanted
    unknown: list[Any] = [iter(IMAGES), dict.fromkeys(IMAGES * images)]
    assert [devices_for(each, InferenceSettings()) for each in unknown] == [["cuda:0"]] * 2


@pytest.mark.parametrize(
    ("count", "device", "by_processes"),
    [(3, "a GPU", True), (2, "a GPU", False), (3, "the CPU", False)],
)
def test_processes_read_many_images_for_a_gpu(
    count: int, device: str, by_processes: bool, model: Model, monkeypatch: pytest.MonkeyPatch
) -> None:
    read: list[int] = []

    def images_of_processes(models: Any, images: Any, workers: int, keep_pixels: bool) -> Any:
        read.append(len(images))
        return prepared_images(models, images, workers, keep_pixels)

    monkeypatch.setattr(streaming, "images_of_processes", images_of_processes)
    monkeypatch.setattr(streaming, "WORTH_PROCESSES", 3)
    if device == "a GPU":
        monkeypatch.setattr(streaming, "CPU", torch.device("meta"))
    images = [Image(str(seed), partial(radiograph, seed)) for seed in range(count)]
    assert len([*predict([model], images, ONE)]) == count
    assert read == [count] * by_processes


def test_a_thread_computes_for_a_gpu_and_the_order_stays(
    model: Model, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every device but the CPU computes in batches and while the next images are read."""
    one = [*predict([model], IMAGES, ONE)]
    monkeypatch.setattr(streaming, "CPU", torch.device("meta"))
    monkeypatch.setattr(streaming, "images_together", lambda settings: 2)
    batched = [*predict([model], IMAGES, ONE)]
    assert batched[1] == one[1]
    for alone, together in zip(one, batched, strict=True):
        if not isinstance(alone, Failure):
            assert not isinstance(together, Failure)
            assert alone.image_id == together.image_id
            np.testing.assert_allclose(alone.probabilities, together.probabilities, atol=1e-6)
