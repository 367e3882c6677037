"""1,500 files with random damage give a result or one clear error line, within 3 GiB and 20 s."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.hostile.mutations import CHECKS

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not hasattr(os, "fork"), reason="the bounds are those of Unix"),
]
COUNTS = {"plain DICOM": 300, "compressed DICOM": 300, "PNG": 250, "JPEG": 250}
OTHERS = 80
SEED = 20


def test_there_are_1500_of_them() -> None:
    assert sum(COUNTS.get(kind, OTHERS) for kind in CHECKS) == 1500


@pytest.mark.parametrize("kind", CHECKS)
def test_a_damaged_file_is_read_or_refused_in_one_line(tmp_path: Path, kind: str) -> None:
    count = COUNTS.get(kind, OTHERS)
    command = [
        sys.executable,
        "-m",
        "tests.hostile.mutations",
        tmp_path,
        str(count),
        str(SEED),
        kind,
    ]
    root = Path(__file__).parents[2]
    done = subprocess.run(command, cwd=root, capture_output=True, timeout=120, check=True)
    result = json.loads(done.stdout)
    assert result["wrong"] == []
    assert result["read"] + result["refused"] == count
    assert result["peak_mb"] < 3072
