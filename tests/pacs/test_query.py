"""Images that a DICOMweb server has are fetched once; one that is broken stops no other."""

from pathlib import Path
from typing import Any

import pytest
import requests
from dicomweb_client.api import DICOMwebClient
from pydicom import Dataset

from cxrloc.pacs import query
from cxrloc.pacs.node_config import Compute, NodeConfig, Query, Receive, Send, Storage
from cxrloc.pacs.query import fetch_new
from cxrloc.pacs.spool import Spool, State
from tests.pacs.servers import small_object

CONFIG = NodeConfig(
    Receive(min_free_megabytes=0), Query(modalities=("CR",)), Compute(), Send(), Storage()
)


class Server(DICOMwebClient):
    """A server that has three images, and answers an error for some of them."""

    def __init__(self, errors: dict[str, Exception]) -> None:
        self.errors = errors

    def search_for_instances(self, **filters: Any) -> list[dict[str, dict[str, list[str]]]]:
        tags = {"00080016": "SOPClassUID", "0020000D": "StudyInstanceUID"}
        tags |= {"0020000E": "SeriesInstanceUID", "00080018": "SOPInstanceUID"}
        images = [small_object(number) for number in (1, 2, 3)]
        return [
            {tag: {"Value": [str(each[name].value)]} for tag, name in tags.items()}
            for each in images
        ]

    def retrieve_instance(self, study: str, series: str, uid: str) -> Dataset:
        if uid in self.errors:
            raise self.errors[uid]
        return small_object(int(uid.rpartition(".")[2]))


@pytest.fixture
def spool(tmp_path: Path) -> Spool:
    return Spool(tmp_path)


def test_a_broken_image_stops_no_other_and_is_tried_again(
    spool: Spool, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = Server({"2.25.1": ValueError("no DICOM"), "2.25.2": requests.HTTPError("404")})
    monkeypatch.setattr(query, "_client", lambda settings: server)
    assert fetch_new(CONFIG, spool) == 1
    server.errors = {}
    assert [fetch_new(CONFIG, spool), fetch_new(CONFIG, spool)] == [2, 0]
    assert spool.count(State.RECEIVED) == 3


def test_a_server_that_is_away_ends_the_query(
    spool: Spool, monkeypatch: pytest.MonkeyPatch
) -> None:
    away = Server({"2.25.1": requests.ConnectionError("no route")})
    monkeypatch.setattr(query, "_client", lambda settings: away)
    with pytest.raises(OSError, match="no route"):
        fetch_new(CONFIG, spool)
