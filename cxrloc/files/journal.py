"""Results of single images, kept on the disk while a run goes on.

A run that was interrupted reads them back and computes only the images that are missing.
"""

import base64
import json
from collections.abc import Mapping
from copy import copy
from hashlib import file_digest
from pathlib import Path
from typing import Any

import numpy as np

from cxrloc.errors import CxrlocError
from cxrloc.files.whole import append_line


def file_signature(*paths: Path | None) -> str:
    """A text of the files' paths, sizes and times of change, which changes when a file is replaced.

    A file that does not exist adds only its path, and None (an image made by the program) adds
    nothing.
    """
    parts = []
    for path in paths:
        if path is None:
            continue
        try:
            found = path.stat()
            parts.append(f"{path} {found.st_size} {found.st_mtime_ns}")
        except OSError:
            parts.append(str(path))
    return "; ".join(parts)


def content_hash(path: Path) -> str:
    """The SHA-256 of a file's content, by which settings name a file wherever it lies.

    Raises:
        CxrlocError: the file cannot be read.
    """
    try:
        with path.open("rb") as file:
            return file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise CxrlocError(f"{path}: {error.strerror or 'cannot be read'}") from error


class Journal:
    """A file of one JSON line per image, which keeps numbers and arrays exactly.

    A line that is incomplete because the program was killed is ignored when the file is read again.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._entries = _read(path)
        self._part = ""

    def part(self, name: str) -> "Journal":
        """A view of the journal for one part of a run, in which an image has a result of its own.

        So the models of several folds can keep their results of one image in one file.
        """
        part = copy(self)
        part._part = f"{name}: "
        return part

    def __len__(self) -> int:
        return len(self._entries)

    def find(self, image_id: str, signature: str) -> dict[str, Any] | None:
        """The result of an image; None if there is none or the image's file has changed since."""
        entry = self._entries.get(self._part + image_id)
        if entry is None or entry["signature"] != signature:
            return None
        return {name: _decoded(value) for name, value in entry["result"].items()}

    def add(self, image_id: str, signature: str, result: Mapping[str, Any]) -> None:
        """Write the result of an image: text, numbers, lists of them, and arrays.

        Raises:
            CxrlocError: the file cannot be written.
        """
        entry = {
            "image_id": self._part + image_id,
            "signature": signature,
            "result": {name: _encoded(value) for name, value in result.items()},
        }
        append_line(self._path, json.dumps(entry))


def _read(path: Path) -> dict[str, dict[str, Any]]:
    entries = {}
    if path.exists():
        for line in path.read_bytes().split(b"\n"):
            try:
                entry = json.loads(line)
                entries[entry["image_id"]] = entry
            except (ValueError, TypeError, KeyError):
                continue  # cut short by a kill
    return entries


def _encoded(value: Any) -> Any:
    if not isinstance(value, np.ndarray):
        return value
    return {
        "dtype": value.dtype.str,
        "shape": value.shape,
        "base64": base64.b64encode(np.ascontiguousarray(value).tobytes()).decode("ascii"),
    }


def _decoded(value: Any) -> Any:
    if not isinstance(value, dict):
        return value
    data = base64.b64decode(value["base64"])
    return np.frombuffer(data, np.dtype(value["dtype"])).reshape(value["shape"]).copy()
