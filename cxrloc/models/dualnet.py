"""Rubin's DualNet: a frontal and a lateral image, one prediction."""

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor, nn

from cxrloc.models.context import BoundNetwork, Input, Subject
from cxrloc.models.localizer import Localizer, LocalizerConfig, Trunk, pool_and_prediction
from cxrloc.types import CxrlocError, View


class DualNet(nn.Module):
    """A trunk per view, their pooled features concatenated, one prediction layer.

    Rubin et al. 2018, section 4 and Fig. 1. It takes both images as one tensor, the channels of
    the frontal one first, and its features are those of both trunks in the same order; so
    `logits = prediction(pool(features))` as in a `Localizer`, and the heatmap of a view comes from
    its half of the features and of the prediction weights (`bind`).

    Attributes:
        config: of each trunk, and of the outputs.
        frontal: trunk of the PA or AP image.
        lateral: trunk of the lateral image.
        prediction: the linear layer over both.
        cell_shift_pixels: as in `Localizer`, for either view.

    >>> config = LocalizerConfig("small_resnet", ("Mass",), architecture="dualnet")
    >>> logits, features = DualNet(config).eval()(torch.zeros(1, 2, 64, 64))
    >>> logits.shape, features.shape
    (torch.Size([1, 1]), torch.Size([1, 384, 2, 2]))
    """

    reads = (Input.IMAGE, Input.SECOND_VIEW)

    def __init__(self, config: LocalizerConfig) -> None:
        super().__init__()
        self.config = config
        self.frontal, self.lateral = Trunk(config), Trunk(config)
        self.cell_shift_pixels = self.frontal.cell_shift_pixels
        self.pool, self.prediction = pool_and_prediction(config, 2 * self.frontal.depth)

    @property
    def trunks(self) -> dict[str, nn.Module]:
        """The parts before the pooling, by what they read, in the order of the input's channels."""
        return {"frontal image": self.frontal, "lateral image": self.lateral}

    def forward(
        self, images: Float[Tensor, "batch both_channel row col"]
    ) -> tuple[
        Float[Tensor, "batch finding"], Float[Tensor, "batch both_depth feature_row feature_col"]
    ]:
        """Logits of all findings, and the features of both views behind them."""
        frontal, lateral = images.chunk(2, dim=1)
        features = torch.cat([self.frontal(frontal), self.lateral(lateral)], dim=1)
        return self.head(features), features

    def head(
        self, features: Float[Tensor, "batch both_depth feature_row feature_col"]
    ) -> Float[Tensor, "batch finding"]:
        """The logits of the features of both views."""
        return self.prediction(self.pool(features))

    def bind(self, subjects: Sequence[Subject]) -> BoundNetwork:
        """The network for maps of one view of each pair: the other view's features are 0.

        Args:
            subjects: the image of each pair that a heatmap is asked for; `view` says which half.
        """
        half = self.frontal.depth
        lateral = [subject.view is View.LATERAL for subject in subjects]

        def run(images: Tensor) -> tuple[Tensor, Tensor]:
            logits, features = self(images)
            keep = torch.tensor(lateral, device=features.device)[:, None, None, None]  # batch 1 1 1
            is_lateral = torch.arange(2 * half, device=features.device)[:, None, None] >= half
            return logits, torch.where(is_lateral == keep, features, 0)

        return BoundNetwork(self, run)


def start_from_views(network: DualNet, frontal: Localizer, lateral: Localizer) -> None:
    """Give a DualNet the trunks of two trained single-view models, in place.

    Open: the paper does not say how DualNet starts. Its prediction starts as the mean of the two
    models' logits, so that training begins where the separate models end.

    Raises:
        CxrlocError: a model has another trunk or other findings.
    """
    own = network.config
    for view, trunk, model in (
        ("frontal", network.frontal, frontal),
        ("lateral", network.lateral, lateral),
    ):
        if model.config.findings != own.findings:
            raise CxrlocError(f"the {view} model has other findings than the DualNet")
        parts = {
            name: tensor
            for name, tensor in model.state_dict().items()
            if not name.startswith("prediction.")
        }
        try:
            trunk.load_state_dict(parts)
        except RuntimeError as error:
            first = str(error).splitlines()[1].strip()
            raise CxrlocError(f"the {view} model has another trunk: {first}") from error
    with torch.no_grad():
        weights = (frontal.prediction.weight, lateral.prediction.weight)
        network.prediction.weight.copy_(torch.cat(weights, dim=1) / 2)
        network.prediction.bias.copy_((frontal.prediction.bias + lateral.prediction.bias) / 2)
