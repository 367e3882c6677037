"""Pairs of a frontal and a lateral image, for networks that read both."""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

from cxrloc.datasets.image_files import image_id_of
from cxrloc.files.tables import read_table, rows_of
from cxrloc.types import CxrlocError, Record, View

FRONTAL = (View.PA, View.AP, View.FRONTAL)


class Pair(NamedTuple):
    """Two images that were taken together."""

    frontal: Record
    lateral: Record


def _first(frontal: Sequence[Record], lateral: Sequence[Record]) -> list[Pair]:
    """The first of each view: one pair per study."""
    return [Pair(frontal[0], lateral[0])]


def _last(frontal: Sequence[Record], lateral: Sequence[Record]) -> list[Pair]:
    """The last of each view: one pair per study."""
    return [Pair(frontal[-1], lateral[-1])]


def _each(frontal: Sequence[Record], lateral: Sequence[Record]) -> list[Pair]:
    """Every frontal image, with the first lateral one."""
    return [Pair(each, lateral[0]) for each in frontal]


PAIRINGS: dict[str, Callable[[Sequence[Record], Sequence[Record]], list[Pair]]] = {
    "first": _first,
    "last": _last,
    "each": _each,
}
"""Which pairs a study with several images of one view gives; images are in order of acquisition."""


def pairs_by_study(
    records: Iterable[Record], pairing: str = "first", frontal_views: Collection[View] = FRONTAL
) -> list[Pair]:
    """The pairs of every study that has both views, in the order of the studies.

    Rubin et al. 2018, table 2: studies "where both frontal and lateral images were available".
    Open: which image, where a study has several of a view: the first by acquisition, which is the
    order that readers give; others by `pairing`.

    Args:
        records: of any data set; those without a view give no pair.
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

    A lateral image that the data do not list, as a box list without its boxes, may be named by its
    path, from the CSV's folder; it is taken to be of the frontal one's patient.

    Raises:
        CxrlocError: not such a file, or a row (named) that names no image, several, one twice as
            a frontal image, or two patients.
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
    """The lateral image at a path from the CSV's folder, if that is what the name is.

    One that no record lists is of the frontal image's patient.
    """
    file = folder / name
    if name in named or not file.is_file():
        return None
    for record in named.get(file.name, ()):
        if record.path is not None and record.path.resolve() == file.resolve():
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
