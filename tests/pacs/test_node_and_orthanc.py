"""A real archive, Orthanc, keeps our objects unchanged, and a killed node loses nothing."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

SESSION = Path(__file__).with_name("orthanc_session.py")

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def session(untrained_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of one session with Orthanc."""
    required = os.environ.get("CXRLOC_SERVERS") == "required"
    if shutil.which("Orthanc") is None and not required:
        pytest.skip("needs Debian's orthanc and orthanc-dicomweb")
    folder = tmp_path_factory.mktemp("orthanc")
    words = [sys.executable, str(SESSION), str(folder), str(untrained_model)]
    inside = f"ip link set lo up && exec {subprocess.list2cmdline(words)}"
    root = Path(__file__).parents[2]
    environment = {**os.environ, "PYTHONPATH": str(root)}
    done = subprocess.run(
        ["unshare", "-n", "sh", "-c", inside],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        timeout=600,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return folder


@pytest.fixture(scope="module")
def answers(session: Path) -> dict[str, Any]:
    return dict(json.loads((session / "answers.json").read_text()))


@pytest.mark.parametrize("way", ["C-STORE", "STOW-RS"])
def test_objects_come_back_unchanged(way: str, answers: dict[str, Any]) -> None:
    assert answers[f"stored by {way}"] == ["Sent"] * 6
    assert answers[f"equal after {way}"] == dict.fromkeys(answers["files"], True)


def test_qido_finds_them(answers: dict[str, Any]) -> None:
    assert answers["found by QIDO-RS"] == 6


def test_a_query_fetches_each_image_once_and_no_result(answers: dict[str, Any]) -> None:
    assert answers["queried"] == {"fetched": [2, 0], "are the images": True}


def test_a_stranger_is_refused(answers: dict[str, Any]) -> None:
    assert answers["a stranger"] == ["NotSent"]


def test_a_node_that_is_killed_twice_answers_every_image_once(answers: dict[str, Any]) -> None:
    """Two reports and a picture for each acknowledged image, and nothing doubled."""
    assert answers["node"]["acknowledged"] == 6
    assert answers["node"]["sets"] == [3] * 6


def test_the_archive_shows_the_picture(session: Path) -> None:
    with Image.open(session / "preview.png") as preview:
        assert preview.mode == "RGB"
        assert len(np.unique(np.asarray(preview))) > 10
