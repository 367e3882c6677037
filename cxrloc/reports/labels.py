"""Labels reports by the two passes of Wang et al. 2017, section 2.1."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from importlib.resources import files

from cxrloc.errors import CxrlocError
from cxrloc.findings import CHESTXRAY14, CHEXPERT14, NO_FINDING
from cxrloc.reports.language import foreign_language
from cxrloc.reports.mentions import VOCABULARIES, Mention, find_mentions
from cxrloc.reports.negation import Assertion, Engine, Verdict, scope_engine
from cxrloc.reports.phrases import lower
from cxrloc.reports.plain_text import clean, sentences
from cxrloc.reports.read import Report, UnreadableReport
from cxrloc.reports.sections import relevant_parts
from cxrloc.types import Label

FINDINGS = {"chestxray14": CHESTXRAY14, "chexpert": CHEXPERT14[1:]}
"""Findings of each vocabulary of `mentions.VOCABULARIES`, without No Finding."""

_LABELS = {
    Assertion.PRESENT: Label.POSITIVE,
    Assertion.ABSENT: Label.NEGATIVE,
    Assertion.UNCERTAIN: Label.UNCERTAIN,
}
# "Atelectasis versus scarring": Wang's table 6 has no rule against it, CheXpert calls it uncertain.
_ALTERNATIVE = {"chestxray14": Label.POSITIVE, "chexpert": Label.UNCERTAIN}
# A report's label of a finding is the first of these that any mention of the finding has.
_STRONGEST = (Label.POSITIVE, Label.UNCERTAIN, Label.NEGATIVE)


@dataclass(frozen=True, slots=True)
class Evidence:
    """Why a finding got a label: the words, from `start` to `end` of the sentence, and the rule.

    The finding of an abnormality outside the vocabulary is empty; its concept says what it is.
    """

    finding: str
    concept: str
    label: Label
    sentence: str
    start: int
    end: int
    rule: str


@dataclass(frozen=True, slots=True)
class ReportLabels:
    """The labels of one report.

    Attributes:
        report_id: id of the report, as read.
        labels: per finding that is mentioned, and No Finding (1) where nothing of the vocabulary
            is positive.
        normal: whether the report asserts no abnormality at all, of the vocabulary or another; None
            for a report without text.
        evidence: every mention that the labels are based on.
    """

    report_id: str
    labels: Mapping[str, Label]
    normal: bool | None
    evidence: tuple[Evidence, ...]


@lru_cache(maxsize=8192)
def _assertions(sentence: str, engine: Engine) -> tuple[tuple[Mention, Verdict], ...]:
    # Reports repeat their sentences, so half of all sentences are found in this cache.
    text = lower(sentence)
    mentions = find_mentions(text)
    return tuple(zip(mentions, engine(text, mentions), strict=True)) if mentions else ()


def label_report(
    report: Report, vocabulary: str = "chestxray14", engine: Engine = scope_engine
) -> ReportLabels:
    """Labels of one report.

    Source: *Wang et al. 2017, section 2.1* and tables 5 and 6: findings and impression only;
    a finding is 1 if any mention asserts it, else -1 if any leaves it open, else 0; normal if no
    abnormality is asserted.
    What an addendum says of a finding replaces what the rest of the report says of it.
    Departs: the paper also calls a report normal by the words "normal" or "normal size"; a normal
    heart beside a pneumonia would then be a normal report, so these words count only where no
    positive mention remains, which the first rule covers.

    >>> label_report(Report("1", "No effusion. Possible pneumonia. Large heart.")).labels
    {'Effusion': <Label.NEGATIVE: 0>, 'Pneumonia': <Label.UNCERTAIN: -1>,
     'Cardiomegaly': <Label.POSITIVE: 1>}
    """
    text, addendum = relevant_parts(clean(report.text))
    corrections = _evidence(addendum, vocabulary, engine) if addendum else ()
    corrected = {one.finding or one.concept for one in corrections}
    original = _evidence(text, vocabulary, engine)
    evidence = (
        *(one for one in original if (one.finding or one.concept) not in corrected),
        *corrections,
    )
    labels: dict[str, Label] = {}
    for one in evidence:
        if one.finding:
            known = labels.get(one.finding, one.label)
            labels[one.finding] = min(known, one.label, key=_STRONGEST.index)
    has_text = bool(text.strip() or addendum.strip())
    if has_text and _nothing_found(labels, vocabulary):
        labels[NO_FINDING] = Label.POSITIVE
    normal = all(one.label is not Label.POSITIVE for one in evidence) if has_text else None
    return ReportLabels(report.report_id, labels, normal, evidence)


def _evidence(text: str, vocabulary: str, engine: Engine) -> tuple[Evidence, ...]:
    column = VOCABULARIES.index(vocabulary)
    return tuple(
        Evidence(
            finding=mention.concept.findings[column] or "",
            concept=mention.concept.name,
            label=_LABELS.get(verdict.assertion, _ALTERNATIVE[vocabulary]),
            sentence=sentence,
            start=mention.start,
            end=mention.end,
            rule=verdict.rule or "mentioned",
        )
        for sentence in sentences(text)
        for mention, verdict in _assertions(sentence, engine)
    )


def _nothing_found(labels: Mapping[str, Label], vocabulary: str) -> bool:
    """CheXpert's No Finding also asks that nothing is uncertain, and leaves devices aside."""
    if vocabulary == "chestxray14":
        return Label.POSITIVE not in labels.values()
    others = {label for finding, label in labels.items() if finding != "Support Devices"}
    return others <= {Label.NEGATIVE}


def label_reports(
    reports: Iterable[Report | UnreadableReport],
    vocabulary: str = "chestxray14",
    engine: Engine = scope_engine,
) -> Iterator[ReportLabels | UnreadableReport]:
    """Yields the labels of reports, one by one and in order; unreadable reports are passed on.

    A report that is not English counts as unreadable, because its findings would be missed and it
    would be called normal.

    Raises:
        CxrlocError: the vocabulary is unknown, or the engine fails its self-check; raised before
            the first report.
    """
    if vocabulary not in VOCABULARIES:
        raise CxrlocError(f"vocabulary {vocabulary!r} is not one of {', '.join(VOCABULARIES)}")
    check_engine(engine)
    return (_labels_or_reason(report, vocabulary, engine) for report in reports)


def _labels_or_reason(
    report: Report | UnreadableReport, vocabulary: str, engine: Engine
) -> ReportLabels | UnreadableReport:
    if isinstance(report, UnreadableReport):
        return report
    language = foreign_language(report.text)
    if language is not None:
        return UnreadableReport(
            report.report_id,
            f"not labelled: its text is not English (probably {language}), and the rules are; "
            "--cluster groups reports of any language",
        )
    return label_report(report, vocabulary, engine)


def check_engine(engine: Engine) -> None:
    """Runs an engine on the sentences of `rules/self_check.txt`.

    A parser that is missing a model, or whose labels changed with its version, would otherwise
    silently turn every denial into a finding.

    Raises:
        CxrlocError: the engine judges a sentence wrongly; the message names the sentence.
    """
    text = (files("cxrloc.reports") / "rules" / "self_check.txt").read_text("utf-8")
    for line in text.splitlines():
        if not line or line.startswith(";"):
            continue
        expected, concept, sentence = (part.strip() for part in line.split("|"))
        judged = {m.concept.name: v.assertion for m, v in _assertions(sentence, engine)}
        if judged.get(concept) != expected:
            raise CxrlocError(
                f"the negation engine fails its self-check: {sentence!r} should make {concept} "
                f"{expected}, it is {judged.get(concept, 'not found')}; check the parser's version"
            )
