"""The `-meta` network of Baltruschat et al. 2019, which reads age, sex and view with the image."""

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor, nn

from cxrloc.errors import CxrlocError
from cxrloc.models.context import BoundNetwork, Subject
from cxrloc.models.described import Input
from cxrloc.models.heads import HEADS
from cxrloc.models.localizer import LocalizerConfig, Trunk, pool_and_prediction
from cxrloc.types import Sex, View

META = ("age", "sex", "view")
"""The values that are read in addition to the image, in their order in the input vector."""

_SEX = {Sex.FEMALE: 0.0, Sex.MALE: 1.0}
_VIEW = {View.PA: 0.0, View.AP: 1.0}


class MetaLocalizer(nn.Module):
    """A `Localizer` whose prediction also reads age, sex and view.

    Baltruschat et al. 2019, section 2.3 and Fig. 2: the three values are appended to the pooled
    features before the last layer. Here the last layer is split into two layers whose outputs are
    added, which gives the same sum: `logits = head(features) + meta(values)`. So heatmaps use only
    the weights of the image features, as in a `Localizer`. With average pooling, the logit is the
    mean of the map plus the bias plus the term of age, sex and view.

    Attributes:
        config: configuration of the trunk and the outputs.
        prediction: the linear layer over the image's features, with the bias.
        meta: the linear layer over the three values.
        ages_years: youngest, median and oldest age in the training part; see `learn_ages`.
        cell_shift_pixels: as in `Localizer`.
    """

    reads = (Input.IMAGE, Input.METADATA)
    ages_years: Tensor

    def __init__(self, config: LocalizerConfig) -> None:
        super().__init__()
        self.config = config
        trunk = Trunk(config)
        self.backbone, self.transition = trunk.backbone, trunk.transition
        self.cell_shift_pixels = trunk.cell_shift_pixels
        self.pool, self.prediction = pool_and_prediction(config, trunk.depth)
        self.meta = nn.Linear(len(META), len(config.findings), bias=False)
        self.register_buffer("ages_years", torch.tensor([0.0, 50.0, 100.0]))

    @property
    def trunks(self) -> dict[str, nn.Module]:
        """The part before the pooling, by the input that it reads; it is the network itself."""
        return {"image": self}

    def forward(
        self,
        images: Float[Tensor, "batch channel row col"],
        values: Float[Tensor, "batch 3"],
    ) -> tuple[
        Float[Tensor, "batch finding"], Float[Tensor, "batch depth feature_row feature_col"]
    ]:
        """Logits of all findings, and the features of the image behind them.

        Args:
            images: as for a `Localizer`.
            values: age, sex and view, as `meta_values` returns them.
        """
        features = self.transition(self.backbone(images))  # batch depth S S
        return self.head(features) + self.meta(values), features

    def head(
        self, features: Float[Tensor, "batch depth feature_row feature_col"]
    ) -> Float[Tensor, "batch finding"]:
        """The logits of features, without the term of age, sex and view."""
        return HEADS[self.config.head](self.pool, self.prediction, features)

    def bind(self, subjects: Sequence[Subject]) -> BoundNetwork:
        """A network that reads images only; age, sex and view are those of these subjects."""

        def run(images: Tensor) -> tuple[Tensor, Tensor]:
            values = meta_values(subjects, self.ages_years.tolist()).to(images)
            return self(images, values.expand(len(images), -1))

        return BoundNetwork(self, run)


def learn_ages(network: nn.Module, ages_years: Sequence[float]) -> None:
    """Store the range and the median of the training ages in a `MetaLocalizer`, in place.

    These ages are saved with the weights of the network.

    Raises:
        CxrlocError: there are no two different ages.
    """
    ages = torch.tensor(ages_years)
    if len(ages) == 0 or ages.min() == ages.max():
        raise CxrlocError("the training part needs two different ages for a model that reads them")
    network.get_buffer("ages_years").copy_(torch.stack([ages.min(), ages.median(), ages.max()]))


def meta_values(
    subjects: Sequence[Subject], ages_years: Sequence[float]
) -> Float[Tensor, "subject 3"]:
    """Age, sex and view as numbers in [0, 1], one row per subject.

    Baltruschat et al. 2019, section 2.3: age scaled linearly so that the training part spans
    [0, 1]; Open: clipped outside it. Sex: female 0, male 1; view: PA 0, AP 1. A missing age is the
    training part's median; a missing sex, and a view that is neither, are 0.5.

    Args:
        subjects: records or radiographs.
        ages_years: youngest, median and oldest age in the training part.

    >>> from cxrloc.types import Record
    >>> old = Record("a", "1", "a", None, View.AP, age_years=95.0, sex=Sex.FEMALE)
    >>> meta_values([old, Record("b", "2", "b", None)], [10.0, 30.0, 90.0])
    tensor([[1.0000, 0.0000, 1.0000],
            [0.2500, 0.5000, 0.5000]])
    """
    low, median, high = ages_years
    rows = []
    for subject in subjects:
        age = median if subject.age_years is None else subject.age_years
        share = min(1.0, max(0.0, (age - low) / (high - low)))
        rows.append([share, _SEX.get(subject.sex, 0.5), _VIEW.get(subject.view, 0.5)])  # type: ignore[arg-type]
    return torch.tensor(rows)


def missing_meta(subject: Subject) -> str:
    """A text that names the missing values of a `-meta` network; empty if nothing is missing.

    >>> from cxrloc.types import Record
    >>> missing_meta(Record("a", "1", "a", None, View.PA, age_years=3.0))
    'sex is unknown: 0.5 is taken'
    """
    lines = []
    if subject.age_years is None:
        lines.append("age is unknown: the training median is taken")
    if subject.sex is None:
        lines.append("sex is unknown: 0.5 is taken")
    if subject.view not in _VIEW:
        lines.append("view is neither PA nor AP: 0.5 is taken")
    return "; ".join(lines)
