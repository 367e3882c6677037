"""What a user of `cxrloc classify` can choose."""

from dataclasses import dataclass, field
from pathlib import Path

from cxrloc.evaluation.classification.truth import NoFinding, Uncertain
from cxrloc.evaluation.classification.units import Aggregation, Unit
from cxrloc.evaluation.resampling import Resampling
from cxrloc.inference.image_sets import DataOptions
from cxrloc.inference.paired_images import Pairing
from cxrloc.inference.prepared import InferenceSettings

GROUPS = ("view", "sex", "age")


@dataclass(frozen=True, slots=True)
class ClassifyOptions:
    """The options of `classify`, without its data.

    Attributes:
        models: embedded names or checkpoint files; several make an ensemble.
        predictions: a CSV of probabilities to score instead of a model's.
        labels: labels out of reports (`cxrloc label`) in place of the data set's own.
        readings: a file of radiologists' decisions, shown as operating points beside the curves.
        split: which part of the data set, a name of `inference.image_sets.SPLITS`.
        projection: score images of this projection only, a name of `PROJECTIONS`; empty for all.
        findings: score these findings only, and take their mean; empty for all.
        population: score units with one or with several labels only, a name of `POPULATIONS`.
        unit: what is scored, such as images or patients.
        aggregation: how the scores of a unit's images are combined to the unit's score.
        uncertain: as in `TruthRules`; None: as in the recipe of the models (`truth_rules`).
        no_finding: likewise.
        tuning: share of the patients on whom operating points are chosen and calibration is
            fitted, and who are not scored. If 0, operating points are those of the model's card
            or, without a card's points, are chosen on the scored patients; every row then says so.
        operating_point: label each unit with all findings whose probability is above it, and
            score these lists (Dong et al. 2017, task 3); None for no lists.
        groups: names of `GROUPS`, which are also reported separately.
        beside: published tables to show beside the numbers; for synthetic radiographs each must
            be named twice.
        patient_ids: if units are patients, write their ids instead of keyed hashes of the ids.
        html: also write the run as one page, `report.html`.
        resampling: settings of the intervals; the seed also draws the tuning part.
        pairing: how images are paired, for networks that read two views.
        inference: how the models are run.
        data: further settings of the data set.
    """

    models: tuple[str, ...]
    predictions: Path | None = None
    labels: Path | None = None
    readings: Path | None = None
    split: str = "all"
    projection: str = ""
    findings: tuple[str, ...] = ()
    population: str = "all"
    unit: Unit = "image"
    aggregation: Aggregation = "max"
    uncertain: Uncertain | None = None
    no_finding: NoFinding | None = None
    tuning: float = 0.0
    operating_point: float | None = None
    groups: tuple[str, ...] = GROUPS
    beside: tuple[str, ...] = ()
    patient_ids: bool = False
    html: bool = False
    resampling: Resampling = field(default_factory=Resampling)
    pairing: Pairing = field(default_factory=Pairing)
    inference: InferenceSettings = field(default_factory=InferenceSettings)
    data: DataOptions = field(default_factory=DataOptions)
