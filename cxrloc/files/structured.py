"""Reads JSON, TOML and XML, with limits on size and depth.

A file may be nested very deeply, declare gigabytes, or hold numbers that are not finite. Each such
file raises one `CxrlocError` that names the file, never an error of the parser.
"""

import json
import math
import tomllib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

from cxrloc.errors import CxrlocError
from cxrloc.files.encodings import encoding_of

MAX_JSON_BYTES = 100_000_000
"""COCO files of the largest public sets of boxes stay below 50 MB; the smallest values, `[],`, take
20 times their bytes in memory."""

MAX_TEXT_BYTES = 20_000_000
"""Largest TOML or XML file; these are recipes and lists of boxes of one image."""

MAX_DEPTH = 64
"""Most levels of nesting; COCO has five."""

_BLOCK = 1 << 16
_MAX_DIGITS = 19  # of a whole number; integers of 64 bits have at most 19


@contextmanager
def expecting(path: Path | str, what: str) -> Iterator[None]:
    """Turn errors that unexpected content causes into one line that names the file.

    Args:
        path: of the file, or the place of an entry in it.
        what: what the content should be, for the message.

    >>> with expecting(Path("a.json"), "a list of boxes"):
    ...     [][0]
    Traceback (most recent call last):
    ...
    cxrloc.errors.CxrlocError: a.json is not a list of boxes: list index out of range
    """
    try:
        yield
    except KeyError as error:
        raise CxrlocError(f"{path} is not {what}: it has no {reason_of(error)}") from error
    except (
        ArithmeticError,
        AttributeError,
        IndexError,
        MemoryError,
        NotImplementedError,
        RecursionError,
        TypeError,
        ValueError,
    ) as error:
        raise CxrlocError(f"{path} is not {what}: {reason_of(error)}") from error


def read_json(path: Path) -> Any:
    """The content of a JSON file.

    Raises:
        CxrlocError: it cannot be read; see `parse_json`.
    """
    return parse_json(_content(path, MAX_JSON_BYTES), str(path))


def parse_json(content: bytes | str, where: str) -> Any:
    """The content of a JSON text: finite numbers, no key twice in one object.

    Args:
        content: bytes of UTF-8 or UTF-16, with or without byte order mark, or text.
        where: where the text comes from, for messages.

    Raises:
        CxrlocError: the text is not JSON, is nested too deeply, or holds a number that is not
            finite or has more than 19 digits, or a key twice.

    >>> parse_json('{"a": [1, 2.5]}', "x.json")
    {'a': [1, 2.5]}
    """
    try:
        return json.loads(
            _decoded(content),
            parse_int=_bounded_int,
            parse_float=_finite,
            parse_constant=_no_number,
            object_pairs_hook=_object,
        )
    except (ValueError, RecursionError, MemoryError) as error:
        raise CxrlocError(f"{where} cannot be read as JSON: {reason_of(error)}") from error


def read_toml(path: Path) -> dict[str, Any]:
    """The content of a TOML file.

    Raises:
        CxrlocError: it cannot be read; see `parse_toml`.
    """
    return parse_toml(_content(path, MAX_TEXT_BYTES), str(path))


def parse_toml(content: bytes | str, where: str) -> dict[str, Any]:
    """The content of a TOML text, with bounded depth and finite, bounded numbers.

    Raises:
        CxrlocError: the text is not TOML, is nested too deeply, or has a number that is not finite
            or too large.

    >>> parse_toml("a = 1", "x.toml")
    {'a': 1}
    """
    try:
        values = tomllib.loads(_decoded(content).replace("\r\n", "\n"))
        _check_values(values)
    except (ValueError, RecursionError, MemoryError) as error:
        raise CxrlocError(f"{where}: not TOML: {reason_of(error)}") from error
    return values


def read_xml(path: Path) -> ElementTree.Element:
    """The root element of an XML file.

    Raises:
        CxrlocError: it cannot be read; see `parse_xml`.
    """
    return parse_xml(_content(path, MAX_TEXT_BYTES), str(path))


