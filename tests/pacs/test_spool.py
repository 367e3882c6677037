"""An image in the queue is in exactly one state at any moment, and its content does not change."""

import json
from pathlib import Path

from cxrloc.pacs.spool import NOTE, Job, Note, Spool, State, read_note, write_note


def added(spool: Spool, uid: str, content: bytes) -> Job | None:
    source = spool.folder / "source"
    source.write_bytes(content)
    return spool.add(uid, source)


def test_an_image_goes_from_state_to_state(tmp_path: Path) -> None:
    spool = Spool(tmp_path)
    job = added(spool, "1.2.3", b"pixels")
    assert job is not None
    assert job.image.read_bytes() == b"pixels"
    moved = spool.move(job, State.SENDING)
    assert {state: spool.count(state) for state in State} == {
        State.RECEIVED: 0,
        State.SENDING: 1,
        State.DONE: 0,
        State.FAILED: 0,
    }
    assert read_note(spool.fail(moved, "refused")).reason == "refused"


def test_the_same_image_is_queued_once_in_any_state(tmp_path: Path) -> None:
    spool = Spool(tmp_path)
    job = added(spool, "1.2.3", b"pixels")
    assert job is not None
    for state in (State.RECEIVED, State.SENDING, State.DONE):
        if state is not State.RECEIVED:
            job = spool.move(job, state)
        assert added(spool, "1.2.3", b"pixels") is None
    assert added(spool, "1.2.3", b"corrected pixels") is not None


def test_an_image_that_failed_is_tried_again_if_it_comes_again(tmp_path: Path) -> None:
    spool = Spool(tmp_path)
    job = added(spool, "1.2.3", b"pixels")
    assert job is not None
    write_note(job, Note(starts=5, deaths=3, sent_to=("PACS",)))
    spool.fail(job, "ended its process by signal 6")
    again = added(spool, "1.2.3", b"pixels")
    assert again is not None
    assert (spool.count(State.RECEIVED), spool.count(State.FAILED)) == (1, 0)
    assert read_note(again) == Note()


def test_what_was_not_wholly_received_is_swept(tmp_path: Path) -> None:
    spool = Spool(tmp_path)
    (tmp_path / "incoming" / "half").mkdir()
    spool.sweep()
    assert list((tmp_path / "incoming").iterdir()) == []


def test_only_done_jobs_are_removed_by_age(tmp_path: Path) -> None:
    spool = Spool(tmp_path)
    done, waiting = added(spool, "1.2.3", b"a"), added(spool, "1.2.4", b"b")
    assert done is not None
    assert waiting is not None
    spool.move(done, State.DONE)
    assert spool.remove_done(older_than_seconds=60) == 0
    assert spool.remove_done(older_than_seconds=-1) == 1
    assert spool.count(State.RECEIVED) == 1


def test_a_note_comes_back(tmp_path: Path) -> None:
    job = added(Spool(tmp_path), "1.2.3", b"a")
    assert job is not None
    note = Note(starts=2, deaths=1, sent_to=("A@h:1",), reason="why")
    write_note(job, note)
    assert read_note(job) == note


def test_a_note_of_an_earlier_version_is_read(tmp_path: Path) -> None:
    job = added(Spool(tmp_path), "1.2.3", b"a")
    assert job is not None
    note = {"starts": 1, "deaths": 0, "sent_to": ["A@h:1"], "reason": "", "waits_because": ""}
    (job.folder / NOTE).write_text(json.dumps(note))
    assert read_note(job) == Note(starts=1, sent_to=("A@h:1",))


def test_no_identifier_stands_in_a_name(tmp_path: Path) -> None:
    added(Spool(tmp_path), "../../1.2.3", b"a")
    assert not any("1.2.3" in str(path) for path in tmp_path.rglob("*"))
