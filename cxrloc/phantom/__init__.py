"""Synthetic chest radiographs with exact boxes, deterministic by seed and index.

Geometry first (`plan_phantom`: a few milliseconds, no pixels), then the drawing (`make_phantom`),
then a data set on disk (`write_phantoms`). No clinical meaning: they test software.
"""

from cxrloc.phantom.phantom import Phantom, make_phantom, phantom_record
from cxrloc.phantom.plan import Plan, plan_phantom
from cxrloc.phantom.write import NOT_OF_PATIENTS, is_synthetic, write_phantoms

__all__ = [
    "NOT_OF_PATIENTS",
    "Phantom",
    "Plan",
    "is_synthetic",
    "make_phantom",
    "phantom_record",
    "plan_phantom",
    "write_phantoms",
]
