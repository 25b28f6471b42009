"""Why laminae are suggested and echoes were left out."""

import json

import numpy as np
import pytest

from LaminaLabelingLib.decisions import Decision, Decisions, common_motion, read_decisions
from LaminaLabelingLib.files import write_csv
from LaminaLabelingLib.laminae import Lamina, LaminaSet, Review

FAINT, BETWEEN = "a faint echo", "between two levels"
FOUND = LaminaSet(
    laminae=[
        Lamina("T1L", (-9.0, 5.0, 100.0), "unreviewed", "detected", 0.9),
        Lamina("T1R", (9.0, 5.0, 101.0), "unreviewed", "inferred", 0.3),
        Lamina("T2L", (-9.0, 4.0, 83.0), "unreviewed", "inferred", 0.3),
        Lamina("T2R", (9.5, 4.0, 82.0), "unreviewed", "detected", 0.8),
    ]
)
SUMMARY = {
    "suggested": {"T1R": FAINT},
    "rejected_candidates": [{"position_ras_mm": [1.0, 2.0, 90.0], "why": BETWEEN}],
    "reliable": False,
}
DECIDED = Decisions((Decision(FAINT, (9.0, 5.0, 101.0)),), (Decision(BETWEEN, (1.0, 2.0, 90.0)),), False)


def test_a_summary_tells_the_decisions():
    assert Decisions.of(SUMMARY, FOUND) == DECIDED


@pytest.mark.parametrize(
    "summary",
    [
        {},
        {"suggested": None, "rejected_candidates": None},
        {"suggested": ["T1R"], "rejected_candidates": {"why": BETWEEN}},
        {"suggested": {"T1L": FAINT, "T9L": FAINT}, "rejected_candidates": [3, {}, {"why": BETWEEN}]},
        {"suggested": {"T1R": 4}, "rejected_candidates": [{"why": BETWEEN, "position_ras_mm": [1.0, 2.0]}]},
        {"rejected_candidates": [{"why": None, "position_ras_mm": [1.0, 2.0, 3.0]}]},
        {"rejected_candidates": [{"why": BETWEEN, "position_ras_mm": [1.0, 2.0, float("nan")]}]},
    ],
)
def test_what_a_summary_of_another_version_cannot_tell_is_left_out(summary):
    assert Decisions.of(summary, FOUND) == Decisions()


def test_a_reason_belongs_to_the_place_and_not_to_the_name():
    assert DECIDED.why(FOUND["T1R"]) == FAINT
    assert DECIDED.why(FOUND.swapped_sides()["T1L"]) == FAINT
    assert DECIDED.why(FOUND.renamed({"T1R": "T5R"})["T5R"]) == FAINT
    assert DECIDED.why(FOUND["T2L"]) == ""
    assert DECIDED.why(Lamina("T1R", (9.0, 5.0, 101.5), Review.unreviewed, "inferred")) == ""
    assert DECIDED.why(Lamina("T1R", (9.0, 5.0, 101.0), Review.placed, "manual")) == ""
    assert DECIDED.why(Lamina("T1R")) == ""
    assert DECIDED.why(None) == ""


def test_they_are_kept_as_a_line_of_json():
    assert Decisions.from_text(DECIDED.to_text()) == DECIDED
    assert "\n" not in DECIDED.to_text()
    assert Decisions().to_text() == ""


@pytest.mark.parametrize(
    "text", [None, "", "no JSON", "[]", '{"suggested": 3, "left_out": [1]}', '{"suggested": [{}]}']
)
def test_what_is_no_such_line_tells_nothing(text):
    assert Decisions.from_text(text) == Decisions()


def test_they_move_with_their_list():
    moved = DECIDED.moved(lambda point: np.add(point, (0.0, 0.0, 5.0)))
    assert moved.suggested == (Decision(FAINT, (9.0, 5.0, 106.0)),)
    assert moved.left_out == (Decision(BETWEEN, (1.0, 2.0, 95.0)),)
    assert not moved.reliable


def test_the_files_beside_a_point_list_tell_them(tmp_path):
    assert read_decisions(tmp_path / "laminae.mrk.json") == Decisions()
    (tmp_path / "summary.json").write_text(json.dumps(SUMMARY), encoding="utf-8")
    assert read_decisions(tmp_path / "laminae.mrk.json") == Decisions()
    write_csv(FOUND, tmp_path / "laminae.csv")
    assert read_decisions(tmp_path / "laminae.mrk.json") == DECIDED
    (tmp_path / "laminae.csv").write_text("nonsense", encoding="utf-8")
    assert read_decisions(tmp_path / "laminae.mrk.json") == Decisions()
    (tmp_path / "summary.json").write_bytes(b"\xff{")
    assert read_decisions(tmp_path / "laminae.mrk.json") == Decisions()


def moved(laminae, matrix, shift):
    return laminae.with_laminae(
        [
            Lamina(x.name, np.array(matrix) @ x.position + shift, x.review, x.source)
            for x in laminae.values()
            if x.position
        ]
    )


@pytest.mark.parametrize("count", [2, 3, 4])
def test_laminae_that_moved_together_tell_how(count):
    before = LaminaSet(laminae=list(FOUND.values())[:count])
    turn = [[0.0, -1.0, 0.0], [1.0, 0.0, 0.0], [0.0, 0.0, 1.0]]
    move = common_motion(before, moved(before, turn, (3.0, 4.0, 5.0)))
    for point in before.positions().values():
        assert move(tuple(point)) == pytest.approx(np.array(turn) @ point + (3.0, 4.0, 5.0), abs=1e-6)


def test_what_lies_off_a_row_of_laminae_is_shifted_with_it():
    before = LaminaSet(laminae=[Lamina(f"T{n}L", (0.0, 0.0, -20.0 * n), "placed", "manual") for n in range(1, 6)])
    move = common_motion(before, moved(before, np.eye(3), (3.0, 4.0, 5.0)))
    assert move((7.0, 8.0, -50.0)) == pytest.approx((10.0, 12.0, -45.0), abs=1e-6)


def test_laminae_that_moved_apart_or_changed_tell_nothing():
    spine = LaminaSet(
        laminae=[
            Lamina(f"T{n}{s}", (x, 0.1 * n * n, -20.0 * n), "placed", "manual")
            for n in range(1, 6)
            for s, x in (("L", -9.0), ("R", 9.0))
        ]
    )
    assert common_motion(spine, spine.with_lamina(Lamina("T3L", (0.0, 0.0, -61.0), "placed", "manual"))) is None
    assert common_motion(spine, spine.with_lamina(Lamina("T3L"))) is None
    assert common_motion(LaminaSet(), LaminaSet()) is None
