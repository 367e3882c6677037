"""The models that come with the package, by their names."""

from pathlib import Path

_EMBEDDED = Path(__file__).parent / "embedded"

MODELS = {name: _EMBEDDED / f"{name}.safetensors" for name in ("nih-small-v4", "phantom-v1")}
"""Models that come with the package: name -> file."""

DEFAULT_MODEL = "nih-small-v4"
"""The model of a command that is given data but no model."""

PHANTOM_MODEL = "phantom-v1"
"""The model of a command that is given neither a model nor data, and therefore uses phantoms."""


def unknown_model(name: str) -> str:
    """The message about a name that is neither a model's nor a file's.

    >>> unknown_model("resnet")
    'resnet: neither a file nor a model of this package (nih-small-v4, phantom-v1)'
    """
    return f"{name}: neither a file nor a model of this package ({', '.join(MODELS)})"
