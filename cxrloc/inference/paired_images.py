"""The images of networks that read a frontal and a lateral view together."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import NamedTuple

from cxrloc.datasets.pairs import FRONTAL, PAIRINGS, Pair, pairs_by_study, read_pairs
from cxrloc.errors import CxrlocError, UsageError
from cxrloc.images.read import read_radiograph
from cxrloc.images.study import read_study
from cxrloc.inference.prepared import Image, check_names
from cxrloc.models.described import Described, Input
from cxrloc.types import Radiograph, Record, View


@dataclass(frozen=True, slots=True)
class Pairing:
    """How frontal and lateral images are paired.

    Attributes:
        file: a CSV with the columns frontal and lateral; None: by study.
        choice: a name of `PAIRINGS`, for studies with several images of a view.
    """

    file: Path | None = None
    choice: str = "first"


class PairedImages(NamedTuple):
    """The images of a data set for two-view networks, and the data set's name with the pairing."""

    name: str
    records: list[Record]
    images: list[Image]


def paired_images(
    name: str,
    records: list[Record],
    images: list[Image],
    models: Sequence[Described],
    pairing: Pairing,
) -> PairedImages:
    """One image per pair, the frontal one, if a model reads two views; else the images as given.

    Args:
        name: name of the data set; the number of pairs and how they were made are added.
        records: records of the data set.
        images: those of the records that are on this disk.
        models: models that will run on the images.
        pairing: which images go together.

    Raises:
        UsageError: no model reads two views and pairs are named, or there is no such choice.
        CxrlocError: there is no pair, or the file of pairs cannot be used.
    """
    if not _reads_two_views(models, pairing):
        return PairedImages(name, records, images)
    pairs = _pairs(name, records, models, pairing)
    frontal = {pair.frontal.image_id for pair in pairs}
    images = [each for each in with_partners(images, pairs) if each.image_id in frontal]
    how = f"of {pairing.file}" if pairing.file else f"by study ({pairing.choice})"
    used = frontal | {pair.lateral.image_id for pair in pairs}
    single = sum(record.image_id not in used for record in records)
    name = f"{name}, {len(pairs)} pairs {how}, {single} images in none"
    return PairedImages(name, [pair.frontal for pair in pairs], images)


def paired_files(
    images: Sequence[Image], paths: Sequence[Path], models: Sequence[Described], pairing: Pairing
) -> list[Image]:
    """All images, each with the other view of its pair if a model reads two views.

    Without a file of pairs, images with the same Study Instance UID (0020,000D) go together.

    Args:
        images: of the paths, in their order.
        paths: the files.
        models: models that will run on the images.
        pairing: which images go together.

    Raises:
        UsageError: as `paired_images` does.
        CxrlocError: as `paired_images` does.
    """
    if not _reads_two_views(models, pairing):
        return list(images)
    studies = [read_study(path) for path in paths]
    records = [
        Record(image.image_id, "", study.uid or image.image_id, path, study.view)
        for image, path, study in zip(images, paths, studies, strict=True)
    ]
    order = sorted(range(len(records)), key=lambda index: (studies[index].acquired, index))
    pairs = _pairs("these files", [records[index] for index in order], models, pairing)
    return with_partners(images, pairs)


def with_partners(images: Sequence[Image], pairs: Sequence[Pair]) -> list[Image]:
    """The images, each with a function that reads the other view of its pair.

    Images that are in no pair, or whose partner is not on this disk, stay as they are. The view of
    an image is the view that its pair gives, even if its file says otherwise.
    """
    read = {image.image_id: image.read for image in images}
    partners: dict[str, tuple[Record, Record]] = {}
    for frontal, lateral in pairs:
        partners[frontal.image_id] = (frontal, lateral)
        partners.setdefault(lateral.image_id, (lateral, frontal))
    laterals = {pair.lateral.image_id for pair in pairs}

    def reader(record: Record) -> Callable[[], Radiograph] | None:
        read_file = read.get(record.image_id)
        if (
            read_file is None and record.path is not None
        ):  # in the file of pairs, but not among the images
            read_file = partial(read_radiograph, record.path)
        if read_file is None:
            return None
        view = View.LATERAL if record.image_id in laterals else _frontal(record.view)
        return partial(_read_as, read_file, view)

    done = []
    for image in images:
        own, other = partners.get(image.image_id, (None, None))
        if own is None or other is None:
            done.append(image)
            continue
        files = tuple(record.path for record in (own, other) if record.path is not None)
        done.append(Image(image.image_id, reader(own) or image.read, reader(other), files))
    return done


def _reads_two_views(models: Sequence[Described], pairing: Pairing) -> bool:
    check_names("--pairing", [pairing.choice], PAIRINGS)
    two = any(Input.SECOND_VIEW in model.reads for model in models)
    if pairing.file is not None and not two:
        raise UsageError("--pairs is for networks that read two views, and none of these does")
    return two


def _pairs(
    name: str, records: Sequence[Record], models: Sequence[Described], pairing: Pairing
) -> list[Pair]:
    """The pairs from the file, or from studies, with the frontal views that the models know."""
    if pairing.file is not None:
        return read_pairs(pairing.file, records)
    known = {view for model in models for view in model.card.views} & {*FRONTAL}
    views = [view for view in FRONTAL if view in known or not known]
    if pairs := pairs_by_study(records, pairing.choice, views):
        return pairs
    raise CxrlocError(
        f"{name}: no study has both a {' or '.join(views)} and a lateral image; name pairs with "
        "--pairs FILE.csv (columns frontal, lateral)"
    )


def _frontal(view: View | None) -> View | None:
    return view if view in FRONTAL else None


def _read_as(read: Callable[[], Radiograph], view: View | None) -> Radiograph:
    """The radiograph with the view of its pair; a frontal image keeps PA or AP from its file."""
    radiograph = read()
    if view is None:
        view = _frontal(radiograph.view)
    return replace(radiograph, view=view)
