"""The module LaminaLabeling, driven with real clicks and keys in SlicerHost: one list."""

import numpy as np
import pytest
from labeling_tools import FOUND, SPACING, fill, labeler_with_list, make_scan, spine_positions

from LaminaLabelingLib.anatomy import SLOTS, Numbering
from LaminaLabelingLib.laminae import LaminaSet


@pytest.fixture
def scan(slicer):
    return make_scan(slicer)


@pytest.fixture
def user(host, scan):
    yield from labeler_with_list(host)


def test_a_new_list_shows_every_slot_and_asks_for_the_first(user):
    assert user.ui.slotTable.rowCount == 17
    assert user.ui.promptLabel.text == "T1 left"
    assert user.cell_text("T6L") == "○"
    assert user.ui.progressLabel.text.startswith("0 of 34 done")


def test_all_34_are_placed_by_clicking_in_the_coronal_view(user):
    truth = spine_positions()
    user.key("P")
    assert user.ui.placeButton.checked
    asked = []
    for _ in range(34):
        name = user.session.selected
        asked.append(name)
        user.click_in("Green", truth[name])
    assert asked == list(SLOTS)
    assert not user.ui.placeButton.checked
    assert user.ui.progressLabel.text.startswith("34 of 34 done")
    placed = user.laminae.positions()
    within = user.millimeters_per_pixel("Green")
    for name, point in truth.items():
        assert np.abs(placed[name] - point).max() <= within, name
    assert user.session.findings() == ()
    user.key("Ctrl+Z")
    assert user.session.selected == "L5R"
    assert len(user.laminae.positions()) == 33


def test_a_placed_slot_is_placed_again_by_a_click_and_no_other_one_changes(user):
    fill(user)
    before = user.laminae
    user.click_slot("T6R")
    user.key("P")
    user.click_in("Green", (45.0, 27.0, 120.0))
    assert user.laminae["T6R"].position == pytest.approx((45.0, 27.0, 120.0), abs=user.millimeters_per_pixel("Green"))
    assert [name for name in SLOTS if user.laminae[name] != before[name]] == ["T6R"]


@pytest.mark.parametrize("view", ["Red", "Yellow"])
def test_a_click_in_another_view_places_too(user, view):
    user.click_slot("T6R")
    user.key("P")
    user.click_in(view, (38.0, 27.0, 120.0))
    within = user.millimeters_per_pixel(view)
    assert user.laminae["T6R"].position == pytest.approx((38.0, 27.0, 120.0), abs=within)
    assert user.session.selected == "T7L"


def test_a_right_click_or_the_key_stops_placing(host, user):
    import slicer

    interaction = slicer.app.applicationLogic().GetInteractionNode()
    user.key("P")
    assert interaction.GetCurrentInteractionMode() == interaction.Place
    user.key("P")
    assert interaction.GetCurrentInteractionMode() == interaction.ViewTransform
    user.key("P")
    interaction.SetCurrentInteractionMode(interaction.ViewTransform)  # what a right click does in Slicer
    host.process_events()
    assert not user.ui.placeButton.checked
    assert user.laminae.positions() == {}


def test_nothing_of_the_placing_is_left_in_the_scene(host, slicer, user):
    user.key("P")
    user.click_in("Green", (38.0, 27.0, 120.0))
    user.key("P")
    nodes = slicer.util.getNodesByClass("vtkMRMLMarkupsFiducialNode")
    assert [node.GetName() for node in nodes] == ["scan laminae"]


def test_skip_absent_unset_undo_and_redo_by_keys(user):
    user.key("S")
    assert user.session.selected == "T1R"
    user.key("X")
    assert user.laminae["T1R"].review == "absent"
    assert user.cell_text("T1R") == "✕ absent"
    assert user.session.selected == "T2L"
    user.click_slot("T1R")
    user.key("Del")
    assert user.laminae["T1R"].review == "unset"
    user.key("Ctrl+Z")
    assert user.laminae["T1R"].review == "absent"
    user.key("Ctrl+Z")
    assert user.laminae["T1R"].review == "unset"
    user.key("Ctrl+Y")
    user.key("Ctrl+Y")
    assert user.laminae["T1R"].review == "unset"
    assert not user.ui.redoButton.enabled


