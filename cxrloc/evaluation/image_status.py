"""The status of every image of a run: ok, outside what the models were made for, or failed."""

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

import pandas as pd

from cxrloc.files.table_writer import with_notes, write_csv
from cxrloc.inference.prepared import Failure
from cxrloc.inference.suitability import Status, Suitability

IMAGES = "images.csv"

COLUMNS = ("image", "status", "distance", "reason")


def write_image_status(
    suitability: Mapping[str, Suitability],
    failures: Sequence[Failure],
    out: Path,
    remarks: Sequence[str] = (),
) -> dict[str, int] | None:
    """Write `images.csv`, a row per image, and return the number of images of each status.

    No image is left out of the scores for its status.

    Args:
        suitability: of each image that models computed; empty for the boxes, maps or probabilities
            of another tool, for which nothing is written and None is returned.
        failures: images that could not be read.
        out: folder of the run.
        remarks: sentences that hold for every row; they fill a column `note`.
    """
    if not suitability:
        return None
    rows = [
        (image_id, found.status.value, found.distance, "; ".join(found.reasons))
        for image_id, found in suitability.items()
    ]
    rows += [(each.image_id, Status.FAILED.value, None, each.reason) for each in failures]
    frame = with_notes(pd.DataFrame(rows, columns=pd.Index(COLUMNS)), remarks)
    write_csv(frame, out / IMAGES, "%.4g")
    counts = Counter(status for _, status, _, _ in rows)
    return {status.value: counts[status.value] for status in Status}
