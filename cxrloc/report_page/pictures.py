"""The data that both kinds of pages contain: radiographs, maps, and the styles of boxes."""

import io
from base64 import b64encode
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from typing import Any

import matplotlib
import numpy as np
import PIL.Image
from jaxtyping import Float

from cxrloc.images.geometry import resample, resize_affine
from cxrloc.panels.overlay import COLOUR_MAP, OPACITY, Role
from cxrloc.report_page.quantised_maps import packed, quantise
from cxrloc.types import Annotation, Heatmaps, Record

TOP = 3
"""Number of most probable findings per image whose maps are always in the page."""

_QUALITY = 80  # of WebP: about 20 kB for a radiograph of 512 x 512

Pair = tuple[str, str]
"""Image and finding."""


def picture_uri(pixels: Float[np.ndarray, "row col"], longest: int) -> str:
    """Grey levels in [0, 1] as an 8-bit WebP picture in a data URI, averaged where it shrinks.

    Args:
        pixels: of the radiograph.
        longest: side in pixels, at most; a smaller radiograph keeps its size.
    """
    rows, columns = pixels.shape
    scale = min(1.0, longest / max(rows, columns))
    height, width = max(1, round(rows * scale)), max(1, round(columns * scale))
    if scale < 1:
        pixels = resample(pixels, resize_affine(rows, columns, height, width), height, width)
    grey = PIL.Image.fromarray((pixels * 255 + 0.5).clip(0, 255).astype(np.uint8))
    file = io.BytesIO()
    grey.save(file, format="WEBP", quality=_QUALITY)
    return f"data:image/webp;base64,{b64encode(file.getvalue()).decode()}"


def style_data() -> dict[str, Any]:
    """Colours and dashes of boxes, and the colours and opacity of heatmaps, as in the pictures."""
    colours = matplotlib.colormaps[COLOUR_MAP](np.arange(256), bytes=True)[:, :3]
    roles = {
        role.name.lower(): {"words": role.words, "colour": role.colour, "dash": role.dash}
        for role in Role
    }
    return {
        "roles": roles,
        "colours": b64encode(colours.tobytes()).decode(),
        "opacity": OPACITY,
    }


def images_data(records: Sequence[Record], pictures: Mapping[str, str]) -> list[dict[str, Any]]:
    """Each image by its id, with view, size in original pixels, and picture if there is one.

    Names and ids of patients are not part of the page. An image of unknown size counts as a square
    of 1024 pixels; it can have neither maps nor boxes in its own pixels.
    """
    images = []
    for record in records:
        rows, columns = record.annotation_frame or (1024, 1024)
        view = record.view.value if record.view else None
        picture = pictures.get(record.image_id)
        images.append(
            {
                "id": record.image_id,
                "view": view,
                "rows": rows,
                "columns": columns,
                "picture": picture,
            }
        )
    return images


def top_pairs(probabilities: Mapping[Pair, float]) -> set[Pair]:
    """The `TOP` most probable findings of every image.

    Operating points do not matter here: the pages add what is scored or called positive.

    >>> seen = {("a", "Mass"): 0.5, ("a", "Edema"): 0.1, ("a", "Nodule"): 0.3, ("a", "Hernia"): 0.2}
    >>> sorted(finding for _, finding in top_pairs(seen))
    ['Hernia', 'Mass', 'Nodule']
    """
    by_image: dict[str, list[tuple[float, str]]] = {}
    for (image_id, finding), probability in probabilities.items():
        by_image.setdefault(image_id, []).append((-probability, finding))
    return {
        (image_id, finding)
        for image_id, findings_of_image in by_image.items()
        for _, finding in sorted(findings_of_image)[:TOP]
    }


def quantised_maps(heatmaps: Sequence[Heatmaps], chosen: Collection[Pair]) -> list[Heatmaps]:
    """The maps of the pairs asked for, as whole numbers of 16 bits."""
    quantised = []
    for each in heatmaps:
        rows = [k for k, finding in enumerate(each.findings) if (each.image_id, finding) in chosen]
        if rows:
            findings = tuple(each.findings[k] for k in rows)
            quantised.append(quantise(replace(each, findings=findings, scores=each.scores[rows])))
    return quantised


def maps_data(quantised: Sequence[Heatmaps]) -> tuple[str, dict[Pair, dict[str, Any]]]:
    """All maps as one base64 text, and for each pair the place of its map, counted in values."""
    places, offset = {}, 0
    for each in quantised:
        _, rows, columns = each.scores.shape
        affine = each.to_image
        to_image = [affine.xx, affine.xy, affine.x0, affine.yx, affine.yy, affine.y0]
        for finding in each.findings:
            place = {"offset": offset, "rows": rows, "columns": columns, "toImage": to_image}
            places[each.image_id, finding] = place
            offset += rows * columns
    return packed(quantised), places


def truth_of(records: Sequence[Record]) -> dict[Pair, list[list[float]]]:
    """The expert's boxes of every pair that has one."""
    truth: dict[Pair, list[list[float]]] = {}
    for record in records:
        for annotation in record.annotations:
            pair = (record.image_id, annotation.finding)
            truth.setdefault(pair, []).append(corners(annotation))
    return truth


def corners(annotation: Annotation) -> list[float]:
    """x_min, y_min, x_max, y_max in original pixels."""
    box = annotation.box
    return [box.x_min, box.y_min, box.x_max, box.y_max]
