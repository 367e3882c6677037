"""The tree of findings with one image's probabilities, also those conditional on the parent."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from matplotlib.figure import Figure

from cxrloc.errors import UsageError
from cxrloc.evaluation.classification.prediction_files import read_predictions
from cxrloc.files.structured import expecting, read_json
from cxrloc.findings import CHEXPERT_PARENTS
from cxrloc.panels.lettering import line_mm, shortened, wrapped
from cxrloc.panels.plots import GREY, WIDTHS_MM, FigureRequest
from cxrloc.panels.results import chosen_findings, only_result
from cxrloc.panels.sheet import Rectangle, Sheet, new_sheet, write, write_node

_ROW_GAP, _COLUMN_GAP = 1.6, 9.0  # mm; the latter holds an edge and its number
_PRESENT = 0.5
_WIDEST = 56.0  # mm
_LONE_COLUMNS = 3


class _Node(NamedTuple):
    """Where a finding stands: its generation below the root, and its line, counted from above."""

    finding: str
    generation: int
    line: float


def draw_label_tree(results: Sequence[Path], request: FigureRequest) -> Figure:
    """The tree of CheXpert's observations with one image's probabilities.

    Source: Pham et al. 2019, figures 1 to 3 and Eq. 3. A node shows p(finding). If the run
    multiplied probabilities along the tree (`classify --products`), an edge shows
    p(child | parent), the quotient of its two nodes. The outline of a node is solid
    where p is 0.5 or more, else dashed.

    Args:
        results: the output folder of `classify`, or its `probabilities.csv`.
        request: width, findings; the image (else the first of the file).
    """
    result = only_result(results, "label-tree")
    path = result / "probabilities.csv" if result.is_dir() else result
    predictions = read_predictions(path)
    if len(request.images) > 1:
        raise UsageError("label-tree draws one image at a time")
    image_id = (*request.images, predictions.image_ids[0])[0]
    if image_id not in predictions.image_ids:
        raise UsageError(f"--image {image_id}: {path} has no such row")
    row = predictions.probabilities[predictions.image_ids.index(image_id)]
    findings = chosen_findings(predictions.findings, request.findings)
    if not any(_ancestor(finding, dict.fromkeys(findings)) for finding in findings):
        raise UsageError(
            f"label-tree: no finding of {path} is another's parent in CheXpert's tree, so "
            "there is no tree to draw"
        )
    p = dict(zip(predictions.findings, row.tolist(), strict=True))
    nodes = _placed(findings)
    width = WIDTHS_MM[request.width]
    generations = max(node.generation for node in nodes) + 1
    box = min(_WIDEST, (width - 2 - _COLUMN_GAP * (generations - 1)) / generations)
    names = {f: wrapped(f.replace("_", " "), 0.84 * box) for f in findings}
    most = max(len(lines) for lines in names.values())
    pitch = (most + 1) * line_mm() + 1.6 + _ROW_GAP
    head = 2 * line_mm()
    sheet = new_sheet(request, head + pitch * (max(node.line for node in nodes) + 1))
    place_of = {
        node.finding: Rectangle(
            1 + node.generation * (box + _COLUMN_GAP),
            head + node.line * pitch,
            box,
            pitch - _ROW_GAP,
        )
        for node in nodes
    }
    products = _multiplied(result)
    legend = "p(finding)" + (", on edges p(finding | parent)" if products else "")
    legend += f"; solid: from {_PRESENT:g}"
    write(sheet, (1, 0.5), shortened(f"{image_id}: {legend}", width - 2), va="top")
    for finding, place in place_of.items():
        lines = [*names[finding], f"{p[finding]:.2f}"]
        colour = "C1" if p[finding] >= _PRESENT else GREY
        write_node(sheet, place, lines, colour, len(lines) - 1, dashed=p[finding] < _PRESENT)
        parent = _ancestor(finding, place_of)
        if parent is not None:
            conditional = p[finding] / p[parent] if products and p[parent] > 0 else None
            _draw_edge(sheet, place_of[parent], place, conditional)
    return sheet.figure


def _multiplied(result: Path) -> bool:
    """Whether the run says that its probabilities are products along the tree."""
    card = (result if result.is_dir() else result.parent) / "run.json"
    if not card.is_file():
        return False
    with expecting(card, "a run card"):
        return bool(read_json(card).get("products_along_tree", False))


def _ancestor(finding: str, known: Mapping[str, object]) -> str | None:
    """The nearest ancestor that is drawn."""
    parent = CHEXPERT_PARENTS.get(finding)
    while parent is not None and parent not in known:
        parent = CHEXPERT_PARENTS.get(parent)
    return parent


def _placed(findings: Sequence[str]) -> list[_Node]:
    """Where findings stand: each leaf on its own line, a parent halfway between its children.

    Findings without parent and children stand below the trees, in as many columns as the trees.
    """
    known = dict.fromkeys(findings)
    children: dict[str | None, list[str]] = {}
    for finding in findings:
        children.setdefault(_ancestor(finding, known), []).append(finding)
    nodes: list[_Node] = []
    leaves = 0

    def place_subtree(finding: str, generation: int) -> float:
        nonlocal leaves
        below = children.get(finding, [])
        if below:
            lines = [place_subtree(child, generation + 1) for child in below]
            line = (lines[0] + lines[-1]) / 2
        else:
            line = float(leaves)
            leaves += 1
        nodes.append(_Node(finding, generation, line))
        return line

    for root in children[None]:
        if root in children:
            place_subtree(root, 0)
    columns = max((node.generation for node in nodes), default=_LONE_COLUMNS - 1) + 1
    lone = [root for root in children[None] if root not in children]
    return nodes + [
        _Node(finding, place % columns, float(leaves + place // columns))
        for place, finding in enumerate(lone)
    ]


def _draw_edge(
    sheet: Sheet, parent: Rectangle, child: Rectangle, conditional: float | None
) -> None:
    """Draw a line from a parent to its child, and write p(child | parent) above its end."""
    start = (parent.x + parent.width, parent.y + parent.height / 2)
    end = (child.x, child.y + child.height / 2)
    bend = start[0] + 1.5
    xs, ys = (start[0], bend, bend, end[0]), (start[1], start[1], end[1], end[1])
    sheet.canvas.plot(xs, ys, color=GREY, linewidth=0.8, solid_joinstyle="round")
    if conditional is not None:
        at = ((bend + end[0]) / 2, end[1] - 0.4)
        write(sheet, at, f"{conditional:.2f}", ha="center", va="bottom")
