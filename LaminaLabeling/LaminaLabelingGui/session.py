"""The list, the scan and the case that a person works on. No widget: everything can be done from a script."""

from contextlib import contextmanager
from dataclasses import replace

import numpy as np
import slicer
import vtk
from slicer.i18n import tr as _

from LaminaLabelingGui import scan_nodes
from LaminaLabelingLib import guidance
from LaminaLabelingLib.anatomy import Numbering
from LaminaLabelingLib.checks import check
from LaminaLabelingLib.editing import Labeling, changed_laminae
from LaminaLabelingLib.errors import LaminaError
from LaminaLabelingLib.laminae import LaminaSet, Review
from LaminaLabelingLib.markups import from_node, to_node
from LaminaLabelingLib.snapping import beam_direction, snapped


class LabelingSession:
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
        self._reviewed = None

    # Opening and closing

    def open(self, listNode, scanNode=None, case=None):
        """Work on a point list, and forget the former one; raises LaminaError if it holds something else than laminae.

        With a case, its laminae go into the list.
        """
        laminae = case.laminae if case is not None else from_node(listNode)
        self.close()
        self.listNode, self.scanNode, self.case = listNode, scanNode, case
        slot = (case.state if case is not None else {}).get("slot")
        self.selected = slot if slot in laminae else next(iter(laminae), None)
        self.labeling.reset(laminae)

    def close(self):
        """Stop working on the list. A case is released; its draft stays, so nothing is lost.

        What goes wrong with its files is kept in `problem`: the case is closed all the same.
        """
        if self.case is not None:
            self.store(isEdit=False)
        case, self.case = self.case, None
        self.listNode = self.scanNode = self.selected = self._reviewed = None
        self.problem = ""
        self.labeling.reset(LaminaSet())
        if case is not None:
            try:
                case.close()
            except LaminaError as error:
                self.problem = str(error)

    @property
    def isOpen(self):
        """Whether there is a list to work on."""
        return self.listNode is not None

    @property
    def laminae(self):
        """The laminae in the coordinates of the list, which are those of the scan's file."""
        return self.labeling.laminae

    @property
    def state(self):
        """What to remember of a case beside the laminae, to resume where one stopped."""
        return {"slot": self.selected, "order": self.order}

    def _onEdited(self):
        if self.isOpen:
            with self._writingList():
                to_node(self.laminae, self.listNode)
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
        for lamina in changed_laminae(self.laminae, now):
            if lamina.position is not None:
                self.labeling.place(lamina.name, lamina.position)
            elif lamina.review is Review.absent:
                self.labeling.mark_absent(lamina.name)
            else:
                self.labeling.unset(lamina.name)

    # Coordinates

    def toWorld(self, position):
        """Return a position of the list in the world; None stays None."""
        return None if position is None else scan_nodes.pointToWorld(self.listNode, position)

    def worldLaminae(self):
        """Return the laminae with the positions of the world, which are the patient's R, A and S."""
        moved = [
            replace(lamina, position=self.toWorld(lamina.position))
            for lamina in self.laminae.values()
            if lamina.position is not None
        ]
        return self.laminae.with_laminae(moved)

    def position(self, name):
        """Return where a lamina is in the world, None if it has no position."""
        lamina = self.laminae.get(name)
        return None if lamina is None else self.toWorld(lamina.position)

    def placeOf(self, name):
        """Return where a slot is, or probably is, in the world; None if nothing is known about it."""
        if name is None:
            return None
        return self.position(name) or guidance.predicted_position(
            self.worldLaminae(), name, scan_nodes.worldBounds(self.scanNode)
        )

    # Slots

    def select(self, name):
        """Choose the slot to work on."""
        self._needList()
        if name is not None and name not in self.laminae and not self.laminae.is_provisional:
            raise LaminaError(_("The list has no slot {name}.").format(name=name))
        self.selected = name
        if self.case is not None:
            self.case.active(False)
        self._notify()

    def step(self, by):
        """Choose the slot that stands ``by`` places further in the chosen order."""
        names = guidance.order_of(self.laminae, self.order)
        if names:
            index = names.index(self.selected) if self.selected in names else -by
            self.select(names[(index + by) % len(names)])

    def otherSide(self):
        """Choose the lamina on the other side of the same vertebra."""
        if self.selected:
            self.select(self.selected[:-1] + ("R" if self.selected[-1] == "L" else "L"))

    def skip(self):
        """Choose the next empty slot in the order and leave this one as it is."""
        following = guidance.next_to_place(self.laminae, self.order, self.selected)
        if following is not None:
            self.select(following)
        return following

    def place(self, position, name=None, advance=True):
        """Place the chosen slot (or ``name``) at a position in the world, then choose the next empty slot.

        Returns the slot that is chosen now, None when no slot is empty.
        """
        name = name or self._needSelected()
        if self.snap:
            position = self.snappedPosition(position)
        self.labeling.place(name, scan_nodes.pointFromWorld(self.listNode, position))
        return self.skip() if advance else name

    def snappedPosition(self, position):
        """Return the brightest bone surface within 3 mm along the beam, in the world."""
        if self.scanNode is None:
            return position
        matrix = scan_nodes.ijkToWorld(self.scanNode)
        return snapped(position, slicer.util.arrayFromVolume(self.scanNode), matrix, beam_direction(matrix))

    def nudge(self, direction):
        """Move the chosen lamina by one voxel of the scan in a direction of the world."""
        name = self._needSelected()
        position = self.position(name)
        if position is None:
            raise LaminaError(_("{name} has no position to move.").format(name=name))
        matrix = np.eye(4) if self.scanNode is None else scan_nodes.ijkToWorld(self.scanNode)
        self.labeling.place(
            name, scan_nodes.pointFromWorld(self.listNode, guidance.nudged(position, direction, matrix))
        )

    def markAbsent(self, advance=True):
        """Say that the chosen lamina is not in the scan, then choose the next empty slot."""
        self.labeling.mark_absent(self._needSelected())
        return self.skip() if advance else self.selected

    def unset(self):
        """Empty the chosen slot."""
        self.labeling.unset(self._needSelected())

    def accept(self, advance=True):
        """Confirm the chosen lamina, then choose the next one to review; None when nothing is left."""
        self.labeling.accept(self._needSelected())
        return self.nextToReview() if advance else self.selected

    def acceptAbove(self, threshold):
        """Confirm all detected laminae with at least this confidence; return how many."""
        edit = self.labeling.accept_above(threshold)
        return 0 if edit is None else len(edit.names)

    def reject(self):
        """Drop the position of the chosen lamina and keep it chosen, to place it or mark it as absent."""
        self.labeling.reject(self._needSelected())

    def nextToReview(self):
        """Choose the next slot that needs a person: doubtful ones first, lumbar ones first. None when none is left."""
        # Goes on from the slot at which the review stands; a slot that was chosen otherwise begins it anew.
        after = self.selected if self.selected == self._reviewed else None
        following = guidance.next_to_review(self.laminae, after)
        if following is not None:
            self.select(following)
        self._reviewed = following
        return following

    def _needList(self):
        if not self.isOpen:
            raise LaminaError(_("Choose or make a list of laminae first."))

    def _needSelected(self):
        self._needList()
        if self.selected is None:
            raise LaminaError(_("Choose a slot first."))
        return self.selected

    # The whole list

    def undo(self):
        """Take the last edit back and choose its slot; return its text, empty if there is none."""
        return self._travel(self.labeling.undo())

    def redo(self):
        """Do again what was undone last; return its text, empty if there is nothing."""
        return self._travel(self.labeling.redo())

    def undoSlot(self):
        """Take back the last edit of the chosen slot only."""
        return self._travel(self.labeling.undo_slot(self._needSelected()))

    def _travel(self, edit):
        if edit is None:
            return ""
        self.selected = next((name for name in edit.names if name in self.laminae), self.selected)
        self._notify()
        return edit.text

    def renumber(self, vertebra, becomes):
        """Say that a pair is another vertebra: all pairs move along."""
        renumbered = guidance.renumbered(self.laminae, vertebra, becomes)
        side = (self.selected or "L")[-1]
        self.labeling.replace(renumbered, _("{old} is {new}").format(old=vertebra, new=becomes))
        self.select(becomes + side)

    def setNumbering(self, thoracic, lumbar):
        """Say how many thoracic and lumbar vertebrae the patient has."""
        self.labeling.set_numbering(Numbering(thoracic, lumbar))

    def setScanRange(self, first, last):
        """Mark the vertebrae above ``first`` and below ``last`` as absent: a partial scan."""
        ranged = guidance.with_scan_range(self.laminae, first, last)
        self.labeling.replace(ranged, _("scan from {first} to {last}").format(first=first, last=last))

    def swapSides(self):
        """Exchange the names of left and right in the whole list."""
        self.labeling.swap_sides()

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
