from pathlib import Path

import pytest

from cxrloc.errors import CxrlocError
from cxrloc.files.structured import (
    parse_json,
    parse_toml,
    parse_xml,
    read_json,
    read_toml,
    read_xml,
)


@pytest.mark.parametrize(
    "content",
    [
        "[" * 100_000,
        '{"a":' * 100_000,
        "[1e999]",
        "[Infinity]",
        "[NaN]",
        "[" + "9" * 5000 + "]",
        "[" + "9" * 25 + "]",
        '{"a": 1, "a": 2}',
        "",
        "{",
    ],
)
def test_json_that_is_deep_endless_or_not_finite_is_one_line(content: str) -> None:
    with pytest.raises(CxrlocError, match=r"x\.json cannot be read as JSON") as error:
        parse_json(content, "x.json")
    assert len(str(error.value)) < 300


def test_json_and_toml_take_a_byte_order_mark(tmp_path: Path) -> None:
    path = tmp_path / "x"
    for encoding in ("utf-8", "utf-8-sig", "utf-16"):
        path.write_bytes('{"a": "\xe9"}'.encode(encoding))
        assert read_json(path) == {"a": "\xe9"}
        path.write_bytes('a = "\xe9"\r\n'.encode(encoding))
        assert read_toml(path) == {"a": "\xe9"}


@pytest.mark.parametrize(
    "content",
    [
        "a = " + "[" * 5000 + "]" * 5000,
        "a = " + "9" * 5000,
        "a = inf",
        "a = nan",
        "a = [",
        "a = 1e999",
    ],
)
def test_toml_that_is_deep_endless_or_not_finite_is_one_line(content: str) -> None:
    with pytest.raises(CxrlocError, match=r"x\.toml: not TOML"):
        parse_toml(content, "x.toml")


@pytest.mark.parametrize(
    "content",
    [
        "<a>" * 100_000,
        '<!DOCTYPE a [<!ENTITY b "c">]><a>&b;</a>',
        "<a>",
        "",
        "<a/><b/>",
        b"\xff\xfe<\x00",
    ],
)
def test_xml_that_is_deep_or_defines_entities_is_one_line(content: str | bytes) -> None:
    with pytest.raises(CxrlocError, match=r"x\.xml"):
        parse_xml(content, "x.xml")


def test_xml_is_read_in_the_encodings_that_tools_write(tmp_path: Path) -> None:
    path = tmp_path / "x.xml"
    for encoding, name in (
        ("utf-8-sig", "utf-8"),
        ("utf-16", "utf-16"),
        ("cp1252", "windows-1252"),
    ):
        path.write_bytes(f'<?xml version="1.0" encoding="{name}"?>\n<a>\xe9</a>'.encode(encoding))
        assert read_xml(path).text == "\xe9"
