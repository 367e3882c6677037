"""A batch on one device: what fits, which image fails, and how precisely it is computed."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from cxrloc.errors import CxrlocError, UsageError
from cxrloc.inference import batches
from cxrloc.inference.batches import batch_function, with_precision
from cxrloc.inference.localize import localize
from cxrloc.inference.localized import Localized
from cxrloc.inference.prepared import Failure, Image, InferenceSettings, Prepared, prepare_image
from cxrloc.inference.watched import Watched
from cxrloc.models.model import Model
from cxrloc.models.weights import read_model
from cxrloc.phantom import make_phantom
from cxrloc.types import Radiograph


def test_an_image_that_does_not_fit_alone_fails_alone(untrained_model: Path) -> None:
    model = read_model(str(untrained_model))
    sides = {"a": 64, "wide": 65, "c": 64}
    images = [
        Image(name, lambda side=side: Radiograph(np.eye(side), bits_stored=8))
        for name, side in sides.items()
    ]
    prepared = [prepare_image(image, [model]) for image in images]

    def work(models: Any, settings: Any) -> Any:
        def compute(batch: list[Prepared]) -> list[str]:
            if any(item.shape == (65, 65) for item in batch):
                raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 9.00 GiB")
            return [item.image_id for item in batch]

        return compute

    run = batch_function([model], InferenceSettings(device="cpu"), work)
    first, failed, last = run(prepared)
    assert (first, last) == ("a", "c")
    assert isinstance(failed, Failure)
    assert failed.reason == (
        "wide: cannot be processed (OutOfMemoryError: CUDA out of memory. Tried to allocate "
        "9.00 GiB)"
    )


def test_weights_that_are_nan_are_refused_once(untrained_model: Path) -> None:
    model = read_model(str(untrained_model))
    with torch.no_grad():
        model.network.prediction.weight[1, 0] = torch.nan  # type: ignore[union-attr, index]
    finding = model.card.findings[1]
    with pytest.raises(
        CxrlocError, match=rf"prediction.weight hold NaN, so results of {finding} w"
    ):
        batch_function([model], InferenceSettings(device="cpu"), lambda *_: list)
    with torch.no_grad():
        next(iter(model.network.parameters())).view(-1)[0] = torch.nan
    with pytest.raises(CxrlocError, match="hold NaN, so results would be NaN"):
        batch_function([model], InferenceSettings(device="cpu"), lambda *_: list)


def test_numbers_that_need_not_be_finite_are_no_damage(untrained_model: Path) -> None:
    """Operating points that are not known, a mask, and weights of 8 bits."""
    model = read_model(str(untrained_model))
    model.network.register_buffer("op_threshs", torch.tensor([0.5, torch.nan]))
    model.network.register_buffer("mask", torch.tensor([0.0, -torch.inf]))
    small = torch.ones(2).to(torch.float8_e4m3fn)
    model.network.register_parameter("small", nn.Parameter(small, requires_grad=False))
    run = batch_function([model], InferenceSettings(device="cpu"), lambda *_: list)
    assert run([]) == []


@pytest.mark.parametrize(
    ("device", "precision", "layer", "wanted"),
    [
        ("cpu", "auto", "", "fp32"),
        ("cuda", "auto", "", "fp16"),
        ("cuda", "auto", "layer4", "fp32"),
        ("cuda", "bf16", "", "bf16"),
        ("cpu", "fp16", "", "fp16"),
    ],
)
def test_half_precision_is_for_cuda_or_where_it_is_asked_for(
    device: str, precision: str, layer: str, wanted: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(batches, "choose_devices", lambda name: (torch.device(name),))
    settings = InferenceSettings(device=device, precision=precision, layer=layer)
    assert with_precision(settings).precision == wanted


@pytest.mark.parametrize(
    ("precision", "layer", "message"),
    [
        ("fp8", "", "--precision fp8: choose from auto, fp32, bf16, fp16"),
        ("fp16", "layer4", "--precision fp16: --layer reads the inside of the network"),
    ],
)
def test_a_precision_that_is_not_possible_is_refused(
    precision: str, layer: str, message: str
) -> None:
    with pytest.raises(UsageError, match=message):
        with_precision(InferenceSettings(device="cpu", precision=precision, layer=layer))


@pytest.mark.parametrize("method", ["attention_rollout", "class_attention", "legrad"])
def test_attention_is_read_in_single_precision(
    method: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A batch that overflows runs twice, and the attention of both passes would be multiplied."""
    monkeypatch.setattr(batches, "choose_devices", lambda name: (torch.device("cuda"),))
    assert with_precision(InferenceSettings(method)).precision == "fp32"
    with pytest.raises(UsageError, match=f"--precision fp16: --method {method} reads the inside"):
        with_precision(InferenceSettings(method, precision="fp16"))


def maps_of(model: Model, precision: str, method: str = "cam") -> Localized:
    radiograph = Radiograph(make_phantom(1, 0, model.preprocessing.size).pixels, bits_stored=8)
    settings = InferenceSettings(method, device="cpu", precision=precision)
    (result,) = localize([model], [Image("a", lambda: radiograph)], settings)
    assert isinstance(result, Localized)
    return result


@pytest.mark.parametrize(
    ("name", "precision"),
    [("phantom-v1", "fp16"), ("phantom-v1", "bf16"), ("nih-small-v4", "fp16")],
)
def test_maps_and_probabilities_in_half_precision_are_within_a_hundredth(
    name: str, precision: str
) -> None:
    """The maps of nih-small-v4, whose features are centred, differ by a tenth in bfloat16."""
    model = read_model(name)
    exact, half = maps_of(model, "fp32"), maps_of(model, precision)
    np.testing.assert_allclose(half.probabilities, exact.probabilities, atol=1e-2)
    scores, wanted = half.heatmaps.scores, exact.heatmaps.scores
    assert scores.dtype == wanted.dtype == np.float32
    assert 0 < np.abs(scores - wanted).max() <= 1e-2 * np.abs(wanted).max()


@pytest.mark.parametrize("method", ["grad_cam", "ablation_cam"])
def test_gradients_come_from_a_head_in_single_precision(method: str, untrained_model: Path) -> None:
    model = read_model(str(untrained_model))
    wanted = maps_of(model, "fp32", method).heatmaps.scores
    found = maps_of(model, "fp16", method).heatmaps.scores
    assert np.abs(found - wanted).max() <= 2e-2 * np.abs(wanted).max()


def test_what_overflows_in_half_precision_is_computed_again() -> None:
    class Bright(nn.Module):
        prediction = nn.Linear(1, 1)
        scale = nn.Linear(1, 1, bias=False)

        def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
            features = self.scale(images)
            return features.mean(dim=(2, 3)), features

    network = Bright()
    nn.init.constant_(network.scale.weight, 60000.0)
    for grey, precise in ((0.5, False), (2.0, True)):
        images = torch.full((1, 1, 2, 1), grey + 1e-5)
        logits, _ = Watched(network, "fp16")(images)  # type: ignore[arg-type]
        assert logits.dtype == torch.float32
        assert logits.isfinite().all()
        assert torch.equal(logits, network(images)[0]) == precise
