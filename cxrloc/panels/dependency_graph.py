"""Dependency graphs: words in a line, an arc per dependency, and the rule that matched."""

from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

from matplotlib.figure import Figure
from matplotlib.patches import PathPatch
from matplotlib.patches import Rectangle as Frame
from matplotlib.path import Path as Curve

from cxrloc.errors import CxrlocError
from cxrloc.files.structured import expecting, read_json
from cxrloc.panels.lettering import SMALL, line_mm, text_mm, wrapped
from cxrloc.panels.plots import GREY, WIDTHS_MM, FigureRequest
from cxrloc.panels.sheet import Sheet, letter_of, new_sheet, write
from cxrloc.reports.dependency import Edge, Graph, Rule, fired_rule, words_between

_WORD_GAP = 2.0
_STEP = 3.6  # mm from one level of arcs to the next: a line of labels
_LEG_GAP = 1.5  # mm between arcs that end at one word
_BEND = 1.0
_RULE_COLOURS = {"negated": "C1", "uncertain": "C3"}


class _Arc(NamedTuple):
    """Where an edge is drawn, in mm: x of both ends, and height above the words' upper edge."""

    edge: Edge
    head: float
    dependent: float
    height: float


class _Sentence(NamedTuple):
    """A sentence's graph, and its mentions as first and last character."""

    graph: Graph
    mentions: list[tuple[int, int]]


def draw_dependency(results: Sequence[Path], request: FigureRequest) -> Figure:
    """A figure of sentences with arcs for dependencies, and with the rules that matched.

    Source: Wang et al. 2017, figure 3 and table 6. An arc goes from the governor to the dependent,
    where its arrow is; its label is written on it, where no other arc crosses. A mention is framed.
    The path of a rule that matched a mention is thick and coloured. Below the sentence is written
    whether the rule says "negated" or "uncertain".

    Args:
        results: JSON files of sentences: a list of `{"words": [...], "edges": [[head, label,
            dependent], ...], "mentions": [[first word, last word], ...]}`, words counted from 0.
        request: width.
    """
    width = WIDTHS_MM[request.width]
    sentences = [sentence for path in results for sentence in _read(path)]
    layouts = [_levels(sentence.graph) for sentence in sentences]
    notes = [_notes(sentence) for sentence in sentences]
    tops, y = [], 0.0
    for levels, lines in zip(layouts, notes, strict=True):
        tops.append(y)
        below = sum(len(wrapped(line, width - 4)) for line in lines) * line_mm()
        y += _STEP * (max(levels.values(), default=0) + 1.6) + 2.2 * line_mm() + below + 3.0
    sheet = new_sheet(request, y)
    for number, (sentence, levels, top) in enumerate(zip(sentences, layouts, tops, strict=True)):
        if len(sentences) > 1:
            write(sheet, (1, top + 3.4), letter_of(number), 9, weight="bold", va="baseline")
        foot = top + _STEP * (max(levels.values(), default=0) + 1.6) + 1.2 * line_mm()
        _draw_sentence(sheet, sentence, levels, foot)
        lines = [part for line in notes[number] for part in wrapped(line, width - 4)]
        write(sheet, (2, foot + 0.9 * line_mm()), "\n".join(lines), va="top")
    return sheet.figure


def _read(path: Path) -> list[_Sentence]:
    with expecting(path, "a list of sentences with words, edges and mentions"):
        sentences = [_sentence(each) for each in read_json(path)]
    if not sentences:
        raise CxrlocError(f"{path}: no sentence in it")
    return sentences


def _sentence(content: dict[str, Any]) -> _Sentence:
    words = tuple(str(word) for word in content["words"])
    starts, start = [], 0
    for word in words:
        starts.append(start)
        start += len(word) + 1
    edges = tuple(Edge(int(h), str(label), int(d)) for h, label, d in content["edges"])
    if any(not (0 <= place < len(words)) for e in edges for place in (e.head, e.dependent)):
        raise IndexError("an edge names a word that the sentence does not have")
    spans = [
        (starts[first], starts[last] + len(words[last])) for first, last in content["mentions"]
    ]
    return _Sentence(Graph(words, tuple(starts), edges), spans)


