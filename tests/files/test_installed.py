"""The facts about the installation in every `run.json`."""

import platform
from importlib.metadata import PackageNotFoundError, version

import pytest

from cxrloc.files.installed import versions


def test_versions_are_those_that_are_installed() -> None:
    said = versions()
    assert said["python"] == platform.python_version()
    assert {name: said[name] for name in ("cxrloc", "torch", "pydicom", "onnxruntime")} == {
        name: version(name) for name in ("cxrloc", "torch", "pydicom", "onnxruntime")
    }


def test_onnxruntime_need_not_be_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    def absent(name: str) -> str:
        if name == "onnxruntime":
            raise PackageNotFoundError(name)
        return "1.0"

    monkeypatch.setattr("cxrloc.files.installed.version", absent)
    assert "onnxruntime" not in versions.__wrapped__()  # without its cache
