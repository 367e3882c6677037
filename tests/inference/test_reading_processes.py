"""Processes read what threads read, and one that dies costs one image."""

import os
import pickle
import sys
from functools import partial
from types import ModuleType

import numpy as np
import pytest

from cxrloc.errors import CxrlocError
from cxrloc.images.preprocessing import Preprocessing
from cxrloc.inference.prepared import Failure, Image, Prepared
from cxrloc.inference.read_ahead import prepared_images
from cxrloc.inference.reading_processes import can_be_sent, images_of_processes
from cxrloc.models.card import ModelCard
from cxrloc.models.described import Description, Input
from cxrloc.types import Radiograph

MODEL = Description(ModelCard("m", "nothing", ("Mass",)), Preprocessing(8), "", (Input.IMAGE,))


def read(name: str) -> Radiograph:
    """A radiograph that says who read it, or what a bad file does."""
    if name == "broken":
        raise CxrlocError("broken: an empty file")
    if name == "deadly":
        os.abort()
    torch = "with torch" if "torch" in sys.modules else "without torch"
    pixels = np.linspace(0, 1, 12).reshape(3, 4)
    return Radiograph(pixels, bits_stored=8, warnings=(f"{os.getpid()} {torch}",))


def test_processes_read_what_threads_read_and_need_no_torch() -> None:
    images = [Image(name, partial(read, name)) for name in ("a", "broken", "deadly", "d")]
    first, broken, deadly, last = images_of_processes([MODEL], images, 1, True)
    assert broken == Failure("broken", "broken: an empty file")
    assert isinstance(deadly, Failure)
    assert "ended its process by signal 6" in deadly.reason
    (wanted,) = prepared_images([MODEL], images[:1], 1)
    assert isinstance(wanted, Prepared)
    for item in (first, last):
        assert isinstance(item, Prepared)
        who, torch = item.radiograph.warnings[0].split(" ", 1)
        assert (int(who) == os.getpid(), torch) == (False, "without torch")
        np.testing.assert_array_equal(item.inputs[0][0], wanted.inputs[0][0])
        np.testing.assert_array_equal(item.radiograph.pixels, wanted.radiograph.pixels)


def test_images_of_a_notebook_cannot_be_sent() -> None:
    assert can_be_sent([Image("a", partial(read, "a"))])
    assert not can_be_sent([Image("a", lambda: read("a"))])


@pytest.mark.parametrize("file", ["", "script.py"])
def test_images_whose_function_a_notebook_defines_cannot_be_sent(
    file: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Pickle writes the name of the function, which only the child of a script has."""
    main = ModuleType("__main__")
    exec("def own(name): pass", vars(main))
    if file:
        main.__file__ = file
    monkeypatch.setitem(sys.modules, "__main__", main)
    images = [Image("a", partial(main.own, "a"))]
    assert pickle.dumps(images)
    assert can_be_sent(images) == bool(file)
