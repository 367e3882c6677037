"""Finds unknown findings among the boxes of the truth, because their names may be misspelt."""

from collections import Counter
from collections.abc import Collection, Iterable, Iterator

from cxrloc.errors import CxrlocError
from cxrloc.findings import NO_FINDING, is_known
from cxrloc.types import Annotation, Record


def refuse_unknown_findings(
    records: Iterable[Record],
    declared: Collection[str],
    advice: str = "none that the model or --finding-columns names; correct it",
) -> None:
    """Raise an error for a box or mask of the truth whose finding is unknown, or of No Finding.

    A finding is unknown if it is in no vocabulary and not declared. A misspelt name would
    become a finding of its own, which no model claims.

    Args:
        records: images with their truth.
        declared: findings beside those of the vocabularies: of the model, or named by the user.
        advice: end of the message: where known names were looked for, and what to do.

    Raises:
        CxrlocError: names file and row, and the word.
    """
    for each in _unknown_boxes(records, declared):
        raise CxrlocError(
            f"{_place(each)}: {each.finding[:60]!r} is no known finding, and {advice}"
        )


def warn_of_unknown_findings(
    records: Iterable[Record], declared: Collection[str]
) -> dict[str, int]:
    """A warning for each finding of boxes that is unknown, with the number of its images.

    An unknown finding is only warned of where another tool is scored, because this tool may have
    found no box of a correctly spelt finding, and where no box is scored at all.

    Args:
        records: images with their truth.
        declared: findings beside those of the vocabularies: of the claims, or named by the user.

    Raises:
        CxrlocError: a box is of No Finding.
    """
    pairs = {(each.finding, each.image_id) for each in _unknown_boxes(records, declared)}
    numbers = Counter(finding for finding, _ in sorted(pairs))
    return {
        f"the truth has boxes of {finding[:60]!r}, which is no known finding, and nothing else "
        "names it: correct it if it is misspelt": number
        for finding, number in numbers.items()
    }


def _unknown_boxes(records: Iterable[Record], declared: Collection[str]) -> Iterator[Annotation]:
    for record in records:
        for each in (*record.annotations, *record.ignored):
            if each.finding == NO_FINDING:
                raise CxrlocError(f"{_place(each)}: a box of No Finding; leave this row out")
            if not is_known(each.finding, declared):
                yield each


def _place(annotation: Annotation) -> str:
    return annotation.where or f"image {annotation.image_id}"
