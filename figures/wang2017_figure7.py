"""ROC curves of the phantom model on phantoms, after Wang et al. 2017, figure 7.

python figures/wang2017_figure7.py draws wang2017_figure7.svg.
"""

import tempfile
from pathlib import Path

from cxrloc.models.names import PHANTOM_MODEL
from cxrloc.panels.plots import FigureRequest
from cxrloc.pipeline.classify import classify
from cxrloc.pipeline.classify_options import ClassifyOptions
from cxrloc.pipeline.figure import figure

FIGURES = Path(__file__).parent
CAPTION = "The phantom model on synthetic radiographs: no clinical meaning."

if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        classify(None, Path(folder), ClassifyOptions(models=(PHANTOM_MODEL,)))
        request = FigureRequest(caption=CAPTION)
        figure("roc", [Path(folder)], FIGURES / "wang2017_figure7.svg", request)
