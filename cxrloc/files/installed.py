"""Versions of Python and the installed packages, for every `run.json`."""

import platform
from contextlib import suppress
from functools import cache
from importlib.metadata import PackageNotFoundError, version

PACKAGES = ("cxrloc", "torch", "torchvision", "numpy", "scipy", "pydicom", "scikit-image")


@cache  # the report of each image has them, and to find them takes 10 ms
def versions() -> dict[str, str]:
    """Versions of Python and of the packages whose computations can change the results."""
    found = {"python": platform.python_version(), **{name: version(name) for name in PACKAGES}}
    with suppress(PackageNotFoundError):  # it belongs to an extra
        found["onnxruntime"] = version("onnxruntime")
    return found
