from .datasets import read_dataset
from .datasets.records import annotations_in_image
from .evaluation.localization.placed_run import ScoringProtocol
from .evaluation.localization.scores import score_localization
from .images.preprocessing import Preprocessing
from .images.read import read_radiograph
from .inference.localize import localize_radiograph
from .localization.boxes import detections_from_heatmaps
from .models.model import Model, ModelCard
from .models.weights import read_model
from .phantom import make_phantom
from .types import Box, CxrlocError, Detection, Heatmaps, Radiograph, Record

__version__: str

__all__ = [
    "Box",
    "CxrlocError",
    "Detection",
    "Heatmaps",
    "Model",
    "ModelCard",
    "Preprocessing",
    "Radiograph",
    "Record",
    "ScoringProtocol",
    "annotations_in_image",
    "detections_from_heatmaps",
    "localize_radiograph",
    "make_phantom",
    "read_dataset",
    "read_model",
    "read_radiograph",
    "score_localization",
]
