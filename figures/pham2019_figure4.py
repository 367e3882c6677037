"""ROC curves of five findings with three readers, after Pham et al. 2019, figure 4.

python figures/pham2019_figure4.py draws pham2019_figure4.svg; half a minute of one idle core. The
radiologists' own points were never published, so these readers are simulated. Each reader sees the
truth (1 or 0) plus normal noise of standard deviation 0.6. A reader calls a finding present if this
value is above the reader's own threshold.
"""

import tempfile
from pathlib import Path

import numpy as np
import pandas as pd

from cxrloc.models.names import PHANTOM_MODEL
from cxrloc.panels.plots import FigureRequest
from cxrloc.phantom import write_phantoms
from cxrloc.pipeline.classify import classify
from cxrloc.pipeline.classify_options import ClassifyOptions
from cxrloc.pipeline.figure import figure
from cxrloc.types import Label, Record

FIGURES = Path(__file__).parent
SEED, COUNT, SIZE = 31, 200, 256  # a series that neither trained nor chose the embedded model
FINDINGS = ("Atelectasis", "Cardiomegaly", "Infiltration", "Pneumonia", "Effusion")
THRESHOLDS, NOISE = {"A": 0.35, "B": 0.5, "C": 0.65}, 0.6
CAPTION = (
    "The embedded phantom model on synthetic radiographs: no clinical meaning. The three readers "
    "are simulated: the truth with noise, each with a threshold of its own."
)


def write_readings(records: list[Record], path: Path) -> None:
    """Write the decisions of the simulated readers in the form of `classify --readings`."""
    rng = np.random.default_rng(SEED)
    truth = np.array([[r.labels[f] is Label.POSITIVE for f in FINDINGS] for r in records])
    tables = []
    for reader, threshold in THRESHOLDS.items():
        seen = truth + rng.normal(0, NOISE, truth.shape)
        table = pd.DataFrame((seen > threshold).astype(int), columns=pd.Index(FINDINGS))
        table.insert(0, "image", [record.image_id for record in records])
        table.insert(0, "reader", reader)
        tables.append(table)
    pd.concat(tables).to_csv(path, index=False)


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        records = write_phantoms(folder / "chests", n=COUNT, seed=SEED, size=SIZE)
        write_readings(records, folder / "readings.csv")
        options = ClassifyOptions(models=(PHANTOM_MODEL,), readings=folder / "readings.csv")
        classify(folder / "chests", folder / "run", options)
        results = [folder / "run", folder / "run/readers.csv"]
        request = FigureRequest(findings=FINDINGS, caption=CAPTION)
        figure("roc", results, FIGURES / "pham2019_figure4.svg", request)
