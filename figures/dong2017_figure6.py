"""Normal against abnormal phantoms, after Dong et al. 2017, figure 6.

python figures/dong2017_figure6.py draws dong2017_figure6a.svg (confusion matrix) and
dong2017_figure6b.svg (ROC curve); half a minute of one idle core. The probability that a phantom is
abnormal is the probability of its most probable finding by the embedded model. The threshold of the
confusion matrix is 0.5.
"""

import tempfile
from pathlib import Path

import pandas as pd

from cxrloc.evaluation.classification.prediction_files import read_predictions
from cxrloc.models.names import PHANTOM_MODEL
from cxrloc.panels.plots import FigureRequest
from cxrloc.phantom import write_phantoms
from cxrloc.pipeline.classify import classify
from cxrloc.pipeline.classify_options import ClassifyOptions
from cxrloc.pipeline.figure import figure

FIGURES = Path(__file__).parent
SEED, COUNT, SIZE = 31, 200, 256  # a series that neither trained nor chose the embedded model
CAPTION = "The embedded phantom model on synthetic radiographs: no clinical meaning."


def two_classes(abnormal: pd.Series, path: Path) -> Path:
    """A table of both classes, as probabilities or as labels."""
    columns = {"Normal": 1 - abnormal, "Abnormal": abnormal}
    pd.DataFrame(columns).to_csv(path, index_label="image")
    return path


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        chests, run = folder / "chests", folder / "run"
        records = write_phantoms(chests, n=COUNT, seed=SEED, size=SIZE)
        classify(chests, folder / "findings", ClassifyOptions(models=(PHANTOM_MODEL,)))
        found = read_predictions(folder / "findings/probabilities.csv")
        highest = pd.Series(found.probabilities.max(axis=1), found.image_ids)
        ill = pd.Series({record.image_id: int(bool(record.annotations)) for record in records})
        options = ClassifyOptions(
            models=(),
            predictions=two_classes(highest, folder / "probabilities.csv"),
            labels=two_classes(ill, folder / "labels.csv"),
        )
        classify(chests, run, options)
        request = FigureRequest("single", caption=CAPTION)
        figure("confusion", [run], FIGURES / "dong2017_figure6a.svg", request)
        request = FigureRequest("single", caption=CAPTION)
        figure("roc", [run], FIGURES / "dong2017_figure6b.svg", request)
