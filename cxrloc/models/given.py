"""Networks that read more than one image: once the rest is given, they are as any other."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from torch import Tensor, nn

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


@dataclass(frozen=True, slots=True, eq=False)
class Given:
    """A network for the images of one batch, the rest of its input filled in.

    It is a `LocalizingNetwork`, so every heatmap method takes it. Given one image, it also runs on
    a batch of altered copies of that image.
    """

    prediction: nn.Linear
    pool: Callable[[Tensor], Tensor]
    run: Callable[[Tensor], tuple[Tensor, Tensor]]

    def __call__(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Logits and features of the images."""
        return self.run(images)


@runtime_checkable
class NeedsMore(Protocol):
    """A network that must be given something of each image before it is one of images alone."""

    def given(self, subjects: Sequence[Subject]) -> Given:
        """The network for a batch of images of these subjects, in their order."""
