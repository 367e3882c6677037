"""Writes one HTML file from the template, the style, the scripts and the data of a run."""

import json
import re
from base64 import b64encode
from collections.abc import Mapping, Sequence
from hashlib import sha256
from html import escape
from importlib.resources import files
from pathlib import Path
from string import Template
from typing import Any

from cxrloc.files.whole import write_text

_FOLDER = files("cxrloc.report_page")
_IMPORT = re.compile(r'^import (\{[^}]*\}) from "\./(\w+)\.js";$', flags=re.MULTILINE)
_EXPORT = re.compile(r"^export (function|const) (\w+)", flags=re.MULTILINE)


def write_page(title: str, data: Mapping[str, Any], path: Path) -> None:
    """Write the page of a run, which needs no other file and cannot reach the network."""
    write_text(path, filled_page("page.html", title, data, ("page.css",), bundle("main")))


def filled_page(
    template: str,
    title: str,
    data: Mapping[str, Any],
    styles: Sequence[str],
    script: str,
    **parts: str,
) -> str:
    """A page of a template of this folder, which may connect to nothing.

    The content security policy allows this style and this script, by their hashes, and pictures
    inside the file; the data are JSON in which `<` is escaped, so no text of them can end the
    script element or become HTML.

    Args:
        template: name of the template.
        title: title of the page, not escaped.
        data: what the script reads.
        styles: names of the style sheets.
        script: the script.
        parts: further parts of the template, which are HTML. With a part `wasm`, the policy also
            allows WebAssembly.
    """
    style = "".join((_FOLDER / name).read_text() for name in styles)
    policy = (
        "default-src 'none'; base-uri 'none'; form-action 'none'; img-src data:; "
        f"style-src '{_source_hash(style)}'; script-src '{_source_hash(script)}'"
    )
    policy += " 'wasm-unsafe-eval'" if "wasm" in parts else ""
    return Template((_FOLDER / template).read_text()).substitute(
        title=escape(title),
        policy=escape(policy),
        style=style,
        script=script,
        data=_as_json(data),
        **parts,
    )


def bundle(entry: str) -> str:
    """One script made of a script and all its imports, each once and before its first use.

    Every file is an ES module that imports by `import { name } from "./file.js";` and exports
    functions and constants where they are declared. Here each becomes a function that is called
    at once and returns its exports, so that equal names in two files do not collide.
    """
    parts: dict[str, str] = {}

    def add(name: str) -> None:
        source = (_FOLDER / "scripts" / f"{name}.js").read_text()
        for _, imported in _IMPORT.findall(source):
            if imported not in parts:
                add(imported)
        exports = ", ".join(declared for _, declared in _EXPORT.findall(source))
        body = _EXPORT.sub(r"\1 \2", _IMPORT.sub(r"const \1 = \2;", source))
        parts[name] = f"const {name} = (() => {{\n{body}return {{ {exports} }};\n}})();\n"

    add(entry)
    return "\n".join(parts.values())


def _as_json(data: Mapping[str, Any]) -> str:
    """Data for a script element, paths as text; no text in it can end the element."""
    text = json.dumps(data, separators=(",", ":"), allow_nan=False, default=str)
    return text.replace("<", "\\u003c")


def _source_hash(text: str) -> str:
    """The hash by which a content security policy allows a style or a script."""
    return f"sha256-{b64encode(sha256(text.encode()).digest()).decode()}"
