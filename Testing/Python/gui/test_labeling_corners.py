"""Corners of the module LaminaLabeling in which a review once found something wrong."""

import numpy as np
import pytest
from labeling_tools import FOUND, fill, labeler_with_list, make_scan, spine_positions

from LaminaLabelingLib.anatomy import Numbering
from LaminaLabelingLib.files import write_csv
from LaminaLabelingLib.laminae import LaminaSet


@pytest.fixture
def user(host, slicer):
    make_scan(slicer)
    host.process_events()
    yield from labeler_with_list(host)


def test_letters_work_beside_a_slice_slider_and_arrows_belong_to_it(user):
    """The slider of a slice view keeps the focus after a click."""
    import qt

    fill(user)
    user.click_slot("T6L")
    before = user.laminae["T6L"].position
    slider = user.slice_widget("Green").findChild(qt.QSlider)
    slider.setFocus()
    user.host.process_events()
    user.key_in(slider, "Up")
    assert user.laminae["T6L"].position == before
    user.key("X")
    assert user.laminae["T6L"].review == "absent"


def test_another_scan_brings_its_own_list(user, slicer):
    """A list belongs to a scan: it is not shown on another one."""
    first_list, first_scan = user.session.listNode, user.session.scanNode
    second = make_scan(slicer, "second")
    user.host.process_events()
    own = user.widget.logic.newList(second, FOUND)
    user.ui.laminaeSelector.setCurrentNode(first_list)
    user.host.process_events()
    assert user.session.scanNode is first_scan
    user.ui.scanSelector.setCurrentNode(second)
    user.host.process_events()
    assert user.session.listNode is own
    assert user.session.scanNode is second


def test_a_scan_with_values_that_are_no_numbers_is_shown(slicer):
    from LaminaLabelingGui.scan_nodes import ultrasoundWindow

    array = np.full((10, 10, 10), np.nan, dtype=np.float32)
    array[:, :, 5] = np.linspace(1, 100, 100).reshape(10, 10)
    low, high = ultrasoundWindow(slicer.util.addVolumeFromArray(array, name="float"), "ultrasound")
    # Percentiles 2 and 97 of 1 to 100, the values that are none left out.
    assert (low, high) == pytest.approx((1 + 0.02 * 99, 1 + 0.97 * 99), abs=1e-3)
    nothing = slicer.util.addVolumeFromArray(np.full((5, 5, 5), np.nan, dtype=np.float32), name="nothing")
    assert ultrasoundWindow(nothing, "ultrasound") == (0.0, 1.0)


def test_a_scene_that_is_saved_while_the_plot_is_shown_gets_the_users_own_arrangement(user, slicer):
    from LaminaLabelingGui.views import PLOT_LAYOUT

    layout = slicer.app.layoutManager().layoutLogic().GetLayoutNode()
    user.views.showPlot(True)
    assert layout.GetViewArrangement() == PLOT_LAYOUT
    seen = []
    scene = slicer.mrmlScene
    tag = scene.AddObserver(scene.StartSaveEvent, lambda *_: seen.append(layout.GetViewArrangement()))
    scene.StartState(scene.SaveState)
    seen.append(layout.GetViewArrangement())
    scene.EndState(scene.SaveState)
    scene.RemoveObserver(tag)
    assert PLOT_LAYOUT not in seen[-1:]
    assert seen[-1] < 1000  # one of Slicer's own
    assert layout.GetViewArrangement() == PLOT_LAYOUT
    user.views.showPlot(False)


@pytest.mark.parametrize("chosen", [True, False])
def test_a_numbering_that_was_chosen_on_an_empty_list_is_kept_at_an_import(user, tmp_path, chosen):
    """A file with L1 to L5 does not tell whether there is an L6 that nobody has labeled."""
    write_csv(LaminaSet.from_positions(spine_positions()), tmp_path / "labels.csv")
    if chosen:
        user.session.labeling.reset(LaminaSet(numbering=Numbering(12, 6)))
    user.host.process_events()
    user.widget.scanPanel.importFile(str(tmp_path / "labels.csv"))
    assert user.session.laminae.numbering == (Numbering(12, 6) if chosen else Numbering())
    assert len(user.session.laminae.positions()) == 34
