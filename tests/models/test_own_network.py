"""A user's own network is refused with advice if it would silently give wrong maps."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from cxrloc.errors import CxrlocError
from cxrloc.images.preprocessing import Preprocessing
from cxrloc.inference.localize import localize
from cxrloc.inference.predict import predict
from cxrloc.inference.prepared import Failure, Image, InferenceSettings
from cxrloc.models.card import ModelCard
from cxrloc.models.model import Model
from cxrloc.models.own_network import check_own_network
from cxrloc.types import Radiograph

SETTINGS = InferenceSettings(device="cpu", batch_size=2)
IMAGES = [
    Image(str(k), lambda k=k: Radiograph(np.full((32, 32), k / 5, dtype=np.float32), 8))
    for k in range(3)
]


class Own(nn.Module):
    """The network of the README; each part can be replaced by a wrong one."""

    def __init__(self, change: Callable[[Any, Tensor, Tensor], Any] | None = None) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.body = nn.Sequential(nn.Conv2d(1, 8, 5, stride=8, padding=2), nn.ReLU())
        self.prediction: nn.Module = nn.Linear(8, 2)
        self.change = change

    def pool(self, features: Tensor) -> Tensor:
        return features.mean((2, 3))

    def forward(self, images: Tensor) -> Any:
        features = self.body(images)
        logits = self.prediction(self.pool(features))
        return self.change(self, logits, features) if self.change else (logits, features)


def model(network: nn.Module, findings: tuple[str, ...] = ("Mass", "Nodule")) -> Model:
    return Model(network, None, Preprocessing(size=32), ModelCard("mine", "nothing", findings))


def class_token(network: Own, logits: Tensor, features: Tensor) -> tuple[Tensor, Tensor]:
    """Logits from a token that saw all cells, as a ViT's, beside the patch tokens."""
    token = features.amax((2, 3)) * 2 + 1
    return network.prediction(token), features


def one_cell(network: Own) -> Own:
    network.pool = lambda features: features[:, :, 0, 0]  # type: ignore[method-assign]
    return network


def without_features(network: Own) -> Own:
    constant = torch.ones(2, 8)
    network.pool = lambda features: constant[: len(features)]  # type: ignore[method-assign]
    return network


def two_layers(network: Own) -> Own:
    network.prediction = nn.Sequential(network.prediction)
    return network


class WithHead(Own):
    """A network whose head is a function of its own."""

    def __init__(self, function: Callable[[Any, Tensor], Tensor]) -> None:
        super().__init__()
        self.function = function
        self.hidden, self.other = nn.Linear(8, 8), nn.Linear(8, 2)

    def head(self, features: Tensor) -> Tensor:
        return self.function(self, features)

    def forward(self, images: Tensor) -> Any:
        features = self.body(images)
        return self.head(features), features


def through_hidden_layer(network: Any, features: Tensor) -> Tensor:
    return network.prediction(network.hidden(network.pool(features)).relu())


def through_other_layer(network: Any, features: Tensor) -> Tensor:
    return network.other(network.pool(features))


def logits_of_cells(network: Any, features: Tensor) -> Tensor:
    return network.prediction(features.movedim(1, 3)).amax((1, 2))


def logits_of_other_cells(network: Any, features: Tensor) -> Tensor:
    return network.prediction(network.hidden(features.movedim(1, 3))).amax((1, 2))


def logits_of_cells_as_rows(network: Any, features: Tensor) -> Tensor:
    batch, depth, rows, columns = features.shape
    cells = features.flatten(2).mT.reshape(-1, depth)
    return network.prediction(cells).view(batch, rows * columns, -1).mean(1)


def logits_of_cells_before_images(network: Any, features: Tensor) -> Tensor:
    return network.prediction(features.permute(3, 2, 0, 1).reshape(-1, 8)).view(16, -1, 2).mean(0)


def logits_of_other_cells_as_rows(network: Any, features: Tensor) -> Tensor:
    return logits_of_cells_as_rows(network, features * torch.arange(1, 9).view(1, 8, 1, 1))


def logits_of_one_token(network: Any, features: Tensor) -> Tensor:
    return network.prediction(network.pool(features)[:, None]).squeeze(1)


def halved(network: Any, features: Tensor) -> Tensor:
    return network.prediction(network.pool(features)) / 2


def sigmoid_of_head(network: Any, features: Tensor) -> Tensor:
    return network.prediction(network.pool(features)).sigmoid()


def clamped_softmax_of_head(network: Any, features: Tensor) -> Tensor:
    return network.prediction(network.pool(features)).softmax(dim=1).clamp(min=1e-6)


def test_a_network_that_keeps_the_contract_is_taken() -> None:
    (first, *_) = localize([model(Own().eval())], IMAGES, SETTINGS)
    assert first.heatmaps.scores.shape == (2, 4, 4)


