"""Versions of Python and the installed packages, for every `run.json`."""

import platform
from contextlib import suppress
from functools import cache
from importlib.metadata import PackageNotFoundError, version

PACKAGES = (
    "cxrloc",
    "torch",
    "torchvision",
    "numpy",
    "scipy",
    "pydicom",
    "scikit-image",
    "onnxruntime",  # belongs to an extra
)


def versions() -> dict[str, str]:
    """Versions of Python and of the installed packages that can change the results."""
    found = {"python": platform.python_version(), **{name: _version(name) for name in PACKAGES}}
    return {name: text for name, text in found.items() if text}


@cache  # the report of each image has the versions, and to find them takes 10 ms
def _version(name: str) -> str:
    """A package's version; empty if it is not installed."""
    with suppress(PackageNotFoundError):
        return version(name)
    return ""
