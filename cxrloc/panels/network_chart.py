"""A network as a flow chart: every step with the shape of its output."""

from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

from matplotlib.figure import Figure

from cxrloc.models.weights import read_model
from cxrloc.panels.lettering import line_mm, shortened, wrapped
from cxrloc.panels.network_shapes import Flow, Stage, network_flow
from cxrloc.panels.plots import GREY, WIDTHS_MM, FigureRequest
from cxrloc.panels.results import only_result
from cxrloc.panels.sheet import Rectangle, Sheet, new_sheet, write, write_node

_STEP_GAP = 4.5  # mm between nodes: an arrow
_MOST_LAYERS = 4
_COLUMN_MM = 52.0


def draw_network(results: Sequence[Path], request: FigureRequest) -> Figure:
    """A flow chart from the image (or both views) to the probabilities and to the heatmaps.

    Source: Wang et al. 2017, figure 4; Rubin et al. 2018, figure 1 (DualNet: one column per view);
    Baltruschat et al. 2019, figure 2 (age, sex and view beside the image). The shapes are those of
    a pass of the loaded network: channels x rows x columns.

    Args:
        results: a model's weights file, or the name of an embedded model.
        request: width.
    """
    model = read_model(only_result(results, "network"))
    flow = network_flow(model)
    width = WIDTHS_MM[request.width]
    columns = len(flow.trunks)
    node = min(_COLUMN_MM, (width - 2 - (columns - 1) * 3) / columns)
    heights = [
        max(_node_mm(s, node) for s in row) for row in zip(*flow.trunks.values(), strict=True)
    ]
    head = [_node_mm(stage, node) for stage in flow.head]
    title = wrapped(f"{model.card.name}: {_backbone(model.config)}", width - 2)
    top = (len(title) + 0.6) * line_mm()
    total = top + sum(h + _STEP_GAP for h in heights + head) - _STEP_GAP + 1
    sheet = new_sheet(request, total if request.width == "double" else total + _side_mm(flow))
    write(sheet, (1, 0.5), "\n".join(title), va="top")
    _draw(sheet, flow, node, (top, heights, head))
    return sheet.figure


def _backbone(config: object) -> str:
    name = str(getattr(config, "backbone", ""))
    return f"backbone {name}"


def _side_mm(flow: Flow) -> float:
    """Height of the notes below a narrow chart, in mm."""
    return (2 if flow.beside else 1) * (3 * line_mm() + 5) + 5


def _lines(stage: Stage, node: float) -> list[str]:
    """The text of a step: its name, as many layers as there is room for, its shape."""
    layers = [line for layer in stage.layers for line in wrapped(layer, node - 4)]
    if len(layers) > _MOST_LAYERS:
        layers = [*layers[: _MOST_LAYERS - 1], f"and {len(layers) - _MOST_LAYERS + 1} more"]
    return [stage.name, *layers, " x ".join(map(str, stage.shape))]


def _node_mm(stage: Stage, node: float) -> float:
    return len(_lines(stage, node)) * line_mm() + 2.0


def _draw(
    sheet: Sheet, flow: Flow, node: float, rows: tuple[float, list[float], list[float]]
) -> None:
    top, heights, head = rows
    width = sheet.canvas.get_xlim()[1]
    columns = len(flow.trunks)
    wide = width > 120
    span = columns * node + (columns - 1) * 3
    # If there is room, the values beside the image and the heatmaps are at the right.
    left = 1.0 if wide and columns == 1 else (width - span) / 2
    if wide:
        left = max(1.0, (width - span - _COLUMN_MM - 12) / 2)
    ends = []
    for column, stages in enumerate(flow.trunks.values()):
        y, x = top, left + column * (node + 3)
        for stage, height in zip(stages, heights, strict=True):
            place = Rectangle(x, y, node, height)
            write_node(sheet, place, _lines(stage, node), "C0" if stage.layers else GREY)
            y += height + _STEP_GAP
            if stage is not stages[-1]:
                _arrow(sheet, (x + node / 2, y - _STEP_GAP), (x + node / 2, y))
        ends.append((x + node / 2, y - _STEP_GAP))
    centre = left + span / 2
    places = []
    for stage, height in zip(flow.head, head, strict=True):
        place = Rectangle(centre - node / 2, y, node, height)
        places.append(place)
        write_node(
            sheet, place, _lines(stage, node), "C1" if stage.layers != ("sigmoid",) else "C2"
        )
        y += height + _STEP_GAP
    for x, end in ends:
        _arrow(sheet, (x, end), (centre if columns == 1 else (x + centre) / 2, places[0].y))
    for above, below in pairwise(places):
        _arrow(sheet, (centre, above.y + above.height), (centre, below.y))
    _draw_side(sheet, flow, places, (left + span, ends[-1][1] - heights[-1] / 2))


def _draw_side(
    sheet: Sheet, flow: Flow, places: Sequence[Rectangle], features: tuple[float, float]
) -> None:
    """Draw a node for the heatmaps, and one for what the prediction reads beside the image."""
    width = sheet.canvas.get_xlim()[1]
    shape = " x ".join(map(str, flow.heatmap))
    maps = ["Heatmaps", "features x prediction weights", shape]
    if len(flow.trunks) == 2:
        maps = ["Heatmaps of each view", *maps[1:]]
    height = 3 * line_mm() + 2
    if width > 120:
        x = features[0] + 12
        node = min(_COLUMN_MM, width - x - 1)
        place = Rectangle(x, features[1] - height / 2, node, height)
        lines = [shortened(line, node - 2) for line in maps]
        write_node(sheet, place, lines, "C3")
        _arrow(sheet, features, (x, features[1]))
        prediction = places[1]
        middle = prediction.y + prediction.height / 2
        if flow.beside:
            values = Rectangle(x, middle - height / 2, node, height)
            words = ["Beside the image", ", ".join(flow.beside), str(len(flow.beside))]
            write_node(sheet, values, words, GREY)
            _arrow(sheet, (x, middle), (prediction.x + prediction.width, middle))
        return
    # Below the chart, in dashed frames; from the features a line leads around to the heatmaps.
    y = places[-1].y + places[-1].height + 5
    first = places[0]
    write_node(sheet, Rectangle(first.x, y, first.width, height), maps, "C3", dashed=True)
    edge = min(max(features[0], first.x + first.width) + 4, width - 1)
    middle = y + height / 2
    sheet.canvas.plot(
        [features[0], edge, edge], [features[1], features[1], middle], color=GREY, linewidth=0.9
    )
    _arrow(sheet, (edge, middle), (first.x + first.width, middle))
    if flow.beside:
        words = ["Beside the image", ", ".join(flow.beside), "read by the prediction"]
        place = Rectangle(first.x, y + height + 3, first.width, height)
        write_node(sheet, place, words, GREY, dashed=True)


def _arrow(sheet: Sheet, start: tuple[float, float], end: tuple[float, float]) -> None:
    sheet.canvas.annotate(
        "",
        xy=end,
        xytext=start,
        arrowprops={
            "arrowstyle": "-|>,head_length=0.35,head_width=0.18",
            "color": GREY,
            "linewidth": 0.9,
            "shrinkA": 0.5,
            "shrinkB": 0.5,
        },
    )
