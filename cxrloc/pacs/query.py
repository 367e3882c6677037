"""Fetches images from a DICOMweb server, which is queried for new images at an interval."""

import hashlib
import logging
import os
from collections.abc import Iterator
from datetime import date, timedelta
from pathlib import Path

import requests
from dicomweb_client.api import DICOMwebClient

from cxrloc.pacs.destinations import bearer_token
from cxrloc.pacs.node_config import NodeConfig, Query
from cxrloc.pacs.receive import STORAGE_CLASSES, is_own
from cxrloc.pacs.spool import INCOMING, Spool

log = logging.getLogger(__name__)

SEEN = "queried.txt"
"""File in the spool's folder with a hash of every image that was fetched, one hash per line."""


def fetch_new(config: NodeConfig, spool: Spool) -> int:
    """Fetch the images of the server that this node has not fetched before; returns their number.

    QIDO-RS (PS3.18, section 10.6) finds instances of the modalities in studies of the last days;
    WADO-RS fetches them. Images of other storage classes, and own results, are skipped. An image
    that cannot be fetched is tried again after the next query. Nothing is fetched while the disk is
    nearly full.

    Raises:
        OSError: the server cannot be reached, or the disk cannot be written.
    """
    client = _client(config.query)
    seen_file = spool.folder / SEEN
    seen = set(seen_file.read_text().split()) if seen_file.exists() else set()
    fetched = 0
    for uids in _images(client, config.query):
        key = hashlib.sha256(uids[2].encode()).hexdigest()[:32]
        if key in seen:
            continue
        if fetched == config.query.max_images or spool.is_nearly_full(
            config.receive.min_free_megabytes
        ):
            break
        fetched_file = spool.folder / INCOMING / f"{key}.dcm"
        try:
            image = client.retrieve_instance(*uids)
            is_own_result = is_own(image)
            if not is_own_result:
                image.save_as(fetched_file, enforce_file_format=True)
        except Exception as error:
            # An error of the server or of the disk ends the query. With any other error only this
            # image is left out, so that one broken image does not stop all others.
            if isinstance(error, OSError) and not isinstance(error, requests.HTTPError):
                raise
            log.warning("an image was not fetched (%s)", type(error).__name__)
            continue  # it is tried again after the next query
        if not is_own_result:
            spool.add(uids[2], fetched_file)
            fetched_file.unlink()
            fetched += 1
        _remember(seen_file, key)
        seen.add(key)
    return fetched


def _images(client: DICOMwebClient, query: Query) -> Iterator[tuple[str, str, str]]:
    """Study, series and SOP instance UID of the images that the server has."""
    first = date.today() - timedelta(days=query.days)
    for modality in query.modalities:
        filters = {"Modality": modality, "StudyDate": f"{first:%Y%m%d}-"}
        for found in client.search_for_instances(search_filters=filters, get_remaining=True):
            if _value(found, "00080016") in STORAGE_CLASSES:
                yield (
                    _value(found, "0020000D"),
                    _value(found, "0020000E"),
                    _value(found, "00080018"),
                )


def _client(settings: Query) -> DICOMwebClient:
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
