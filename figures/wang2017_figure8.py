"""Co-occurrence of ChestX-ray14's labels, after Wang et al. 2017, figure 8: wang2017_figure8.svg.

python figures/wang2017_figure8.py CHESTXRAY14_FOLDER reads `Data_Entry_2017*.csv` there, no image;
ten seconds. (Figure 2, of eight findings, is drawn from phantoms.)
"""

import sys
from pathlib import Path

from cxrloc.panels.plots import FigureRequest
from cxrloc.pipeline.figure import figure

FIGURES = Path(__file__).parent

if __name__ == "__main__":
    data = Path(sys.argv[1])
    figure("cooccurrence", [data], FIGURES / "wang2017_figure8.svg", FigureRequest())
