"""The pictures of the README, made by the commands beside them.

python figures/readme_pictures.py
"""

import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from cxrloc.models.names import PHANTOM_MODEL
from cxrloc.phantom import make_phantom, write_phantoms

FIGURES = Path(__file__).parent
SEED, SIZE = 31, 512
"""A series of phantoms that was used neither to train nor to select the embedded model."""


def cxrloc(*arguments: str | Path) -> None:
    """Run a command as a user does."""
    program = "from cxrloc.cli import app; app()"
    subprocess.run([sys.executable, "-c", program, *map(str, arguments), "--quiet"], check=True)


def main() -> None:
    """Draw `heatmap_phantom.png` and `bench_phantom.png`."""
    with tempfile.TemporaryDirectory() as folder:
        chests, out = Path(folder) / "chests", Path(folder) / "out"
        write_phantoms(chests, n=12, seed=SEED, size=SIZE)
        # The first phantom with three findings is shown; it is not chosen by the model's result.
        shown = next(
            phantom.record.image_id
            for phantom in (make_phantom(SEED, index, 64) for index in range(12))
            if len(phantom.record.annotations) >= 3
        )
        # The model is named, because the default model is for real images and not for phantoms.
        picture = chests / "images" / f"{shown}.png"
        cxrloc("heatmap", picture, "--model", PHANTOM_MODEL, "--out", out)
        shutil.copy(out / f"{shown}.png", FIGURES / "heatmap_phantom.png")
        benched = Path(folder) / "benched"
        cxrloc("bench", "--out", benched)
        shutil.copy(benched / "examples.png", FIGURES / "bench_phantom.png")


if __name__ == "__main__":
    main()
