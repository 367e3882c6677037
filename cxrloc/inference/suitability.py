"""Decides whether models were made for images like one image: by its header, pixels and features.

Hendrycks & Gimpel 2017 and many after them observe that networks give confident outputs for images
unlike any that they learned from, so a probability alone does not show that an image is unsuitable.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from cxrloc.images.intensity import is_blank
from cxrloc.images.read import BLANK
from cxrloc.models.described import Described
from cxrloc.models.provenance import view_warnings
from cxrloc.types import Radiograph


class Status(StrEnum):
    """Whether the result of an image can be used.

    OUTSIDE means that the models were not made for such an image, see `Suitability`.
    """

    OK = "ok"
    OUTSIDE = "outside"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Suitability:
    """Whether the models of a result were made for images like this one.

    Attributes:
        reasons: why the image is outside, one sentence each; empty for an image inside.
        distance: distance of the image's features from those of validation images, divided by the
            model's threshold, so that an image above 1 is outside; the largest among several
            models. None if no model knows a distance.
    """

    reasons: tuple[str, ...] = ()
    distance: float | None = None

    @property
    def status(self) -> Status:
        """OUTSIDE if there is a reason for it, else OK."""
        return Status.OUTSIDE if self.reasons else Status.OK


def suitability(
    models: Sequence[Described], radiograph: Radiograph, distances: Sequence[float | None]
) -> Suitability:
    """Whether models were made for images like this one.

    An image is outside if it is blank, if its header names a projection that a model was not
    trained on, or if its features are far from those of the images that a model was validated on.
    Modality and body part in the header decide only where nothing else can: no model knows a
    distance. Otherwise the picture decides, because these two tags are often wrong.

    Args:
        models: the models that were run on the image.
        radiograph: the image.
        distances: of each model, see `Suitability.distance`; None if the model knows no distance.
    """
    known = [distance for distance in distances if distance is not None]
    reasons = [BLANK] * is_blank(radiograph.pixels) + view_warnings(models, radiograph.view)
    reasons += [
        f"the image is unlike those that {model.card.name} was made for: its features are far from "
        "those of validation images"
        for model, distance in zip(models, distances, strict=True)
        if distance is not None and distance > 1
    ]
    if reasons or not known:
        reasons += radiograph.not_a_chest
    return Suitability(tuple(reasons), max(known, default=None))
