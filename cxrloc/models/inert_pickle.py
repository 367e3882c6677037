"""Reads the tensors of any file of `torch.save`, without running code from the file.

`torch.save` stores the classes of objects by name, and `torch.load` imports and calls whatever the
file names. Here a name is only a label: nothing is imported, and every object whose class is not
one of the few in `_KNOWN` becomes an inert record of its attributes, from which only tensors are
taken. torch's own `weights_only` reader refuses networks that were saved as a whole, such as those
that torchxrayvision publishes, and checkpoints with settings in classes of their own.
"""

import io
import pickle
import sys
import zipfile
from collections import OrderedDict
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, BinaryIO

import torch
from torch import Tensor

from cxrloc.errors import CxrlocError

_MAGIC = 0x1950A86A20F9469CFC6C  # first object of a file from before torch 1.6
_DTYPES = {
    "FloatStorage": torch.float32,
    "DoubleStorage": torch.float64,
    "HalfStorage": torch.float16,
    "BFloat16Storage": torch.bfloat16,
    "LongStorage": torch.int64,
    "IntStorage": torch.int32,
    "ShortStorage": torch.int16,
    "CharStorage": torch.int8,
    "ByteStorage": torch.uint8,
    "BoolStorage": torch.bool,
}
DEEPEST = 64
"""Containers and modules nested deeper than this are not searched for tensors."""


class _Inert:
    """An object of the file, which keeps its attributes but has no behaviour.

    It takes whatever a pickle does with an object of its real class: calls, items, attributes.
    """

    attributes: dict[str, Any]

    def __new__(cls, *arguments: Any, **keywords: Any) -> "_Inert":
        self = super().__new__(cls)
        self.attributes = {}
        return self

    def __init__(self, *arguments: Any, **keywords: Any) -> None:
        pass

    def __call__(self, *arguments: Any, **keywords: Any) -> "_Inert":
        return _Inert()

    def __setstate__(self, state: Any) -> None:
        if isinstance(state, dict):
            self.attributes = state

    def __setitem__(self, key: Any, value: Any) -> None:
        if isinstance(key, str):
            self.attributes[key] = value

    def append(self, item: Any) -> None:
        """An item of a list of some other class; it is left out."""

    def extend(self, items: Any) -> None:
        """Items of a list of some other class; they are left out."""

    def add(self, item: Any) -> None:
        """An item of a set of some other class; it is left out."""


class _Storage:
    """The memory that tensors are views of; its numbers are read after the objects."""

    def __init__(self, dtype: torch.dtype) -> None:
        self.values = torch.empty(0, dtype=dtype)

    def fill(self, data: bytes) -> None:
        if data:
            self.values = torch.frombuffer(bytearray(data), dtype=self.values.dtype)


class _View:
    """A tensor of the file: a part of a storage."""

    def __init__(
        self,
        storage: _Storage,
        offset: int,
        size: tuple[int, ...],
        stride: tuple[int, ...],
        *_: Any,
    ) -> None:
        self.storage, self.offset, self.size, self.stride = storage, offset, size, stride


def _parameter(view: _View, *_: Any) -> _View:
    return view


_KNOWN: dict[tuple[str, str], Any] = {
    ("collections", "OrderedDict"): OrderedDict,
    ("torch._utils", "_rebuild_tensor"): _View,
    ("torch._utils", "_rebuild_tensor_v2"): _View,
    ("torch._utils", "_rebuild_parameter"): _parameter,
    ("torch._utils", "_rebuild_parameter_with_state"): _parameter,
    ("torch.nn.parameter", "Parameter"): _parameter,
    ("__builtin__", "set"): set,
    ("builtins", "set"): set,
    **{("torch", name): dtype for name, dtype in _DTYPES.items()},
}
"""The only names that are resolved; every other class becomes `_Inert`."""


class _Reader(pickle.Unpickler):
    """An unpickler for the objects of one file that imports nothing.

    Attributes:
        unknown: the names in the file that are no layers of torch, torchvision and other libraries.
    """

    def __init__(self, file: Any, storages: dict[str, _Storage]) -> None:
        super().__init__(file, encoding="latin1")
        self.storages = storages
        self.unknown: list[str] = []

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) in _KNOWN:
            return _KNOWN[module, name]
        if not module.startswith(("torch.nn.modules.", "torchvision.models.", "torchxrayvision.")):
            self.unknown.append(f"{module}.{name}")
        return _Inert

    def persistent_load(self, pid: Any) -> Any:
        if pid[0] == "module":  # a class with its source, in files from before torch 1.6
            return pid[1]
        _, dtype, key, *_ = pid
        if not isinstance(dtype, torch.dtype):
            raise pickle.UnpicklingError("a tensor has numbers of an unknown kind")
        return self.storages.setdefault(str(key), _Storage(dtype))


