"""How the learning rate moves, after Rubin et al. 2018, section 6, in three pictures.

python figures/rubin2018_section6.py draws rubin2018_range.svg (LR range test of a small network on
phantoms), rubin2018_schedule.svg (as the recipe for PA images plans it, for table 1's 70,875
images) and rubin2018_training.svg (the small network trained by a cycle and by a cosine); a minute
of one idle core.
"""

import tempfile
from pathlib import Path

from small_networks import CAPTION, KEPT, SmallNetwork, recipe_file, trained

from cxrloc.panels.plots import FigureRequest
from cxrloc.pipeline.figure import figure
from cxrloc.pipeline.lr_range import RangeConfig, lr_range
from cxrloc.pipeline.train import TrainOptions

FIGURES = Path(__file__).parent
PA_IMAGES = 70_875

CYCLE = SmallNetwork("triangular2", schedule="triangular2")
COSINE = SmallNetwork("cosine")

if __name__ == "__main__":
    request = FigureRequest("single", caption=CAPTION)
    with tempfile.TemporaryDirectory() as folder:
        options = TrainOptions(str(recipe_file(COSINE)), device="cpu", cache=KEPT / "images")
        ramp = RangeConfig(lowest=1e-5, highest=10.0, steps=120)
        lr_range(Path(folder), options, ramp, decoding=iter, watch=iter)
        figure("lr-range", [Path(folder)], FIGURES / "rubin2018_range.svg", request)
    plan = FIGURES / "rubin2018_schedule.svg"
    figure(
        "training",
        [Path("rubin2018_pa")],
        plan,
        FigureRequest("single"),
        training_images=PA_IMAGES,
    )
    runs = [trained(CYCLE), trained(COSINE)]
    wide = FigureRequest(caption=CAPTION)
    figure("training", runs, FIGURES / "rubin2018_training.svg", wide)
