"""The facts about the installation in every `run.json`."""

import platform
from importlib.metadata import version

from cxrloc.files.installed import versions


def test_versions_are_those_that_are_installed() -> None:
    said = versions()
    assert said["python"] == platform.python_version()
    assert {name: said[name] for name in ("cxrloc", "torch", "pydicom")} == {
        name: version(name) for name in ("cxrloc", "torch", "pydicom")
    }
