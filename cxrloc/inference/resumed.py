"""Results over many images, which an interrupted run continues without computing them again."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import astuple
from typing import Any, TypeVar

import numpy as np

from cxrloc.files.journal import Journal, file_signature
from cxrloc.inference.localize import localize
from cxrloc.inference.localized import Localized
from cxrloc.inference.predict import Predicted, predict
from cxrloc.inference.prepared import Failure, Image, InferenceSettings
from cxrloc.inference.suitability import Suitability
from cxrloc.models.model import Model
from cxrloc.types import Affine, Heatmaps, Radiograph, View

T = TypeVar("T")


def localize_on(
    models: Sequence[Model],
    images: Sequence[Image],
    settings: InferenceSettings,
    journal: Journal | None,
) -> Iterator[Localized | Failure]:
    """The results of `localize` and of the journal, in the order of the images.

    A new result is written to the journal before it is yielded. The radiographs of the results have
    no pixels, only their view and their warnings.
    """

    def compute(left: Iterable[Image]) -> Iterator[Localized | Failure]:
        return localize(models, left, settings, keep_pixels=False)

    return _resumed(images, journal, compute, _pack_localized, _unpack_localized)


def predict_on(
    models: Sequence[Model],
    images: Sequence[Image],
    settings: InferenceSettings,
    journal: Journal | None,
) -> Iterator[Predicted | Failure]:
    """The results of `predict` and of the journal, in the order of the images."""

    def compute(left: Iterable[Image]) -> Iterator[Predicted | Failure]:
        return predict(models, left, settings)

    return _resumed(images, journal, compute, _pack_predicted, _unpack_predicted)


def _resumed(
    images: Sequence[Image],
    journal: Journal | None,
    compute: Callable[[Iterable[Image]], Iterator[T | Failure]],
    pack: Callable[[T], dict[str, Any]],
    unpack: Callable[[str, Mapping[str, Any]], T],
) -> Iterator[T | Failure]:
    if journal is None:
        yield from compute(images)
        return
    signatures = [file_signature(*image.files) for image in images]
    pairs = list(zip(images, signatures, strict=True))
    # Keep only the ids of finished images in memory, because the results may be large.
    done = {
        image.image_id
        for image, signature in pairs
        if journal.find(image.image_id, signature) is not None
    }
    computed = compute([image for image in images if image.image_id not in done])
    for image, signature in pairs:
        found = journal.find(image.image_id, signature) if image.image_id in done else None
        if found is not None:
            yield unpack(image.image_id, found)
            continue
        result = next(computed)
        if not isinstance(result, Failure):
            journal.add(image.image_id, signature, pack(result))
        yield result


def _pack_localized(result: Localized) -> dict[str, Any]:
    heatmaps = result.heatmaps
    return {
        "findings": heatmaps.findings,
        "probabilities": result.probabilities,
        "scores": heatmaps.scores,
        "to_image": astuple(heatmaps.to_image),
        "image_rows": heatmaps.image_rows,
        "image_columns": heatmaps.image_columns,
        "view": result.radiograph.view,
        "warnings": result.radiograph.warnings,
        **_pack_suitability(result.suitability),
    }


def _unpack_localized(image_id: str, found: Mapping[str, Any]) -> Localized:
    radiograph = Radiograph(
        pixels=np.zeros((0, 0)),
        bits_stored=0,
        view=_view(found),
        warnings=tuple(found["warnings"]),
    )
    heatmaps = Heatmaps(
        image_id,
        tuple(found["findings"]),
        found["scores"],
        Affine(*found["to_image"]),
        found["image_rows"],
        found["image_columns"],
    )
    return Localized(radiograph, found["probabilities"], heatmaps, _suitability(found))


def _pack_predicted(result: Predicted) -> dict[str, Any]:
    return {
        "probabilities": result.probabilities,
        "view": result.view,
        "warnings": result.warnings,
        **_pack_suitability(result.suitability),
    }


def _unpack_predicted(image_id: str, found: Mapping[str, Any]) -> Predicted:
    return Predicted(
        image_id,
        found["probabilities"],
        _view(found),
        tuple(found["warnings"]),
        _suitability(found),
    )


def _pack_suitability(found: Suitability) -> dict[str, Any]:
    return {"outside": found.reasons, "distance": found.distance}


def _suitability(found: Mapping[str, Any]) -> Suitability:
    return Suitability(tuple(found["outside"]), found["distance"])


def _view(found: Mapping[str, Any]) -> View | None:
    return None if found["view"] is None else View(found["view"])
