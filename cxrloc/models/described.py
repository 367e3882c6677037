"""What the steps before and after a network need to know about a model of any kind.

A model is a network of torch (`models.model.Model`) or an exported graph
(`exported.graph.ExportedGraph`). Nothing here imports torch.
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol, runtime_checkable

from cxrloc.images.preprocessing import Preprocessing
from cxrloc.models.card import ModelCard


class Input(StrEnum):
    """One kind of input that a network reads."""

    IMAGE = "image"
    SECOND_VIEW = "second view"
    METADATA = "age, sex and view"


@runtime_checkable
class Described(Protocol):
    """A model of any kind."""

    @property
    def card(self) -> ModelCard:
        """Origin, findings, calibration, limits."""

    @property
    def preprocessing(self) -> Preprocessing:
        """How an image becomes the input."""

    @property
    def sha256(self) -> str:
        """SHA-256 of the model's file in hexadecimal; empty if there is none."""

    @property
    def reads(self) -> tuple[Input, ...]:
        """What is read of each image."""


@dataclass(frozen=True, slots=True)
class Description:
    """What a model says about itself, without its network, to be sent to other processes."""

    card: ModelCard
    preprocessing: Preprocessing
    sha256: str
    reads: tuple[Input, ...]


def description_of(model: Described) -> Description:
    """The description of a model."""
    return Description(model.card, model.preprocessing, model.sha256, model.reads)
