"""Versions of what is installed, for every `run.json`."""

import platform
from importlib.metadata import version

PACKAGES = ("cxrloc", "torch", "torchvision", "numpy", "scipy", "pydicom", "scikit-image")


def versions() -> dict[str, str]:
    """Versions of Python and of the packages whose arithmetic is behind the numbers."""
    return {"python": platform.python_version(), **{name: version(name) for name in PACKAGES}}
