"""Takes the screenshots of the documentation in SlicerHost, with real clicks.

    python Testing/screenshots.py [--only segmentation|training|labelling]

Nothing in the pictures is retouched. The scans of the segmentation are simulated for it and no model has seen them; the
labelling uses the sample scan that the extension ships, and its true laminae in the place of a rater's labels. The
training in the pictures is a real one of some minutes, on simulated scans.
"""

import argparse
import shutil
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).parents[1]
MODULES = [ROOT / name / f"{name}.py" for name in ("LaminaLabeling", "LaminaSegmentation")]
SIZE = (1440, 900)
PHANTOM = ROOT / "Testing" / "Data" / "spine_phantom" / "SpinePhantomFreehandReconstructed.mha"
# Read by eye, good to about 4 voxels (Testing/Data/spine_phantom/README.md); i, j, k.
PHANTOM_LAMINAE = {"L3L": (54, 50, 43), "L3R": (85, 48, 45)}
SCREENSHOTS = ROOT / "Resources" / "Screenshots"
TUTORIAL = ROOT / "docs" / "labelling"


class Photographer:
    """Takes pictures of the main window."""

    def __init__(self, host):
        self._host = host

    def take(self, path):
        self._host.wait_until(lambda: True)  # what is to be deleted is so by a running event loop alone
        self._host.screenshot(path)
        print(path.relative_to(ROOT))

    def show(self, section, widget):
        """Open a section of a module's panel and scroll to one of its widgets."""
        section.collapsed = False
        self._host.process_events()
        self._host.window._panel.ensureWidgetVisible(widget, 0, 60)


def as_found(truth):
    """Return the true laminae as if a model had found them: two suggested, three missing."""
    from LaminaLabelingLib.laminae import Lamina, LaminaSet

    laminae = []
    for index, (name, lamina) in enumerate(truth.items()):
        if name in ("L3R", "L4R", "L5L"):
            continue
        source = "inferred" if name in ("L4L", "T1R") else "detected"
        confidence = 0.31 if source == "inferred" else round(0.97 - 0.011 * index, 2)
        laminae.append(Lamina(name, lamina.position, "unreviewed", source, confidence))
    return LaminaSet(laminae=laminae)


