"""Reads the npm packages of which the page of `cxrloc page` contains parts.

No heavy library is imported here, so that missing packages are named at once.
"""

from pathlib import Path
from typing import NamedTuple

from cxrloc.errors import UsageError

PACKAGES = (
    "onnxruntime-web",
    "dicom-parser",
    "jpeg-lossless-decoder-js",
    "@cornerstonejs/codec-charls",
    "@cornerstonejs/codec-openjpeg",
)
"""The npm packages of which the page contains parts; `demo_licences.txt` has their licences."""

SCRIPTS = {
    "ort": "onnxruntime-web/dist/ort.wasm.bundle.min.mjs",
    "dicomParser": "dicom-parser/dist/dicomParser.min.js",
    "losslessJpeg": "jpeg-lossless-decoder-js/release/lossless-min.js",
    "CharLSWASM": "@cornerstonejs/codec-charls/dist/charlswasm_decode.js",
    "OpenJPEGWASM": "@cornerstonejs/codec-openjpeg/dist/openjpegwasm_decode.js",
}
"""The name of each library in the script of the page -> its file below `node_modules`."""

BINARIES = {
    "wasm": "onnxruntime-web/dist/ort-wasm-simd-threaded.wasm",
    "charls": "@cornerstonejs/codec-charls/dist/charlswasm_decode.wasm",
    "openjpeg": "@cornerstonejs/codec-openjpeg/dist/openjpegwasm_decode.wasm",
}
"""The part of the page that holds each WebAssembly -> its file below `node_modules`."""


class Runtime(NamedTuple):
    """The files of the npm packages that the page contains.

    Attributes:
        scripts: text of each library of `SCRIPTS`.
        binaries: content of each file of `BINARIES`.
    """

    scripts: dict[str, str]
    binaries: dict[str, bytes]


def read_runtime(folder: Path) -> Runtime:
    """The files of the npm packages below a folder, which is a `node_modules` or holds one.

    Raises:
        UsageError: a file is missing; the message says how to get it.
    """
    place = folder / "node_modules" if (folder / "node_modules").is_dir() else folder
    files = (*SCRIPTS.values(), *BINARIES.values())
    if missing := [name for name in files if not (place / name).is_file()]:
        raise UsageError(
            f"--runtime {folder}: no {missing[0]}; get it with "
            f"`npm install --prefix {folder} {' '.join(PACKAGES)}`"
        )
    return Runtime(
        {name: (place / file).read_text() for name, file in SCRIPTS.items()},
        {name: (place / file).read_bytes() for name, file in BINARIES.items()},
    )
