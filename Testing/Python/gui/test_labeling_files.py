"""Import and export in the module LaminaLabeling, good files and bad ones."""

import json

import numpy as np
import pytest
from case_tools import answer
from labeling_tools import SPACING, Labeler, make_scan, spine_positions

from LaminaLabelingLib.files import read_markups, write_csv, write_markups
from LaminaLabelingLib.laminae import Lamina, LaminaSet

LAMINAE = LaminaSet.from_positions(spine_positions())


@pytest.fixture
def user(host):
    import slicer

    make_scan(slicer)
    user = Labeler(host)
    user.press(user.ui.newListButton)
    yield user
    host.select_module("LaminaSegmentation")


@pytest.mark.parametrize(
    ("ending", "within_mm"),
    [(".mrk.json", 1e-6), (".csv", 1e-6), (".verse.json", 1e-6), (".seg.nrrd", 1.0), (".nrrd", 1.0), (".nii.gz", 1.0)],
)
def test_every_format_comes_back(user, tmp_path, ending, within_mm):
    user.session.labeling.reset(LAMINAE)
    path = tmp_path / f"laminae{ending}"
    user.widget.scanPanel.exportFile(path)
    user.session.labeling.reset(LaminaSet())
    user.widget.scanPanel.importFile(str(path))
    assert user.laminae.positions().keys() == LAMINAE.positions().keys()
    for name, point in LAMINAE.positions().items():
        assert np.abs(user.laminae[name].position - point).max() <= within_mm + 0.5 * max(SPACING) * (within_mm > 1e-3)
    user.key("Ctrl+Z")
    assert user.laminae.positions() == {}


@pytest.mark.parametrize("ending", [".csv", ".nrrd", ".seg.nrrd"])
def test_a_scan_that_was_flipped_comes_back_with_its_sides(user, tmp_path, ending):
    """Which side a label volume's marks are on is judged in the axes that the user chose, not in the file's."""
    user.session.labeling.reset(LAMINAE)
    user.press(user.ui.flipButton)
    user.session.labeling.reset(user.laminae.swapped_sides())
    expected = user.laminae.positions()
    path = tmp_path / f"laminae{ending}"
    user.widget.scanPanel.exportFile(path)
    user.session.labeling.reset(LaminaSet())
    user.widget.scanPanel.importFile(str(path))
    found = user.laminae.positions()
    assert found.keys() == expected.keys()
    for name, point in expected.items():
        assert np.abs(np.subtract(found[name], point)).max() <= max(SPACING)
    user.press(user.ui.flipButton)


def test_an_export_does_not_overwrite_unasked(host, user, tmp_path):
    path = tmp_path / "laminae.csv"
    path.write_text("mine")
    with pytest.raises(Exception, match=r"laminae\.csv"):
        user.widget.scanPanel.exportFile(path)
    assert path.read_text() == "mine"


def points(change):
    """Return a function that writes a damaged point list."""

    def write(path):
        write_markups(LAMINAE, path)
        content = json.loads(path.read_text())
        change(content["markups"][0]["controlPoints"])
        path.write_text(json.dumps(content))

    return write


def rename(index, label):
    return points(lambda listed: listed[index].update(label=label))


def truncated(path):
    write_markups(LAMINAE, path)
    path.write_bytes(path.read_bytes()[:3000])


BAD = {
    "unknown name": (rename(3, "T15L"), "T15L"),
    "name twice": (rename(3, "T1L"), "T1L"),
    "one of another variant": (points(lambda listed: listed.append({**listed[0], "label": "T13L"})), "T13"),
    "not a number": (points(lambda listed: listed[2].update(position=[float("nan"), 0, 0])), "T2L"),
    "truncated": (truncated, "laminae.mrk.json"),
    "another scan's": (
        lambda path: write_markups(
            LaminaSet.from_positions({name: np.add(point, 900.0) for name, point in spine_positions().items()}), path
        ),
        "scan",
    ),
    "left and right mixed up": (
        lambda path: write_markups(
            LaminaSet.from_positions({name: (-x, -y, z) for name, (x, y, z) in spine_positions().items()}), path
        ),
        "LPS",
    ),
}


@pytest.mark.parametrize("kind", BAD)
def test_a_bad_file_is_a_sentence_and_loses_nothing(host, user, tmp_path, kind):
    write, word = BAD[kind]
    mine = LaminaSet(laminae=[Lamina("T1L", (30.0, 27.0, 120.0), "placed", "manual")])
    user.session.labeling.reset(mine)
    path = tmp_path / "laminae.mrk.json"
    write(path)
    with pytest.raises(Exception, match=word) as caught:
        user.widget.scanPanel.importFile(str(path))
    assert str(caught.value).count("\n") == 0
    assert user.laminae == mine


def test_too_few_points_are_imported_with_a_warning(user, tmp_path, caplog):
    path = tmp_path / "laminae.mrk.json"
    points(lambda listed: listed.__delitem__(slice(10, None)))(path)
    user.widget.scanPanel.importFile(str(path))
    assert len(user.laminae) == 34
    assert len(user.laminae.positions()) == 10
    assert "24" in caplog.text


def test_mixed_up_coordinates_are_turned_round_after_asking(user, tmp_path):
    path = tmp_path / "laminae.mrk.json"
    BAD["left and right mixed up"][0](path)
    text = answer(user, "Turn them round", lambda: user.widget.scanPanel.importFile(str(path)))
    assert "LPS" in text
    assert user.laminae["T6R"].position == pytest.approx(spine_positions()["T6R"])


def test_another_scans_labels_are_imported_only_after_asking(user, tmp_path):
    path = tmp_path / "laminae.csv"
    shifted = {name: np.add(point, 900.0) for name, point in spine_positions().items()}
    write_csv(LaminaSet.from_positions(shifted), path)
    seen = []

    def action():
        user.widget.scanPanel.importFile(str(path))

    import slicer

    original = slicer.util.warningDisplay
    slicer.util.warningDisplay = lambda text, **_: seen.append(text)
    try:
        answer(user, "Import anyway", action)
    finally:
        slicer.util.warningDisplay = original
    assert user.laminae["T6R"].position == pytest.approx(shifted["T6R"])
    assert len(seen) == 1
    assert user.ui.findingsList.count > 0


def test_what_is_exported_opens_as_a_point_list(user, tmp_path):
    user.session.labeling.reset(LAMINAE)
    user.widget.scanPanel.exportFile(tmp_path / "a.mrk.json")
    assert read_markups(tmp_path / "a.mrk.json") == LAMINAE
