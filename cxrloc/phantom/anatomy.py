"""The chest of one phantom: its measures, and the outlines of trunk and organs.

Body coordinates are unit coordinates of an image of a patient who stands straight; `Anatomy.pose`
turns, scales and shifts the patient in the image. Side -1 is the patient's right, on the image's
left.
The shapes are our own simplification of a frontal radiograph; the measures (cardiothoracic ratio
below 0.5 when normal, the right diaphragm higher, an AP heart about a tenth wider) are those of
any textbook of chest radiography.
"""

from dataclasses import dataclass

import numpy as np

from cxrloc.phantom.curves import Points, ellipse, smooth, smooth_closed, tube
from cxrloc.types import Affine, Sex, View

SIDES = (-1, 1)


@dataclass(frozen=True, slots=True)
class Patient:
    """The measures of a patient that are the same on every image; lengths as shares of the image.

    Attributes:
        number: the patient's number, in names and as patient id.
        sex: Sex.FEMALE or Sex.MALE.
        age_years: at the first image.
        half_width: from the midline to the inner chest wall at the base.
        height: from the lung's apex to the costophrenic angle.
        fat: soft tissue outside the ribs.
        heart: width of the heart over the inner width of the chest, PA.
        aorta: radius of the aortic knob.
        breast: radius of the breast shadows, 0 for none.
        slope: how far ribs fall from the spine to the side wall.
        scoliosis: sideways bow of the spine.
        anatomy_seed: seed of everything that has no measure here, such as the vessel tree.
    """

    number: int
    sex: Sex
    age_years: int
    half_width: float
    height: float
    fat: float
    heart: float
    aorta: float
    breast: float
    slope: float
    scoliosis: float
    anatomy_seed: int


@dataclass(frozen=True, slots=True)
class Anatomy:
    """A patient on one image, in body coordinates.

    Attributes:
        patient: the patient.
        view: PA or AP; AP: larger heart, higher diaphragm, shoulder blades over the lungs.
        midline: x of the spine.
        turn: rotation about the long axis, which widens the right lung and narrows the left one.
        top: y of the lungs' apices.
        angles: y of the costophrenic angles, (right, left).
        domes: height of the diaphragm's domes above the costophrenic angles, (right, left).
        heart: x_min, y_min, x_max, y_max of the heart's silhouette before smoothing.
        pose: map from body coordinates to unit image coordinates.
    """

    patient: Patient
    view: View
    midline: float
    turn: float
    top: float
    angles: tuple[float, float]
    domes: tuple[float, float]
    heart: tuple[float, float, float, float]
    pose: Affine

    @property
    def height(self) -> float:
        """The height from the apex to the right costophrenic angle."""
        return self.angles[0] - self.top


def sample_patient(rng: np.random.Generator, number: int) -> Patient:
    """A random patient with the measures of a plausible adult."""
    sex = Sex.MALE if rng.random() < 0.56 else Sex.FEMALE
    age = int(np.clip(rng.normal(50, 17), 18, 92))
    male = sex is Sex.MALE
    return Patient(
        number=number,
        sex=sex,
        age_years=age,
        half_width=rng.normal(0.34 if male else 0.33, 0.014),
        height=rng.normal(0.585 if male else 0.555, 0.03),
        fat=abs(rng.normal(0.045, 0.02)) + 0.02,
        heart=min(rng.normal(0.475, 0.04) + 0.0004 * (age - 50), 0.54),
        aorta=0.026 + 0.00025 * (age - 18) + abs(rng.normal(0, 0.003)),
        breast=0.0 if male else rng.uniform(0.11, 0.17),
        slope=rng.normal(0.135, 0.025),
        scoliosis=rng.normal(0, 0.006),
        anatomy_seed=int(rng.integers(2**31)),
    )


def sample_anatomy(
    rng: np.random.Generator,
    patient: Patient,
    view: View,
    enlarged: bool,
    loss: tuple[float, float],
) -> Anatomy:
    """A patient's chest on one image.

    Args:
        rng: draws breath, rotation and pose of this image.
        patient: the patient.
        view: PA or AP.
        enlarged: the heart is enlarged (cardiomegaly).
        loss: volume loss of each lung (right, left), which lifts the lung's diaphragm and pulls
            the heart.
    """
    lying = view is View.AP
    height = patient.height * rng.normal(0.9 if lying else 1.0, 0.04)
    top = rng.normal(0.185 if lying else 0.16, 0.02)
    higher = np.array([0.012, 0.0])  # the right dome stands above the liver
    domes = rng.normal(0.075, 0.014, 2).clip(0.04) + higher + np.array(loss)
    angle = top + height
    pull = 0.4 * (loss[1] - loss[0])
    midline = 0.5 + rng.normal(0, 0.008)
    ratio = patient.heart * (1.06 if lying else 1.0)
    width = 2 * patient.half_width * (max(0.53, rng.normal(0.67, 0.08)) if enlarged else ratio)
    tall = width * rng.normal(0.8, 0.08) if enlarged else 0.5 * height + rng.normal(0, 0.01)
    left = midline + pull + width * rng.normal(0.65, 0.03)
    bottom = angle - 0.55 * float(domes.mean())
    angle_of_turn = np.deg2rad(rng.normal(0, 2.0))
    size = rng.normal(1.0, 0.065)
    cos, sin = size * np.cos(angle_of_turn), size * np.sin(angle_of_turn)
    shift_x, shift_y = rng.normal(0, 0.035), rng.normal(0.055, 0.048)
    return Anatomy(
        patient=patient,
        view=view,
        midline=midline,
        turn=rng.normal(0, 0.025),
        top=top,
        angles=(angle, angle + rng.normal(0.01, 0.006)),
        domes=(float(domes[0]), float(domes[1])),
        heart=(left - width, bottom - tall, left, bottom),
        pose=Affine(
            cos,
            -sin,
            0.5 - 0.5 * (cos - sin) + shift_x,
            sin,
            cos,
            0.5 - 0.5 * (sin + cos) + shift_y,
        ),
    )


