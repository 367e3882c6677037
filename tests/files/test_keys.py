import pytest

from cxrloc.errors import CxrlocError
from cxrloc.files.keys import KEY, KEY_FILE, keyed_patient


def test_a_key_gives_a_patient_the_same_name_in_every_run_and_another_key_another(monkeypatch):
    names = []
    for key in ("one", "one", "two"):
        monkeypatch.setenv(KEY, key)
        names.append(keyed_patient("17"))
    assert names[0] == names[1] != names[2]
    # HMAC-SHA256 of RFC 2104, by openssl: printf 17 | openssl dgst -sha256 -hmac one
    assert names[0] == "1b1310608979994a"


def test_without_a_key_names_are_not_those_of_the_plain_hash(monkeypatch):
    monkeypatch.delenv(KEY, raising=False)
    monkeypatch.delenv(KEY_FILE, raising=False)
    assert len(keyed_patient("17")) == 16
    assert keyed_patient("17") != "17"


def test_a_key_file_that_is_not_there_or_empty_is_an_error(monkeypatch, tmp_path):
    monkeypatch.delenv(KEY, raising=False)
    monkeypatch.setenv(KEY_FILE, str(tmp_path / "none"))
    with pytest.raises(CxrlocError, match=f"none, named by {KEY_FILE}"):
        keyed_patient("17")
    (tmp_path / "empty").write_text(" ")
    monkeypatch.setenv(KEY_FILE, str(tmp_path / "empty"))
    with pytest.raises(CxrlocError, match="it is empty"):
        keyed_patient("17")
