"""Writes one HTML file that runs a model on radiographs which a reader drops on it."""

import gzip
import re
from base64 import b64encode
from dataclasses import asdict
from html import escape
from pathlib import Path
from typing import Any

from cxrloc.errors import CxrlocError
from cxrloc.exported.metadata import GraphFacts
from cxrloc.files.whole import write_text
from cxrloc.images.dicom_header import VIEW_CODES, VIEW_POSITIONS
from cxrloc.images.read import BLANK
from cxrloc.report_page.npm_packages import Runtime
from cxrloc.report_page.page import bundle, filled_page
from cxrloc.report_page.pictures import style_data

THRESHOLDS = (60.0, 180.0)
"""Grey levels of the box rule."""

_EXPORTS = re.compile(r"export\s*\{([^}]*)\}\s*;?")


def check_input(facts: GraphFacts) -> None:
    """Refuse preprocessing that the page cannot do.

    Raises:
        CxrlocError: the input is cropped by a template, resampled by nearest neighbours, or made of
            stored values.
    """
    preprocessing = facts.preprocessing
    for name, value, known in (
        ("fit", preprocessing.fit, ("squash", "letterbox", "crop")),
        ("interpolation", preprocessing.interpolation, ("smooth",)),
        ("grey", preprocessing.grey, ("shown",)),
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
        licences=escape((Path(__file__).parent / "demo_licences.txt").read_text()),
        model=_packed(graph),
        **{name: _packed(content) for name, content in runtime.binaries.items()},
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
    """One module: each library as a constant, then the script of the page."""
    libraries = (_constant(name, script) for name, script in runtime.scripts.items())
    # An end tag inside a text of the libraries would end the element.
    return "".join((*libraries, bundle("demo"))).replace("</script", "<\\/script")


def _constant(name: str, library: str) -> str:
    """Declares a constant with what a library exports.

    An ES module has a list of exports; any other script sets a property of `this`, or a variable.

    >>> print(_constant("one", "const a = 1; export { a as b };"), end="")
    const one = (function () {
    const a = 1;
    return { b: a };
    }).call({});
    """
    returned = f"this.{name} ?? {name}"
    if exports := _EXPORTS.search(library):
        pairs = (pair.split(" as ") for pair in exports.group(1).split(","))
        named = ", ".join(f"{pair[-1].strip()}: {pair[0].strip()}" for pair in pairs)
        returned = f"{{ {named} }}"
        library = _EXPORTS.sub("", library).rstrip()
    return f"const {name} = (function () {{\n{library}\nreturn {returned};\n}}).call({{}});\n"


def _packed(content: bytes) -> str:
    return b64encode(gzip.compress(content, mtime=0)).decode()