def take_labelling(host, photographer):
    """The pictures of the tutorial docs/labelling.md."""
    import numpy as np
    import SampleData
    import slicer

    from LaminaLabelingGui import sample_data
    from LaminaLabelingLib.files import read_markups, write_markups
    from LaminaLabelingLib.laminae import LaminaSet

    widget = host.select_module("LaminaLabeling")
    ui, session = widget.ui, widget.logic.session
    scan = SampleData.SampleDataLogic().downloadSamples(sample_data.SAMPLE_NAME)[0]
    truth = read_markups(sample_data.TRUTH_FILE)
    host.process_events()

    host.click(ui.newListButton)
    begun = LaminaSet(laminae=[truth[name] for name in list(truth)[:16]])
    session.labeling.reset(begun)
    widget.editPanel.onSlot("T9L")
    host.click(ui.placeButton)
    photographer.take(TUTORIAL / "place.png")
    host.click(ui.placeButton)

    session.open(widget.logic.newList(scan, as_found(truth)), scan)
    widget._parameterNode.laminae = session.listNode
    host.click(ui.nextToReviewButton)
    photographer.take(TUTORIAL / "review.png")

    wrong = dict(truth.positions())
    wrong["T8L"], wrong["T8R"] = wrong["T8R"], wrong["T8L"]
    wrong["L2R"] = np.add(wrong["L2R"], (0, 0, 14.0))
    session.labeling.reset(LaminaSet.from_positions(wrong))
    widget.editPanel.onSlot("L2R")
    photographer.show(ui.checksCollapsibleButton, ui.findingsList)
    photographer.take(TUTORIAL / "checks.png")

    session.labeling.reset(truth.with_lamina(as_found(truth)["L4L"]))
    widget.editPanel.onSlot("T8R")
    photographer.show(ui.curvesCollapsibleButton, ui.reportButton)
    host.click(ui.endLinesCheckBox, (8, ui.endLinesCheckBox.height // 2))
    host.wait_until(lambda: widget.curvePanel.lines.modelNode is not None)
    photographer.show(ui.curvesCollapsibleButton, ui.reportButton)  # as high as it is now
    photographer.take(TUTORIAL / "curves.png")
    host.click(ui.endLinesCheckBox, (8, ui.endLinesCheckBox.height // 2))
    ui.curvesCollapsibleButton.collapsed = True
    slicer.mrmlScene.Clear()

    with tempfile.TemporaryDirectory() as name:
        folder = Path(name) / "scans"
        folder.mkdir()
        rng = np.random.default_rng(5)
        for number in range(1, 5):
            shutil.copy(sample_data.SAMPLE_FILE, folder / f"simulated {number}.nrrd")
        for rater, sigma in (("anna", 0.6), ("bert", 1.1)):
            noisy = {slot: point + rng.normal(0.0, sigma, 3) for slot, point in truth.positions().items()}
            if rater == "bert":
                noisy["L4R"] = noisy["L4R"] + (0.0, 6.0, 2.0)
                del noisy["L5R"]
            write_markups(LaminaSet.from_positions(noisy, truth.numbering), folder / f"simulated 1.{rater}.mrk.json")
        write_markups(begun, folder / "simulated 2.anna.mrk.json")
        ui.raterLineEdit.setText("anna")
        widget.casePanel.openFolder(str(folder))
        widget.casePanel.open("simulated 1")
        widget.editPanel.onSlot("T9L")
        photographer.show(ui.casesCollapsibleButton, ui.raterLineEdit)
        photographer.take(TUTORIAL / "cases.png")
        ui.casesCollapsibleButton.collapsed = True
        photographer.show(ui.agreementCollapsibleButton, ui.takeSecondButton)
        ui.firstRaterComboBox.setCurrentIndex(ui.firstRaterComboBox.findText("saved: anna"))
        ui.secondRaterComboBox.setCurrentIndex(ui.secondRaterComboBox.findText("saved: bert"))
        host.click(ui.compareButton)
        ui.quantityComboBox.setCurrentIndex(ui.quantityComboBox.findText("depth"))
        host.click(ui.plotButton)
        widget.agreementPanel.onRow(1)
        photographer.show(ui.agreementCollapsibleButton, ui.takeSecondButton)
        photographer.take(TUTORIAL / "agreement.png")
        widget.logic.cases.closeFolder()


def take_phantom(host, photographer):
    """The real phantom volume, whose directions are its tracker's, turned by its axis code, with its two laminae."""
    import slicer

    from LaminaLabelingGui.scan_nodes import ijkToWorld

    slicer.mrmlScene.Clear()
    host.window.statusBar().clearMessage()  # it spoke of the sample
    scan = slicer.util.loadVolume(str(PHANTOM))
    widget = host.select_module("LaminaLabeling")
    host.process_events()
    host.click(widget.ui.newListButton)
    widget.ui.axesComboBox.setEditText("RIA")
    host.click(widget.ui.axesButton)
    session = widget.logic.session
    session.setScanRange("L3", "L3")  # which vertebra it is nobody recorded
    for name, ijk in PHANTOM_LAMINAE.items():
        session.place((ijkToWorld(scan) @ (*ijk, 1.0))[:3], name)
    widget.editPanel.onSlot("L3R")
    widget.ui.agreementCollapsibleButton.collapsed = True
    photographer.show(widget.ui.orientationCollapsibleButton, widget.ui.orientationLabel)
    photographer.take(TUTORIAL / "phantom.png")
    widget.ui.orientationCollapsibleButton.collapsed = True


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", choices=("segmentation", "training", "labelling"), help="take these pictures only")
    options = parser.parse_args()
    sys.path[:0] = [str(ROOT / "Testing"), *(str(path.parent) for path in MODULES)]
    from screenshots_segmentation import take_folder, take_preview, take_segmentation, take_training

    from SlicerHost import Host

    host = Host.start(MODULES, SIZE)
    photographer = Photographer(host)
    if options.only in (None, "segmentation"):
        take_segmentation(host, photographer)
        take_preview(host, photographer)
        take_folder(host, photographer)
    if options.only in (None, "training"):
        take_training(host, photographer)
    if options.only in (None, "labelling"):
        take_labelling(host, photographer)
        take_phantom(host, photographer)
    if errors := host.take_slot_errors():
        raise SystemExit(f"A module failed: {errors[0]}")


if __name__ == "__main__":
    main()
