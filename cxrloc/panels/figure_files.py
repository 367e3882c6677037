"""Figures as files: PDF with its fonts inside, SVG that names them, and PNG."""

from collections.abc import Sequence
from pathlib import Path

from matplotlib.figure import Figure

from cxrloc.errors import UsageError
from cxrloc.files.whole import whole_file
from cxrloc.panels.lettering import INCH_MM
from cxrloc.panels.plots import FONT, PAGE_MM

FORMATS = {
    # No date is written, so that equal numbers give equal files.
    ".pdf": {"CreationDate": None},
    ".svg": {"Date": None},
    ".png": {},
}
"""Formats that can be written, with the metadata that replace those of matplotlib."""


_FAMILIES = f"{FONT}, Arial, Helvetica"


def figure_paths(out: Path) -> list[Path]:
    """The files to write for an output path: the path, or one per format if it has no suffix.

    Raises:
        UsageError: the suffix is none of `FORMATS`.

    >>> [path.name for path in figure_paths(Path("roc"))]
    ['roc.pdf', 'roc.svg', 'roc.png']
    """
    if not out.suffix:
        return [out.with_name(out.name + suffix) for suffix in FORMATS]
    if out.suffix.lower() not in FORMATS:
        raise UsageError(f"--out {out}: end it with {', '.join(FORMATS)}, or nothing for all three")
    return [out]


def write_figure(figure: Figure, paths: Sequence[Path]) -> None:
    """Write a figure in the format of each path's suffix, at exactly the figure's size.

    An existing file is replaced only when the new one is complete. Call this function inside the
    `figure_style` in which the figure was drawn.

    Raises:
        CxrlocError: a file cannot be written, or no installed font has a character (see
            `figure_style`).
    """
    for path in paths:
        with whole_file(path) as part:
            figure.savefig(part, metadata=FORMATS[path.suffix.lower()])
            if path.suffix.lower() == ".svg":
                # Name fonts of equal widths too, for machines without this one.
                text = part.read_text(encoding="utf-8")
                part.write_text(text.replace(f"'{FONT}'", _FAMILIES), encoding="utf-8", newline="")


def check_height(figure: Figure) -> None:
    """Refuse a figure for print that is higher than a page.

    Raises:
        UsageError: it is.
    """
    height = figure.get_figheight() * INCH_MM
    if height > PAGE_MM + 0.5:
        raise UsageError(
            f"the figure is {height:.0f} mm high, and a page {PAGE_MM:.0f} mm: choose less of it "
            "with --finding or --image, or take --width double"
        )
