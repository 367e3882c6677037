"""Co-occurrence counts against table 16 of Wang et al. 2017, from the published label file."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from cxrloc.datasets.chestxray14 import read_chestxray14
from cxrloc.datasets.cooccurrence import Cooccurrence, cooccurrence
from cxrloc.findings import CHESTXRAY14
from cxrloc.types import Label, Record

REVISED = ("Atelectasis", "Cardiomegaly", "Effusion", "Infiltration", "Mass", "Nodule")
REVISED += ("Pneumonia", "Pneumothorax")
"""Findings whose counts differ between the paper and the 2020 edition of the label file."""


@pytest.fixture(scope="module")
def counts(shared: Path) -> Cooccurrence:
    return cooccurrence(read_chestxray14(shared / "data" / "chestxray14"), CHESTXRAY14)


@pytest.fixture(scope="module")
def paper(shared: Path) -> pd.DataFrame:
    table = pd.read_csv(shared / "papers" / "wang2017_counts.csv")
    return table[table["table"] == 16].set_index("finding")


def test_uncertain_and_absent_labels_are_not_counted() -> None:
    labels_of_images = [
        {"Mass": Label.POSITIVE, "Nodule": Label.UNCERTAIN},
        {"Mass": Label.NEGATIVE, "Nodule": Label.POSITIVE},
        {"Edema": Label.POSITIVE},
    ]
    records = [
        Record(str(i), "p", "s", None, labels=each) for i, each in enumerate(labels_of_images)
    ]
    counted = cooccurrence(records, ("Mass", "Nodule"))
    np.testing.assert_array_equal(counted.together, [[1, 0], [0, 1]])
    assert counted.overlap.tolist() == [0, 0]
    assert (counted.images, counted.without) == (3, 1)
    assert cooccurrence([], ("Mass",)).together.tolist() == [[0]]


@pytest.mark.slow
def test_images_per_finding_are_those_of_table_16(
    counts: Cooccurrence, paper: pd.DataFrame
) -> None:
    """The 2020 edition has up to 78 images more in eight findings, and none fewer."""
    more = np.diag(counts.together) - paper.loc[list(CHESTXRAY14), "images"].to_numpy()
    assert {finding for finding, n in zip(CHESTXRAY14, more, strict=True) if n} == {*REVISED}
    assert more.min() == 0
    assert more.max() == 78
    assert counts.images == 112_120
    assert paper.loc["No Finding", "images"] - counts.without == 51


@pytest.mark.slow
def test_overlaps_are_those_of_table_16_but_for_mass(
    counts: Cooccurrence, paper: pd.DataFrame
) -> None:
    more = counts.overlap - paper.loc[list(CHESTXRAY14), "overlap"].to_numpy()
    mass = CHESTXRAY14.index("Mass")
    others = np.delete(more, mass)
    assert others.min() == 0
    assert others.max() == 63
    # The paper's 2,138 of Mass are the images with a mass alone: the complement of the others.
    alone = counts.together[mass, mass] - counts.overlap[mass]
    assert (paper.loc["Mass", "overlap"], alone) == (2138, 2139)
