"""The inputs of a network, and networks to which all inputs except the image are bound."""

from collections.abc import Callable, Sequence
from typing import Protocol, runtime_checkable

from torch import Tensor, nn

from cxrloc.models.described import Input
from cxrloc.models.heads import logits_of_features
from cxrloc.models.localizer import LocalizingNetwork
from cxrloc.types import Sex, View


def inputs_of(network: nn.Module) -> tuple[Input, ...]:
    """The inputs of a network: its attribute `reads`, or only the image if it has no `reads`.

    >>> inputs_of(nn.Identity())
    (<Input.IMAGE: 'image'>,)
    """
    return getattr(network, "reads", (Input.IMAGE,))


@runtime_checkable
class Subject(Protocol):
    """What is known about an image besides its pixels; `Record` and `Radiograph` are examples."""

    @property
    def age_years(self) -> float | None:
        """Age of the patient in years; None if it is not known."""

    @property
    def sex(self) -> Sex | None:
        """Sex of the patient; None if it is not known."""

    @property
    def view(self) -> View | None:
        """Projection of the image; None if it is not known."""


class BoundNetwork(nn.Module):
    """A network that reads images only, because its other inputs are bound for one batch.

    It is a `LocalizingNetwork`, so every heatmap method accepts it. If it is bound to one image, it
    also runs on a batch of altered copies of that image.

    Attributes:
        network: the network whose prediction layer and head are used.
        run: function from images [batch, channel, row, col] to logits [batch, finding] and
            features [batch, depth, row, col].
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
        """The logits of features, computed by the head of the network."""
        return logits_of_features(self.network, features)


@runtime_checkable
class NeedsContext(Protocol):
    """A network that reads more than the pixels of each image; `reads` lists its inputs."""

    def bind(self, subjects: Sequence[Subject]) -> BoundNetwork:
        """The network with the other inputs of these subjects bound; images keep their order."""


def bound(network: nn.Module, subjects: Sequence[Subject]) -> LocalizingNetwork:
    """A network that reads images only, for the images of these subjects in the same order."""
    if isinstance(network, NeedsContext):
        return network.bind(subjects)
    return network  # type: ignore[return-value]
