"""How well a patient's age and sex and the view can be predicted from image features."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.model_selection import cross_val_predict
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from cxrloc.errors import CxrlocError
from cxrloc.evaluation.classification.operating_points import (
    choose_operating_point,
    confusion,
    sensitivity,
    specificity,
)
from cxrloc.evaluation.classification.ranking import auc
from cxrloc.types import Sex, View


@dataclass(frozen=True, slots=True)
class Reading:
    """How well age, sex or view is predicted from features, on patients who were not used to fit.

    Attributes:
        what: "view", "sex" or "age".
        n: images judged.
        auc: of two classes; None for age.
        sensitivity: at the Youden point of the training part. To find this point, each image of
            that part is scored by a model fitted to the other four of five folds. None for age.
        specificity: at the same point; None for age.
        mean_error_years: mean absolute error; None for classes.
        std_error_years: standard deviation of the absolute error, as the paper prints it.
    """

    what: str
    n: int
    auc: float | None = None
    sensitivity: float | None = None
    specificity: float | None = None
    mean_error_years: float | None = None
    std_error_years: float | None = None


def meta_from_features(
    features: Float[np.ndarray, "image depth"],
    subjects: Mapping[str, Sequence[object]],
    training: Bool[np.ndarray, " image"],
) -> list[Reading]:
    """How well view, sex and age are predicted from frozen features.

    Baltruschat et al. 2019, section 3: from the features of ResNet-50-large, view is predicted with
    AUC 0.998, sex with 0.94, age within 9.1 years. AP and male are the positive classes. As in the
    paper, a linear layer is fitted to the frozen features: logistic or ridge regression of
    standardised features.

    Args:
        features: pooled features of the images (`inference.predict.pooled_features`).
        subjects: "view" (`View`), "sex" (`Sex`) and "age" (years) of each image; None means
            unknown, and the image is left out.
        training: which images the models are fitted to; no patient may be on both sides.

    Raises:
        CxrlocError: the known values of a part are all the same.
    """
    readings = []
    for what, positive in (("view", View.AP), ("sex", Sex.MALE), ("age", None)):
        known = np.array([value is not None for value in subjects[what]])
        if what == "view":
            known &= np.array([value in (View.PA, View.AP) for value in subjects[what]])
        values = [value for value, there in zip(subjects[what], known, strict=True) if there]
        targets = np.array([value if positive is None else value == positive for value in values])
        fitted = training[known]
        if any(len(set(targets[part].tolist())) < 2 for part in (fitted, ~fitted)):
            raise CxrlocError(f"{what}: both parts need images with two different values")
        known_features = features[known]
        read = _read_age if positive is None else _read_class
        readings.append(read(what, known_features, targets, fitted))
    return readings


def _read_class(
    what: str,
    features: Float[np.ndarray, "image depth"],
    truth: Bool[np.ndarray, " image"],
    training: Bool[np.ndarray, " image"],
) -> Reading:
    reader = make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000))
    fitted = (features[training], truth[training])
    unseen = cross_val_predict(reader, *fitted, cv=5, method="predict_proba")[:, 1]
    point = choose_operating_point(truth[training], unseen)
    scores = reader.fit(*fitted).predict_proba(features[~training])[:, 1]
    judged, called = truth[~training], scores >= (point.threshold if point else 0.5)
    counts = confusion(judged, called)
    return Reading(
        what,
        n=int(judged.size),
        auc=auc(judged, scores),
        sensitivity=sensitivity(counts),
        specificity=specificity(counts),
    )


def _read_age(
    what: str,
    features: Float[np.ndarray, "image depth"],
    ages: np.ndarray,
    training: Bool[np.ndarray, " image"],
) -> Reading:
    years = ages.astype(float)
    reader = make_pipeline(StandardScaler(), Ridge()).fit(features[training], years[training])
    errors = np.abs(reader.predict(features[~training]) - years[~training])
    return Reading(
        what,
        n=int(errors.size),
        mean_error_years=float(errors.mean()),
        std_error_years=float(errors.std()),
    )
