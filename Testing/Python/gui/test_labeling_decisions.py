"""Why a lamina is suggested where it is, told beside it in LaminaLabeling: what happens to it while one works."""

import json

import numpy as np
import pytest
from labeling_tools import Labeler, fill, labeler_with_list, make_scan, spine_positions

from LaminaLabelingGui.decision_nodes import decisionsOf, setDecisions
from LaminaLabelingLib.anatomy import provisional_name
from LaminaLabelingLib.decisions import Decision, Decisions
from LaminaLabelingLib.files import write_csv, write_markups
from LaminaLabelingLib.laminae import Lamina, LaminaSet

REASONS = {"T7R": "a faint echo", "T8R": "no echo", "T7L": "no echo of the level"}


def found(leave_out=()):
    """Laminae as a model finds them, those of `REASONS` suggested."""
    return LaminaSet(
        laminae=[
            Lamina(name, point, "unreviewed", "inferred" if name in REASONS else "detected", 0.4)
            for name, point in spine_positions().items()
            if name not in leave_out
        ]
    )


def decided(laminae):
    return Decisions(tuple(Decision(why, laminae[name].position) for name, why in REASONS.items()))


@pytest.fixture
def user(host, slicer):
    make_scan(slicer)
    for user in labeler_with_list(host):
        fill(user, found())
        setDecisions(user.session.listNode, decided(user.session.laminae))
        yield user


def told(user, name):
    """Return what is told about a slot after a click on it, without its state."""
    user.click_slot(name)
    return user.ui.hintLabel.text.partition("to be reviewed")[2]


def test_the_reason_is_told_beside_the_state_of_the_selected_lamina(user):
    user.click_slot("T7R")
    assert user.ui.hintLabel.text == "Suggested 0.40, to be reviewed: a faint echo."
    user.click_slot("T6R")
    assert user.ui.hintLabel.text == "Detected 0.40, to be reviewed."


def test_it_goes_once_a_person_has_decided_and_comes_back_with_undo(user):
    user.click_slot("T7R")
    user.session.accept(advance=False)
    user.host.process_events()
    assert user.ui.hintLabel.text == "Suggested 0.40, placed."
    user.press(user.ui.undoButton)
    assert told(user, "T7R") == ": a faint echo."
    user.session.nudge((3.0, 0.0, 0.0))
    user.host.process_events()
    assert "faint" not in user.ui.hintLabel.text
    user.press(user.ui.undoButton)
    assert told(user, "T7R") == ": a faint echo."
    user.press(user.ui.rejectButton)
    assert "faint" not in user.ui.hintLabel.text


def test_renumbering_takes_the_reasons_along_and_shows_none_at_another_lamina(user):
    fill(user, found(leave_out=("T1L", "T1R")))
    user.click_slot("T8R")
    user.ui.renumberComboBox.setCurrentIndex(user.ui.renumberComboBox.findData("T7"))
    user.press(user.ui.renumberButton)
    user.host.process_events()
    assert user.session.laminae["T7R"].position == spine_positions()["T8R"]
    assert told(user, "T6R") == ": a faint echo."
    assert told(user, "T7R") == ": no echo."  # not that of the lamina that was called so before
    assert told(user, "T6L") == ": no echo of the level."
    assert told(user, "T8R") == "."


def test_exchanging_the_sides_takes_the_reasons_along(user):
    user.press(user.ui.swapButton)
    user.host.process_events()
    assert told(user, "T7L") == ": a faint echo."
    assert told(user, "T7R") == ": no echo of the level."
    assert told(user, "T8L") == ": no echo."
    assert told(user, "T8R") == "."