def test_the_buttons_do_what_the_keys_do(user):
    user.press(user.ui.absentButton)
    assert user.laminae["T1L"].review == "absent"
    user.press(user.ui.skipButton)
    assert user.session.selected == "T2L"
    user.press(user.ui.undoButton)
    assert user.laminae["T1L"].review == "unset"
    user.press(user.ui.redoButton)
    user.press(user.ui.unsetButton)
    assert user.laminae["T1L"].review == "unset"
    assert "T1L" in user.ui.undoButton.toolTip


@pytest.mark.parametrize(
    ("key", "step"),
    [
        ("Left", (SPACING[0], 0, 0)),  # the coronal view shows the patient's right on the left
        ("Right", (-SPACING[0], 0, 0)),
        ("Up", (0, 0, SPACING[2])),
        ("Down", (0, 0, -SPACING[2])),
        ("Ctrl+Up", (0, SPACING[1], 0)),
        ("Ctrl+Down", (0, -SPACING[1], 0)),
    ],
)
def test_arrow_keys_move_the_lamina_by_one_voxel(user, key, step):
    fill(user)
    user.click_slot("T6R")
    before = np.array(user.laminae["T6R"].position)
    user.key(key)
    assert user.laminae["T6R"].position == pytest.approx(before + step)
    user.key("Ctrl+Z")
    assert user.laminae["T6R"].position == pytest.approx(before)


def test_arrow_keys_are_left_to_a_slider_that_has_the_focus(host, user):
    import qt

    fill(user)
    user.click_slot("T6R")
    before = user.laminae
    slider = qt.QSlider(host.window)
    slider.show()
    slider.setFocus()
    host.process_events()
    user.key("Up")
    assert user.laminae == before
    slider.deleteLater()


def test_a_lamina_is_dragged_only_after_unlocking(user):
    fill(user)
    start = user.laminae["T6R"].position
    end = (start[0] - 4.0, start[1], start[2] + 3.0)
    user.drag_in("Green", start, end)
    assert user.laminae["T6R"].position == start
    user.key("L")
    assert not user.ui.lockCheckBox.checked
    user.drag_in("Green", start, end)
    assert user.laminae["T6R"].position == pytest.approx(end, abs=1.5 * user.millimeters_per_pixel("Green"))
    assert user.laminae["T6R"].source == "manual"
    assert len(user.session.labeling.edits) == 1  # the whole drag is one edit
    user.key("Ctrl+Z")
    assert user.laminae["T6R"].position == pytest.approx(start)


def test_a_click_on_a_slot_moves_all_views_there(user):
    fill(user)
    user.click_slot("T12L")
    assert user.views.intersection() == pytest.approx(spine_positions()["T12L"])
    assert user.ui.promptLabel.text == "T12 left"


def test_a_click_on_an_empty_slot_shows_where_it_probably_is(user):
    fill(user)
    truth = spine_positions()["T8R"]
    user.click_slot("T8R")
    user.key("Del")
    user.click_slot("T8L")
    user.click_slot("T8R")
    assert np.linalg.norm(np.array(user.views.intersection()) - truth) < 4.0
    assert "probably" in user.ui.hintLabel.text


def test_space_places_where_the_views_meet(user):
    fill(user)
    user.click_slot("T8R")
    user.key("Del")
    user.views.jump((37.0, 24.0, 90.0))
    user.key("Space")
    assert user.laminae["T8R"].position == pytest.approx((37.0, 24.0, 90.0), abs=1e-3)


def test_page_keys_go_through_the_slots_and_o_to_the_other_side(user):
    user.key("PgDown")
    user.key("PgDown")
    assert user.session.selected == "T2L"
    user.key("O")
    assert user.session.selected == "T2R"
    user.key("PgUp")
    assert user.session.selected == "T2L"
    user.ui.orderComboBox.setCurrentIndex(2)
    user.key("PgDown")
    assert user.session.selected == "T3L"


