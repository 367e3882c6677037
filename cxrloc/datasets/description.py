"""Describes data for `run.json`, so that a reader can check and repeat a run."""

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import astuple
from typing import Any

from cxrloc.types import Record


def describe_data(name: str, records: Sequence[Record]) -> dict[str, Any]:
    """Counts and hashes of a set of images with experts' boxes.

    `truth_sha256` is `boxes_sha256`. `images_sha256` is the hash of the content of the image files
    that are on this disk, None if there are none.
    """
    boxes = [box for record in records for box in record.annotations]
    return {
        "name": name,
        "images": len(records),
        "boxed_images": sum(bool(record.annotations) for record in records),
        "boxes": len(boxes),
        "truth_sha256": boxes_sha256(records),
        "images_sha256": _images_sha256(records),
        "annotation_frames": sorted(
            {record.annotation_frame for record in records if record.annotation_frame}
        ),
        "frames": "boxes are drawn in their annotation frame (rows, columns) and mapped to each "
        "image by the image's own size",
    }


def describe_labels(name: str, records: Sequence[Record]) -> dict[str, Any]:
    """Counts and hashes of a set of labelled images.

    `truth_sha256` is `labels_sha256`; `images_sha256` is that of `describe_data`.
    """
    return {
        "name": name,
        "images": len(records),
        "patients": len({record.patient_id for record in records}),
        "truth_sha256": labels_sha256(records),
        "images_sha256": _images_sha256(records),
    }


def boxes_sha256(records: Iterable[Record]) -> str:
    """The hash of image, finding and corners of every true box; their order does not matter."""
    boxes = sorted(
        f"{box.image_id},{box.finding},{','.join(map(repr, astuple(box.box)))}"
        for record in records
        for box in record.annotations
    )
    return _sha256(f"{line}\n".encode() for line in boxes)


def labels_sha256(records: Iterable[Record]) -> str:
    """The hash of image, finding and value of every label; their order does not matter."""
    labels = sorted(
        f"{record.image_id},{finding},{label.value}"
        for record in records
        for finding, label in record.labels.items()
    )
    return _sha256(f"{line}\n".encode() for line in labels)


def _sha256(parts: Iterable[bytes]) -> str:
    digest = hashlib.sha256()
    for part in parts:
        digest.update(part)
    return digest.hexdigest()


def _images_sha256(records: Sequence[Record]) -> str | None:
    paths = sorted(record.path for record in records if record.path is not None)
    return _sha256(path.read_bytes() for path in paths) if paths else None
