"""Reading an image of an archive, in a process without torch."""

import pickle
import subprocess
import sys
from pathlib import Path

import numpy as np
from PIL import Image

from cxrloc.archive.isolation import Item, Lost
from cxrloc.archive.reading import prepare_reading
from cxrloc.images.preprocessing import Preprocessing
from cxrloc.models.card import ModelCard
from cxrloc.models.described import Description, Input


def test_an_image_becomes_the_input_and_a_damaged_one_is_lost_with_its_reason(
    tmp_path: Path,
) -> None:
    grey = np.arange(64 * 64, dtype=np.uint16).reshape(64, 64) * 16
    Image.fromarray(grey).save(tmp_path / "a.png")
    (tmp_path / "b.png").write_bytes(b"no image")
    preprocessing = Preprocessing(size=32, source_size=None, bit_depth=None, mean=(0,), std=(1,))
    model = Description(ModelCard("m", "nothing", ("Mass",)), preprocessing, "", (Input.IMAGE,))
    items = [Item(n, str(tmp_path / name), 0.0) for n, name in enumerate(("a.png", "b.png"))]
    for keep_pixels, shape in ((True, (64, 64)), (False, (1, 2))):
        read = prepare_reading(pickle.loads(pickle.dumps([model])), 80.0, keep_pixels, "cpu")
        whole, damaged = read(items)
        # The mean of four pixels of a ramp lies in their middle.
        assert whole.inputs[0][0].shape == (1, 32, 32)
        assert abs(float(whole.inputs[0][0].mean()) - grey.mean() / 65535) < 1e-4
        assert whole.radiograph.pixels.shape == shape
        assert whole.radiograph.pixels.max() == np.float32(grey.max() / 65535)
        assert isinstance(damaged, Lost)
        assert damaged.stage == "read"
        assert not damaged.reason.startswith(str(tmp_path))


def test_a_process_that_reads_loads_no_torch() -> None:
    program = "import sys, cxrloc.archive.reading; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program]).returncode == 0
