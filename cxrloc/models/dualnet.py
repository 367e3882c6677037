"""DualNet (Rubin et al. 2018): one prediction from a frontal and a lateral image."""

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor, nn

from cxrloc.errors import CxrlocError
from cxrloc.models.checkpoint_files import load_weights
from cxrloc.models.context import BoundNetwork, Subject
from cxrloc.models.described import Input
from cxrloc.models.localizer import Localizer, LocalizerConfig, Trunk, pool_and_prediction
from cxrloc.types import View


class DualNet(nn.Module):
    """A network with one trunk per view and one prediction layer over the features of both.

    Rubin et al. 2018, section 4 and Fig. 1. The network takes both images as one tensor, with the
    channels of the frontal image first. The features of both trunks are concatenated in the same
    order, so `logits = prediction(pool(features))` as in a `Localizer`. The heatmap of a view comes
    from that view's half of the features and of the prediction weights (`bind`).

    Attributes:
        config: configuration of each trunk and of the outputs.
        frontal: trunk of the PA or AP image.
        lateral: trunk of the lateral image.
        prediction: the linear layer over the features of both views.
        cell_shift_pixels: as in `Localizer`; the same for both views.

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
        """The parts before the pooling, by the image that they read, in the order of the input."""
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
        """A network for heatmaps of one view of each pair; the features of the other view are 0.

        Args:
            subjects: for each pair, the image whose heatmap is wanted; its `view` selects the half
                of the features.
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
    """Copy the trunks of two trained single-view models into a DualNet, in place.

    Open: the paper does not say how DualNet is initialised. Here its prediction is initialised to
    the mean of the two models' logits, so that training begins where the separate models end.

    Raises:
        CxrlocError: a model has a different trunk or different findings.
    """
    config = network.config
    for view, trunk, model in (
        ("frontal", network.frontal, frontal),
        ("lateral", network.lateral, lateral),
    ):
        if model.config.findings != config.findings:
            raise CxrlocError(f"the {view} model has other findings than the DualNet")
        parts = {
            name: tensor
            for name, tensor in model.state_dict().items()
            if not name.startswith("prediction.")
        }
        load_weights(trunk, parts, f"the {view} model has another trunk", assign=False)
    with torch.no_grad():
        weights = (frontal.prediction.weight, lateral.prediction.weight)
        network.prediction.weight.copy_(torch.cat(weights, dim=1) / 2)
        network.prediction.bias.copy_((frontal.prediction.bias + lateral.prediction.bias) / 2)
