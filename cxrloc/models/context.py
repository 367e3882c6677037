"""What a network reads, and networks bound to all of it but the image."""

from collections.abc import Callable, Sequence
from enum import StrEnum
from typing import Protocol, runtime_checkable

from torch import Tensor, nn

from cxrloc.models.heads import logits_of_features
from cxrloc.models.localizer import LocalizingNetwork
from cxrloc.types import Sex, View


class Input(StrEnum):
    """One thing that a network reads."""

    IMAGE = "image"
    SECOND_VIEW = "second view"
    METADATA = "age, sex and view"


def inputs_of(network: nn.Module) -> tuple[Input, ...]:
    """What a network reads: its attribute `reads`, or the image alone where it has none.

    >>> inputs_of(nn.Identity())
    (<Input.IMAGE: 'image'>,)
    """
    return getattr(network, "reads", (Input.IMAGE,))


@runtime_checkable
class Subject(Protocol):
    """What is known of an image beside its pixels: a `Record` or a `Radiograph`."""

    @property
    def age_years(self) -> float | None:
        """Patient's age."""

    @property
    def sex(self) -> Sex | None:
        """Patient's sex."""

    @property
    def view(self) -> View | None:
        """Projection."""


class BoundNetwork(nn.Module):
    """A network of images alone: the rest of what it reads is bound for the images of one batch.

    It is a `LocalizingNetwork`, so every heatmap method takes it. Bound to one image, it also runs
    on a batch of altered copies of that image.

    Attributes:
        network: the network whose prediction and head it has.
        run: images to logits and features.
    """

    def __init__(
        self, network: LocalizingNetwork, run: Callable[[Tensor], tuple[Tensor, Tensor]]
    ) -> None:
        super().__init__()
        self.network, self.run = network, run
        self.prediction = network.prediction

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Logits and features of the images."""
        return self.run(images)

    def head(self, features: Tensor) -> Tensor:
        """The logits of features, by the network's own head."""
        return logits_of_features(self.network, features)


@runtime_checkable
class NeedsContext(Protocol):
    """A network that reads more of each image than its pixels (`reads`)."""

    def bind(self, subjects: Sequence[Subject]) -> BoundNetwork:
        """The network for the images of these subjects, in their order."""


def bound(network: nn.Module, subjects: Sequence[Subject]) -> LocalizingNetwork:
    """The network as one of images alone, for the images of these subjects in their order."""
    if isinstance(network, NeedsContext):
        return network.bind(subjects)
    return network  # type: ignore[return-value]
