"""Writes one HTML file that runs a model on radiographs which a reader drops on it."""

import gzip
import re
from base64 import b64encode
from dataclasses import asdict
from html import escape
from pathlib import Path
from typing import Any, NamedTuple

from cxrloc.exported.metadata import GraphFacts
from cxrloc.files.whole import write_text
from cxrloc.images.dicom_header import VIEW_CODES, VIEW_POSITIONS
from cxrloc.images.read import BLANK
from cxrloc.report_page.page import bundle, filled_page
from cxrloc.report_page.pictures import style_data
from cxrloc.types import CxrlocError, UsageError

THRESHOLDS = (60.0, 180.0)
"""Grey levels of the box rule."""

PARTS = {
    "script": "onnxruntime-web/dist/ort.wasm.bundle.min.mjs",
    "wasm": "onnxruntime-web/dist/ort-wasm-simd-threaded.wasm",
    "dicom": "dicom-parser/dist/dicomParser.min.js",
    "licence": "dicom-parser/LICENSE",
}
"""What the page takes from two npm packages: part -> file below `node_modules`."""

NOTICE = """onnxruntime-web is copyright (c) Microsoft Corporation, and dicom-parser is copyright
(c) Chris Hafey; both are under the MIT licence below. cxrloc is under the Apache License 2.0.

"""

_EXPORTS = re.compile(r"export\s*\{([^}]*)\}\s*;?")


class Runtime(NamedTuple):
    """The files of the npm packages that the page contains.

    Attributes:
        script: onnxruntime-web as an ES module that brings its own loader.
        wasm: its WebAssembly.
        dicom: dicom-parser.
        licence: the text of the MIT licence, under which both are.
    """

    script: str
    wasm: bytes
    dicom: str
    licence: str


def read_runtime(folder: Path) -> Runtime:
    """The files of the npm packages below a folder, which is a `node_modules` or holds one.

    Raises:
        UsageError: a file is missing; the message says how to get it.
    """
    place = folder / "node_modules" if (folder / "node_modules").is_dir() else folder
    missing = [name for name in PARTS.values() if not (place / name).is_file()]
    if missing:
        raise UsageError(
            f"--runtime {folder}: no {missing[0]}; get it with "
            f"`npm install --prefix {folder} onnxruntime-web dicom-parser`"
        )
    script, wasm, dicom, licence = (place / PARTS[name] for name in Runtime._fields)
    return Runtime(script.read_text(), wasm.read_bytes(), dicom.read_text(), licence.read_text())


def check_input(facts: GraphFacts) -> None:
    """Refuse preprocessing that the page cannot do.

    Raises:
        CxrlocError: the input is cropped by a template, resampled by nearest neighbours, or made of
            stored values.
    """
    own = facts.preprocessing
    for name, value, known in (
        ("fit", own.fit, ("squash", "letterbox", "crop")),
        ("interpolation", own.interpolation, ("smooth",)),
        ("grey", own.grey, ("shown",)),
    ):
        if value not in known:
            raise CxrlocError(
                f"{facts.card.name}: its preprocessing has {name} {value!r}, which the page cannot "
                f"do; it can do {', '.join(known)}"
            )


def write_demo(facts: GraphFacts, graph: bytes, runtime: Runtime, path: Path) -> None:
    """Write a page that needs no other file and may not connect to anything.

    `check_input` tells whether the page can do the model's preprocessing. Graph and WebAssembly are
    compressed by gzip, which browsers unpack.
    """
    page = filled_page(
        "demo.html",
        f"{facts.card.name} in the browser",
        _data(facts),
        ("page.css", "demo.css"),
        _script(runtime),
        licences=escape(NOTICE + runtime.licence),
        wasm=_packed(runtime.wasm),
        model=_packed(graph),
    )
    write_text(path, page)


def _data(facts: GraphFacts) -> dict[str, Any]:
    card = facts.card
    return {
        "name": card.name,
        "trained_on": card.trained_on,
        "limits": card.limits,
        "views": card.views,
        "view_codes": {**VIEW_POSITIONS, **VIEW_CODES},
        "blank": BLANK,
        "findings": card.findings,
        "operating_points": dict(card.operating_points),
        "preprocessing": asdict(facts.preprocessing),
        "cell_shift_pixels": facts.cell_shift_pixels,
        "thresholds": THRESHOLDS,
        "style": style_data(),
    }


def _script(runtime: Runtime) -> str:
    """One module: the two libraries as the constants `ort` and `dicomParser`, then the page."""
    exports = _EXPORTS.search(runtime.script)
    if exports is None:
        raise CxrlocError(f"{PARTS['script']}: not a file of onnxruntime-web as this page needs it")
    names = (pair.split(" as ") for pair in exports.group(1).split(","))
    returned = ", ".join(f"{names[-1].strip()}: {names[0].strip()}" for names in names)
    library = _EXPORTS.sub("", runtime.script)
    library = f"const ort = (() => {{\n{library}\nreturn {{ {returned} }};\n}})();\n"
    dicom = f"(function () {{\n{runtime.dicom}\n}}).call(globalThis);\n"
    whole = f"{library}{dicom}const dicomParser = globalThis.dicomParser;\n{bundle('demo')}"
    # An end tag inside a text of the libraries would end the element.
    return whole.replace("</script", "<\\/script")


def _packed(content: bytes) -> str:
    return b64encode(gzip.compress(content, mtime=0)).decode()
