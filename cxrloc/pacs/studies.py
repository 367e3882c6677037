"""Which images of a queue belong to the same study, and whether a study still gets new ones."""

import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

import pydicom

from cxrloc.pacs.spool import Job, Spool, State


class Studies:
    """The studies of the images in a queue.

    Args:
        spool: the queue.
        rest_seconds: a study rests if it got no image for this time; with 0 each image is alone.
    """

    def __init__(self, spool: Spool, rest_seconds: float) -> None:
        self._spool, self._rest = spool, rest_seconds
        self._uids: dict[str, str] = {}

    def at_rest(self, jobs: Sequence[Job]) -> set[str]:
        """Names of the jobs whose study rests."""
        if not self._rest:
            return {job.name for job in jobs}
        newest: dict[str, float] = {}
        for job in jobs:
            study = self._uid(job)
            with suppress(FileNotFoundError):  # another worker has just moved the job
                newest[study] = max(newest.get(study, 0.0), job.image.stat().st_mtime)
        limit = time.time() - self._rest
        return {job.name for job in jobs if newest.get(self._uid(job), limit) <= limit}

    def images_of(self, job: Job) -> tuple[Path, ...]:
        """The images of a job's study that the queue still holds, its own image first."""
        if not self._rest:
            return (job.image,)
        study = self._uid(job)
        others = [
            each.image
            for state in (State.RECEIVED, State.SENDING, State.DONE)
            for each in self._spool.jobs(state)
            if each.name != job.name and self._uid(each) == study
        ]
        return (job.image, *others)

    def forget(self) -> None:
        """Forget which study each job belongs to, after jobs were removed."""
        self._uids.clear()

    def _uid(self, job: Job) -> str:
        """The study of a job; an image without one is a study of its own.

        Each header is read once only, because the image of a job never changes.
        """
        if job.name not in self._uids:
            self._uids[job.name] = _read_study_uid(job.image) or job.name
        return self._uids[job.name]


def _read_study_uid(image: Path) -> str:
    """Study Instance UID (0020,000D); empty if the file has none."""
    try:
        header = pydicom.dcmread(image, specific_tags=["StudyInstanceUID"], stop_before_pixels=True)
    except Exception:  # a broken file belongs to no study; computing it will say what is wrong
        return ""
    return str(header.get("StudyInstanceUID", ""))
