"""`cxrloc adopt`: makes a model file from weights of a classifier that was trained elsewhere."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from cxrloc.models.adopt import Adopted, adopt
from cxrloc.models.adoption import AdoptOptions, adoption_of
from cxrloc.models.weights import read_model, write_model


def adopt_file(paths: Sequence[Path], out: Path, options: AdoptOptions) -> Adopted:
    """Write the adopted model, and read it back.

    Raises:
        UsageError: an option names something that does not exist.
        CxrlocError: the weights do not fit.
    """
    adopted = adopt(paths, adoption_of(options, options.name or out.stem))
    model = adopted.model
    write_model(out, model.network, model.preprocessing, model.card, model.typical, half=False)  # type: ignore[arg-type]
    return replace(adopted, model=read_model(out))
