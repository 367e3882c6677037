import errno
import hashlib
import multiprocessing
import os
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from cxrloc.datasets.image_cache import Source, cached_images, file_key, images_sha256
from cxrloc.errors import CxrlocError
from cxrloc.files.whole import DiskError
from cxrloc.images.preprocessing import Preprocessing, preprocess
from cxrloc.types import Radiograph

SMALL = Preprocessing(size=8, source_size=None)


def radiograph(number: int) -> Radiograph:
    pixels = np.random.default_rng(number).random((16, 16), dtype=np.float32)
    return Radiograph(pixels, bits_stored=8)


def broken() -> Radiograph:
    raise CxrlocError("b.png: cut short")


def source(number: int) -> Source:
    return Source(f"image {number}", partial(radiograph, number))


class Counted:
    """Passes images on and counts those that had to be made."""

    def __init__(self):
        self.made = 0

    def __call__(self, images):
        for image in images:
            self.made += 1
            yield image


def fill(folder: Path, numbers: list[int]) -> None:
    cached_images([source(number) for number in numbers], SMALL, folder)


@pytest.mark.parametrize(("bit_depth", "levels"), [(8, 255), (16, 65535), (None, 65535)])
def test_a_cached_image_is_the_preprocessed_one_within_half_a_level(tmp_path, bit_depth, levels):
    config = Preprocessing(size=8, source_size=None, bit_depth=bit_depth, mean=(0.0,), std=(1.0,))
    images = cached_images([source(0), source(1)], config, tmp_path)
    for number, slot in enumerate(images.slots):
        wanted, _ = preprocess(radiograph(number), config)
        assert np.abs(images.pixels[slot] / levels - wanted[0]).max() <= 0.5 / levels + 1e-6


def test_an_image_is_made_once_for_each_size_and_setting(tmp_path):
    watch = Counted()
    sources = [source(0), source(1), source(0)]
    first = cached_images(sources, SMALL, tmp_path, watch)
    assert (watch.made, first.slots.tolist()) == (2, [0, 1, 0])
    again = cached_images([source(1), source(2)], SMALL, tmp_path, watch)
    assert (watch.made, again.slots.tolist()) == (3, [1, 2])
    normalised_otherwise = Preprocessing(size=8, source_size=None, mean=(0.1,), std=(0.2,))
    cached_images(sources, normalised_otherwise, tmp_path, watch)
    assert watch.made == 3
    cached_images(sources, Preprocessing(size=4, source_size=None), tmp_path, watch)
    assert watch.made == 5


def test_who_watches_knows_beforehand_how_much_of_the_disk_is_needed(tmp_path):
    def watch(making):
        seen.append((len(making), making.bytes_needed, making.folder))
        return making

    seen = []
    cached_images([source(0)], SMALL, tmp_path, watch)
    cached_images([source(0), source(1), source(2)], SMALL, tmp_path, watch)
    assert seen == [(1, 8 * 8, tmp_path), (2, 2 * 8 * 8, tmp_path)]


def test_pixels_of_an_earlier_version_of_the_code_are_not_used(tmp_path, monkeypatch):
    watch = Counted()
    cached_images([source(0)], SMALL, tmp_path, watch)
    monkeypatch.setattr("cxrloc.datasets.image_cache.PIXELS_VERSION", 0)
    cached_images([source(0)], SMALL, tmp_path, watch)
    assert watch.made == 2


def test_what_a_killed_process_left_half_written_is_made_again(tmp_path):
    numbers = [0, 1, 2]
    whole = cached_images([source(number) for number in numbers], SMALL, tmp_path / "whole")
    fill(tmp_path / "cut", numbers[:2])
    (place,) = (tmp_path / "cut").iterdir()
    with (place / "pixels").open("ab") as pixels, (place / "index").open("ab") as index:
        pixels.write(b"half an image")
        index.write(b"half a key")
    mended = cached_images([source(number) for number in numbers], SMALL, tmp_path / "cut")
    assert np.array_equal(mended.pixels[mended.slots], whole.pixels[whole.slots])