def _fired(sentence: _Sentence) -> list[tuple[Rule, tuple[int, ...]] | None]:
    return [
        fired_rule(sentence.graph, words_between(sentence.graph, *span))
        for span in sentence.mentions
    ]


def _notes(sentence: _Sentence) -> list[str]:
    """Lines of text: each rule that matched, and the mentions that it decides on."""
    text = " ".join(sentence.graph.words)
    phrases: dict[str, list[str]] = {}
    for (start, end), fired in zip(sentence.mentions, _fired(sentence), strict=True):
        what = (
            f"{fired[0].assertion.value}, by  {fired[0].text}"
            if fired
            else "present, no rule fired"
        )
        phrases.setdefault(what.replace("->", "→").replace("<-", "←"), []).append(text[start:end])
    return [f"{'; '.join(names)}:  {what}" for what, names in phrases.items()]


def _levels(graph: Graph) -> dict[Edge, int]:
    """The level of each arc: one above the highest shorter arc that it overlaps."""
    levels: dict[Edge, int] = {}
    for edge in sorted(graph.edges, key=lambda e: abs(e.head - e.dependent)):
        first, last = sorted((edge.head, edge.dependent))
        under = [
            level
            for other, level in levels.items()
            if max(first, min(other.head, other.dependent))
            < min(last, max(other.head, other.dependent))
        ]
        levels[edge] = max(under, default=0) + 1
    return levels


def _draw_sentence(sheet: Sheet, sentence: _Sentence, levels: dict[Edge, int], foot: float) -> None:
    """Draw words with their baseline at `foot` (mm from the top), and arcs above them."""
    graph = sentence.graph
    legs = _legs(levels)
    middles = _word_middles(graph, levels, legs, sheet.canvas.get_xlim()[1])
    steps = {
        frozenset(pair): rule
        for fired in _fired(sentence)
        if fired is not None
        for rule, path in [fired]
        for pair in pairwise(path)
    }
    ends = {place for pair in steps for place in pair}
    for place, (word, middle) in enumerate(zip(graph.words, middles, strict=True)):
        weight = "bold" if place in ends else "normal"
        write(sheet, (middle, foot), word, ha="center", va="baseline", weight=weight)
    for start, end in sentence.mentions:
        between = sorted(words_between(graph, start, end))
        left = middles[between[0]] - text_mm(graph.words[between[0]], SMALL, "bold") / 2 - 0.6
        right = middles[between[-1]] + text_mm(graph.words[between[-1]], SMALL, "bold") / 2 + 0.6
        corner = (left, foot - line_mm() + 0.1)
        sheet.canvas.add_patch(
            Frame(corner, right - left, 1.35 * line_mm(), fill=False, edgecolor="C0", linewidth=0.7)
        )
    arcs = [
        _Arc(
            edge,
            middles[edge.head] + legs[edge.head][edge],
            middles[edge.dependent] + legs[edge.dependent][edge],
            _STEP * level,
        )
        for edge, level in levels.items()
    ]
    for arc in arcs:
        rule = steps.get(frozenset((arc.edge.head, arc.edge.dependent)))
        _draw_arc(sheet, arc, foot - 1.1 * line_mm(), rule)
        _write_label(sheet, arc, arcs, foot - 1.1 * line_mm(), rule)


def _legs(levels: dict[Edge, int]) -> dict[int, dict[Edge, float]]:
    """Where the arcs of every word end, in mm from its middle, so that few arcs cross.

    From left to right: arcs to earlier words, the lowest first; then arcs to later words, the
    highest first.
    """
    ends: dict[int, list[tuple[bool, int, Edge]]] = {}
    for edge, level in levels.items():
        for word, other in ((edge.head, edge.dependent), (edge.dependent, edge.head)):
            behind = other > word
            ends.setdefault(word, []).append((behind, -level if behind else level, edge))
    return {
        word: {
            edge: (place - (len(legs) - 1) / 2) * _LEG_GAP
            for place, (_, _, edge) in enumerate(sorted(legs, key=lambda end: end[:2]))
        }
        for word, legs in ends.items()
    }