def test_provisional_pairs_that_are_named_keep_their_reasons(user):
    names = {name: provisional_name(index // 2, name[-1]) for index, name in enumerate(spine_positions())}
    fill(user, LaminaSet.provisional(Lamina(names[n], x.position, x.review, x.source, 0.4) for n, x in found().items()))
    assert told(user, "P07R") == ": a faint echo."
    user.session.renumber("P07", "T7")
    user.host.process_events()
    assert told(user, "T7R") == ": a faint echo."


def test_a_hardened_transform_keeps_the_reasons(user, slicer):
    matrix = np.array([[0, -1, 0, 10], [1, 0, 0, 20], [0, 0, 1, 30], [0, 0, 0, 1]], dtype=float)
    transform = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLLinearTransformNode")
    slicer.util.updateTransformMatrixFromArray(transform, matrix)
    user.session.listNode.SetAndObserveTransformNodeID(transform.GetID())
    assert told(user, "T7R") == ": a faint echo."
    user.session.listNode.HardenTransform()
    user.host.process_events()
    assert told(user, "T7R") == ": a faint echo."
    assert told(user, "T8R") == ": no echo."


def test_other_axes_of_the_scan_keep_the_reasons_of_a_list_that_lies_apart(user):
    apart = user.widget.logic.newList(user.session.scanNode, found())
    setDecisions(apart, decided(found()))
    user.ui.axesComboBox.setEditText("RAS")
    user.press(user.ui.axesButton)  # both lists lie under the transform now
    apart.SetAndObserveTransformNodeID(None)
    user.ui.laminaeSelector.setCurrentNode(apart)
    user.host.process_events()
    before = apart.GetNthControlPointPosition(0)
    user.press(user.ui.flipButton)
    assert apart.GetNthControlPointPosition(0) != before
    assert told(user, "T7R") == ": a faint echo."


def test_the_reasons_are_saved_with_the_scene(host, user, slicer, tmp_path):
    before = decisionsOf(user.session.listNode)
    scene = slicer.mrmlScene
    assert scene.WriteToMRB(str(tmp_path / "saved.mrb"))
    scene.Clear()
    host.process_events()
    assert scene.ReadFromMRB(str(tmp_path / "saved.mrb"))
    host.process_events()
    assert decisionsOf(user.session.listNode) == before
    assert told(user, "T8R") == ": no echo."


def results_folder(path, laminae):
    """Write a folder as `lamina segment` leaves it; return its point list."""
    path.mkdir()
    write_markups(laminae, path / "laminae.mrk.json")
    write_csv(laminae, path / "laminae.csv")
    (path / "summary.json").write_text(json.dumps({"suggested": REASONS, "reliable": True}), encoding="utf-8")
    return path / "laminae.mrk.json"


def load(slicer, path):
    """Load a point list as Slicer's reader does."""
    node = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLMarkupsFiducialNode", "loaded")
    node.AddDefaultStorageNode()
    node.GetStorageNode().SetFileName(str(path))
    assert node.GetStorageNode().ReadData(node)
    return node


@pytest.mark.parametrize("beside", [True, False])
def test_a_list_from_a_results_folder_tells_its_reasons(user, slicer, tmp_path, beside):
    path = results_folder(tmp_path / "results", found())
    if not beside:
        (path.parent / "summary.json").unlink()
    user.ui.laminaeSelector.setCurrentNode(load(slicer, path))
    user.host.process_events()
    assert told(user, "T7R") == (": a faint echo." if beside else ".")


def test_a_list_that_was_renamed_and_saved_again_shows_no_wrong_reason(user, slicer, tmp_path):
    path = results_folder(tmp_path / "results", found())
    write_markups(found().swapped_sides(), path)
    user.ui.laminaeSelector.setCurrentNode(load(slicer, path))
    user.host.process_events()
    assert told(user, "T7L") == ": a faint echo."
    assert told(user, "T8R") == "."


def test_an_import_from_a_results_folder_tells_its_reasons(user, tmp_path):
    shifted = found().with_laminae(
        [Lamina("T7R", (38.0, 29.0, 99.0), "unreviewed", "inferred", 0.3), Lamina("T7L", None, "absent", "manual")]
    )
    path = results_folder(tmp_path / "results", shifted)
    user.widget.scanPanel.importFile(str(path))
    user.host.process_events()
    assert told(user, "T7R") == ": a faint echo."


def test_a_result_that_a_case_takes_over_brings_its_reasons(host, slicer, tmp_path):
    from LaminaLabelingGui import sample_data

    folder = tmp_path / "cases"
    folder.mkdir()
    (folder / "scan.nrrd").write_bytes(sample_data.SAMPLE_FILE.read_bytes())
    user = Labeler(host)
    user.ui.raterLineEdit.setText("anna")
    user.widget.casePanel.openFolder(str(folder))
    user.widget.casePanel.open("scan")
    result = user.widget.logic.newList(user.session.scanNode, found())
    setDecisions(result, decided(found()))
    user.widget.review(result)
    user.host.process_events()
    assert user.session.case is not None
    assert told(user, "T8R") == ": no echo."
    user.widget.logic.cases.closeFolder()
    host.select_module("LaminaSegmentation")
