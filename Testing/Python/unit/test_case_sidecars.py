import json

import pytest
from case_folders import Clock
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from synthetic_scan import assert_one_sentence

from LaminaLabelingLib.case_sidecars import (
    Reviewed,
    SessionFile,
    digest_of,
    read_axes,
    read_session,
    write_axes,
    write_session,
)
from LaminaLabelingLib.errors import LaminaError

SHARED_FOLDER = settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=40, deadline=None)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


@SHARED_FOLDER
@given(
    st.dictionaries(st.text(), JSON, max_size=4), st.lists(st.builds(Reviewed, *[st.text(max_size=9)] * 3), max_size=3)
)
def test_a_session_is_read_back_as_it_was(tmp_path, state, reviews):
    session = SessionFile(state, tuple(reviews))
    write_session(session, tmp_path / "s.anna.session.json")
    assert read_session(tmp_path / "s.anna.session.json") == session


def test_a_missing_session_is_an_empty_one(tmp_path):
    assert read_session(tmp_path / "s.anna.session.json") == SessionFile({}, ())


def test_a_new_state_keeps_the_reviews_and_is_what_a_file_would_give_back():
    session = SessionFile({"slot": "T1L"}).with_review("ab", "bob", Clock()())
    changed = session.with_state({"order": ("down", 1)})
    assert changed.state == {"order": ["down", 1]}
    assert changed.reviews == (Reviewed("ab", "bob", "2026-03-02T09:00:00+01:00"),)
    with pytest.raises(TypeError):
        session.with_state({"slot": object()})


def test_a_review_counts_for_exactly_its_labels():
    session = SessionFile().with_review("ab", "bob", Clock()())
    assert session.is_reviewed("ab")
    assert not session.is_reviewed("cd")
    assert not session.is_reviewed(None)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{",
        b"[]",
        b"3",
        b'{"state": []}',
        b'{"reviews": {}}',
        b'{"reviews": [3]}',
        b'{"reviews": [{"by": "x"}]}',
        b"\xff\xfe\x00",
        b"[" * 100000,
    ],
)
def test_a_damaged_session_is_reported(tmp_path, content):
    path = tmp_path / "s.anna.session.json"
    path.write_bytes(content)
    with pytest.raises(LaminaError, match=r'"s\.anna\.session\.json" is damaged') as raised:
        read_session(path)
    assert_one_sentence(raised.value)
    assert not isinstance(raised.value.__cause__, OSError)


def test_a_session_that_cannot_be_opened_is_told_from_a_damaged_one(tmp_path):
    (tmp_path / "s.anna.session.json").mkdir()
    with pytest.raises(LaminaError, match="cannot be opened") as raised:
        read_session(tmp_path / "s.anna.session.json")
    assert_one_sentence(raised.value)
    assert isinstance(raised.value.__cause__, OSError)


def test_axes_are_kept_in_capitals(tmp_path):
    path = tmp_path / "s.orientation.json"
    assert read_axes(path) == ""
    write_axes(" ria", path)
    assert json.loads(path.read_text()) == {"axes": "RIA"}
    assert read_axes(path) == "RIA"


@pytest.mark.parametrize("content", ["", "{}", '{"axes": 3}', '{"axes": "RLA"}', '["RIA"]'])
def test_axes_that_cannot_be_used_are_reported(tmp_path, content):
    path = tmp_path / "s.orientation.json"
    path.write_text(content)
    with pytest.raises(LaminaError, match=r'"s\.orientation\.json"') as raised:
        read_axes(path)
    assert_one_sentence(raised.value)


def test_no_wrong_axes_are_written(tmp_path):
    with pytest.raises(LaminaError, match="RRR"):
        write_axes("RRR", tmp_path / "s.orientation.json")
    assert list(tmp_path.iterdir()) == []


def test_a_digest_is_that_of_the_content(tmp_path):
    (tmp_path / "a").write_bytes(b"abc")
    assert digest_of(tmp_path / "a") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    assert digest_of(tmp_path / "b") is None