def read_pickle(path: Path) -> dict[str, Any]:
    """The tensors in a file that any version of torch wrote with `torch.save`, by their names.

    Mappings of the file become mappings; a network that was saved as a whole becomes its state
    dict. All other objects are left out.

    Raises:
        CxrlocError: the file is no such file, or holds no tensors by name.
    """
    try:
        with path.open("rb") as file:
            content, unknown = _from_zip(file) if zipfile.is_zipfile(file) else _from_stream(file)
        tensors = _by_name(content)
        if not isinstance(tensors, dict) or not tensors:
            named = f"it names {unknown[0]}, which is no layer of a network" if unknown else ""
            raise pickle.UnpicklingError(named or "it holds no tensors by name")
    except (
        pickle.UnpicklingError,
        zipfile.BadZipFile,
        AttributeError,
        EOFError,
        IndexError,
        KeyError,
        MemoryError,
        OSError,
        OverflowError,
        RecursionError,
        RuntimeError,
        TypeError,
        ValueError,
    ) as error:
        reason = " ".join(str(error).split()) or type(error).__name__
        raise CxrlocError(f"{path}: no network that can be read safely ({reason})") from error
    return tensors


def _from_zip(file: BinaryIO) -> tuple[Any, list[str]]:
    """The content of a file of torch 1.6 or later: a zip archive of objects and storages."""
    storages: dict[str, _Storage] = {}
    file.seek(0)
    with zipfile.ZipFile(file) as archive:
        (objects,) = (name for name in archive.namelist() if name.endswith("/data.pkl"))
        folder = objects.removesuffix("data.pkl")
        if any(name.startswith(f"{folder}code/") for name in archive.namelist()):
            raise pickle.UnpicklingError("a TorchScript file holds a program: save its state dict")
        reader = _Reader(io.BytesIO(archive.read(objects)), storages)
        content = reader.load()
        for key, storage in storages.items():
            storage.fill(archive.read(f"{folder}data/{key}"))
    return content, reader.unknown


def _from_stream(file: BinaryIO) -> tuple[Any, list[str]]:
    """The content of a file from before torch 1.6.

    Such a file holds, in this order: magic number, version, machine, objects, keys, and storages.
    """
    storages: dict[str, _Storage] = {}
    file.seek(0)
    if _Reader(file, storages).load() != _MAGIC:
        raise pickle.UnpicklingError("it does not begin as torch.save does")
    for _ in ("version", "machine"):
        _Reader(file, storages).load()
    reader = _Reader(file, storages)
    content = reader.load()
    for key in _Reader(file, storages).load():
        storage = storages[str(key)]
        count = int.from_bytes(file.read(8), sys.byteorder)
        storage.fill(file.read(count * storage.values.element_size()))
    return content, reader.unknown


def _by_name(content: Any, depth: int = 0) -> Any:
    """Mappings and networks as mappings from names to tensors; None for everything else."""
    if depth > DEEPEST:
        return None
    if isinstance(content, _View):
        return _tensor(content)
    if isinstance(content, _Inert):
        state = dict(_tensors(content))
        return state or _by_name(content.attributes, depth + 1)
    if not isinstance(content, Mapping):
        return None
    found = {
        name: _by_name(value, depth + 1) for name, value in content.items() if isinstance(name, str)
    }
    return {name: value for name, value in found.items() if value is not None}


def _tensors(layer: _Inert, prefix: str = "") -> Iterator[tuple[str, Tensor]]:
    """Yields the parameters and buffers of a module with their names in a state dict."""
    if prefix.count(".") > DEEPEST:
        raise pickle.UnpicklingError("its layers are nested too deeply")
    for kind in ("_parameters", "_buffers"):
        named = layer.attributes.get(kind)
        for name, view in named.items() if isinstance(named, Mapping) else ():
            if isinstance(view, _View):
                yield prefix + name, _tensor(view)
    children = layer.attributes.get("_modules")
    for name, child in children.items() if isinstance(children, Mapping) else ():
        if isinstance(child, _Inert):
            yield from _tensors(child, f"{prefix}{name}.")


def _tensor(view: _View) -> Tensor:
    """A tensor with a copy of the view's numbers; torch checks that they lie in the storage."""
    tensor = torch.as_strided(view.storage.values, view.size, view.stride, view.offset)
    if tensor.numel() > view.storage.values.numel():
        raise pickle.UnpicklingError("a tensor is larger than its numbers")
    return tensor.clone()
