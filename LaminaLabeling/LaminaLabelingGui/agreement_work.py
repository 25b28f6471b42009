"""Comparing two lists of a scan, and adjudicating them into a consensus."""

import slicer
from slicer.i18n import tr as _

from LaminaLabelingGui import appearance, scan_nodes
from LaminaLabelingGui.case_work import CONSENSUS
from LaminaLabelingLib.agreement import compare
from LaminaLabelingLib.consensus import consensus, resolve
from LaminaLabelingLib.errors import LaminaError
from LaminaLabelingLib.laminae import Review
from LaminaLabelingLib.markups import from_node, to_node

CURRENT = "current"
_CONSENSUS_ATTRIBUTE = "LaminaUltrasound.Consensus"


class AgreementWork:
    """Compares the labels of two raters, or of a rater and a model.

    Parameters
    ----------
    session : LabelingSession
    cases : CaseWork
    """

    def __init__(self, session, cases):
        self._session, self._cases = session, cases
        self.first = self.second = None
        """The two sets that were compared last, in the coordinates of the list."""
        self.result = None
        self._subject = None
        self._shown = []

    def _subjectNow(self):
        """Return what tells scans apart; a case that is opened again has other nodes."""
        if self._cases.isOpen:
            return self._cases.name
        return self._session.scanNode.GetID() if self._session.scanNode is not None else None

    @property
    def isCurrent(self):
        """Whether the last comparison is one of the scan that is open."""
        return self.result is not None and self._session.isOpen and self._subject == self._subjectNow()

    def sources(self):
        """Return what can be compared: (key, text) pairs; the list that is edited first."""
        session = self._session
        if not session.isOpen:
            return []
        found = [(CURRENT, _("this list"))]
        found += [(f"rater:{rater}", _("saved: {rater}").format(rater=rater)) for rater in self._cases.savedRaters()]
        for node in slicer.util.getNodesByClass("vtkMRMLMarkupsFiducialNode"):
            if node is session.listNode or node.GetHideFromEditors():
                continue
            try:
                if from_node(node).positions():
                    found.append((f"node:{node.GetID()}", node.GetName()))
            except LaminaError:
                continue  # another kind of list
        return found

    def laminaeOf(self, key):
        """Return the laminae of a source, in the coordinates of the list that is edited."""
        session = self._session
        kind, _colon, name = (key or "").partition(":")
        if kind == CURRENT:
            return session.laminae
        if kind == "rater":
            return self._cases.labelsOf(name)
        node = slicer.mrmlScene.GetNodeByID(name)
        if node is None:
            raise LaminaError(_("That list is no longer in the scene: choose another one."))
        return scan_nodes.carriedOver(from_node(node), node, session.listNode)

    def compare(self, firstKey, secondKey):
        """Compare two sources slot by slot, in patient axes. Returns the Agreement."""
        if not self._session.isOpen:
            raise LaminaError(_("Choose a list of laminae first."))
        if firstKey == secondKey:
            raise LaminaError(_("Choose two different lists to compare."))
        self.first, self.second = self.laminaeOf(firstKey), self.laminaeOf(secondKey)
        world = self._session.toWorld
        self._subject = self._subjectNow()
        self.result = compare(scan_nodes.moved(self.first, world), scan_nodes.moved(self.second, world))
        return self.result

    def showBoth(self):
        """Show both lists to look at, the first in blue and the second in pink, but not the one that is edited."""
        self.hideBoth()
        session = self._session
        for laminae, color in ((self.first, appearance.FIRST_COLOR), (self.second, appearance.SECOND_COLOR)):
            if laminae is None or laminae == session.laminae:
                continue
            node = appearance.listToLookAt(_("compared"), laminae, session.listNode, session.scanNode, color)
            self._shown.append(node)

    def hideBoth(self):
        """Take the compared lists out of the views."""
        shown, self._shown = self._shown, []
        for node in shown:
            appearance.removeList(node)

    def differenceOf(self, name):
        """Return how the two differ in a slot, None if they were not compared or do not have it."""
        differences = () if self.result is None else self.result.differences
        return next((difference for difference in differences if difference.name == name), None)

    def placeOf(self, name):
        """Return where a compared slot is in the world: between the two, or where one of them has it."""
        points = [
            self._session.toWorld(laminae[name].position)
            for laminae in (self.first, self.second)
            if name in laminae and laminae[name].position is not None
        ]
        return tuple(sum(values) / len(points) for values in zip(*points)) if points else None

    @property
    def isConsensus(self):
        """Whether the list that is edited is a consensus, and not a rater's own."""
        session = self._session
        if session.case is not None:
            return session.case.rater == CONSENSUS
        return session.isOpen and session.listNode.GetAttribute(_CONSENSUS_ATTRIBUTE) is not None

    def beginConsensus(self):
        """Fill the open case of the rater "consensus" with what the two agree on, unless it has been begun before."""
        first, second = self._needResult()
        if all(lamina.review is Review.unset for lamina in self._session.laminae.values()):
            self._session.labeling.replace(consensus(first, second), _("consensus"))

    def newConsensus(self):
        """Make a new list in the scene with what the two agree on, and open it; return its node."""
        first, second = self._needResult()
        session = self._session
        if not session.isOpen:
            raise LaminaError(_("Choose a list of laminae first."))
        agreed, scanNode = consensus(first, second), session.scanNode
        name = slicer.mrmlScene.GenerateUniqueName(_("consensus"))
        node = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLMarkupsFiducialNode", name)
        node.SetAttribute(_CONSENSUS_ATTRIBUTE, "1")
        node.SetAndObserveTransformNodeID(session.listNode.GetTransformNodeID())
        to_node(agreed, node)
        appearance.style(node)
        if scanNode is not None:
            appearance.belongToScan(scanNode, node)
        session.open(node, scanNode)
        appearance.showOnly(node, scanNode)
        return node

    def take(self, choice):
        """Resolve the chosen slot of the consensus: "first", "second" or "middle". Returns the next slot to review."""
        first, second = self._needResult()
        session = self._session
        if not self.isConsensus:
            raise LaminaError(_("Begin a consensus first: a rater's own labels stay as they are."))
        name = session.selected
        resolved = resolve(session.laminae, name, choice, first, second)
        texts = {
            "first": _("{name}: the first rater's position"),
            "second": _("{name}: the second rater's position"),
            "middle": _("{name}: the middle of both"),
        }
        session.labeling.replace(resolved, texts[choice].format(name=name))
        return session.nextToReview()

    def _needResult(self):
        if self.result is None:
            raise LaminaError(_("Compare two lists first."))
        return self.first, self.second

    def forget(self):
        """Forget the comparison: another scan is shown."""
        self.hideBoth()
        self.first = self.second = self.result = None
