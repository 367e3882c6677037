"""Eight findings on phantoms, after Wang et al. 2017, figure 1: wang2017_figure1.png.

python figures/wang2017_figure1.py; ten seconds of one idle core. The picture kept here has fewer
colours than the figure, to be small.
"""

import tempfile
from pathlib import Path

from PIL import Image

from cxrloc.panels.plots import FigureRequest
from cxrloc.phantom import write_phantoms
from cxrloc.pipeline.figure import figure

FIGURES = Path(__file__).parent
SEED, COUNT, SIZE = 31, 24, 256  # a series that neither trained nor chose the embedded model
COLOURS = 160

if __name__ == "__main__":
    out = FIGURES / "wang2017_figure1.png"
    with tempfile.TemporaryDirectory() as folder:
        write_phantoms(Path(folder) / "chests", n=COUNT, seed=SEED, size=SIZE)
        figure("examples", [Path(folder) / "chests"], out, FigureRequest("single"))
    with Image.open(out) as picture:
        few = picture.convert("RGB").quantize(COLOURS, Image.Quantize.MAXCOVERAGE)
    few.save(out, optimize=True, dpi=(300, 300))
