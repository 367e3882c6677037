"""DICOM file to network tensor, against pydicom's transforms and scikit-image's resize.

    python benchmarks/speed_images.py

Both ways read the same generated file (2544 x 3056, 12 of 16 bits, uncompressed, one window) and
resize with anti-aliasing; runs are interleaved and medians are compared. The last row is the input
of weights that were trained on NIH's images, which are first reduced to 8 bit and 1024 pixels; the
peer does not do this.
"""

import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median

import numpy as np
from jaxtyping import Float
from pydicom import Dataset, dcmread
from pydicom.dataset import FileMetaDataset
from pydicom.pixels import apply_modality_lut, apply_voi_lut
from pydicom.uid import DigitalXRayImageStorageForPresentation, ExplicitVRLittleEndian, generate_uid
from skimage.transform import resize

from cxrloc.images.preprocessing import Preprocessing, preprocess
from cxrloc.images.read import read_radiograph

ROWS, COLUMNS, RUNS = 3056, 2544, 7


def write_radiograph(path: Path) -> None:
    """Write a smooth, grainy image with the grey-level range of a chest radiograph."""
    rng = np.random.default_rng(0)
    y, x = np.mgrid[0:ROWS, 0:COLUMNS]
    smooth = 2000 + 1200 * np.sin(y / 210) * np.cos(x / 170) + 400 * np.sin(x / 9)
    stored = np.clip(smooth + rng.normal(0, 60, smooth.shape), 0, 4095).astype("<u2")
    header = Dataset()
    header.file_meta = FileMetaDataset()
    header.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    header.SOPClassUID = DigitalXRayImageStorageForPresentation
    header.SOPInstanceUID = generate_uid()
    header.Modality, header.BodyPartExamined = "DX", "CHEST"
    header.Rows, header.Columns, header.SamplesPerPixel = ROWS, COLUMNS, 1
    header.PhotometricInterpretation = "MONOCHROME2"
    header.BitsAllocated, header.BitsStored, header.HighBit = 16, 12, 11
    header.PixelRepresentation = 0
    header.RescaleSlope, header.RescaleIntercept = 1, 0
    header.WindowCenter, header.WindowWidth = 2048, 3600
    header.PixelData = stored.tobytes()
    header.save_as(path, enforce_file_format=True)


def peer(path: Path, size: int) -> Float[np.ndarray, "row col"]:
    """The peer: windowing by pydicom, then a Gaussian filter and resizing by scikit-image."""
    dataset = dcmread(path)
    values = apply_voi_lut(apply_modality_lut(dataset.pixel_array, dataset), dataset)
    return resize(values, (size, size), anti_aliasing=True) / (2**dataset.BitsStored - 1)


def ours(path: Path, preprocessing: Preprocessing) -> Float[np.ndarray, "row col"]:
    """The network's input of this package, scaled back to grey levels for the comparison."""
    return preprocess(read_radiograph(path), preprocessing)[0][0]


def seconds(run: Callable[[], object]) -> float:
    """Wall clock of one run."""
    start = time.perf_counter()
    run()
    return time.perf_counter() - start


def main() -> None:
    """Print the tables."""
    print("| network input | cxrloc, ms | pydicom + scikit-image, ms | ratio | mean difference |")
    print("|---|---|---|---|---|")
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "radiograph.dcm"
        write_radiograph(path)
        plain = {"mean": (0.0,), "std": (1.0,)}
        for name, wanted in (
            ("224", Preprocessing(224, source_size=None, bit_depth=None, **plain)),
            ("512", Preprocessing(512, source_size=None, bit_depth=None, **plain)),
            ("512 by 8 bit at 1024", Preprocessing(512, **plain)),
        ):
            difference = np.abs(ours(path, wanted) - peer(path, wanted.size)).mean()
            pairs = [
                (
                    seconds(lambda w=wanted: ours(path, w)),
                    seconds(lambda w=wanted: peer(path, w.size)),
                )
                for _ in range(RUNS)
            ]
            fast, slow = (1000 * median(times) for times in zip(*pairs, strict=True))
            print(
                f"| {name} | {fast:.0f} | {slow:.0f} | {slow / fast:.1f} x "
                f"| {255 * difference:.2f}/255 |"
            )


if __name__ == "__main__":
    main()
