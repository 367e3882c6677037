"""Libraries that only some commands need."""

from importlib import import_module
from types import ModuleType

from cxrloc.errors import CxrlocError


def import_extra(module: str, extra: str) -> ModuleType:
    """A module of an optional dependency.

    Raises:
        CxrlocError: it is not installed; the message names the extra that brings it.
    """
    try:
        return import_module(module)
    except ModuleNotFoundError as error:
        raise CxrlocError(
            f"this needs the package {module.partition('.')[0]}: pip install 'cxrloc[{extra}]'"
        ) from error
