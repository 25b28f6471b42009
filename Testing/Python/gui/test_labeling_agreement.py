"""Two raters in the module LaminaLabeling: table, plot, consensus."""

import csv

import numpy as np
import pytest
from case_tools import answer, open_case, write_scan
from labeling_tools import Labeler, make_scan, spine_positions

from LaminaLabelingLib.files import read_markups, write_markups
from LaminaLabelingLib.laminae import Lamina, LaminaSet


def two_raters():
    """Return two sets that differ by 1 mm in depth, by 6 mm at T6R, and in T1L, which only the first has."""
    first = LaminaSet.from_positions(spine_positions())
    moved = {name: np.add(point, (0.0, 1.0, 0.0)) for name, point in spine_positions().items()}
    moved["T6R"] = np.add(moved["T6R"], (0.0, 5.0, 0.0))
    return first, LaminaSet.from_positions(moved).with_lamina(Lamina("T1L"))


@pytest.fixture
def user(host, tmp_path):
    """A rater in a folder in which two raters have labeled the scan."""
    write_scan(tmp_path / "scan1.nrrd")
    for rater, laminae in zip(("anna", "bert"), two_raters()):
        write_markups(laminae, tmp_path / f"scan1.{rater}.mrk.json")
    user = Labeler(host)
    user.ui.raterLineEdit.setText("anna")
    user.ui.agreementCollapsibleButton.collapsed = False
    user.widget.casePanel.openFolder(str(tmp_path))
    open_case(user, 0)
    yield user
    user.widget.logic.cases.closeFolder()
    user.widget.casePanel.show()
    host.select_module("LaminaSegmentation")


def compare(user, first="saved: anna", second="saved: bert"):
    for combo, text in ((user.ui.firstRaterComboBox, first), (user.ui.secondRaterComboBox, second)):
        assert combo.findText(text) >= 0, text
        combo.setCurrentIndex(combo.findText(text))
    user.press(user.ui.compareButton)


def row(user, index):
    return [user.ui.agreementTable.item(index, column).text() for column in range(5)]


def test_the_worst_slots_come_first(user):
    compare(user)
    assert row(user, 0)[:2] == ["T1L", "first only"]
    assert row(user, 1) == ["T6R", "6.00", "+0.00", "+6.00", "+0.00"]
    assert row(user, 2)[1] == "1.00"
    assert "33 laminae in both lists: mean 1.15 mm" in user.ui.agreementLabel.text
    assert "ICC(2,1): R 1.000" in user.ui.agreementLabel.text
    assert "Only the first has: T1L." in user.ui.agreementLabel.text


def test_a_click_on_a_row_goes_there(host, user):
    compare(user)
    table = user.ui.agreementTable
    middle = table.visualItemRect(table.item(1, 0)).center()
    host.click(table.viewport(), (middle.x(), middle.y()))
    assert user.session.selected == "T6R"
    expected = np.add(spine_positions()["T6R"], (0, 3, 0))
    assert user.views.intersection() == pytest.approx(expected, abs=1e-6)


def test_both_lists_are_shown_while_they_are_compared(slicer, user):
    assert (user.ui.firstRaterComboBox.currentText, user.ui.secondRaterComboBox.currentText) == (
        "saved: anna",
        "saved: bert",
    )
    compare(user)
    shown = [node for node in slicer.util.getNodesByClass("vtkMRMLMarkupsFiducialNode") if node.GetName() == "compared"]
    assert len(shown) == 1  # the first is the list that is edited
    assert shown[0].GetDisplayNode().GetSelectedColor() == pytest.approx((1.0, 0.45, 0.75))
    user.click_slot("T6R")
    assert "6.0 mm apart" in user.ui.slotLabel.text
    user.press(user.ui.adjudicateButton)
    shown = [node for node in slicer.util.getNodesByClass("vtkMRMLMarkupsFiducialNode") if node.GetName() == "compared"]
    assert len(shown) == 2
    user.widget.logic.cases.close()
    user.widget.onCaseOpened()
    assert slicer.mrmlScene.GetFirstNodeByName("compared") is None


