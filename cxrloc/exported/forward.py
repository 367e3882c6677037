"""Everything that an exported graph computes, as one network: grey levels in, results out."""

from typing import Any, NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor, nn

from cxrloc.errors import CxrlocError
from cxrloc.exported.metadata import GraphFacts, calibration_tensors
from cxrloc.images.normalised import normalised
from cxrloc.localization.heatmaps import feature_maps
from cxrloc.models.any_layer import layer_of_class_token
from cxrloc.models.described import Input
from cxrloc.models.feature_distance import TypicalFeatures, distances, mean_features
from cxrloc.models.model import Model
from cxrloc.models.patient_list import without_patients_beside


class Outputs(NamedTuple):
    """The outputs of an exported graph, by their names.

    Attributes:
        logits: of every finding.
        raw_probabilities: what the network gives (`ModelCard.probabilities`).
        probabilities: calibrated ones; the raw one of a finding without calibration.
        maps: raw class activation maps.
        distance: of the features from those of validation images (`models.feature_distance`),
            divided by the card's threshold: an image above 1 is outside. 0 for every image if the
            model knows no distance.
    """

    logits: Float[Tensor, "batch finding"]
    raw_probabilities: Float[Tensor, "batch finding"]
    probabilities: Float[Tensor, "batch finding"]
    maps: Float[Tensor, "batch finding map_row map_col"]
    distance: Float[Tensor, " batch"]


class ExportedForward(nn.Module):
    """The network with what stands before and after it.

    Before it, grey levels are standardised and normalised as `Preprocessing` says. How an image of
    any size becomes such grey levels (resize, crop, 8 bit) is outside the graph, because it also
    gives the affine map by which boxes return to the image.

    Args:
        model: a model whose network reads images alone.

    Raises:
        CxrlocError: the network reads more than an image, or has no class activation maps.
    """

    calibration_slope: Tensor
    calibration_intercept: Tensor
    is_calibrated: Tensor

    def __init__(self, model: Model) -> None:
        super().__init__()
        if model.reads != (Input.IMAGE,):
            more = " and ".join(model.reads[1:])
            raise CxrlocError(
                f"{model.card.name} also reads {more}: only networks that read an image alone "
                "can be exported"
            )
        if layer := layer_of_class_token(model.network):
            raise CxrlocError(
                f"{model.card.name}: its logits come from the class token, whose class activation "
                f"maps are flat, so it cannot be exported with maps (its layer is {layer})"
            )
        if not isinstance(getattr(model.network, "prediction", None), nn.Module):
            raise CxrlocError(
                f"{model.card.name}: its network has no prediction layer, so there are no class "
                "activation maps to export"
            )
        self.network: Any = model.network
        self._preprocessing = model.preprocessing
        self._raw = model.probabilities
        for name, values in calibration_tensors(model.card).items():
            self.register_buffer(name, torch.from_numpy(values))
        self._rule = model.card.distance
        if self._rule is not None:
            if model.typical is None:
                raise CxrlocError(f"{model.card.name}: its card has a distance, but no features")
            self.typical: Any = nn.Module()  # so that the graph names its tensors as the file does
            self.typical.register_buffer("mean", model.typical.mean)
            self.typical.register_buffer("directions", model.typical.directions)

    def forward(self, grey: Float[Tensor, "batch row col"]) -> Outputs:
        """All outputs for grey levels of the network's input size."""
        # In float64, because onnxruntime adds up the pixels of an image one after another: in
        # float32 their mean would lose two digits, and every value behind it too.
        images = normalised(grey[:, None].double(), self._preprocessing).float()
        logits, features = self.network(images)
        raw = self._raw(logits)
        maps = feature_maps(features, self.network.prediction.weight)
        return Outputs(logits, raw, self._calibrate(raw), maps, self._distance(features))

    def _distance(self, features: Float[Tensor, "batch depth row col"]) -> Float[Tensor, " batch"]:
        """The distance of each image as a share of the threshold."""
        pooled = mean_features(features)
        if self._rule is None:
            return torch.zeros_like(pooled[:, 0])
        typical = TypicalFeatures(self.typical.mean, self.typical.directions)
        return distances(pooled, typical, self._rule.variance) / self._rule.threshold

    def _calibrate(self, raw: Float[Tensor, "batch finding"]) -> Float[Tensor, "batch finding"]:
        """The same as `probabilities.calibrated`, for all findings at once."""
        share = raw.clamp(1e-7, 1 - 1e-7)
        log_odds = (
            self.calibration_slope * torch.log(share / (1 - share)) + self.calibration_intercept
        )
        return torch.where(self.is_calibrated, torch.sigmoid(log_odds), raw)


def facts_of(model: Model) -> GraphFacts:
    """The facts of a model; patients that are listed beside its file are not among them."""
    shift = float(getattr(model.network, "cell_shift_pixels", 0.0))
    return GraphFacts(without_patients_beside(model.card), model.preprocessing, shift, model.sha256)
