"""Pairs of a frontal and a lateral image, for networks that read both."""

import os
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

from cxrloc.datasets.image_files import image_id_of, is_file
from cxrloc.errors import CxrlocError
from cxrloc.files.tables import read_table, rows_of
from cxrloc.types import Record, View

FRONTAL = (View.PA, View.AP, View.FRONTAL)


class Pair(NamedTuple):
    """Two images that were taken together."""

    frontal: Record
    lateral: Record


def _first(frontal: Sequence[Record], lateral: Sequence[Record]) -> list[Pair]:
    """The first image of each view: one pair per study."""
    return [Pair(frontal[0], lateral[0])]


def _last(frontal: Sequence[Record], lateral: Sequence[Record]) -> list[Pair]:
    """The last image of each view: one pair per study."""
    return [Pair(frontal[-1], lateral[-1])]


def _each(frontal: Sequence[Record], lateral: Sequence[Record]) -> list[Pair]:
    """Every frontal image, each paired with the first lateral image."""
    return [Pair(each, lateral[0]) for each in frontal]


PAIRINGS: dict[str, Callable[[Sequence[Record], Sequence[Record]], list[Pair]]] = {
    "first": _first,
    "last": _last,
    "each": _each,
}
"""Rules that form the pairs of a study from its frontal and lateral images.

Both lists of images are in the order of acquisition.
"""


def pairs_by_study(
    records: Iterable[Record], pairing: str = "first", frontal_views: Collection[View] = FRONTAL
) -> list[Pair]:
    """The pairs of every study that has both views, in the order of the studies.

    Rubin et al. 2018, table 2: studies "where both frontal and lateral images were available".
    Open: the paper does not say which image is used if a study has several of a view. Here it is
    the first by acquisition, the order in which readers return records; `pairing` chooses others.

    Args:
        records: of any data set; records without a view form no pair.
        pairing: a name of `PAIRINGS`.
        frontal_views: PA, AP or both: DualNets exist for PA and for AP.

    >>> views = [("a", View.LATERAL), ("b", View.PA), ("c", View.PA), ("d", View.AP)]
    >>> records = [Record(name, "1", "study", None, view) for name, view in views]
    >>> [(pair.frontal.image_id, pair.lateral.image_id) for pair in pairs_by_study(records)]
    [('b', 'a')]
    >>> len(pairs_by_study(records, "each", [View.PA]))
    2
    """
    studies: dict[tuple[str, str], tuple[list[Record], list[Record]]] = {}
    for record in records:
        frontal, lateral = studies.setdefault((record.patient_id, record.study_id), ([], []))
        if record.view in frontal_views:
            frontal.append(record)
        elif record.view is View.LATERAL:
            lateral.append(record)
    choose = PAIRINGS[pairing]
    return [
        pair
        for frontal, lateral in studies.values()
        if frontal and lateral
        for pair in choose(frontal, lateral)
    ]


def read_pairs(path: Path, records: Iterable[Record]) -> list[Pair]:
    """The pairs that a CSV names: columns `frontal` and `lateral`, image ids or file names.

    A lateral image that is not in the data, for example because a box list names only images with
    boxes, may be named by its path, relative to the CSV's folder. It is assumed to show the patient
    of the frontal image.

    Raises:
        CxrlocError: the file is not such a CSV, or a row (named) names no image, several images,
            a frontal image that another row names too, or images of two patients.
    """
    named = _by_name(records)
    pairs: list[Pair] = []
    seen: set[str] = set()
    for where, cells in rows_of(read_table(path, ("frontal", "lateral"))):
        names = (cells["frontal"], cells["lateral"])
        frontal = _named(where, names[0], named)
        by_path = _by_path(path.parent, names[1], frontal, named)
        pair = Pair(frontal, by_path or _named(where, names[1], named))
        if pair.frontal.patient_id != pair.lateral.patient_id:
            raise CxrlocError(f"{where}: the two images are of different patients")
        if pair.frontal.image_id in seen:
            raise CxrlocError(f"{where}: {names[0]} is in an earlier pair")
        seen.add(pair.frontal.image_id)
        pairs.append(pair)
    return pairs


def _by_path(
    folder: Path, name: str, frontal: Record, named: Mapping[str, Sequence[Record]]
) -> Record | None:
    """The lateral image, if the name is a path relative to the CSV's folder; else None.

    An image without a record is assumed to show the patient of the frontal image.
    """
    file = folder / name
    if name in named or not is_file(file):
        return None
    for record in named.get(file.name, ()):
        # `Path.resolve` raises an error for links that point at each other; realpath does not.
        if record.path is not None and os.path.realpath(record.path) == os.path.realpath(file):
            return record
    taken_with = replace(frontal, image_id=image_id_of(name), labels={}, annotations=())
    return replace(taken_with, path=file, view=View.LATERAL)


def _by_name(records: Iterable[Record]) -> dict[str, list[Record]]:
    """Records by image id and by file name, with and without suffix."""
    named: dict[str, list[Record]] = {}
    for record in records:
        names = {record.image_id}
        if record.path is not None:
            names |= {str(record.path), record.path.name, record.path.stem}
        for name in names:
            named.setdefault(name, []).append(record)
    return named


def _named(where: str, name: str, named: Mapping[str, Sequence[Record]]) -> Record:
    found = named.get(name, ())
    if len(found) != 1:
        what = "no image of this data" if not found else f"{len(found)} images: name its path"
        raise CxrlocError(f"{where}: {name!r} is {what}")
    return found[0]
