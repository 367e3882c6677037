"""Reads the weights of a network that was pickled as a whole, without running code from the file.

`torch.save(network)` stores the classes of a network's layers by name, and `torch.load` imports and
calls whatever the file names. Here a class name is only a label: every object becomes an inert
record of its attributes, and the tensors are collected from these records. torch's own
`weights_only` reader refuses such files, above all those from before version 1.6, which
torchxrayvision publishes.
"""

import io
import pickle
import sys
import zipfile
from collections import OrderedDict
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import torch
from torch import Tensor

from cxrloc.types import CxrlocError

_MAGIC = 0x1950A86A20F9469CFC6C  # first object of a file from before torch 1.6
_DTYPES = {
    "FloatStorage": np.float32,
    "DoubleStorage": np.float64,
    "HalfStorage": np.float16,
    "LongStorage": np.int64,
    "IntStorage": np.int32,
    "BoolStorage": np.bool_,
}


class _Inert:
    """An object of a pickled network, which keeps its attributes but has no behaviour."""

    def __init__(self, *arguments: Any) -> None:
        self.attributes: dict[str, Any] = {}

    def __setstate__(self, state: Any) -> None:
        if isinstance(state, dict):
            self.attributes = state


class _Storage:
    """The memory that tensors are views of; its numbers are read after the objects."""

    def __init__(self, dtype: Any) -> None:
        self.dtype = np.dtype(dtype)
        self.values = np.empty(0, self.dtype)


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
    ("torch._utils", "_rebuild_tensor_v2"): _View,
    ("torch._utils", "_rebuild_parameter"): _parameter,
    ("__builtin__", "set"): set,
    ("builtins", "set"): set,
    **{("torch", name): dtype for name, dtype in _DTYPES.items()},
}
"""The only names that are resolved; layers of torch.nn and of torchxrayvision become `_Inert`."""


class _Reader(pickle.Unpickler):
    """An unpickler for the objects of one file that imports nothing."""

    def __init__(self, file: Any, storages: dict[str, _Storage]) -> None:
        super().__init__(file, encoding="latin1")
        self.storages = storages

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) in _KNOWN:
            return _KNOWN[module, name]
        if module.startswith(("torch.nn.modules.", "torchvision.models.", "torchxrayvision.")):
            return _Inert
        raise pickle.UnpicklingError(f"it names {module}.{name}, which is no layer of a network")

    def persistent_load(self, pid: Any) -> Any:
        if pid[0] == "module":  # a class with its source, in files from before torch 1.6
            return pid[1]
        _, dtype, key, *_ = pid
        return self.storages.setdefault(str(key), _Storage(dtype))


def read_module_weights(path: Path) -> dict[str, Tensor]:
    """The state dict of a network that any version of torch saved as a whole (`torch.save`).

    Raises:
        CxrlocError: the file is no such network, or it names anything except layers.
    """
    try:
        with path.open("rb") as file:
            network = _from_zip(file) if zipfile.is_zipfile(file) else _from_stream(file)
        return {name: _tensor(view) for name, view in _tensors(network)}
    except (
        pickle.UnpicklingError,
        zipfile.BadZipFile,
        AttributeError,
        EOFError,
        IndexError,
        KeyError,
        OSError,
        RuntimeError,
        TypeError,
        ValueError,
    ) as error:
        reason = " ".join(str(error).split())
        raise CxrlocError(f"{path}: no network that can be read safely ({reason})") from error


def _from_zip(file: BinaryIO) -> Any:
    """The network in a file of torch 1.6 or later: a zip archive of objects and storages."""
    storages: dict[str, _Storage] = {}
    file.seek(0)
    with zipfile.ZipFile(file) as archive:
        (objects,) = (name for name in archive.namelist() if name.endswith("/data.pkl"))
        folder = objects.removesuffix("data.pkl")
        network = _Reader(io.BytesIO(archive.read(objects)), storages).load()
        for key, storage in storages.items():
            storage.values = np.frombuffer(archive.read(f"{folder}data/{key}"), storage.dtype)
    return network


def _from_stream(file: BinaryIO) -> Any:
    """The network in a file from before torch 1.6.

    Such a file holds, in this order: magic number, version, machine, objects, keys, and storages.
    """
    storages: dict[str, _Storage] = {}
    file.seek(0)
    if _Reader(file, storages).load() != _MAGIC:
        raise pickle.UnpicklingError("it does not begin as torch.save does")
    for _ in ("version", "machine"):
        _Reader(file, storages).load()
    network = _Reader(file, storages).load()
    for key in _Reader(file, storages).load():
        storage = storages[str(key)]
        count = int.from_bytes(file.read(8), sys.byteorder)
        data = file.read(count * storage.dtype.itemsize)
        storage.values = np.frombuffer(data, storage.dtype)
    return network


def _tensors(layer: Any, prefix: str = "") -> Iterator[tuple[str, _View]]:
    """Yields the parameters and buffers with their names in a state dict."""
    if not isinstance(layer, _Inert):
        raise pickle.UnpicklingError("it holds no network")
    for kind in ("_parameters", "_buffers"):
        for name, view in layer.attributes.get(kind, {}).items():
            if isinstance(view, _View):
                yield prefix + name, view
    for name, child in layer.attributes.get("_modules", {}).items():
        if child is not None:
            yield from _tensors(child, f"{prefix}{name}.")


def _tensor(view: _View) -> Tensor:
    """A tensor with a copy of the view's numbers; torch checks that they lie in the storage."""
    numbers = torch.from_numpy(view.storage.values.copy())
    return torch.as_strided(numbers, view.size, view.stride, view.offset).clone()
