"""Radiographs with heatmaps and boxes as PNG pictures.

Boxes are drawn by Pillow, because `heatmap` may write thousands of pictures and each takes
milliseconds. In figures for print, `radiographs.py` draws them by matplotlib, so that boxes are
lines of the PDF or SVG and not pixels. The grey levels and the heatmap come from `shade` in both.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from functools import cache
from importlib.util import find_spec
from itertools import pairwise
from pathlib import Path

import cv2
import numpy as np
from jaxtyping import Float, Float32, UInt8
from PIL import Image, ImageDraw, ImageFont

from cxrloc.images.geometry import compose, resample, resize_affine
from cxrloc.types import Affine, Box, Heatmaps

BACKGROUND, TEXT = (16, 16, 18), (235, 235, 235)
MARGIN, LINE_HEIGHT = 8, 20  # pixels
COLOUR_MAP = "inferno"  # perceptually uniform, readable with any colour vision
OPACITY = 0.6

_MOST_CELLS = 2000  # added around a grid; a map that needs more covers almost nothing


class Role(Enum):
    """How a kind of box is drawn: by colour and by line style, so that colour is not the only sign.

    Colours are Okabe and Ito's; the number pairs are the lengths of dash and gap in pixels.
    """

    DETECTION = ("box", (255, 255, 255), None)
    DOUBTFUL = ("box below the operating point", (255, 255, 255), (7, 5))
    EXPERT = ("expert", (86, 180, 233), None)
    CORRECT = ("correct", (0, 200, 120), (9, 5))
    FALSE_POSITIVE = ("false positive", (255, 90, 60), (2, 4))

    def __init__(
        self, words: str, colour: tuple[int, int, int], dash: tuple[int, int] | None
    ) -> None:
        self.words, self.colour, self.dash = words, colour, dash


@dataclass(frozen=True, slots=True)
class Mark:
    """A box to draw, in original pixels; a thin one is drawn behind the others."""

    box: Box
    role: Role
    thin: bool = False


def draw_panel(
    pixels: Float[np.ndarray, "row col"],
    width: int,
    title: str,
    heatmaps: Heatmaps | None = None,
    finding: str = "",
    marks: Sequence[Mark] = (),
) -> Image.Image:
    """One radiograph under its title, with the heatmap of one finding and boxes.

    The radiograph is averaged where it shrinks and never interpolated where it grows. The heatmap
    is the bilinear surface from which boxes are cut, scaled to its own minimum and maximum; its
    opacity grows with it. A flat map is not drawn.

    Args:
        pixels: grey levels in [0, 1].
        width: of the panel, in pixels; the height follows the radiograph.
        title: one line.
        heatmaps: of the radiograph; None for the radiograph alone.
        finding: whose map is drawn, one of those of the heatmaps.
        marks: boxes in original pixels.
    """
    rows, columns = pixels.shape
    height = max(1, round(rows * width / columns))
    picture = shade(pixels, height, width, heatmaps, finding)
    panel = Image.new("RGB", (width, height + LINE_HEIGHT), BACKGROUND)
    panel.paste(Image.fromarray(picture), (0, LINE_HEIGHT))
    draw = ImageDraw.Draw(panel)
    draw.text((2, 2), _shortened(title, width - 4), fill=TEXT, font=_font())
    scale = width / columns, height / rows
    # Thin boxes are drawn first and the expert's box last, so that it covers the others.
    for mark in sorted(marks, key=lambda mark: (not mark.thin, mark.role is Role.EXPERT)):
        corners = [
            (mark.box.x_min * scale[0], mark.box.y_min * scale[1] + LINE_HEIGHT),
            (mark.box.x_max * scale[0] - 1, mark.box.y_max * scale[1] - 1 + LINE_HEIGHT),
        ]
        _draw_rectangle(draw, corners, mark.role, mark.thin)
    return panel


def shade(
    pixels: Float[np.ndarray, "row col"],
    height: int,
    width: int,
    heatmaps: Heatmaps | None = None,
    finding: str = "",
) -> UInt8[np.ndarray, "height width 3"]:
    """The radiograph and heatmap of a panel at a given size, without title and boxes."""
    picture = _grey(pixels, height, width)
    return picture if heatmaps is None else _blend(picture, heatmaps, finding)


def compose_panels(
    panels: Sequence[Image.Image],
    per_row: int,
    captions: Sequence[str],
    roles: Sequence[Role],
    maps: bool = True,
) -> Image.Image:
    """Panels in rows, above a colour bar, a key to the boxes and the captions.

    Args:
        panels: of equal width; a row is as high as its highest panel.
        per_row: panels in a row.
        captions: lines of small print: model, limits, warnings.
        roles: the box styles to explain, in order.
        maps: whether the panels show heatmaps, which need the colour bar.
    """
    lines = [panels[start : start + per_row] for start in range(0, len(panels), per_row)]
    width = max(sum(panel.width + MARGIN for panel in line) for line in lines) + MARGIN
    heights = [max(panel.height for panel in line) for line in lines]
    text = [line for caption in captions for line in _wrapped(caption, width - 2 * MARGIN)]
    footer = LINE_HEIGHT * (1 + len(text)) + 2 * MARGIN
    picture = Image.new("RGB", (width, sum(heights) + MARGIN * len(lines) + footer), BACKGROUND)
    y = MARGIN
    for line, height in zip(lines, heights, strict=True):
        for column, panel in enumerate(line):
            picture.paste(panel, (MARGIN + column * (panel.width + MARGIN), y))
        y += height + MARGIN
    draw = ImageDraw.Draw(picture)
    _draw_key(picture, draw, y, roles, maps)
    for number, caption in enumerate(text):
        y_text = y + LINE_HEIGHT * (number + 1) + 2
        draw.text((MARGIN, y_text), caption, fill=TEXT, font=_font())
    return picture


def write_png(picture: Image.Image, path: Path) -> None:
    """Write a picture with the fastest compression, since there may be thousands of them."""
    picture.save(path, format="PNG", compress_level=1)


def _grey(
    pixels: Float[np.ndarray, "row col"], height: int, width: int
) -> UInt8[np.ndarray, "height width 3"]:
    rows, columns = pixels.shape
    if height < rows:
        pixels = resample(pixels, resize_affine(rows, columns, height, width), height, width)
    else:  # nearest pixel, so that no grey level appears that the radiograph does not have
        y = np.arange(height) * rows // height
        x = np.arange(width) * columns // width
        pixels = pixels[y[:, None], x]
    grey = (pixels * 255 + 0.5).clip(0, 255).astype(np.uint8)
    return np.repeat(grey[:, :, None], 3, axis=2)


def _blend(
    picture: UInt8[np.ndarray, "height width 3"], heatmaps: Heatmaps, finding: str
) -> UInt8[np.ndarray, "height width 3"]:
    scores = heatmaps.scores[heatmaps.findings.index(finding)]
    low, high = float(scores.min()), float(scores.max())
    if not low < high:  # true also if a value is NaN
        return picture
    height, width = picture.shape[:2]
    share = ((scores - low) / (high - low)).astype(np.float32)
    to_panel = compose(
        heatmaps.to_image,
        resize_affine(heatmaps.image_rows, heatmaps.image_columns, height, width),
    )
    surface = _surface(share, to_panel, height, width)[:, :, None]
    colours = _colours()[(surface[:, :, 0] * 255).astype(np.uint8)]
    alpha = OPACITY * surface
    return (picture * (1 - alpha) + colours * alpha + 0.5).astype(np.uint8)


def _surface(
    share: Float32[np.ndarray, "row col"], to_panel: Affine, height: int, width: int
) -> Float32[np.ndarray, "height width"]:
    """The bilinear surface of a map; beyond the outermost centres of cells it is constant.

    Boxes go on to the border of the image in the same way (`regions.to_border`).
    """
    rows, columns = share.shape
    above, below = _cells_around(rows, height, to_panel.yy, to_panel.y0)
    left, right = _cells_around(columns, width, to_panel.xx, to_panel.x0)
    padded = np.pad(share, ((above, below), (left, right)), mode="edge")
    from_padded = compose(Affine(x0=-float(left), y0=-float(above)), to_panel)
    return resample(padded, from_padded, height, width).clip(0, 1)


def _cells_around(cells: int, pixels: int, scale: float, shift: float) -> tuple[int, int]:
    """How many more cells a grid needs, before and after, to cover a panel along one axis."""
    low, high = sorted([-shift / scale, (pixels - shift) / scale])  # the panel in cells
    before, after = math.ceil(max(0.0, -low)), math.ceil(max(0.0, high - cells))
    return min(before, _MOST_CELLS) + 1, min(after, _MOST_CELLS) + 1


def _draw_rectangle(
    draw: ImageDraw.ImageDraw, corners: list[tuple[float, float]], role: Role, thin: bool = False
) -> None:
    """A rectangle over a dark halo, so that it is visible on bone and on air."""
    (left, top), (right, bottom) = corners
    ring = [(left, top), (right, top), (right, bottom), (left, bottom), (left, top)]
    line = 1 if thin else 2
    draw.line(ring, fill=(0, 0, 0), width=2 * line)
    if role.dash is None:
        draw.line(ring, fill=role.colour, width=line)
        return
    dash, gap = role.dash
    for (x0, y0), (x1, y1) in pairwise(ring):
        length = abs(x1 - x0) + abs(y1 - y0)  # sides run along the axes
        for start in np.arange(0, length, dash + gap):
            ends = [start / length, min(start + dash, length) / length]
            segment = [(x0 + end * (x1 - x0), y0 + end * (y1 - y0)) for end in ends]
            draw.line(segment, fill=role.colour, width=line)


def _draw_key(
    picture: Image.Image, draw: ImageDraw.ImageDraw, y: int, roles: Sequence[Role], maps: bool
) -> None:
    """The colour bar of the heatmap, then one swatch per box style."""
    x: float = MARGIN
    if maps:
        bar = np.repeat(_colours()[None], 12, axis=0)
        x += draw.textlength("min ", font=_font())
        draw.text((MARGIN, y + 2), "min", fill=TEXT, font=_font())
        picture.paste(Image.fromarray(bar).resize((120, 12)), (int(x), y + 4))
        x += 124
        draw.text((x, y + 2), "max of each map", fill=TEXT, font=_font())
        x += draw.textlength("max of each map", font=_font()) + 3 * MARGIN
    for role in roles:
        _draw_rectangle(draw, [(x, y + 3), (x + 26, y + 16)], role)
        draw.text((x + 32, y + 2), role.words, fill=TEXT, font=_font())
        x += 32 + draw.textlength(role.words, font=_font()) + 3 * MARGIN


def _wrapped(text: str, width: int) -> list[str]:
    """Lines of at most `width` pixels, broken between words."""
    lines = [""]
    for word in text.split():
        longer = f"{lines[-1]} {word}".strip()
        if _font().getlength(longer) <= width or not lines[-1]:
            lines[-1] = longer
        else:
            lines.append(word)
    return lines


def _shortened(text: str, width: int) -> str:
    """The text, cut with an ellipsis where it is wider than `width` pixels."""
    if _font().getlength(text) <= width:
        return text
    while text and _font().getlength(text + "…") > width:
        text = text[:-1]
    return text + "…"


@cache
def _colours() -> UInt8[np.ndarray, "256 3"]:
    # OpenCV's copy of matplotlib's colour map differs by at most one level of 255. It is used
    # because importing matplotlib takes as long as making a picture.
    levels = cv2.applyColorMap(np.arange(256, dtype=np.uint8)[:, None], cv2.COLORMAP_INFERNO)
    return np.ascontiguousarray(levels[:, 0, ::-1])


@cache
def _font() -> ImageFont.FreeTypeFont:
    # DejaVu Sans is made for letters of few pixels.
    package = find_spec("matplotlib")  # its folder, without importing it
    assert package is not None
    assert package.origin is not None
    fonts = Path(package.origin).parent / "mpl-data/fonts/ttf"
    return ImageFont.truetype(fonts / "DejaVuSans.ttf", 13)
