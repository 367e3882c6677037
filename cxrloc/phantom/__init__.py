"""Synthetic chest radiographs with exact boxes, deterministic by seed and index.

`plan_phantom` draws the geometry without pixels in a few milliseconds, `make_phantom` draws the
image, and `write_phantoms` writes a data set to disk. Phantoms have no clinical meaning: they test
software. `drawn_lesions` draws lesions into real radiographs instead.
"""

from cxrloc.phantom.phantom import Phantom, make_phantom, phantom_record
from cxrloc.phantom.plan import Plan, plan_phantom
from cxrloc.phantom.write import NOT_OF_PATIENTS, SYNTHETIC_CAPTION, is_synthetic, write_phantoms

__all__ = [
    "NOT_OF_PATIENTS",
    "SYNTHETIC_CAPTION",
    "Phantom",
    "Plan",
    "is_synthetic",
    "make_phantom",
    "phantom_record",
    "plan_phantom",
    "write_phantoms",
]
