"""The facts about the installation in every `run.json`."""

import platform
from importlib.metadata import version

import pytest

from cxrloc.files.installed import versions


def test_versions_are_those_that_are_installed() -> None:
    said = versions()
    assert said["python"] == platform.python_version()
    assert {name: said[name] for name in ("cxrloc", "torch", "pydicom", "onnxruntime")} == {
        name: version(name) for name in ("cxrloc", "torch", "pydicom", "onnxruntime")
    }


def test_a_package_need_not_be_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cxrloc.files.installed.PACKAGES", ("torch", "no-such-package"))
    assert versions() == {"python": platform.python_version(), "torch": version("torch")}


def test_each_caller_has_versions_of_its_own() -> None:
    versions()["torch"] = "changed"
    assert versions()["torch"] == version("torch")
