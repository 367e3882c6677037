"""What a model file says about itself, in words: for the terminal and for Hugging Face's hub."""

from collections.abc import Sequence

from cxrloc.images.preprocessing import Preprocessing
from cxrloc.models.card import ModelCard
from cxrloc.models.localizer import LocalizerConfig

GREY_LEVELS = {
    "shown": "as the file shows them (window, polarity)",
    "stored": "a DICOM's stored values over 4095, without a window",
}
"""Grey-level rules in words, by `Preprocessing.grey`."""

FITS = {
    "squash": "squashed to a square",
    "letterbox": "whole in a square with black margins",
    "crop": "its central square",
    "template": "the square that looks most like the template",
}
"""Fits in words, by `Preprocessing.fit`."""

UNKNOWN = "not known"


def card_lines(
    card: ModelCard,
    preprocessing: Preprocessing,
    sha256: str,
    config: LocalizerConfig | None = None,
) -> list[tuple[str, str]]:
    """What a model needs and what it is, as pairs of a heading and a text.

    Args:
        card: origin, findings, limits.
        preprocessing: how an image becomes its input.
        sha256: of its file; empty if there is none.
        config: of its network; None where the file does not say it, as that of a graph.
    """
    listed = len(card.training_patients), len(card.validation_patients)
    calibrated = [finding for finding in card.findings if finding in card.calibration]
    network = UNKNOWN if config is None else config.backbone
    if config is not None:
        network += f", {config.pooling} pooling, cells of {config.output_stride} pixels"
    return [
        ("name", card.name),
        ("network", network),
        ("views", _listed(card.views)),
        ("input", input_in_words(preprocessing)),
        ("grey levels", grey_in_words(preprocessing)),
        ("trained on", card.trained_on or UNKNOWN),
        ("training images", str(card.training_images or UNKNOWN)),
        ("patients", f"{listed[0]} of training and {listed[1]} of validation are listed"),
        ("may have seen", _listed(card.may_have_seen) if card.may_have_seen else "nothing else"),
        ("licence", card.licence or UNKNOWN),
        ("probabilities", card.probabilities),
        ("calibration", f"{len(calibrated)} of {len(card.findings)} findings"),
        ("outside", _outside(card)),
        ("provenance", ", ".join(f"{k}: {v}" for k, v in card.provenance.items()) or UNKNOWN),
        ("limits", card.limits),
        ("sha256", sha256 or UNKNOWN),
    ]


def _outside(card: ModelCard) -> str:
    """What the distance calls outside, as measured on validation images."""
    if card.distance is None:
        return f"{UNKNOWN}: by blank pixels and the header alone"
    share, images = card.distance.measured_outside, card.distance.measured_images
    return f"{share:.1%} of {images} validation images that did not choose the threshold"


def finding_rows(card: ModelCard) -> list[list[str]]:
    """A table with each finding's numbers, headings first; a dash is a missing number.

    The last two columns are left out where the model is not calibrated.
    """
    rows = [["finding", "AUC on validation images", "operating point", "calibration", "prevalence"]]
    for finding in card.findings:
        slope, intercept = card.calibration.get(finding, (None, None))
        calibration = "-" if slope is None else f"{slope:.3g}, {intercept:.3g}"
        auc, point, share = (
            "-" if values.get(finding) is None else f"{values[finding]:.3f}"
            for values in (card.auc, card.operating_points, card.prevalence)
        )
        rows.append([finding, auc, point, calibration, share])
    return rows if card.calibration else [row[:3] for row in rows]


def input_in_words(preprocessing: Preprocessing) -> str:
    """The size of the input and how an image becomes it.

    >>> input_in_words(Preprocessing(320, source_size=None))
    '320 x 320 pixels, 1 channel: the image squashed to a square'
    """
    size, channels = preprocessing.size, len(preprocessing.mean)
    plural = "s" if channels > 1 else ""
    text = f"{size} x {size} pixels, {channels} channel{plural}: the image "
    text += FITS[preprocessing.fit]
    if preprocessing.crop_from:
        text += f" of {preprocessing.crop_from} pixels, of which the centre is taken"
    return text


def grey_in_words(preprocessing: Preprocessing) -> str:
    """The grey-level rule, and the numbers by which grey levels are normalised."""
    depth = "" if preprocessing.bit_depth is None else f", of {preprocessing.bit_depth} bit"
    mean, std = (
        ", ".join(f"{value:.4g}" for value in dict.fromkeys(values))
        for values in (preprocessing.mean, preprocessing.std)
    )
    standardised = ", each image standardised" if preprocessing.standardised else ""
    return f"{GREY_LEVELS[preprocessing.grey]}{depth}{standardised}; minus {mean}, over {std}"


def _listed(names: Sequence[str]) -> str:
    return ", ".join(names) or UNKNOWN
