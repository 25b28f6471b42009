"""What a person does with the slots of a list: choose, place, move, review, renumber, undo."""

import numpy as np
import slicer
from slicer.i18n import tr as _

from LaminaLabelingGui import scan_nodes
from LaminaLabelingLib import guidance
from LaminaLabelingLib.anatomy import Numbering
from LaminaLabelingLib.errors import LaminaError
from LaminaLabelingLib.laminae import Review
from LaminaLabelingLib.snapping import beam_direction, snapped


class SlotActions:
    """The half of `session.LabelingSession` that its user drives; the other half keeps nodes and files."""

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

    def nudgeDepth(self, sign):
        """Move the chosen lamina by one voxel away from the probe (1) or towards it (-1)."""
        beam = np.array([0.0, 1.0, 0.0])
        if self.scanNode is not None:
            beam = beam_direction(scan_nodes.ijkToWorld(self.scanNode))
        self.nudge(sign * beam)

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
        if self.laminae[self.selected].review is Review.absent:
            self.select(first + self.selected[-1])

    def swapSides(self):
        """Exchange the names of left and right in the whole list."""
        self.labeling.swap_sides()
