"""Boxes of a run by a box rule other than the published one, and the thresholds of that rule."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

from cxrloc.errors import UsageError
from cxrloc.evaluation.localization.box_selection import best_finding_levels
from cxrloc.evaluation.localization.claims import Claims
from cxrloc.evaluation.localization.placed_run import ScoringProtocol, place_run, rule_of
from cxrloc.evaluation.localization.threshold_choice import tuning_patients
from cxrloc.evaluation.resampling import Resampling
from cxrloc.localization.box_rules import BoxRule
from cxrloc.localization.boxes import detections_by_rule
from cxrloc.types import Detection, Heatmaps


def by_box_rule(
    claims: Claims, protocol: ScoringProtocol, of_card: Mapping[str, float]
) -> tuple[Claims, ScoringProtocol]:
    """The claims with boxes by the protocol's box rule, and the protocol with the thresholds used.

    For "one-box", each finding's threshold comes from the model's card. Without one there, the
    threshold comes from tuning patients: it is the level at which the largest box has the highest
    mean IoU. Tuning patients are not scored, because results on the patients on whom a threshold
    was chosen are too optimistic.

    Raises:
        UsageError: neither the card nor tuning patients can give thresholds.
    """
    if protocol.box_rule == "two-threshold" or not claims.heatmaps:
        return claims, protocol
    if protocol.box_rule == "one-box":
        if of_card:
            words = "the patients whom the model's card names"
            protocol = replace(protocol, finding_thresholds=of_card, thresholds_from=words)
        else:
            claims, protocol = _tuned(claims, protocol)
    rule = rule_of(protocol)
    detections = [detection for each in claims.heatmaps for detection in _boxes(each, claims, rule)]
    return replace(claims, detections=detections), protocol


def _tuned(claims: Claims, protocol: ScoringProtocol) -> tuple[Claims, ScoringProtocol]:
    """Claims of the other patients, and the protocol with thresholds from the tuning patients."""
    whole = replace(protocol, box_rule="two-threshold", resampling=Resampling(resamples=0))
    run = place_run(claims.records, (), whole, claims.heatmaps, claims.predicted)
    tuning = tuning_patients(run.carries, protocol.thresholds)
    if not tuning.any() or tuning.all():
        raise UsageError(
            "--box-rule one-box: the model's card has no thresholds, and no patients are left to "
            "choose them on; give --tuning a share above 0, or more patients"
        )
    chosen = best_finding_levels(run.pairs, run.maps, tuning)
    scored = ~tuning[run.pairs.patient]
    kept = {name for name, is_judged in zip(run.pairs.image_ids, scored, strict=True) if is_judged}
    judged = replace(
        claims,
        records=[record for record in claims.records if record.image_id in kept],
        heatmaps=[each for each in claims.heatmaps if each.image_id in kept],
    )
    words = f"{int(tuning.sum())} tuning patients, who are not scored"
    return judged, replace(protocol, finding_thresholds=chosen, thresholds_from=words)


def _boxes(heatmaps: Heatmaps, claims: Claims, rule: BoxRule) -> Sequence[Detection]:
    """Boxes of one image's maps, for the findings for which the rule has a threshold."""
    known = [
        k
        for k, name in enumerate(heatmaps.findings)
        if rule.name != "one-box" or name in rule.of_finding
    ]
    findings = tuple(heatmaps.findings[k] for k in known)
    known_maps = replace(heatmaps, findings=findings, scores=heatmaps.scores[known])
    probabilities = [claims.probabilities[known_maps.image_id, name] for name in findings]
    return detections_by_rule(known_maps, probabilities, rule)
