"""The stand-in application itself: it must behave as Slicer does, or say that it does not."""

import logging
import subprocess
import sys

import numpy as np
import pytest
from gui_paths import ROOT


@pytest.fixture
def button(host):
    import qt

    return qt.QPushButton("Apply")


def test_properties_are_attributes(button):
    assert (button.text, button.enabled, button.checkable) == ("Apply", True, False)
    button.enabled = False
    button.toolTip = "Runs"
    button.objectName = "applyButton"
    assert not button.isEnabled()
    assert (button.toolTip, button.name) == ("Runs", "applyButton")


def test_properties_of_a_virtual_function_can_be_read(button):
    assert button.sizeHint.width() > 0


def test_a_property_that_cannot_be_written_refuses(button):
    with pytest.raises(AttributeError):
        button.sizeHint = 3


def test_static_functions_keep_their_names(host):
    import qt

    called = []
    qt.QTimer.singleShot(0, lambda: called.append(True))
    host.wait_until(lambda: called)


def test_signals_connect_by_signature_and_by_name(host, button):
    calls = []
    button.connect("clicked(bool)", lambda checked: calls.append(("signature", checked)))
    button.clicked.connect(lambda: calls.append("name"))
    host.click(button)
    assert calls == [("signature", False), "name"]


def test_signals_disconnect_by_signature(host, button):
    calls = []

    def slot(checked):
        calls.append(checked)

    button.connect("clicked(bool)", slot)
    button.disconnect("clicked(bool)", slot)
    host.click(button)
    assert calls == []


def test_an_unknown_signal_is_an_error(button):
    with pytest.raises(ValueError, match="no signal dreamed"):
        button.connect("dreamed()", print)


@pytest.mark.parametrize(
    "expression",
    [
        "slicer.app.launchDesigner()",
        "slicer.app.layoutManager().threeDWidget(0)",
        "slicer.app.coreIOManager().saveNodes()",
        "slicer.modules.markups.widgetRepresentation()",
        "slicer.util.loadSegmentation('a.seg.nrrd')",
        "ctk.ctkRangeWidget()",
        "qt.QWebEngineView()",
        "slicer.packaging.pip_install('numpy')",
    ],
)
def test_what_is_not_imitated_says_so(slicer, expression):
    import ctk
    import qt

    with pytest.raises(NotImplementedError):
        eval(expression, {"slicer": slicer, "ctk": ctk, "qt": qt})


def test_a_ui_file_with_an_unknown_widget_says_so(slicer, tmp_path):
    path = tmp_path / "panel.ui"
    path.write_text(
        '<ui version="4.0"><widget class="ctkRangeWidget" name="range"/><customwidgets><customwidget>'
        "<class>ctkRangeWidget</class><extends>QWidget</extends></customwidget></customwidgets></ui>"
    )
    with pytest.raises(NotImplementedError, match="ctkRangeWidget"):
        slicer.util.loadUI(str(path))


def test_what_is_not_imitated_is_not_there(slicer):
    assert not hasattr(slicer.app, "launchDesigner")


def test_what_a_slot_raises_is_kept_and_the_application_goes_on(host, button):
    button.clicked.connect(lambda: 1 / 0)
    host.click(button)
    assert [type(error) for error in host.take_slot_errors()] == [ZeroDivisionError]


def test_waiting_in_vain_ends(host):
    with pytest.raises(TimeoutError):
        host.wait_until(lambda: False, timeout=0.05)


def test_message_boxes_are_only_logged_in_testing_mode(slicer, caplog):
    with caplog.at_level(logging.INFO):
        assert slicer.util.confirmOkCancelDisplay("Really?") is False
    assert "Really?" in caplog.text


@pytest.fixture
def volume(slicer):
    array = np.zeros((60, 50, 40), dtype=np.uint8)
    array[30, 25, 20] = 200
    matrix = np.diag([0.5, 0.5, 0.5, 1.0])
    node = slicer.util.addVolumeFromArray(array, matrix, "scan")
    slicer.util.setSliceViewerLayers(background=node, fit=True)
    return node


def test_a_click_places_a_control_point_where_it_is_seen(host, slicer, volume):
    from PySide6 import QtCore, QtTest

    markups = slicer.modules.markups.logic()
    node = slicer.mrmlScene.GetNodeByID(markups.AddNewFiducialNode("points"))
    markups.SetActiveList(node)
    markups.StartPlaceMode(False)
    widget = slicer.app.layoutManager().sliceWidget("Green")
    view = widget.sliceView()
    QtTest.QTest.mouseMove(view, QtCore.QPoint(120, 90))
    host.click(view, (120, 90))
    xy = (120, view.height - 1 - 90, 0, 1)
    expected = widget.mrmlSliceNode().GetXYToRAS().MultiplyPoint(xy)[:3]
    placed = [0.0, 0.0, 0.0]
    node.GetNthControlPointPositionWorld(0, placed)
    assert node.GetNumberOfDefinedControlPoints() == 1
    assert placed == pytest.approx(expected, abs=0.1)


def test_the_view_shows_the_voxels(slicer, volume):
    view = slicer.app.layoutManager().sliceWidget("Red").sliceView()
    slicer.app.layoutManager().sliceWidget("Red").sliceLogic().SetSliceOffset(15.0)
    picture = view.grab().toImage()
    levels = {picture.pixelColor(x, y).red() for x in range(picture.width()) for y in range(picture.height())}
    assert max(levels) > 150
    assert min(levels) == 0