@pytest.mark.parametrize(
    ("network", "message"),
    [
        (Own(lambda n, logits, f: (logits.sigmoid(), f)), r"gives probabilities \(sigmoid"),
        (Own(lambda n, logits, f: (logits.softmax(1), f)), r"gives probabilities \(softmax"),
        (Own(class_token), "logits are not those of its features.*class token"),
        (one_cell(Own()), "pool reads one cell of the 16 cells.*class token"),
        (without_features(Own()), "pool reads nothing of the 16 cells"),
        (two_layers(Own()), "a Sequential as prediction"),
        (WithHead(sigmoid_of_head), "the network ends with a sigmoid"),
        (WithHead(clamped_softmax_of_head), "the network ends with a softmax"),
        (nn.DataParallel(Own()), r"inside DataParallel, its \.module"),
        (nn.Sequential(nn.Conv2d(1, 2, 3), nn.Flatten()), "this Sequential has none as prediction"),
        (Own(lambda n, logits, f: logits), r"it gives one tensor \(1, 2\)"),
        (Own(lambda n, logits, f: {"logits": logits}), "it gives a dict"),
        (Own(lambda n, logits, f: (logits, f.flatten(2).mT)), "without the prefix tokens"),
        (Own(lambda n, logits, f: (logits[:, :1], f)), r"logits have the shape \(1, 1\)"),
    ],
)
@pytest.mark.parametrize("run", [localize, predict])
def test_what_would_give_wrong_maps_is_refused(
    network: nn.Module, message: str, run: Callable[..., Any]
) -> None:
    with pytest.raises(CxrlocError, match=f"^mine: .*{message}"):
        next(run([model(network.eval())], IMAGES, SETTINGS))


def through_trained(normalisation: Any) -> Callable[[Any, Tensor], Tensor]:
    """A head with an affine normalisation of the pooled features, with gains as after training."""
    nn.init.normal_(normalisation.weight, generator=torch.Generator().manual_seed(1))
    normalisation.eval()
    return lambda network, features: network.prediction(normalisation(network.pool(features)))


def through_negative(network: Any, features: Tensor) -> Tensor:
    return network.prediction(-network.pool(features))


def through_gate(network: Any, features: Tensor) -> Tensor:
    pooled = network.pool(features)
    return network.prediction(pooled * network.hidden(pooled).sigmoid())


@pytest.mark.parametrize(
    ("head", "message"),
    [
        (through_hidden_layer, "its pooling mixes the channels"),
        (through_other_layer, "runs `prediction` 0 times"),
        (logits_of_other_cells, "changes the features before"),
        (logits_of_other_cells_as_rows, "changes the features before"),
        (halved, "changes what `prediction` gives"),
        (through_trained(nn.BatchNorm1d(8)), "gives them different factors"),
    ],
)
def test_only_gradient_methods_explain_a_head_with_layers_of_its_own(
    head: Callable[[Any, Tensor], Tensor], message: str
) -> None:
    network = model(WithHead(head).eval())
    with pytest.raises(CxrlocError, match=f"^mine: class activation maps.*{message}"):
        next(localize([network], IMAGES, SETTINGS))
    next(localize([network], IMAGES, replace(SETTINGS, method="grad_cam")))
    next(predict([network], IMAGES, SETTINGS))


@pytest.mark.parametrize(
    "head",
    [
        through_trained(nn.LayerNorm(8)),
        through_trained(nn.GroupNorm(2, 8)),
        through_negative,
        through_gate,
    ],
)
def test_a_head_that_gives_channels_factors_of_its_own_has_no_maps(
    head: Callable[[Any, Tensor], Tensor],
) -> None:
    network = model(WithHead(head).eval())
    with pytest.raises(CxrlocError, match="gives them different factors"):
        check_own_network(network, torch.rand(1, 1, 32, 32), [], by_prediction=True)


def test_factors_of_two_channels_are_found_too() -> None:
    network = Own()
    network.body = nn.Sequential(nn.Conv2d(1, 2, 5, stride=8, padding=2))
    network.prediction = nn.Linear(2, 2)
    factors = torch.tensor([1.0, 3.0])
    network.pool = lambda features: features.mean((2, 3)) * factors  # type: ignore[method-assign]
    with pytest.raises(CxrlocError, match="gives them different factors"):
        check_own_network(model(network.eval()), torch.rand(1, 1, 32, 32), [], by_prediction=True)


def test_a_prediction_of_other_depth_than_the_features_has_no_maps() -> None:
    network = Own()
    network.pool = lambda features: features.mean((2, 3)).repeat(1, 2)  # type: ignore[method-assign]
    network.prediction = nn.Linear(16, 2)
    with pytest.raises(CxrlocError, match="reads 16 numbers and the features have 8"):
        next(localize([model(network.eval())], IMAGES, SETTINGS))


