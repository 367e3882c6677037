"""Reads arrays of npz files, with limits on their size, and never makes Python objects."""

import math
import tokenize
import zipfile
import zlib
from collections.abc import Iterable
from pathlib import Path

import numpy as np

from cxrloc.errors import CxrlocError
from cxrloc.files.structured import reason_of

MAX_NPZ_BYTES = 2_000_000_000
"""Largest size of all arrays of an npz file, unpacked."""


def read_npz(path: Path, keys: Iterable[str] | None = None) -> dict[str, np.ndarray]:
    """The arrays of an npz file: numbers, truth values or text, never Python objects.

    Sizes are checked before anything is unpacked.

    Args:
        path: of the file.
        keys: names of the arrays to read, if the file has them; None for all arrays.

    Raises:
        CxrlocError: there is no such file, it is not an npz file, or its arrays are too large.
    """
    chosen = None if keys is None else set(keys)
    if not path.is_file():
        raise CxrlocError(f"{path}: {'not a regular file' if path.exists() else 'no such file'}")
    try:
        with zipfile.ZipFile(path) as archive:
            total = 0
            for member in archive.infolist():
                if not member.filename.endswith(".npy"):
                    raise ValueError(f"it holds {member.filename[:40]!r}, which is not an array")
                total += member.file_size
                if total > MAX_NPZ_BYTES:
                    raise ValueError(f"its arrays are larger than {MAX_NPZ_BYTES:,} bytes")
            named = {each.filename.removesuffix(".npy"): each for each in archive.infolist()}
            return {
                name: _array(archive, member)
                for name, member in named.items()
                if chosen is None or name in chosen
            }
    except (
        OSError,
        ValueError,
        EOFError,
        RuntimeError,  # encrypted
        NotImplementedError,  # unknown compression
        MemoryError,
        zipfile.BadZipFile,
        zlib.error,
        SyntaxError,  # SyntaxError, TokenError: the heading is not a Python literal
        tokenize.TokenError,
        TypeError,
    ) as error:
        raise CxrlocError(
            f"{path}: not an npz file of plain arrays ({reason_of(error)})"
        ) from error


def _array(archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> np.ndarray:
    """One array, after a check that its header agrees with the bytes in the archive."""
    with archive.open(member) as file:
        version = np.lib.format.read_magic(file)
        read_header = (
            np.lib.format.read_array_header_1_0
            if version == (1, 0)
            else np.lib.format.read_array_header_2_0
        )
        shape, _, dtype = read_header(file)
        if dtype.hasobject:
            raise ValueError(f"{member.filename} holds Python objects")
        if math.prod(shape) * dtype.itemsize > member.file_size:
            raise ValueError(f"{member.filename} declares the shape {shape}, which it is too small")
    with archive.open(member) as file:
        return np.lib.format.read_array(file, allow_pickle=False)
