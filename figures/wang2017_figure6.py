"""ROC curves by pooling on phantoms, after Wang et al. 2017, figure 6.

python figures/wang2017_figure6.py draws wang2017_figure6.svg; two minutes of one idle core.
`benchmarks/accuracy_phantom.py` trains such networks for longer and prints their AUC.
"""

from pathlib import Path

from small_networks import CAPTION, SmallNetwork, scored

from cxrloc.panels.plots import FigureRequest
from cxrloc.pipeline.figure import figure

FIGURES = Path(__file__).parent

POOLINGS = (
    SmallNetwork("average", pooling="average"),
    *(
        SmallNetwork(f"LSE, r = {r:g}", pooling="lse", lse_r=r)
        for r in (0.1, 0.5, 1.0, 5.0, 8.0, 10.0, 12.0)
    ),
    SmallNetwork("max", pooling="max"),
)

if __name__ == "__main__":
    request = FigureRequest(caption=CAPTION)
    figure("roc-by-run", scored(POOLINGS), FIGURES / "wang2017_figure6.svg", request)
