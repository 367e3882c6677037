"""Synthetic chest radiographs with the eight findings of ChestX-ray8 and exact boxes."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from cxrloc.findings import CHESTXRAY8
from cxrloc.phantom.plan import Plan, lesion_box, plan_phantom
from cxrloc.phantom.render import draw_plan
from cxrloc.types import Annotation, Box, Label, Record


@dataclass(frozen=True, slots=True, eq=False)
class Phantom:
    """One synthetic radiograph and the truth about it.

    Attributes:
        pixels: grey levels in [0, 1], larger is brighter.
        record: labels of all eight findings, and one box per finding present, in pixels.
        drain: whether a chest drain is on the image; often, but not always, with a pneumothorax.
    """

    pixels: Float[np.ndarray, "row col"]
    record: Record
    drain: bool


def make_phantom(seed: int, index: int, size: int) -> Phantom:
    """Phantom `index` of the series `seed`, drawn `size` x `size` pixels.

    The same (seed, index) gives the same patient with the same lesions at every size; boxes scale
    with the size. Some patients have several images. Trained models and benchmarks use different
    seeds.

    >>> phantom = make_phantom(seed=0, index=0, size=64)
    >>> phantom.pixels.shape, phantom.record.image_id, phantom.record.patient_id
    ((64, 64), '00100000_000', '100000')
    """
    plan = plan_phantom(seed, index)
    return Phantom(draw_plan(plan, size), phantom_record(plan, size), plan.drain is not None)


def phantom_record(plan: Plan, size: int) -> Record:
    """Labels and boxes of a planned phantom, for an image of `size` x `size` pixels."""
    patient = plan.anatomy.patient
    image_id = f"{patient.number:08d}_{plan.follow_up:03d}"
    boxes = [
        (lesion.finding, (lesion_box(lesion, plan.anatomy.pose) * size).tolist())
        for lesion in plan.lesions
    ]
    present = {finding for finding, _ in boxes}
    return Record(
        image_id=image_id,
        patient_id=str(patient.number),
        study_id=image_id,
        path=None,
        view=plan.anatomy.view,
        age_years=float(patient.age_years + plan.follow_up),
        sex=patient.sex,
        labels={f: Label.POSITIVE if f in present else Label.NEGATIVE for f in CHESTXRAY8},
        annotations=tuple(Annotation(image_id, finding, Box(*box)) for finding, box in boxes),
        annotation_frame=(size, size),
    )
