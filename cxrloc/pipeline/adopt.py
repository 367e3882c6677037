"""`cxrloc adopt`: makes a model file from weights of a classifier that was trained elsewhere."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from cxrloc.files.run_folder import make_folder
from cxrloc.models.adopt import Adopted, adopt
from cxrloc.models.adoption import AdoptOptions, adoption_of
from cxrloc.models.weights import read_model, write_model


def adopt_file(paths: Sequence[Path], out: Path, options: AdoptOptions) -> Adopted:
    """Write the adopted model, and read it back.

    Raises:
        UsageError: an option names something that does not exist, or `out` cannot be made.
        CxrlocError: the weights do not fit.
    """
    make_folder(out.parent)
    adopted = adopt(paths, adoption_of(options, options.name or out.stem))
    model = adopted.model
    write_model(out, model.network, model.preprocessing, model.card, model.typical, half=False)  # type: ignore[arg-type]
    return replace(adopted, model=read_model(out))