def test_nodes_get_an_item_of_the_subject_hierarchy(slicer, volume):
    hierarchy = slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(slicer.mrmlScene)
    item = hierarchy.GetItemByDataNode(volume)
    assert hierarchy.GetItemName(item) == "scan"


def test_the_node_selector_lists_only_its_types(host, slicer, volume):
    selector = slicer.qMRMLNodeComboBox()
    selector.addEnabled = selector.removeEnabled = False
    selector.showChildNodeTypes = False
    selector.nodeTypes = ["vtkMRMLScalarVolumeNode"]
    selector.setMRMLScene(slicer.mrmlScene)
    slicer.mrmlScene.AddNewNodeByClass("vtkMRMLLabelMapVolumeNode", "labels")
    slicer.mrmlScene.AddNewNodeByClass("vtkMRMLMarkupsFiducialNode", "points")
    assert selector.nodeCount() == 1
    assert selector.currentNode() is volume
    changes = []
    selector.connect("currentNodeChanged(vtkMRMLNode*)", changes.append)
    slicer.mrmlScene.RemoveNode(volume)
    assert selector.currentNode() is None
    assert changes == [None]


def test_a_node_selector_that_could_add_nodes_is_not_imitated(slicer):
    selector = slicer.qMRMLNodeComboBox()
    with pytest.raises(NotImplementedError, match="addEnabled"):
        selector.setMRMLScene(slicer.mrmlScene)


def test_volumes_are_loaded_by_name_and_shown(slicer, volume, tmp_path):
    import SimpleITK

    path = tmp_path / "case.nrrd"
    SimpleITK.WriteImage(SimpleITK.GetImageFromArray(np.ones((5, 6, 7), dtype=np.int16)), str(path))
    loaded = slicer.util.loadVolume(str(path))
    assert loaded.GetName() == "case"
    assert slicer.util.arrayFromVolume(loaded).shape == (5, 6, 7)
    composite = slicer.app.layoutManager().sliceWidget("Red").mrmlSliceCompositeNode()
    assert composite.GetBackgroundVolumeID() == loaded.GetID()


def test_a_parameter_node_wrapper_checks_its_types(slicer):
    from typing import Annotated

    from slicer import vtkMRMLScalarVolumeNode
    from slicer.parameterNodeWrapper import Choice, parameterNodeWrapper

    class Settings:
        scan: vtkMRMLScalarVolumeNode
        axes: str = "auto"
        count: int = 3
        engine: Annotated[str, Choice(["auto", "openvino"])] = "auto"

    Settings = parameterNodeWrapper(Settings)
    node = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLScriptedModuleNode")
    settings = Settings(node)
    assert (settings.scan, settings.axes, settings.count, settings.engine) == (None, "auto", 3, "auto")
    settings.count = 5
    assert Settings(node).count == 5
    with pytest.raises(TypeError):
        settings.axes = 3
    with pytest.raises(ValueError, match="one of"):
        settings.engine = "steam"


def test_the_screenshot_is_the_main_window(host, tmp_path):
    import qt

    host.screenshot(tmp_path / "pictures" / "window.png")
    picture = qt.QImage(str(tmp_path / "pictures" / "window.png"))
    assert (picture.width(), picture.height()) == (host.window.width, host.window.height)


LAYOUT = (
    '<layout type="horizontal" split="true"><item splitSize="700"><view class="vtkMRMLSliceNode" singletontag="Red"/>'
    '</item><item splitSize="300"><view class="vtkMRMLPlotViewNode" singletontag="PlotView1"/></item></layout>'
)


def test_a_layout_is_arranged_as_its_description_says(host, slicer):
    manager = slicer.app.layoutManager()
    before = manager.layout
    node = manager.layoutLogic().GetLayoutNode()
    node.AddLayoutDescription(777, LAYOUT)
    manager.setLayout(777)
    host.process_events()
    red, plot = manager.sliceWidget("Red"), manager.plotWidget(0)
    assert red.isVisible() and plot.isVisible() and not manager.sliceWidget("Green").isVisible()
    assert (
        red.mapTo(manager.viewport(), red.rect.topLeft()).x() < plot.mapTo(manager.viewport(), plot.rect.topLeft()).x()
    )
    assert red.width > 1.5 * plot.width
    manager.setLayout(before)
    host.process_events()
    assert manager.sliceWidget("Green").isVisible()


def test_a_plot_of_another_kind_says_that_it_is_not_imitated(host, slicer):
    series = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLPlotSeriesNode")
    series.SetPlotType(series.PlotTypeBar)
    chart = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLPlotChartNode")
    for write in (chart.SetTitle, chart.SetXAxisTitle, chart.SetYAxisTitle):
        write("bars")
    chart.AddAndObservePlotSeriesNodeID(series.GetID())
    with pytest.raises(NotImplementedError, match="scatter"):
        slicer.app.layoutManager().plotWidget(0)._draw(chart)


def test_loading_the_modules_imports_nothing_heavy():
    """Slicer must start as fast with the extension as without it. In a process of its own, where nothing is loaded."""
    program = f"""
import sys
from pathlib import Path
sys.path.insert(0, {str(ROOT / "Testing")!r})
from SlicerHost import Host
host = Host.start([Path({str(ROOT)!r}) / name / (name + ".py") for name in ("LaminaLabeling", "LaminaSegmentation")])
host.select_module("LaminaSegmentation")
host.select_module("LaminaLabeling")
heavy = {{"keras", "tensorflow", "openvino", "torch", "jax", "skimage", "matplotlib", "SimpleITK", "scipy", "rich"}}
print("loaded:", sorted(heavy & set(sys.modules)), flush=True)
"""
    finished = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert "loaded: []" in finished.stdout
