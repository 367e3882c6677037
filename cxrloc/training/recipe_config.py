"""The values that define a training run; a recipe is a TOML file of these values."""

from dataclasses import dataclass, field

from cxrloc.datasets import READERS
from cxrloc.datasets.batches import SAMPLERS
from cxrloc.datasets.pairs import PAIRINGS
from cxrloc.datasets.splits import SplitConfig
from cxrloc.errors import CxrlocError
from cxrloc.images.augment import Augmentation
from cxrloc.images.preprocessing import Preprocessing
from cxrloc.models.localizer import LocalizerConfig
from cxrloc.training.conditional import CONDITIONS
from cxrloc.training.fit_config import FitConfig
from cxrloc.training.uncertainty import POLICIES
from cxrloc.types import View

PHANTOM = "phantom"
"""Name of the reader that needs no folder, because phantoms are generated."""


@dataclass(frozen=True, slots=True)
class PhantomData:
    """Synthetic training radiographs, generated from seed and index without any download.

    Attributes:
        seed: seed of the phantoms.
        training_images: phantoms 0, 1, ... of that seed.
        validation_images: the phantoms after those.
    """

    seed: int
    training_images: int
    validation_images: int


@dataclass(frozen=True, slots=True)
class DataConfig:
    """The data of a training run, and how their labels are used.

    Attributes:
        reader: a name of `datasets.READERS`, or "phantom".
        images: folders of images below the data folder, which replace the published folders.
        split: how patients are split into training, validation and test; phantoms have their own
            split.
        views: projections to keep; empty: all.
        uncertain: how uncertain labels are used in training, a name of `POLICIES`.
        uncertain_truth: how uncertain labels are used in validation: "unknown" leaves them out,
            "negative" counts them as absent (Rubin et al. 2018, section 5.3).
        no_finding: when an image has "No Finding": "labels" considers all labels of the image,
            "outputs" only the findings of the network (Rubin et al. 2018: an image with
            Emphysema alone has none of the 13 findings).
        boxed_patients: the part for patients with an expert's box in ChestX-ray14. "test" puts all
            of them into the test part; "left_out" keeps them out of all three parts, so that the
            ratios hold among the other patients; "drawn" splits them like all other patients, and
            then `bench` refuses the model on those patients who trained it.
        not_mentioned: a finding without a label is "negative" or "unknown".
        condition: condition of conditional training along CheXpert's label tree, a name of
            `CONDITIONS`; empty: none.
        pairing: how images of a study are paired for a network of two views, a name of `PAIRINGS`.
        shuffle_labels: whether the labels of the training images are permuted at random, for a
            control that can learn nothing.
        phantom: the phantoms; None for other readers.

    Raises:
        CxrlocError: a value is none of those.
    """

    reader: str
    images: tuple[str, ...] = ()
    split: SplitConfig = field(default_factory=SplitConfig)
    views: tuple[str, ...] = ()
    uncertain: str = "ignore"
    uncertain_truth: str = "unknown"
    no_finding: str = "labels"
    boxed_patients: str = "test"
    not_mentioned: str = "negative"
    condition: str = ""
    pairing: str = "first"
    shuffle_labels: bool = False
    phantom: PhantomData | None = None

    def __post_init__(self) -> None:
        for what, value, known in (
            ("reader", self.reader, (*READERS, PHANTOM)),
            ("uncertain", self.uncertain, POLICIES),
            ("uncertain_truth", self.uncertain_truth, ("unknown", "negative")),
            ("no_finding", self.no_finding, ("labels", "outputs")),
            ("boxed_patients", self.boxed_patients, ("test", "left_out", "drawn")),
            ("condition", self.condition, ("", *CONDITIONS)),
            ("pairing", self.pairing, PAIRINGS),
            ("not_mentioned", self.not_mentioned, ("negative", "unknown")),
            *(("view", view, tuple(View)) for view in self.views),
        ):
            if value not in known:
                raise CxrlocError(f"{what} {value!r} is unknown: choose one of {', '.join(known)}")
        if (self.reader == PHANTOM) != (self.phantom is not None):
            raise CxrlocError(f"the reader {PHANTOM!r} and the table [data.phantom] go together")
        if self.phantom is not None and self.split.folds:
            raise CxrlocError(f"the reader {PHANTOM!r} has a split of its own, without folds")


@dataclass(frozen=True, slots=True)
class Recipe:
    """Everything that a training run depends on, except for the data itself.

    Attributes:
        title: one line for `cxrloc recipes`.
        source: paper, table and row; empty for our own recipes.
        start: first weights: "scratch", "imagenet" (for the backbone), or a file with a model that
            `cxrloc train` wrote or with ImageNet weights of the backbone. For a DualNet, a frontal
            and a lateral model may be given with " + " between them.
        data: the training data and the use of their labels.
        preprocessing: how images are prepared for the network.
        augmentation: random changes of the images during training.
        network: the network to train.
        fit: how the network is trained.
        head: how a second stage trains only the last layer, with a frozen backbone and on all
            labels, whatever the condition of the first stage; None: there is no second stage.
    """

    title: str
    data: DataConfig
    preprocessing: Preprocessing
    network: LocalizerConfig
    fit: FitConfig
    source: str = ""
    start: str = "scratch"
    augmentation: Augmentation = field(default_factory=Augmentation)
    head: FitConfig | None = None

    def __post_init__(self) -> None:
        if self.head is not None and self.head.backbone_rate:
            raise CxrlocError("[head] is the stage with a frozen backbone: backbone_rate = 0")
        if self.head is not None and self.network.transition_channels != 0:
            raise CxrlocError(
                "[head] trains the prediction layer alone, and a transition layer would train with "
                "it: transition_channels = 0 in [network]"
            )
        if len(self.preprocessing.mean) != self.network.input_channels:
            raise CxrlocError(
                f"{len(self.preprocessing.mean)} means in [preprocessing] for "
                f"{self.network.input_channels} input_channels in [network]"
            )
        for stage in (self.fit, self.head or self.fit):
            if stage.sampling not in SAMPLERS:
                raise CxrlocError(
                    f"sampling {stage.sampling!r}: choose one of {', '.join(SAMPLERS)}"
                )
