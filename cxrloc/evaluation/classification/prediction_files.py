"""`probabilities.csv`: one row per image, one column per finding."""

from collections import Counter
from pathlib import Path

import numpy as np
import pandas as pd

from cxrloc.datasets.image_files import image_id_of
from cxrloc.findings import standard_finding
from cxrloc.types import CxrlocError, Predictions


def write_predictions(predictions: Predictions, path: Path) -> None:
    """Write probabilities with the nine digits that bring a float32 back exactly."""
    frame = pd.DataFrame(predictions.probabilities, columns=pd.Index(predictions.findings))
    frame.insert(0, "image", predictions.image_ids)
    frame.to_csv(path, index=False, float_format="%.9g")


def read_predictions(path: Path) -> Predictions:
    """Read probabilities of this or any other tool: column `image`, then one column per finding.

    Images may be named with their suffix, as in the data set's own tables.

    Raises:
        CxrlocError: a column or a number is missing, or two columns are of one finding; the message
            names file, row and column.
    """
    try:
        frame = pd.read_csv(path, dtype={"image": str})
    except (OSError, ValueError) as error:
        raise CxrlocError(f"{path}: cannot be read as CSV ({error})") from error
    findings = [str(name) for name in frame.columns if name != "image"]
    if "image" not in frame.columns or not findings:
        raise CxrlocError(f"{path}: needs a column `image` and one column per finding")
    if (unnamed := frame["image"].isna()).any():
        raise CxrlocError(f"{path}: row {int(unnamed.argmax()) + 2} names no image")
    scores = frame[findings].apply(pd.to_numeric, errors="coerce").to_numpy(dtype=float)
    if np.isnan(scores).any():
        row, column = np.argwhere(np.isnan(scores))[0]
        raise CxrlocError(f"{path}: row {row + 2} has no number for {findings[column]}")
    standard = tuple(map(standard_finding, findings))
    if twice := [name for name, n in Counter(standard).items() if n > 1]:
        raise CxrlocError(f"{path}: two columns are of {twice[0]}: keep one")
    return Predictions(tuple(map(image_id_of, frame["image"])), standard, scores)
