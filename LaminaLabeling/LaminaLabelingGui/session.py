"""The list, the scan and the case that a person works on. No widget: everything can be done from a script."""

import tempfile
from contextlib import contextmanager
from pathlib import Path

import slicer
import vtk
from slicer.i18n import tr as _

from LaminaLabelingGui import appearance, decision_nodes, scan_nodes
from LaminaLabelingGui.slot_actions import SlotActions
from LaminaLabelingLib import guidance
from LaminaLabelingLib.checks import check
from LaminaLabelingLib.decisions import common_motion
from LaminaLabelingLib.editing import Labeling, changed_laminae
from LaminaLabelingLib.errors import LaminaError
from LaminaLabelingLib.laminae import LaminaSet, Review
from LaminaLabelingLib.likely_place import likely_position
from LaminaLabelingLib.markups import from_node, to_node
from LaminaLabelingLib.markups_files import write_markups


class LabelingSession(SlotActions):
    """Keeps an undoable set of laminae and a point list equal, and stores every edit of a case.

    Positions that methods take and return are those of the world, in which the views show the scan.

    Attributes
    ----------
    labeling : Labeling
        The laminae and their history, in the coordinates of the list.
    listNode, scanNode : nodes or None
    case : CaseSession or None
        Where edits are stored at once; without one they live in the scene only.
    selected : str or None
        The slot that a person works on.
    order : str
        One of `guidance.ORDERS`.
    snap : bool
        Whether clicks are moved to the brightest bone surface within 3 mm.
    problem : str
        Why the last edit could not be stored, for the user.
    """

    def __init__(self):
        self.labeling = Labeling()
        self.labeling.on_change.append(self._onEdited)
        self.listNode = None
        self.scanNode = None
        self.case = None
        self.selected = None
        self.order = guidance.ORDERS[0]
        self.snap = False
        self.problem = ""
        self.onChanged = []
        """Called without arguments when the laminae, the selection or the nodes have changed."""
        self._writing = False
        self._untouched = False
        self._reviewed = None
        self._decided = None
        """What was decided about the list when it was read last."""

    # Opening and closing

    def open(self, listNode, scanNode=None, case=None):
        """Work on a point list, and forget the former one; raises LaminaError if it holds something else than laminae.

        The list itself is not touched before the first edit.
        """
        laminae = case.laminae if case is not None else from_node(listNode)
        self.close()
        self.listNode, self.scanNode, self.case = listNode, scanNode, case
        slot = (case.state if case is not None else {}).get("slot")
        self.selected = slot if slot in laminae else next(iter(laminae), None)
        with self._untouchedList():
            self.labeling.reset(laminae)

    def close(self):
        """Stop working on the list. A case is released; its draft stays, so nothing is lost.

        What goes wrong with its files is kept in `problem`: the case is closed all the same, and edits that could not
        be stored in its folder are kept in a file of the temporary folder, which `problem` names.
        """
        problems = self._leaveCase() if self.case is not None else []
        self.listNode = self.scanNode = self.selected = self._reviewed = None
        with self._untouchedList():
            self.labeling.reset(LaminaSet())
        self.problem = " ".join(problems)
        self._notify()

    def _leaveCase(self):
        """Store and release the case; return sentences about what went wrong."""
        case, problems = self.case, []
        self.store(isEdit=False)
        if self.problem:
            problems.append(self.problem)
            if case.has_draft:
                problems.append(self._rescue())
        self.case = None
        try:
            case.close()
        except LaminaError as error:
            problems.append(str(error))
        return problems

    def _rescue(self):
        """Write edits that their folder does not take to the temporary folder; return where they are."""
        folder = Path(tempfile.mkdtemp(prefix="lamina-rescued-", dir=slicer.app.temporaryPath))
        path = folder / f"{self.case.name}.{self.case.rater}.mrk.json"
        try:
            write_markups(self.laminae, path)
        except LaminaError as error:
            return str(error)
        return _("The edits were kept in {path}: import them when the folder is there again.").format(path=path)

    @property
    def isOpen(self):
        """Whether there is a list to work on."""
        return self.listNode is not None

    @property
    def laminae(self):
        """The laminae in the coordinates of the list; `scanLaminae` has them in those of the scan's file."""
        return self.labeling.laminae

    @property
    def state(self):
        """What to remember of a case beside the laminae, to resume where one stopped."""
        return {"slot": self.selected, "order": self.order}

    def _onEdited(self):
        self._decided = decision_nodes.decisionsOf(self.listNode)
        if self.isOpen and not self._untouched:
            with self._writingList():
                to_node(self.laminae, self.listNode)
                if self.scanNode is not None and self.listNode.GetNodeReference(appearance.SCAN_REFERENCE) is None:
                    appearance.belongToScan(self.scanNode, self.listNode)
            if self.selected not in self.laminae and not self.laminae.is_provisional:
                self.selected = next(iter(self.laminae), None)
        if self.case is not None and self.labeling.laminae is not self.case.laminae:
            self.store()
        self._notify()

    def store(self, isEdit=True):
        """Write the draft of a case; what goes wrong is kept in `problem`, and the edit stays on the screen."""
        try:
            if isEdit:
                self.case.active()
            self.case.autosave(self.laminae, self.state)
            self.problem = ""
        except LaminaError as error:
            self.problem = str(error)

    def _notify(self):
        for notify in list(self.onChanged):
            notify()

    # The point list, which Slicer's own tools may change too

    @contextmanager
    def _untouchedList(self):
        self._untouched = True
        try:
            yield
        finally:
            self._untouched = False

    @contextmanager
    def _writingList(self):
        self._writing, before = True, self._writing
        try:
            yield
        finally:
            self._writing = before

    @property
    def isWriting(self):
        """Whether a change of the list is this session's own."""
        return self._writing

    def readList(self):
        """Take over what was changed in the point list itself: a drag, a placement or deletion by Slicer's own tools.

        Raises LaminaError if the list no longer holds laminae; the edits are not lost then.
        """
        if not self.isOpen:
            return
        now = from_node(self.listNode)
        if list(now) != list(self.laminae):
            # A named list that lost points keeps its numbering: the lost ones are unset.
            if not now.is_provisional and set(now) <= set(self.laminae):
                now = self.laminae.with_laminae([*_emptied(self.laminae, now), *now.values()])
            self.labeling.replace(now, _("list changed"))
            return
        changed = changed_laminae(self.laminae, now)
        if len(changed) > 1:  # a hardened transform, say: what is known about each lamina stays
            self._moveDecisions(now)
            self.labeling.replace(now, _("list changed"))
            return
        for lamina in changed:
            if lamina.position is not None:
                self.labeling.place(lamina.name, lamina.position)
            elif lamina.review is Review.absent:
                self.labeling.mark_absent(lamina.name)
            else:
                self.labeling.unset(lamina.name)
        self._decided = decision_nodes.decisionsOf(self.listNode)

    def _moveDecisions(self, now):
        """Let what was decided about the list follow its laminae, unless whoever moved them has done so."""
        isUnmoved = decision_nodes.decisionsOf(self.listNode) == self._decided
        if isUnmoved and (move := common_motion(self.laminae, now)):
            decision_nodes.carryOver(self._decided, self.listNode, move)

    # Coordinates

    def toWorld(self, position):
        """Return a position of the list in the world; None stays None."""
        return None if position is None else scan_nodes.pointToWorld(self.listNode, position)

    def worldLaminae(self):
        """Return the laminae with the positions of the world, which are the patient's R, A and S."""
        return scan_nodes.moved(self.laminae, self.toWorld)

    def scanLaminae(self):
        """Return the laminae in the coordinates of the scan's file, for files that belong to it."""
        # A list that was computed lies under no transform, the scan perhaps under one.
        return scan_nodes.carriedOver(self.laminae, self.listNode, self.scanNode or self.listNode)

    def fromScan(self, laminae):
        """Return laminae of the scan's coordinates in those of the list."""
        return scan_nodes.carriedOver(laminae, self.scanNode or self.listNode, self.listNode)

    def position(self, name):
        """Return where a lamina is in the world, None if it has no position."""
        lamina = self.laminae.get(name)
        return None if lamina is None else self.toWorld(lamina.position)

    def reason(self, name):
        """Return why a lamina is suggested where it is, until a person has decided; empty if nothing is known."""
        lamina = self.laminae.get(name) if self.isOpen else None
        if lamina is None or lamina.review is not Review.unreviewed:
            return ""
        return decision_nodes.decisionsOf(self.listNode).why(lamina)

    def placeOf(self, name):
        """Return where a slot is, or probably is, in the world; None if nothing is known about it."""
        if name is None:
            return None
        position = self.position(name)
        if position is not None:
            return position
        if self.scanNode is None or self.scanNode.GetImageData() is None:
            return guidance.predicted_position(self.worldLaminae(), name)
        place = likely_position(
            self.scanLaminae(), name, scan_nodes.volumeOf(self.scanNode, scan_nodes.axesOf(self.scanNode))
        )
        return None if place is None else scan_nodes.pointToWorld(self.scanNode, place)

    def findings(self):
        """Return what looks wrong, see `checks.check`."""
        if self.scanNode is None or self.scanNode.GetImageData() is None:
            return check(self.worldLaminae())
        shape = self.scanNode.GetImageData().GetDimensions()
        return check(self.worldLaminae(), scan_nodes.ijkToWorld(self.scanNode), shape)

    # Saving

    @property
    def hasUnsavedEdits(self):
        """Whether a case holds edits that are in its draft only."""
        return self.case is not None and self.case.has_draft

    def save(self):
        """Save the laminae of the case and return the path."""
        if self.case is None:
            raise LaminaError(_("Open a case of a folder first, or export the list to a file."))
        path = self.case.save(self.laminae, self.state)
        self.problem = ""
        self._notify()
        return path

    def discardDraft(self):
        """Return to the labels that were saved last."""
        self.labeling.reset(self.case.discard_draft())
        self.problem = ""

    def markReviewed(self, by):
        """Say that the saved labels of the case have been reviewed."""
        if self.case is None or self.hasUnsavedEdits:
            raise LaminaError(_("Save the case first: only saved labels can be marked as reviewed."))
        self.case.mark_reviewed(by)
        self._notify()


def _emptied(before, now):
    """Return the slots of a former set that are missing now, emptied."""
    return [type(lamina)(name) for name, lamina in before.items() if name not in now]


def listEvents(markupsNode):
    """Return the events after which a list may read differently."""
    return (
        vtk.vtkCommand.ModifiedEvent,
        markupsNode.PointModifiedEvent,
        markupsNode.PointAddedEvent,
        markupsNode.PointRemovedEvent,
        markupsNode.PointPositionDefinedEvent,
        markupsNode.PointPositionUndefinedEvent,
        markupsNode.PointPositionMissingEvent,
        markupsNode.PointEndInteractionEvent,
    )