def at(anatomy: Anatomy, side: int, across: Points) -> Points:
    """Body coordinates of points (share of half width, share of height)."""
    width = anatomy.patient.half_width * (1 - side * anatomy.turn)
    x = anatomy.midline + side * width * across[:, 0]
    height = anatomy.angles[side > 0] - anatomy.top
    return np.stack([x, anatomy.top + height * across[:, 1]], axis=1)


_WALL = np.array([
    (0.13, 0.22), (0.15, 0.1), (0.23, 0.03), (0.37, 0.0), (0.53, 0.025), (0.69, 0.09), (0.81, 0.2),
    (0.91, 0.4), (0.965, 0.64), (0.995, 0.85), (0.985, 1.0),
])  # fmt: skip
_MEDIAL = np.array([(0.1, 0.9), (0.09, 0.7), (0.1, 0.45), (0.12, 0.3), (0.13, 0.22)])


def wall(anatomy: Anatomy, side: int) -> Points:
    """The pleura from the medial apex along the ribs down to the costophrenic angle."""
    return smooth(at(anatomy, side, _WALL))


def dome(anatomy: Anatomy, side: int) -> Points:
    """The diaphragm from the costophrenic angle to the spine."""
    height = anatomy.angles[side > 0] - anatomy.top
    rise = anatomy.domes[side > 0] / height
    points = [(0.985, 0.0), (0.9, 0.55), (0.72, 0.9), (0.5, 1.0), (0.27, 0.94), (0.1, 0.82)]
    return smooth(at(anatomy, side, np.array([(u, 1 - rise * part) for u, part in points])))


def lung(anatomy: Anatomy, side: int) -> Points:
    """The outline of one lung, the part behind the heart included."""
    parts = (wall(anatomy, side), dome(anatomy, side), smooth(at(anatomy, side, _MEDIAL)))
    return np.concatenate(parts)


_HEART = np.array([
    (-0.5, 0.14), (-0.46, -0.1), (-0.37, -0.33), (-0.2, -0.47), (0.0, -0.5), (0.12, -0.44),
    (0.2, -0.33), (0.33, -0.13), (0.45, 0.12), (0.5, 0.32), (0.47, 0.44), (0.2, 0.5),
    (-0.1, 0.5), (-0.38, 0.47), (-0.47, 0.34),
])  # fmt: skip


def heart(anatomy: Anatomy) -> Points:
    """The heart's silhouette."""
    x_min, y_min, x_max, y_max = anatomy.heart
    size = np.array([x_max - x_min, y_max - y_min])
    return smooth_closed(np.array([x_min, y_min]) + (_HEART + 0.5) * size)


def mediastinum(anatomy: Anatomy) -> tuple[Points, Points]:
    """The upper mediastinum with the great vessels, and the aortic knob."""
    m, top, h = anatomy.midline, anatomy.top, anatomy.height
    broad = 1.15 if anatomy.view is View.AP else 1.0
    right = np.array([(-0.05, -0.15), (-0.055, 0.1), (-0.06, 0.25), (-0.068, 0.38), (-0.085, 0.5)])
    left = np.array([(0.09, 0.5), (0.088, 0.4), (0.06, 0.31), (0.05, 0.1), (0.05, -0.15)])
    points = np.concatenate([right, [(-0.1, 0.75), (0.12, 0.75)], left])
    column = np.array([m, top]) + points * (broad, h)
    radius = anatomy.patient.aorta
    knob = ellipse((m + 0.022 + radius, top + 0.27 * h), (radius * 1.05, radius * 1.35), 0.25)
    return smooth(column), knob


def hila(anatomy: Anatomy) -> tuple[tuple[float, float], tuple[float, float]]:
    """The centres of the hila, right and left; the left one is the higher."""
    m, h = anatomy.midline, anatomy.height
    return (m - 0.1, anatomy.top + 0.48 * h), (m + 0.105, anatomy.top + 0.44 * h)


def trachea(anatomy: Anatomy) -> tuple[Points, ...]:
    """The air column from the neck to the carina, and the two main bronchi."""
    m, top, h = anatomy.midline, anatomy.top, anatomy.height
    carina = (m + 0.004, top + 0.38 * h)
    column = np.array([(m, -0.1), (m, top), (m + 0.006, top + 0.2 * h), carina])
    right = np.array([carina, (m - 0.04, top + 0.44 * h), (m - 0.075, top + 0.5 * h)])
    left = np.array([carina, (m + 0.05, top + 0.43 * h), (m + 0.09, top + 0.46 * h)])
    return tube(smooth(column), 0.02), tube(smooth(right), 0.013), tube(smooth(left), 0.012)


def torso(anatomy: Anatomy) -> Points:
    """The outline of neck, shoulders and trunk."""
    p, top = anatomy.patient, anatomy.top
    w = p.half_width + p.fat
    half = np.array([
        (0.09, -0.3), (0.085, top - 0.13), (0.12, top - 0.085), (0.25, top - 0.06),
        (0.44 + p.fat / 2, top - 0.02), (0.52 + p.fat / 2, top + 0.1), (w + 0.035, top + 0.25),
        (w, top + 0.38), (w + 0.005, anatomy.angles[0]), (w + 0.02, 1.3),
    ])  # fmt: skip
    left = half * (1, 1) + (anatomy.midline, 0)
    right = half * (-1, 1) + (anatomy.midline, 0)
    return np.concatenate([smooth(right), smooth(left)[::-1]])
