"""The module's own tests, which Slicer runs from the module's menu in developer mode and with ctest."""

import slicer

from LaminaLabelingGui import sample_data
from LaminaLabelingLib.files import read_markups
from LaminaLabelingLib.laminae import Lamina, LaminaSet
from LaminaLabelingLib.markups import from_node, to_node


def openSample(logic):
    """Open an empty list for the sample scan; return the session."""
    volumeNode = sample_data.load()[0]
    logic.session.open(logic.newList(volumeNode), volumeNode)
    return logic.session


def placesChecksAndTakesBack(case, logic):
    """A lamina is placed, a wrong one is noticed, and both are taken back."""
    session = openSample(logic)
    session.select("T6L")
    right = session.placeOf("T6R")
    session.place(session.placeOf("T6L"))
    case.assertEqual(session.selected, "T6R")
    case.assertEqual(from_node(session.listNode)["T6L"].review, "placed")
    session.place((right[0] - 60.0, *right[1:]))  # on the left of the left one
    case.assertIn("T6", "".join(finding.text for finding in session.findings()))
    session.undo()
    session.undo()
    case.assertEqual(from_node(session.listNode).positions(), {})
    session.redo()
    case.assertEqual(list(from_node(session.listNode).positions()), ["T6L"])


def reviewsAResult(case, logic):
    """What a model found is accepted and rejected."""
    session = openSample(logic)
    found = [Lamina("L4L", (0.0, 0.0, 0.0), "unreviewed", "detected", 0.95)]
    found.append(Lamina("L4R", (9.0, 0.0, 0.0), "unreviewed", "inferred", 0.2))
    session.open(logic.newList(session.scanNode, LaminaSet(laminae=found)), session.scanNode)
    case.assertEqual(session.acceptAbove(0.9), 1)
    session.select("L4R")
    session.reject()
    session.markAbsent()
    case.assertEqual([session.laminae[name].review for name in ("L4L", "L4R")], ["placed", "absent"])


def findsTheLatestList(case, logic):
    """A list of laminae is told from other point lists."""
    case.assertIsNone(logic.latestList())
    markupsNode = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLMarkupsFiducialNode", "scan laminae")
    to_node(LaminaSet(laminae=[Lamina("T6L", (-9.0, 20.0, 100.0), "placed", "manual")]), markupsNode)
    other = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLMarkupsFiducialNode", "landmarks")
    other.AddControlPoint([1.0, 2.0, 3.0], "left ear")
    case.assertIs(logic.latestList(), markupsNode)


def measuresTheSample(case, logic):
    """The curves of the sample, whose laminae are known, are measured."""
    volumeNode = sample_data.load()[0]
    markupsNode = logic.newList(volumeNode, read_markups(sample_data.TRUTH_FILE))
    curves = logic.measure(markupsNode, volumeNode).curves
    case.assertEqual([(curve.upper, curve.lower) for curve in curves], [("T5", "T11"), ("T11", "L4")])


TESTS = (placesChecksAndTakesBack, reviewsAResult, findsTheLatestList, measuresTheSample)
