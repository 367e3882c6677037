"""Clusters of diagnosis clauses, after Dong et al. 2017, figure 4: dong2017_figure4.svg.

python figures/dong2017_figure4.py; ten seconds. The reports are made up: each names a phantom's
findings in one of a few wordings, and four letters in a thousand are wrong.
"""

import csv
import random
import tempfile
from pathlib import Path
from string import ascii_lowercase

from cxrloc.panels.plots import FigureRequest
from cxrloc.phantom import phantom_record, plan_phantom
from cxrloc.pipeline.figure import figure
from cxrloc.pipeline.label import ClusterConfig, cluster
from cxrloc.types import Label

FIGURES = Path(__file__).parent
SEED, REPORTS, CLUSTERS = 31, 600, 10
NORMAL = ("no abnormality of heart and lungs", "heart and lungs without abnormality")
WORDS = {
    "Atelectasis": "linear atelectasis",
    "Cardiomegaly": "enlarged heart",
    "Effusion": "pleural effusion",
    "Infiltration": "patchy infiltrate",
    "Mass": "round opacity",
    "Nodule": "nodular density",
    "Pneumonia": "consolidation",
    "Pneumothorax": "apical pneumothorax",
}
BEFORE, BEHIND = (
    ("", "", "", "small ", "a ", "mild "),
    ("", "", "", " on the left", " on the right"),
)


def report(index: int, draw: random.Random) -> str:
    """A diagnosis of one phantom, with typing errors."""
    labels = phantom_record(plan_phantom(SEED, index), 1024).labels
    present = [finding for finding, label in labels.items() if label is Label.POSITIVE]
    said = [f"{draw.choice(BEFORE)}{WORDS[finding]}{draw.choice(BEHIND)}" for finding in present]
    text = "; ".join(said) or draw.choice(NORMAL)
    letters = (draw.choice(ascii_lowercase) if draw.random() < 0.004 else c for c in text)
    return "".join(letters)


if __name__ == "__main__":
    draw = random.Random(SEED)
    with tempfile.TemporaryDirectory() as folder:
        reports, labels = Path(folder) / "reports.csv", Path(folder) / "labels.csv"
        with reports.open("w", newline="") as file:
            rows = csv.writer(file)
            rows.writerow(("report_id", "text"))
            rows.writerows((index, report(index, draw)) for index in range(REPORTS))
        cluster(reports, labels, ClusterConfig(CLUSTERS))
        out = FIGURES / "dong2017_figure4.svg"
        figure("clusters", [Path(folder) / "labels_clusters.csv"], out, FigureRequest())
