"""Frozen dataclasses built from plain values: from JSON inside weights and TOML in recipes."""

import dataclasses
import types
import typing
from collections.abc import Mapping
from typing import Any, TypeVar

from cxrloc.errors import CxrlocError
from cxrloc.text import did_you_mean

T = TypeVar("T")


def from_plain(cls: type[T], values: Mapping[str, Any], where: str) -> T:
    """A dataclass built from a table of plain values.

    Lists become tuples, and nested tables become dataclasses.

    Args:
        cls: the dataclass; its fields may be dataclasses too.
        values: values of its fields by name; fields with a default may be absent.
        where: file and section, for the error message.

    Raises:
        CxrlocError: a key is unknown or missing, or a value is refused; the message names it.

    >>> @dataclasses.dataclass(frozen=True)
    ... class Size:
    ...     rows: int
    ...     columns: int = 2
    >>> from_plain(Size, {"rows": 3}, "a.toml")
    Size(rows=3, columns=2)
    >>> from_plain(Size, {"row": 3}, "a.toml")
    Traceback (most recent call last):
    cxrloc.errors.CxrlocError: a.toml: unknown key 'row' (did you mean rows?); known are ...
    """
    hints = typing.get_type_hints(cls)
    fields = {field.name: field for field in dataclasses.fields(cls)}  # type: ignore[arg-type]
    for key in values:
        if key not in fields:
            known = ", ".join(fields)
            raise CxrlocError(f"{where}: unknown key {key!r}{_hint(key, hints)}; known are {known}")
    for name, field in fields.items():
        optional = (field.default, field.default_factory) != (dataclasses.MISSING,) * 2
        if name not in values and not optional:
            raise CxrlocError(f"{where}: the key {name!r} is missing")
    arguments = {
        key: _from_plain(hints[key], value, f"{where}: {key}") for key, value in values.items()
    }
    try:
        return cls(**arguments)
    except (CxrlocError, ValueError, TypeError) as error:
        raise CxrlocError(f"{where}: {error}") from error


def _hint(key: str, hints: Mapping[str, Any]) -> str:
    """A hint about an unknown key: the table that it belongs to, or a key with a similar name."""
    for table, hint in hints.items():
        if dataclasses.is_dataclass(hint) and key in typing.get_type_hints(hint):
            return f" (it belongs in the table {table!r})"
    return did_you_mean(key, hints, most=1)


def _from_plain(hint: Any, value: Any, where: str) -> Any:
    """The value of one field, converted and checked against its type annotation."""
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin in (types.UnionType, typing.Union):
        if value is None and type(None) in arguments:
            return None
        (hint,) = (argument for argument in arguments if argument is not type(None))
        return _from_plain(hint, value, where)
    if dataclasses.is_dataclass(hint) and isinstance(hint, type):
        if not isinstance(value, Mapping):
            raise CxrlocError(f"{where}: expected a table, got {value!r}")
        return from_plain(hint, value, where)
    if origin is tuple and isinstance(value, list | tuple):
        return tuple(_from_plain(arguments[0], item, where) for item in value)
    if origin in (dict, Mapping) and isinstance(value, Mapping) and arguments[1] is not Any:
        of = arguments[1]
        return {key: _from_plain(of, entry, f"{where}: {key}") for key, entry in value.items()}
    if hint is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    plain = origin or hint
    if isinstance(plain, type) and (
        not isinstance(value, plain) or (isinstance(value, bool) and plain is not bool)
    ):
        raise CxrlocError(f"{where}: expected {plain.__name__}, got {value!r}")
    return value
