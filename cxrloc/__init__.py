"""Weakly-supervised localization for chest radiographs.

The public names are listed in `__init__.pyi`; each is imported when it is first used, so that
`import cxrloc` costs nothing.
"""

from typing import Any

import lazy_loader

_import_public, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)


def __getattr__(name: str) -> Any:
    if name == "__version__":
        from importlib.metadata import version

        return version("cxrloc")
    return _import_public(name)
