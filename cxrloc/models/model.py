"""A model: a network together with the preprocessing and the card that belong to its weights."""

from dataclasses import dataclass

from jaxtyping import Float
from torch import Tensor, nn

from cxrloc.images.preprocessing import Preprocessing
from cxrloc.models.card import ModelCard
from cxrloc.models.context import inputs_of
from cxrloc.models.described import Input
from cxrloc.models.feature_distance import TypicalFeatures
from cxrloc.models.localizer import LocalizerConfig
from cxrloc.models.probabilities import PROBABILITIES


@dataclass(frozen=True, slots=True, eq=False)
class Model:
    """A network together with its preprocessing and its card.

    Attributes:
        network: one of `networks.NETWORKS` in evaluation mode, or a user's own `LocalizingNetwork`.
        config: configuration that the network was built from; None for a user's own network.
        preprocessing: how images are prepared for the network.
        card: origin, findings, views, limits.
        typical: the features from which the card's `distance` is measured; None without one.
        sha256: SHA-256 of the file in hexadecimal; empty for a user's own network.
    """

    network: nn.Module
    config: LocalizerConfig | None
    preprocessing: Preprocessing
    card: ModelCard
    sha256: str = ""
    typical: TypicalFeatures | None = None

    @property
    def reads(self) -> tuple[Input, ...]:
        """What the network reads of each image."""
        return inputs_of(self.network)

    def probabilities(
        self, logits: Float[Tensor, "image finding"]
    ) -> Float[Tensor, "image finding"]:
        """The probabilities of all findings, in the order of the card's findings."""
        return PROBABILITIES[self.card.probabilities](logits)

    def push_to_hub(self, repo: str, private: bool = True) -> str:
        """Write the model with its card to "ORG/NAME" on Hugging Face's hub; returns the address.

        Raises:
            CxrlocError: huggingface_hub is not installed, or the hub refuses.
        """
        from cxrloc.models.hub import push  # here, because the hub's modules need `Model`

        return push(self, repo, private)
