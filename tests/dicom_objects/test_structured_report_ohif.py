"""OHIF's own adapter turns our boxes into rectangles, and its reports into truth."""

import json
import os
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
from filelock import FileLock

from cxrloc.datasets.own_data import OwnData, read_own_data
from cxrloc.dicom_objects.result import DicomResult, region_names
from cxrloc.dicom_objects.structured_report import region_report
from cxrloc.types import Box
from tests.dicom_objects.results import phantom_file

SCRIPT = Path(__file__).with_name("ohif_adapter.mjs")
# The adapter needs Babel's runtime, which it does not name among its dependencies.
PACKAGES = ("@cornerstonejs/adapters@5.14.0", "@babel/runtime@8.1.3")
CACHE = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "cxrloc-tests" / "ohif"

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def adapter() -> Path:
    """The script in a folder with the adapter, which npm installs once."""
    required = os.environ.get("CXRLOC_SERVERS") == "required"
    if not (shutil.which("node") and shutil.which("npm")) and not required:
        pytest.skip("needs Node and npm")
    CACHE.mkdir(parents=True, exist_ok=True)
    with FileLock(CACHE / "lock"):
        installed = CACHE / "installed.json"
        if not installed.exists() or json.loads(installed.read_text()) != list(PACKAGES):
            command = ["npm", "install", "--no-audit", "--no-fund", "--ignore-scripts", *PACKAGES]
            done = subprocess.run(command, cwd=CACHE, capture_output=True, text=True, timeout=300)
            if done.returncode and not required:
                pytest.skip("npm cannot install OHIF's adapter (is there a network?)")
            assert done.returncode == 0, done.stderr[-2000:]
            installed.write_text(json.dumps(PACKAGES))
        return Path(shutil.copy(SCRIPT, CACHE))


def told(adapter: Path, *arguments: str | Path) -> str:
    command = ["node", adapter, *arguments]
    done = subprocess.run(command, cwd=CACHE, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout


def test_each_box_becomes_a_rectangle(adapter: Path, result: DicomResult, tmp_path: Path) -> None:
    report = region_report(result)
    assert report is not None
    report.save_as(tmp_path / "report.dcm", enforce_file_format=True)
    drawn = json.loads(told(adapter, "read", tmp_path / "report.dcm"))
    named = region_names(result)
    assert [each["trackingUID"] for each in drawn] == [uid for _, _, _, uid in named]
    for each, (_, detection, _, _) in zip(drawn, named, strict=True):
        assert (each["tool"], each["image"]) == ("RectangleROI", result.source.SOPInstanceUID)
        points = np.array(each["points"])
        sides = [*points.min(axis=0), *points.max(axis=0)]
        box = detection.box
        # The adapter's points count from the centre of the first pixel, boxes from its corner.
        expected = np.array([box.x_min, box.y_min, box.x_max, box.y_max]) - 0.5
        np.testing.assert_allclose(sides, expected, rtol=1e-6, atol=1e-4)


def test_what_a_reader_drew_and_labelled_is_truth(adapter: Path, tmp_path: Path) -> None:
    """A rectangle, an ellipse and a length: a length is no region."""
    image = phantom_file(tmp_path / "chests")
    told(adapter, "write", image, tmp_path / "report.dcm")
    (record,) = read_own_data(OwnData(image.parent, boxes=tmp_path / "report.dcm")).records
    assert [(each.finding, each.box) for each in record.annotations] == [
        ("Nodule", Box(10.5, 20.5, 30.5, 50.5)),
        ("Effusion", Box(35.5, 60.5, 45.5, 80.5)),
    ]
