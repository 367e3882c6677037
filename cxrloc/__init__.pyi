from .datasets import read_dataset
from .datasets.records import annotations_in_image
from .errors import CxrlocError
from .evaluation.localization.placed_run import ScoringProtocol
from .evaluation.localization.scores import score_localization
from .images.preprocessing import Preprocessing
from .images.read import read_radiograph
from .inference.localize import localize_radiograph
from .inference.prepared import InferenceSettings
from .localization.boxes import Detections, detections_from_heatmaps
from .models.model import Model, ModelCard
from .models.weights import read_model, write_model
from .panels.overlay import draw_panel
from .phantom import make_phantom
from .pipeline.classify import classify
from .pipeline.classify_options import ClassifyOptions
from .types import Box, Detection, Heatmaps, Radiograph, Record

__version__: str

__all__ = [
    "Box",
    "ClassifyOptions",
    "CxrlocError",
    "Detection",
    "Detections",
    "Heatmaps",
    "InferenceSettings",
    "Model",
    "ModelCard",
    "Preprocessing",
    "Radiograph",
    "Record",
    "ScoringProtocol",
    "annotations_in_image",
    "classify",
    "detections_from_heatmaps",
    "draw_panel",
    "localize_radiograph",
    "make_phantom",
    "read_dataset",
    "read_model",
    "read_radiograph",
    "score_localization",
    "write_model",
]
