"""Localization of the phantom model on phantoms, after Wang et al. 2017, tables 4 and 7.

python figures/wang2017_table4.py draws wang2017_table4.svg. The published numbers are of real
radiographs. They are drawn to show the form of the table, and must not be compared with the numbers
of phantoms.
"""

import tempfile
from pathlib import Path

from cxrloc.models.names import PHANTOM_MODEL
from cxrloc.panels.plots import FigureRequest
from cxrloc.pipeline.bench import BenchOptions, bench
from cxrloc.pipeline.figure import figure

FIGURES = Path(__file__).parent
CAPTION = "The phantom model on synthetic radiographs: no clinical meaning."

if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        bench(None, Path(folder), BenchOptions(models=(PHANTOM_MODEL,)))
        # Asked for twice, as published numbers stand beside synthetic radiographs only then.
        request = FigureRequest(beside=("wang2017:4", "wang2017:7") * 2, caption=CAPTION)
        figure("localization", [Path(folder)], FIGURES / "wang2017_table4.svg", request)