def test_poolings_that_keep_channels_apart_are_taken_whatever_the_first_image() -> None:
    """The first image is black, so that all its features may be 0."""
    maximum = Own()
    maximum.pool = lambda features: features.amax((2, 3))  # type: ignore[method-assign]
    nn.init.zeros_(maximum.body[0].bias)  # type: ignore[arg-type]
    normalised = Own()
    normalised.pool = lambda features: nn.functional.layer_norm(  # type: ignore[method-assign]
        features.mean((2, 3)), (8,)
    )
    for network in (maximum, normalised):
        assert len(list(localize([model(network.eval())], IMAGES, SETTINGS))) == 3


def attention_then_offset(network: Any, features: Tensor) -> Tensor:
    """Cells weighted by a learned layer of all their channels, then an offset per channel."""
    attention = network.other(features.movedim(1, 3))[..., :1].flatten(1).softmax(dim=1)
    pooled = (features.flatten(2) * attention[:, None]).sum(dim=2)
    return network.prediction(pooled + network.hidden.bias)


def generalised_mean(network: Any, features: Tensor) -> Tensor:
    """GeM with a power for each channel, as learned ones have."""
    power = torch.linspace(1, 5, 8).view(1, 8, 1, 1)
    pooled = features.clamp(min=1e-6).pow(power).mean((2, 3), keepdim=True).pow(1 / power)
    return network.prediction(pooled.flatten(1))


def unit_length(network: Any, features: Tensor) -> Tensor:
    return network.prediction(nn.functional.normalize(network.pool(features)))


def largest_cells(network: Any, features: Tensor) -> Tensor:
    return network.prediction(features.flatten(2).topk(3).values.sum(2))


@pytest.mark.parametrize(
    "head",
    [
        logits_of_cells,
        logits_of_cells_as_rows,
        logits_of_cells_before_images,
        logits_of_one_token,
        attention_then_offset,
        generalised_mean,
        unit_length,
        largest_cells,
    ],
)
@pytest.mark.parametrize("images", [1, 2])
def test_heads_whose_weights_are_those_of_the_features_are_taken(
    head: Callable[[Any, Tensor], Tensor], images: int
) -> None:
    batch = torch.rand(images, 1, 32, 32)
    check_own_network(model(WithHead(head).eval()), batch, [], by_prediction=True)


def test_an_image_whose_probabilities_are_no_numbers_fails_alone() -> None:
    passes = iter(range(10))  # the check, then the images

    def broken(network: Own, logits: Tensor, features: Tensor) -> tuple[Tensor, Tensor]:
        return logits * (torch.nan if next(passes) == 2 else 1), features

    found = list(predict([model(Own(broken).eval())], IMAGES, SETTINGS))
    assert [isinstance(one, Failure) for one in found] == [False, True, False]
    assert "gives NaN as a probability" in found[1].reason  # type: ignore[union-attr]


@pytest.mark.parametrize("run", [localize, predict])
def test_an_image_without_finite_results_fails_alone_and_the_next_is_checked(
    run: Callable[..., Any],
) -> None:
    """A network divides by the deviation of each image; the images are blank, but for the last."""
    textured = Image("textured", lambda: Radiograph(np.eye(32, dtype=np.float32), 8))

    class Standardising(Own):
        def forward(self, images: Tensor) -> Any:
            return super().forward(images / images.std(dim=(1, 2, 3), keepdim=True))

    first, second = run([model(Standardising().eval())], [IMAGES[0], textured], SETTINGS)
    assert isinstance(first, Failure)
    assert "0: cannot be processed" in first.reason
    assert "mine: its logits or features are not finite" in first.reason
    assert not isinstance(second, Failure)
    wrong = Standardising(lambda n, logits, f: (logits.sigmoid(), f))
    with pytest.raises(CxrlocError, match="gives probabilities"):
        list(run([model(wrong.eval())], [IMAGES[0], textured], SETTINGS))


def test_a_network_without_finite_results_fails_for_every_image() -> None:
    network = Own(lambda n, logits, f: (logits, f * torch.nan)).eval()
    found = list(localize([model(network)], IMAGES, SETTINGS))
    assert [isinstance(one, Failure) for one in found] == [True] * 3


@pytest.mark.parametrize(
    ("findings", "message"),
    [
        (("Mass",), r"names 1 findings \(Mass\), so \(1, 1\) is wanted"),
        (("Mass", "Nodule", "Edema"), "names 3 findings"),
        (("Mass", "Mass"), "name Mass twice"),
    ],
)
def test_outputs_and_findings_are_as_many_and_none_twice(
    findings: tuple[str, ...], message: str
) -> None:
    with pytest.raises(CxrlocError, match=message):
        next(localize([model(Own().eval(), findings)], IMAGES, SETTINGS))


def test_it_is_checked_once(monkeypatch: pytest.MonkeyPatch) -> None:
    from cxrloc.inference import batches

    checked = []
    monkeypatch.setattr(batches, "check_own_network", lambda *arguments: checked.append(arguments))
    assert len(list(predict([model(Own().eval())], IMAGES, SETTINGS))) == 3
    assert len(checked) == 1
