"""The lines about a run that its page shows, from the run card."""

from collections.abc import Iterable, Mapping
from typing import Any

from cxrloc.models.provenance import caption_of
from cxrloc.text import warnings_with_counts

Line = tuple[str, Any]
"""One line of a card: a title, and the value beside it."""


def lead(run: Mapping[str, Any], origin: str) -> str:
    """The first sentences of a page: what the model is, if there is one, and the origin."""
    return f"{caption_of(run['model'])} {origin}" if run["model"] else origin


def warning_lines(run: Mapping[str, Any]) -> list[str]:
    """The warnings of a run, each with its number of images."""
    return warnings_with_counts(run["warnings"])


def bench_card(run: Mapping[str, Any]) -> list[Line]:
    """The run card of `bench` in words."""
    return [*_model_lines(run), *_bench_lines(run), *_last_lines(run)]


def classification_card(run: Mapping[str, Any]) -> list[Line]:
    """The run card of `classify` in words."""
    return [*_model_lines(run), *_classify_lines(run), *_last_lines(run)]


def _model_lines(run: Mapping[str, Any]) -> list[Line]:
    if not run["model"]:
        return []
    titles = {"name": "Model", "sha256": "Weights (SHA-256)", "trained_on": "Trained on"}
    return [(title, run["model"][key]) for key, title in titles.items()] + [
        ("Limits", run["model"]["limits"])
    ]


def _bench_lines(run: Mapping[str, Any]) -> list[Line]:
    data, divisors = run["data"], run["divisors"]
    per_finding = ", ".join(f"{name} {n:.0f}" for name, n in divisors["accuracy"].items())
    maps = sum(n for name, n in divisors["false_positives_per_heatmap"].items() if name != "mean")
    return [
        ("Boxes from", run["boxes_from"]),
        ("Scored", f"{run['scored_images']} images of {run['scored_patients']} patients"),
        ("Heatmaps that give boxes", f"{run['protocol']['population']} pairs, {maps:.0f}"),
        ("Accuracy divides by", per_finding),
        ("AFP divides by", f"{divisors['afp']} annotated boxes of all findings"),
        ("Boxes on other pairs, left out", run["detections_left_out"]),
        ("Degenerate maps", run["degenerate_maps"]),
        ("Scored pairs without a map", run["scored_pairs_without_map"]),
        ("Expert's boxes (SHA-256)", data["truth_sha256"]),
    ]


def _classify_lines(run: Mapping[str, Any]) -> list[Line]:
    scored, data = run["scored"], run["data"]
    chosen = {f"{p['rule']}, on {p['chosen_on']}" for p in run["operating_points"].values()}
    return [
        ("Probabilities from", run["probabilities_from"]),
        ("Scored", f"{scored['units']} units of {scored['patients']} patients"),
        ("Unit", run["protocol"]["unit"]),
        *([("Thresholds", "; ".join(sorted(chosen)))] if chosen else []),
        ("Units to choose thresholds on", run["tuning"]["units"]),
        ("Labels (SHA-256)", data["truth_sha256"]),
    ]


def _last_lines(run: Mapping[str, Any]) -> list[Line]:
    contaminated = run["contaminated_patients"]
    if contaminated == "unknown":
        contaminated = "unknown: nothing says on which patients the model was trained"
    else:
        contaminated = f"{contaminated} of these patients trained the model"
    return [
        ("Contamination", contaminated),
        ("Missing images", _named(run["missing_images"], run.get("missing"))),
        ("Images that could not be read", _named(run["failed_images"])),
        ("Images (SHA-256)", run["data"]["images_sha256"]),
        ("Versions", ", ".join(f"{name} {number}" for name, number in run["versions"].items())),
        ("Seconds", run["seconds"]),
    ]


def _named(image_ids: Iterable[str], count: int | None = None) -> str:
    """A count, with the first ten of the names in the run card."""
    names = list(image_ids)
    count = len(names) if count is None else count
    more = ", ..." if count > 10 else ""
    return f"{count}: {', '.join(names[:10])}{more}" if names else "0"