def parse_xml(content: bytes | str, where: str) -> ElementTree.Element:
    """The root element of an XML text with bounded depth, without document type or entities.

    Entities can grow without bound or name other files, and data files do not need them.

    Raises:
        CxrlocError: the text is not XML, declares a document type, or is nested too deeply.

    >>> parse_xml("<a><b/></a>", "x.xml").tag
    'a'
    """
    text = content if isinstance(content, str) else _decoded_xml(content)
    if "<!DOCTYPE" in text or "<!ENTITY" in text:
        raise CxrlocError(f"{where} declares a document type: remove it to have the file read")
    parser: Any = ElementTree.XMLPullParser(("start", "end"))
    root: ElementTree.Element | None = None
    depth = 0
    try:
        for start in range(0, len(text), _BLOCK):
            parser.feed(text[start : start + _BLOCK])
            for event, element in parser.read_events():
                root = element if root is None else root
                depth += 1 if event == "start" else -1
                if depth > MAX_DEPTH:
                    raise ValueError(f"nested more than {MAX_DEPTH} levels deep")
        parser.close()
    except (ValueError, LookupError, ElementTree.ParseError, RecursionError) as error:
        raise CxrlocError(f"{where} cannot be read as XML: {reason_of(error)}") from error
    if root is None:
        raise CxrlocError(f"{where} cannot be read as XML: it is empty")
    return root


def _content(path: Path, most: int) -> bytes:
    """The bytes of a regular file of bounded size."""
    if not path.is_file():
        raise CxrlocError(f"{path}: {'not a regular file' if path.exists() else 'no such file'}")
    try:
        size = path.stat().st_size
        if size > most:
            raise CxrlocError(f"{path}: {size:,} bytes; at most {most:,} are read")
        return path.read_bytes()
    except (OSError, MemoryError) as error:
        raise CxrlocError(f"{path} cannot be read: {reason_of(error)}") from error


def _decoded(content: bytes | str) -> str:
    """Text without its byte order mark.

    Raises:
        ValueError: it is neither UTF-8 nor UTF-16.
    """
    if isinstance(content, str):
        return content.removeprefix("\ufeff")
    encoding = encoding_of(content[:100], whole=False)
    return content.decode(encoding if encoding.startswith("utf-16") else "utf-8-sig")


def _decoded_xml(content: bytes) -> str:
    """Text of XML in UTF-8, UTF-16 or Windows-1252, without the declaration of its encoding."""
    text = content.decode(encoding_of(content, whole=True), errors="replace")
    if text.lstrip().startswith("<?xml"):
        text = text.partition("?>")[2]
    return text.strip()


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    values = dict(pairs)
    if len(values) < len(pairs):
        keys = [key for key, _ in pairs]
        twice = next(key for key in keys if keys.count(key) > 1)
        raise ValueError(f"{twice[:60]!r} is there twice in one object")
    return values


def _bounded_int(text: str) -> int:
    if len(text.lstrip("-")) > _MAX_DIGITS:
        raise ValueError(f"a whole number of {len(text)} digits")
    return int(text)


def _finite(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise ValueError(f"{text[:20]} is not a finite number")
    return value


def _no_number(text: str) -> float:
    raise ValueError(f"{text} is not a finite number")


def _check_values(values: Mapping[str, Any]) -> None:
    """Raise ValueError where a value is nested too deeply, not finite or too large."""
    waiting: list[tuple[Any, int]] = [(values, 0)]
    while waiting:
        value, depth = waiting.pop()
        if depth > MAX_DEPTH:
            raise ValueError(f"nested more than {MAX_DEPTH} levels deep")
        if isinstance(value, Mapping):
            waiting += [(each, depth + 1) for each in value.values()]
        elif isinstance(value, list):
            waiting += [(each, depth + 1) for each in value]
        elif isinstance(value, float) and not math.isfinite(value):
            raise ValueError(f"{value} is not a finite number")
        elif isinstance(value, int) and abs(value) >= 10**_MAX_DIGITS:
            raise ValueError(f"a whole number of more than {_MAX_DIGITS} digits")


def reason_of(error: BaseException) -> str:
    """A short description of an error, in one line."""
    if isinstance(error, RecursionError):
        return "nested too deeply"
    if isinstance(error, MemoryError):
        return "it needs more memory than there is"
    return " ".join(str(error).split())[:200] or type(error).__name__
