"""Versions of Python and the installed packages, for every `run.json`."""

import platform
from importlib.metadata import version

PACKAGES = ("cxrloc", "torch", "torchvision", "numpy", "scipy", "pydicom", "scikit-image")


def versions() -> dict[str, str]:
    """Versions of Python and of the packages whose computations can change the results."""
    return {"python": platform.python_version(), **{name: version(name) for name in PACKAGES}}
