"""Fetches images from a DICOMweb server, which is queried for new images at an interval."""

import hashlib
import io
import logging
import os
from datetime import date, timedelta
from pathlib import Path

from cxrloc.pacs.destinations import bearer_token
from cxrloc.pacs.node_config import Query
from cxrloc.pacs.receive import STORAGE_CLASSES
from cxrloc.pacs.spool import Spool

log = logging.getLogger(__name__)

SEEN = "queried.txt"
"""File in the spool's folder with a hash of every image that was fetched, one hash per line."""


def fetch_new(settings: Query, spool: Spool) -> int:
    """Fetch the images of the server that this node has not fetched before; returns their number.

    QIDO-RS (PS3.18, section 10.6) finds instances of the modalities in studies of the last days;
    WADO-RS fetches them. Images of other storage classes, and own results, are skipped.

    Raises:
        OSError: the server cannot be reached.
    """
    client = _client(settings)
    seen_file = spool.folder / SEEN
    seen = set(seen_file.read_text().split()) if seen_file.exists() else set()
    fetched = 0
    first = date.today() - timedelta(days=settings.days)
    for modality in settings.modalities:
        filters = {"Modality": modality, "StudyDate": f"{first:%Y%m%d}-"}
        for found in client.search_for_instances(search_filters=filters, fields=["Manufacturer"]):
            uids = [_value(found, tag) for tag in ("0020000D", "0020000E", "00080018")]
            key = hashlib.sha256(uids[2].encode()).hexdigest()[:32]
            if key in seen or _value(found, "00080016") not in STORAGE_CLASSES:
                continue
            if fetched == settings.max_images:
                return fetched
            content = io.BytesIO()
            client.retrieve_instance(*uids).save_as(content, enforce_file_format=True)
            spool.add(uids[2], content.getvalue())
            _remember(seen_file, key)
            seen.add(key)
            fetched += 1
    return fetched


def _client(settings: Query):  # type: ignore[no-untyped-def]
    from dicomweb_client.api import DICOMwebClient

    logging.getLogger("dicomweb_client").setLevel(logging.ERROR)
    token = bearer_token()
    headers = {"Authorization": f"Bearer {token}"} if token else None
    return DICOMwebClient(settings.url, headers=headers)


def _value(found: dict[str, dict[str, list[str]]], tag: str) -> str:
    """The first value of an attribute in DICOM JSON (PS3.18, annex F); empty if it has no value."""
    values = found.get(tag, {}).get("Value") or [""]
    return str(values[0])


def _remember(path: Path, key: str) -> None:
    with path.open("a") as file:
        file.write(f"{key}\n")
        file.flush()
        os.fsync(file.fileno())
