"""Models that a function of the user's own gives: `module:function` or `file.py:function`."""

import hashlib
import importlib
import importlib.util
import logging
import re
import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

from torch import nn

from cxrloc.errors import CxrlocError, UsageError
from cxrloc.findings import standard_findings
from cxrloc.images.preprocessing import Preprocessing
from cxrloc.models.card import ModelCard
from cxrloc.models.model import Model
from cxrloc.text import one_line

log = logging.getLogger(__name__)

_NAME = re.compile(r"(?P<module>.+\.py|[A-Za-z_][\w.]*):(?P<function>[A-Za-z_]\w*)")

WANTED = (
    "it must give a cxrloc.Model, or an nn.Module with the attributes findings (names) and "
    "preprocessing (a cxrloc.Preprocessing)"
)


def names_own_code(name: str) -> bool:
    """Whether a model's name is that of a function.

    >>> names_own_code("mine.py:network"), names_own_code("package.nets:make")
    (True, True)
    >>> names_own_code("model.safetensors"), names_own_code("C:/model.safetensors")
    (False, False)
    """
    return _NAME.fullmatch(name) is not None


def read_own_code(name: str) -> Model:
    """The model that a function gives, as a `Model` or as an `nn.Module` that says enough.

    The user's own code is executed, and a message says so.

    Raises:
        UsageError: there is no such file, module or function.
        CxrlocError: the code fails, or gives something else.
    """
    match = _NAME.fullmatch(name)
    assert match is not None
    where, function = match["module"], match["function"]
    log.info("--model %s: code of your own is run, function %s of %s", name, function, where)
    with _importing_from(Path(where).parent if where.endswith(".py") else Path()):
        module = _module(where, name)
        make = getattr(module, function, None)
        if not callable(make):
            known = [key for key, value in vars(module).items() if callable(value)]
            raise UsageError(f"--model {name}: {where} has no function {function}: {known[-8:]}")
        try:
            created = make()
        except Exception as error:
            raise CxrlocError(f"--model {name}: {_where_it_failed(error)}") from error
    return _model(created, name)


def _model(created: Any, name: str) -> Model:
    if isinstance(created, Model):
        created.network.eval()
        return created if created.sha256 else replace(created, sha256=_sha256(created.network))
    if not isinstance(created, nn.Module):
        raise CxrlocError(f"--model {name}: it gives a {type(created).__name__}: {WANTED}")
    findings = _names(getattr(created, "findings", None))
    prepared: Any = getattr(created, "preprocessing", None)
    if not findings or not isinstance(prepared, Preprocessing):
        lacking = "preprocessing" if findings else "list of findings"
        raise CxrlocError(
            f"--model {name}: its {type(created).__name__} has no {lacking}: {WANTED}"
        )
    try:
        names = standard_findings(findings)
    except CxrlocError as error:
        raise CxrlocError(f"--model {name}: {error}") from error
    card = ModelCard(name, "images that its code did not name", names, views=("PA", "AP"))
    return Model(created.eval(), None, prepared, card, _sha256(created))


def _names(findings: Any) -> tuple[str, ...]:
    """The names of a list, dict, array or the like; none if it is something else."""
    # A set has no order, so its names would be given to outputs at random.
    if isinstance(findings, str | bytes | set | frozenset):
        return ()
    try:
        return tuple(map(str, findings))
    except TypeError:
        return ()


def _sha256(network: nn.Module) -> str:
    """The hash of all weights, so that a run recognises a network whose weights have changed."""
    digest = hashlib.sha256()
    for key, tensor in network.state_dict().items():
        digest.update(key.encode())
        digest.update(tensor.detach().cpu().float().numpy().tobytes())
    return digest.hexdigest()


def _module(where: str, name: str) -> ModuleType:
    try:
        if not where.endswith(".py"):
            return importlib.import_module(where)
        path = Path(where)
        if not path.is_file():
            raise UsageError(f"--model {name}: {path}: no such file")
        spec = importlib.util.spec_from_file_location(path.stem, path)
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        sys.modules[path.stem] = module  # as for an import, so that its classes find their module
        spec.loader.exec_module(module)
        return module
    except UsageError:
        raise
    except ModuleNotFoundError as error:
        raise UsageError(f"--model {name}: {one_line(str(error))}") from error
    except Exception as error:
        raise CxrlocError(f"--model {name}: {_where_it_failed(error)}") from error


def _where_it_failed(error: Exception) -> str:
    """The error of the user's code, with file and line."""
    last = traceback.extract_tb(error.__traceback__)[-1]
    reason = one_line(str(error), 200)
    return f"{last.filename}, line {last.lineno}: {type(error).__name__}: {reason}"


@contextmanager
def _importing_from(folder: Path) -> Iterator[None]:
    """Modules beside the user's file can be imported in the block."""
    sys.path.insert(0, str(folder.resolve()))
    try:
        yield
    finally:
        sys.path.remove(str(folder.resolve()))
