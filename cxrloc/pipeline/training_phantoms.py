"""Phantoms to learn from: drawn by seed and index, where a data set would be read."""

import hashlib
from functools import partial
from pathlib import Path

from cxrloc import phantom
from cxrloc.datasets.image_cache import Source
from cxrloc.datasets.splits import Parts
from cxrloc.phantom import make_phantom, phantom_record, plan_phantom
from cxrloc.recipe import PhantomData
from cxrloc.types import Radiograph


def phantom_parts(config: PhantomData, size: int) -> tuple[Parts, dict[str, Source]]:
    """Phantoms in order; a patient of the first part is left out of the second."""
    code = hashlib.sha256()
    for path in sorted(Path(phantom.__file__).parent.glob("*.py")):
        code.update(path.read_bytes())
    records, sources = [], {}
    for index in range(config.training_images + config.validation_images):
        record = phantom_record(plan_phantom(config.seed, index), size)
        key = f"phantom {config.seed} {index} {size} {code.hexdigest()}"
        sources[record.image_id] = Source(key, partial(_drawn, config.seed, index, size))
        records.append(record)
    train = records[: config.training_images]
    seen = {record.patient_id for record in train}
    others = [r for r in records[config.training_images :] if r.patient_id not in seen]
    return Parts(train, others, []), sources


def _drawn(seed: int, index: int, size: int) -> Radiograph:
    made = make_phantom(seed, index, size)
    return Radiograph(made.pixels, bits_stored=16, view=made.record.view)
