"""How the settings of two runs differ, in the words of a message."""

from collections.abc import Iterator, Mapping
from typing import Any


def first_difference(there: Mapping[str, Any], here: Mapping[str, Any]) -> str:
    """A phrase about the first setting that differs; empty where no setting differs.

    A setting that only one side has counts as different.

    >>> first_difference({"fit": {"seed": 0}}, {"fit": {"seed": 1}})
    'fit.seed is 0 there and 1 here'
    >>> first_difference({"fit": {"seed": 0}}, {"fit": {"seed": 0, "clip": 0}})
    'fit.clip is missing there and 0 here'
    >>> first_difference({"threshold": [60.0, 180.0]}, {"threshold": [60.0]})
    'threshold is 60, 180 there and 60 here'
    """
    before, now = dict(_flat(there)), dict(_flat(here))
    for key in [*before, *now]:
        if key not in before or key not in now or before[key] != now[key]:
            there_is, here_is = (
                _in_words(of[key]) if key in of else "missing" for of in (before, now)
            )
            return f"{key} is {there_is} there and {here_is} here"
    return ""


def _flat(values: Mapping[str, Any], above: str = "") -> Iterator[tuple[str, Any]]:
    """Values of nested tables, and of lists of tables, by their whole names.

    >>> dict(_flat({"fit": {"seed": 0}, "models": [{"name": "a"}, {"name": "b"}]}))
    {'fit.seed': 0, 'models.1.name': 'a', 'models.2.name': 'b'}
    """
    for key, value in values.items():
        name = f"{above}{key}"
        if isinstance(value, Mapping) and value:
            yield from _flat(value, f"{name}.")
        elif isinstance(value, list | tuple) and any(isinstance(each, Mapping) for each in value):
            yield from _flat(
                {str(number): each for number, each in enumerate(value, 1)}, f"{name}."
            )
        else:
            yield name, value


def _in_words(value: Any) -> str:
    """The value of a setting as a user would write it.

    >>> [_in_words(value) for value in (None, True, "", "cam", [], [60.0, 0.5], ["PA", "AP"])]
    ['none', 'yes', "''", "'cam'", 'an empty list', '60, 0.5', "'PA', 'AP'"]
    """
    if isinstance(value, list | tuple):
        return ", ".join(map(_in_words, value)) or "an empty list"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return repr(value).removesuffix(".0")
    return "none" if value is None else repr(value)
