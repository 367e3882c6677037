"""Rank correlations of networks' scores, after Baltruschat et al. 2019, table 5.

python figures/baltruschat2019_table5.py draws baltruschat2019_table5.svg; two minutes of one idle
core, or seconds after wang2017_figure5.py and wang2017_figure6.py, which train the same networks.
"""

import tempfile
from pathlib import Path

from small_networks import CAPTION, scored, test_phantoms
from wang2017_figure5 import INITIALISATIONS
from wang2017_figure6 import POOLINGS

from cxrloc.evaluation.run_comparison import CompareOptions
from cxrloc.panels.plots import FigureRequest
from cxrloc.pipeline.compare import compare
from cxrloc.pipeline.figure import figure

FIGURES = Path(__file__).parent

if __name__ == "__main__":
    runs = scored([*INITIALISATIONS, POOLINGS[-1]])
    with tempfile.TemporaryDirectory() as folder:
        compare(runs, Path(folder), CompareOptions(data=test_phantoms()))
        request = FigureRequest("single", caption=CAPTION)
        figure("spearman", [Path(folder)], FIGURES / "baltruschat2019_table5.svg", request)