def _word_middles(
    graph: Graph, levels: dict[Edge, int], legs: dict[int, dict[Edge, float]], width: float
) -> list[float]:
    """The middle of each word in mm, with room for the words and for the arcs' ends and labels.

    Raises:
        CxrlocError: the sentence is wider than the figure.
    """
    widths = [
        max(text_mm(word, SMALL, "bold"), _LEG_GAP * len(legs.get(place, ())))
        for place, word in enumerate(graph.words)
    ]
    middles: list[float] = []
    for place, word_width in enumerate(widths):
        at = word_width / 2
        if middles:
            at = middles[-1] + (widths[place - 1] + word_width) / 2 + _WORD_GAP
        for edge in levels:
            first, last = sorted((edge.head, edge.dependent))
            if last == place:
                start = middles[first] + legs[first][edge]
                at = max(at, start + text_mm(edge.label, SMALL, "bold") + 2 - legs[last][edge])
        middles.append(at)
    whole = middles[-1] + widths[-1] / 2
    if whole > width - 2:
        raise CxrlocError(
            f"the sentence {' '.join(graph.words)!r} needs {whole + 2:.0f} mm; "
            f"the figure has {width:.0f}: choose --width double, or a shorter sentence"
        )
    return [(width - whole) / 2 + middle for middle in middles]


def _draw_arc(sheet: Sheet, arc: _Arc, foot: float, rule: Rule | None) -> None:
    """Draw a line from the governor up, sideways, and down to the dependent with an arrow."""
    top = foot - arc.height
    inwards = _BEND if arc.dependent > arc.head else -_BEND
    corners = [
        (arc.head, foot),
        (arc.head, top + _BEND),
        (arc.head, top),
        (arc.head + inwards, top),
        (arc.dependent - inwards, top),
        (arc.dependent, top),
        (arc.dependent, top + _BEND),
        (arc.dependent, foot),
    ]
    codes = [Curve.MOVETO, Curve.LINETO, Curve.CURVE3, Curve.CURVE3]
    codes += [Curve.LINETO, Curve.CURVE3, Curve.CURVE3, Curve.LINETO]
    look: dict[str, Any] = {"color": _colour(rule), "linewidth": 1.5 if rule else 0.6}
    order = 2 if rule else 1
    sheet.canvas.add_patch(PathPatch(Curve(corners, codes), fill=False, zorder=order, **look))
    sheet.canvas.annotate(
        "",
        xy=(arc.dependent, foot + 0.3),
        xytext=(arc.dependent, foot - 1.0),
        arrowprops={
            "arrowstyle": "-|>,head_length=0.3,head_width=0.15",
            "shrinkA": 0,
            "shrinkB": 0,
            **look,
        },
    )


def _write_label(
    sheet: Sheet, arc: _Arc, arcs: Sequence[_Arc], foot: float, rule: Rule | None
) -> None:
    """Write the label on its arc, as near to the arc's middle as higher arcs leave room.

    Where their vertical lines leave no gap that is wide enough, the label covers such a line.
    """
    weight = "bold" if rule else "normal"
    half = text_mm(arc.edge.label, SMALL, weight) / 2 + 0.4
    low, high = sorted((arc.head, arc.dependent))
    passing = [x for o in arcs if o.height > arc.height for x in (o.head, o.dependent)]
    bounds = [low, *sorted(x for x in passing if low < x < high), high]
    middle = (low + high) / 2
    free = [
        min(max(middle, left + half), right - half)
        for left, right in pairwise(bounds)
        if right - left >= 2 * half
    ]
    at = (min(free, key=lambda x: abs(x - middle), default=middle), foot - arc.height - 0.35)
    style: dict[str, Any] = {"weight": weight}
    if not free:
        ground = sheet.figure.get_facecolor()
        style["bbox"] = {"facecolor": ground, "linewidth": 0, "pad": 0.2}
    if rule:
        style["color"] = _colour(rule)
    write(sheet, at, arc.edge.label, ha="center", va="bottom", **style)


def _colour(rule: Rule | None) -> str:
    return _RULE_COLOURS[rule.assertion.value] if rule else GREY
