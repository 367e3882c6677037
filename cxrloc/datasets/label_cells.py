"""Cells that list findings, such as `Effusion|Mass`."""

import re
from collections.abc import Collection

from cxrloc.errors import CxrlocError
from cxrloc.files.tables import is_blank
from cxrloc.findings import NO_FINDING, is_known, spelled_as

_SEPARATORS = re.compile(r"[|;,\n]")


def known_finding(where: str, text: str, declared: Collection[str] = ()) -> str:
    """The finding that a published data set names, in its standard spelling.

    Args:
        where: the file and the row, for error messages.
        text: the name.
        declared: findings beside the known ones.

    Raises:
        CxrlocError: it is no known or declared finding.

    >>> known_finding("row 2", "Infiltrates")
    'Infiltration'
    """
    if not is_known(text, declared):
        raise CxrlocError(f"{where}: {text[:60]!r} is no known finding; correct it")
    return spelled_as(text, declared)


def finding_labels(where: str, text: str, declared: Collection[str] = ()) -> tuple[str, ...] | None:
    """The findings that a cell names: an empty tuple for No Finding, None (unknown) if it is blank.

    NA and other words for a missing value (`tables.is_blank`) are blank too. Names are separated by
    vertical bars, semicolons or commas, or form a Python list as text.

    Args:
        where: the file and the row, for error messages.
        text: of the cell.
        declared: findings beside the known ones.

    Raises:
        CxrlocError: a word is no known or declared finding, or No Finding is named together with
            a finding.

    >>> finding_labels("row 2", "Effusion|mass"), finding_labels("row 3", "['No finding']")
    (('Effusion', 'Mass'), ())
    """
    inside = "" if is_blank(text) else text.strip()
    if inside[:1] + inside[-1:] in ("[]", "()", "{}"):
        inside = inside[1:-1]
    words = [word.strip().strip("'\"").strip() for word in _SEPARATORS.split(inside)]
    words = [word for word in words if word]
    if not words:
        return None
    for word in words:
        if not is_known(word, declared):
            raise CxrlocError(
                f"{where}: {word[:60]!r} in {text[:60]!r} is no known finding; correct it, or "
                "declare it with --finding"
            )
    found = dict.fromkeys(spelled_as(word, declared) for word in words)
    if NO_FINDING in found and len(found) > 1:
        raise CxrlocError(f"{where}: {text[:60]!r} says No Finding and names a finding; keep one")
    return tuple(name for name in found if name != NO_FINDING)