def test_the_plot_is_a_slicer_plot_and_leaves_with_its_view(slicer, user):
    compare(user)
    user.press(user.ui.plotButton)
    chart = slicer.mrmlScene.GetFirstNodeByClass("vtkMRMLPlotChartNode")
    assert slicer.app.layoutManager().plotWidget(0).chart() is chart
    assert slicer.app.layoutManager().plotWidget(0).isVisible()
    series = [chart.GetNthPlotSeriesNode(index) for index in range(chart.GetNumberOfPlotSeriesNodes())]
    assert series[0].GetTableNode().GetNumberOfRows() == 33
    assert [node.GetName().partition(":")[0] for node in series] == ["laminae", "bias", "+1.96 SD", "-1.96 SD"]
    user.ui.quantityComboBox.setCurrentIndex(user.ui.quantityComboBox.findText("depth"))
    chart = slicer.mrmlScene.GetFirstNodeByClass("vtkMRMLPlotChartNode")
    assert "depth" in chart.GetTitle()
    assert chart.GetNthPlotSeriesNode(1).GetName() == "bias: 1.15"
    user.press(user.ui.plotButton)
    assert slicer.mrmlScene.GetNumberOfNodesByClass("vtkMRMLPlotChartNode") == 0
    assert slicer.mrmlScene.GetNumberOfNodesByClass("vtkMRMLTableNode") == 0
    assert not slicer.app.layoutManager().plotWidget(0).isVisible()


def test_the_table_is_exported(user, tmp_path):
    compare(user)
    user.widget.agreementPanel.exportTable(str(tmp_path / "agreement.csv"))
    with open(tmp_path / "agreement.csv", newline="", encoding="utf-8") as file:
        rows = {line["name"]: line for line in csv.DictReader(file)}
    assert float(rows["T6R"]["distance_mm"]) == pytest.approx(6.0)


def test_a_consensus_is_adjudicated_slot_by_slot(user, tmp_path):
    compare(user)
    user.press(user.ui.adjudicateButton)
    assert user.session.case.rater == "consensus"
    positions = spine_positions()
    assert user.laminae["T9L"].review == "placed"
    assert user.laminae["T9L"].position == pytest.approx(np.add(positions["T9L"], (0, 0.5, 0)))
    left = [name for name, lamina in user.laminae.items() if lamina.review == "unreviewed"]
    assert left == ["T1L", "T6R"]
    assert user.session.selected in left
    user.click_slot("T6R")
    user.press(user.ui.takeSecondButton)
    assert user.laminae["T6R"].position == pytest.approx(np.add(positions["T6R"], (0, 6, 0)))
    assert user.session.selected == "T1L"
    user.press(user.ui.takeFirstButton)
    assert user.laminae["T1L"].position == pytest.approx(positions["T1L"])
    user.key("Ctrl+Shift+S")
    assert len(read_markups(tmp_path / "scan1.consensus.mrk.json").positions()) == 34
    assert read_markups(tmp_path / "scan1.anna.mrk.json").positions().keys() == positions.keys()


def test_a_raters_own_labels_are_not_resolved(user, tmp_path):
    compare(user)
    before = user.laminae
    assert not user.ui.takeSecondButton.enabled
    from LaminaLabelingLib.errors import LaminaError

    with pytest.raises(LaminaError, match="consensus"):
        user.widget.logic.agreement.take("second")
    assert user.laminae == before
    assert not (tmp_path / "scan1.anna.autosave.mrk.json").exists()


def test_adjudicating_asks_about_unsaved_edits_first(user):
    compare(user)
    user.click_slot("T9L")
    user.key("X")
    text = answer(user, "Cancel", lambda: user.host.click(user.ui.adjudicateButton))
    assert "scan1" in text
    assert user.session.case.rater == "anna"
    answer(user, "Keep as draft", lambda: user.host.click(user.ui.adjudicateButton))
    assert user.session.case.rater == "consensus"
    assert user.ui.otherRaterComboBox.findText("anna") >= 0


def test_a_list_is_compared_with_a_models_result_without_a_folder(host, slicer):
    scan = make_scan(slicer)
    user = Labeler(host)
    user.press(user.ui.newListButton)
    first, second = two_raters()
    user.session.labeling.reset(first)
    result = user.widget.logic.newList(scan, second)
    result.SetName("model")
    user.ui.agreementCollapsibleButton.collapsed = True
    user.ui.agreementCollapsibleButton.collapsed = False
    host.process_events()
    compare(user, "this list", "model")
    assert row(user, 1)[:2] == ["T6R", "6.00"]
    user.press(user.ui.adjudicateButton)
    assert user.session.listNode.GetName() == "consensus"
    assert user.ui.laminaeSelector.currentNode() is user.session.listNode
    host.select_module("LaminaSegmentation")