@pytest.mark.parametrize("damage", ["short pixels", "no pixels", "line lost", "no text"])
def test_a_damaged_cache_is_filled_again_and_never_gives_black_images(tmp_path, damage):
    numbers = [0, 1, 2]
    whole = cached_images([source(number) for number in numbers], SMALL, tmp_path / "whole")
    fill(tmp_path / "cut", numbers)
    (place,) = (tmp_path / "cut").iterdir()
    pixels, index = place / "pixels", place / "index"
    if damage == "short pixels":
        pixels.write_bytes(pixels.read_bytes()[:100])
    elif damage == "no pixels":
        pixels.unlink()
    elif damage == "line lost":
        index.write_bytes(index.read_bytes()[40:])
    else:
        index.write_bytes(b"\xff" * 99)
    mended = cached_images([source(number) for number in numbers], SMALL, tmp_path / "cut")
    assert np.array_equal(mended.pixels[mended.slots], whole.pixels[whole.slots])


@pytest.mark.parametrize("full", ["pixels", "index"])
def test_a_full_disk_names_the_file_that_was_written(tmp_path, monkeypatch, full):
    def fsync(descriptor):
        (path,) = tmp_path.glob(f"*/{full}")
        if os.path.samestat(os.fstat(descriptor), path.stat()):
            raise OSError(errno.ENOSPC, "")

    monkeypatch.setattr("cxrloc.datasets.image_cache.os.fsync", fsync)
    with pytest.raises(DiskError, match=f"/{full}: cannot be written: No space left"):
        fill(tmp_path, [0])


def test_an_error_of_who_watches_is_not_taken_for_one_of_the_disk(tmp_path):
    def closed_terminal(images):
        for image in images:
            yield image
            raise BrokenPipeError(errno.EPIPE, "Broken pipe")

    with pytest.raises(BrokenPipeError):
        cached_images([source(0), source(1)], SMALL, tmp_path, closed_terminal)


def test_an_image_that_cannot_be_read_is_named_and_the_others_go_on(tmp_path):
    sources = [source(0), Source("broken", broken), source(1)]
    images = cached_images(sources, SMALL, tmp_path)
    assert images.slots.tolist() == [0, -1, 1]
    assert images.failures == {1: "b.png: cut short"}


def test_two_processes_that_fill_one_cache_share_it(tmp_path):
    context = multiprocessing.get_context("spawn")
    numbers = list(range(40))
    others = [context.Process(target=fill, args=(tmp_path, numbers)) for _ in range(2)]
    for process in others:
        process.start()
    for process in others:
        process.join()
    assert [process.exitcode for process in others] == [0, 0]
    watch = Counted()
    images = cached_images([source(number) for number in numbers], SMALL, tmp_path, watch)
    assert watch.made == 0
    assert sorted(images.slots.tolist()) == numbers


def test_a_file_that_changes_has_another_key(tmp_path):
    path = tmp_path / "a.png"
    path.write_bytes(b"one")
    before = file_key(path)
    assert file_key(path) == before
    path.write_bytes(b"three")
    assert file_key(path) != before


def test_the_hash_of_labels_and_pixels_is_computed_once(tmp_path):
    images = cached_images([source(number) for number in range(3)], SMALL, tmp_path)
    slots, labels = images.slots[[2, 0], None], np.array([[1.0], [0.0]])
    direct = hashlib.sha256(labels.tobytes() + images.pixels[[2, 0]].tobytes()).hexdigest()
    assert images_sha256(images, slots, labels) == direct
    (kept,) = images.folder.glob("sha256-[0-9a-f]*")
    kept.write_text("f" * 64)  # so that who reads it can be told from who computes it
    assert images_sha256(images, slots, labels) == "f" * 64
    assert images_sha256(images, slots[::-1], labels) != "f" * 64
    assert images_sha256(images, slots, labels[::-1].copy()) != "f" * 64
    kept.write_text("cut")
    assert images_sha256(images, slots, labels) == direct


def test_a_changed_file_has_another_hash(tmp_path):
    hashes = []
    for number in (0, 1):
        images = cached_images([source(number)], SMALL, tmp_path)
        hashes.append(images_sha256(images, images.slots, np.zeros((1, 1))))
    assert hashes[0] != hashes[1]
