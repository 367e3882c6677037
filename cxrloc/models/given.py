"""Networks that read more than one image: once the rest is given, they are as any other."""

from collections.abc import Callable, Sequence
from typing import Protocol, runtime_checkable

from torch import Tensor, nn

from cxrloc.models.localizer import LocalizingNetwork
from cxrloc.types import Sex, View


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


class Given(nn.Module):
    """A network for the images of one batch, the rest of its input filled in.

    It is a `LocalizingNetwork`, so every heatmap method takes it. Given one image, it also runs on
    a batch of altered copies of that image.

    Attributes:
        network: whose prediction and pooling it has.
        run: images to logits and features.
    """

    def __init__(
        self, network: LocalizingNetwork, run: Callable[[Tensor], tuple[Tensor, Tensor]]
    ) -> None:
        super().__init__()
        self.network, self.run = network, run
        self.prediction, self.pool = network.prediction, network.pool

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Logits and features of the images."""
        return self.run(images)


@runtime_checkable
class NeedsMore(Protocol):
    """A network that must be given something of each image before it is one of images alone."""

    def given(self, subjects: Sequence[Subject]) -> Given:
        """The network for a batch of images of these subjects, in their order."""