def test_reviewing_a_result_begins_with_the_doubtful_lumbar_ones(user):
    fill(user, FOUND)
    user.click_slot("T6L")
    assert user.cell_text("T1L") == "? detected 0.95"
    assert user.cell_text("T2L") == "? suggested 0.20"
    user.key("N")
    assert user.session.selected == "L1L"
    assert user.cell_text("L1L") == "▶ ○"
    user.press(user.ui.acceptAboveButton)
    assert user.laminae["T1L"].review == "placed"
    assert user.laminae["T1L"].confidence == 0.95
    assert user.laminae["L4L"].review == "unreviewed"
    user.click_slot("L4L")
    user.key("Return")
    assert user.laminae["L4L"].review == "placed"
    user.click_slot("T2L")
    user.key("R")
    assert user.laminae["T2L"].review == "unset"
    assert user.session.selected == "T2L"


def test_the_pair_is_renumbered(user):
    positions = spine_positions()
    shifted = {name: positions[name] for name in SLOTS[:-2]}
    fill(user, LaminaSet.from_positions(shifted, Numbering()))
    user.click_slot("T11L")
    user.ui.renumberComboBox.setCurrentIndex(user.ui.renumberComboBox.findText("T12"))
    user.press(user.ui.renumberButton)
    assert user.session.selected == "T12L"
    assert user.laminae["T12L"].position == pytest.approx(positions["T11L"])
    assert user.laminae["T1L"].position is None
    user.key("Ctrl+Z")
    assert user.laminae["T11L"].position == pytest.approx(positions["T11L"])


def test_other_numbers_of_vertebrae_and_a_partial_scan(user):
    user.ui.thoracicSpinBox.setValue(13)
    user.ui.lumbarSpinBox.setValue(6)
    user.host.process_events()
    assert user.ui.slotTable.rowCount == 19
    assert len(user.laminae) == 38
    user.ui.firstComboBox.setCurrentIndex(user.ui.firstComboBox.findText("T10"))
    user.press(user.ui.rangeButton)
    assert user.laminae["T9L"].review == "absent"
    assert user.laminae["T10L"].review == "unset"


def test_left_and_right_are_exchanged(user):
    fill(user)
    user.press(user.ui.swapButton)
    assert user.laminae["T6L"].position == pytest.approx(spine_positions()["T6R"])
    assert user.ui.findingsList.count >= 1
    user.key("Ctrl+Z")
    assert user.ui.findingsList.count == 0


def test_a_check_names_the_slot_and_a_click_goes_there(host, user):
    positions = spine_positions()
    positions["T6R"] = (positions["T6R"][0], positions["T6R"][1] + 14.0, positions["T6R"][2])
    fill(user, LaminaSet.from_positions(positions))
    assert "1 to look at" in user.ui.checksCollapsibleButton.text
    item = user.ui.findingsList.item(0)
    assert "T6R" in item.text()
    assert user.cell_text("T6R").endswith("⚠")
    middle = user.ui.findingsList.visualItemRect(item).center()
    host.click(user.ui.findingsList.viewport(), (middle.x(), middle.y()))
    assert user.session.selected == "T6R"


def test_changes_by_slicers_own_tools_are_edits_too(host, user):
    fill(user)
    node = user.session.listNode
    node.SetNthControlPointPosition(0, (23.0, 30.0, 170.0))
    node.UnsetNthControlPointPosition(3)
    host.process_events()
    assert user.session.laminae["T1L"].position == (23.0, 30.0, 170.0)
    assert user.session.laminae["T2R"].review == "unset"
    user.key("Ctrl+Z")
    assert user.laminae.positions().keys() == spine_positions().keys()
    assert user.laminae["T1L"].position == pytest.approx(spine_positions()["T1L"])


def test_a_click_snaps_to_the_bone(slicer, user, scan):
    array = slicer.util.arrayFromVolume(scan)
    array[:, 33:35, :] = 250  # A = 0.8 * 33.5 = 26.8 mm
    slicer.util.arrayFromVolumeModified(scan)
    user.key("B")
    assert user.ui.snapCheckBox.checked
    user.click_slot("T6R")
    user.key("P")
    user.click_in("Green", (38.0, 28.5, 120.0))
    assert user.laminae["T6R"].position[1] == pytest.approx(26.8, abs=0.5)
    assert user.laminae["T6R"].position[2] == pytest.approx(120.0, abs=user.millimeters_per_pixel("Green"))
