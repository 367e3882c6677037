"""Checks that a figure can be printed without changes."""

import io

import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.text import Text
from PIL import Image

SMALLEST = 6.0  # points


def texts(artist: Artist) -> list[Text]:
    """All text that is drawn: not that of hidden axes, nor of ticks beyond the limits."""
    if not artist.get_visible():
        return []
    if isinstance(artist, Text):
        return [artist] if artist.get_text().strip() else []
    children = artist.get_children()
    if isinstance(artist, Axes) and not artist.axison:
        children = [child for child in children if not isinstance(child, Axis)]
    if isinstance(artist, Axis):
        low, high = sorted(artist.get_view_interval())
        ticks = [*artist.get_major_ticks(), *artist.get_minor_ticks()]
        beyond = [tick for tick in ticks if not low - 1e-9 <= tick.get_loc() <= high + 1e-9]
        children = [child for child in children if child not in beyond]
    return [text for child in children for text in texts(child)]


def words(figure: Figure) -> str:
    return "\n".join(text.get_text() for text in texts(figure))


def check_print(figure: Figure, width_mm: float) -> None:
    """Exact width, on a page, no text below 6 points, cut off or on top of other text, some ink."""
    assert abs(figure.get_figwidth() * 25.4 - width_mm) < 0.01
    assert figure.get_figheight() * 25.4 <= 247.5
    FigureCanvasAgg(figure).draw()
    renderer = figure.canvas.get_renderer()
    boxes = []
    for text in texts(figure):
        assert text.get_fontsize() >= SMALLEST, text
        box = text.get_window_extent(renderer)
        if not box.width:  # a tick beyond the axes
            continue
        inside = (
            box.x0 >= -1
            and box.y0 >= -1
            and box.x1 <= figure.bbox.x1 + 1
            and box.y1 <= figure.bbox.y1 + 1
        )
        assert inside, f"{text.get_text()!r} is cut off at {box}"
        boxes.append((text.get_text(), box))
    for index, (word, box) in enumerate(boxes):
        for other, its in boxes[index + 1 :]:
            wide = min(box.x1, its.x1) - max(box.x0, its.x0)
            high = min(box.y1, its.y1) - max(box.y0, its.y0)
            assert min(wide, high) <= 1.0, f"{word!r} lies on {other!r}"


def ink(figure: Figure) -> float:
    """Share of the picture's pixels that stand out from the background; pale tints do not."""
    stream = io.BytesIO()
    figure.savefig(stream, format="png", dpi=50)
    pixels = np.asarray(Image.open(stream).convert("RGB")).astype(int)
    return float((np.abs(pixels - pixels[0, 0]).max(-1) > 100).mean())
