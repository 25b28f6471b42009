"""The laminae of one scan while a person works on them: every change is an edit that can be undone."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace

from LaminaLabelingLib.anatomy import Numbering
from LaminaLabelingLib.errors import LaminaError
from LaminaLabelingLib.i18n import tr as _
from LaminaLabelingLib.laminae import Lamina, LaminaSet, Review, Source


@dataclass(frozen=True, eq=False)
class Edit:
    """One change.

    Attributes
    ----------
    text : str
        What was done, for the user: "T6R placed".
    names : tuple of str
        The slots that it changed, in anatomical order, by their names after the change.
    before, after : LaminaSet
    reverts : Edit or None
        The earlier edit that this one takes back for a single slot, see `Labeling.undo_slot`.
    """

    text: str
    names: tuple[str, ...]
    before: LaminaSet
    after: LaminaSet
    reverts: Edit | None = None

    @property
    def keeps_slots(self) -> bool:
        """Whether the list has the same slots as before; False after renumbering."""
        return list(self.before) == list(self.after)


class Labeling:
    """A set of laminae with an unlimited history of edits.

    Parameters
    ----------
    laminae : LaminaSet or None
        What the history starts from; None is an empty set with the usual numbering.

    Attributes
    ----------
    on_change : list of callable
        Each is called without arguments after every edit, undo and redo.
    """

    def __init__(self, laminae: LaminaSet | None = None) -> None:
        self._laminae = LaminaSet() if laminae is None else laminae
        self._undo: list[Edit] = []
        self._redo: list[Edit] = []
        self.on_change: list[Callable[[], None]] = []

    @property
    def laminae(self) -> LaminaSet:
        """The laminae as they are now."""
        return self._laminae

    # What a person does with one slot

    def place(self, name: str, position: Iterable[float]) -> Edit:
        """Put a lamina where a person says that it is: it becomes placed by hand.

        Parameters
        ----------
        name : str
        position : 3 floats
            RAS mm.

        Returns
        -------
        Edit

        Raises
        ------
        LaminaError
            If the list has no such slot.
        """
        moved = self._slot(name).position is not None
        text = (_("{name} moved") if moved else _("{name} placed")).format(name=name)
        return self._change([Lamina(name, tuple(position), Review.placed, Source.manual)], text)

    def mark_absent(self, names: str | Iterable[str]) -> Edit | None:
        """Say that laminae are not in this scan; their positions are dropped. None if nothing changes."""
        names = _as_tuple(names)
        return self._change(
            [Lamina(self._slot(name).name, None, Review.absent, Source.manual) for name in names],
            _("{names} absent").format(names=_listed(names)),
        )

    def unset(self, names: str | Iterable[str]) -> Edit | None:
        """Empty slots. None if nothing changes."""
        names = _as_tuple(names)
        return self._change(
            [Lamina(self._slot(name).name) for name in names], _("{names} unset").format(names=_listed(names))
        )

    def accept(self, names: str | Iterable[str]) -> Edit | None:
        """Confirm positions as they are: they become placed and keep their source and confidence.

        Raises
        ------
        LaminaError
            If a slot has no position to confirm.
        """
        names = _as_tuple(names)
        laminae = [self._slot(name) for name in names]
        for lamina in laminae:
            if lamina.position is None:
                raise LaminaError(
                    _("{name} has no position to accept: place it, or mark it as absent.").format(name=lamina.name)
                )
        accepted = [replace(lamina, review=Review.placed) for lamina in laminae]
        return self._change(accepted, _("{names} accepted").format(names=_listed(names)))

    def accept_above(self, threshold: float) -> Edit | None:
        """Confirm all unreviewed laminae that were seen with at least this confidence.

        Suggested (inferred) laminae are left for a person to look at, whatever their confidence.

        Parameters
        ----------
        threshold : float
            0 to 1.

        Returns
        -------
        Edit or None
            None if there is no such lamina.
        """
        names = [
            lamina.name
            for lamina in self._laminae.values()
            if lamina.review is Review.unreviewed
            and lamina.source is Source.detected
            and lamina.confidence is not None
            and lamina.confidence >= threshold
        ]
        return self.accept(names) if names else None

    def reject(self, name: str) -> Edit | None:
        """Say that a position is wrong: the slot becomes empty, for another place or for absent."""
        return self._change([Lamina(self._slot(name).name)], _("{name} rejected").format(name=name))

    # What concerns the whole list

    def swap_sides(self) -> Edit | None:
        """Exchange the names of left and right, for a scan that turns out to be mirrored."""
        return self.replace(self._laminae.swapped_sides(), _("left and right exchanged"))

    def set_numbering(self, numbering: Numbering) -> Edit | None:
        """Change which vertebrae the patient has.

        Raises
        ------
        LaminaError
            If the list is provisional, or holds a lamina that the other numbering does not have.
        """
        text = _("{thoracic} thoracic and {lumbar} lumbar vertebrae").format(
            thoracic=numbering.thoracic, lumbar=numbering.lumbar
        )
        return self.replace(self._laminae.with_numbering(numbering), text)

    def replace(self, laminae: LaminaSet, text: str) -> Edit | None:
        """Take another set of laminae, as one edit: an import, a renumbering. None if it is the same set."""
        if laminae == self._laminae:
            return None
        before = self._laminae
        changed = tuple(name for name, lamina in laminae.items() if before.get(name) != lamina)
        gone = tuple(name for name in before if name not in laminae and before[name].review is not Review.unset)
        return self._apply(Edit(text, changed or gone, before, laminae))

    # History

    @property
    def undo_text(self) -> str:
        """What `undo` would take back, empty if there is nothing."""
        return self._undo[-1].text if self._undo else ""

    @property
    def redo_text(self) -> str:
        """What `redo` would do again, empty if there is nothing."""
        return self._redo[-1].text if self._redo else ""

    @property
    def edits(self) -> tuple[Edit, ...]:
        """The edits that can be undone, oldest first."""
        return tuple(self._undo)

    def undo(self) -> Edit | None:
        """Take the last edit back and return it; None if there is none."""
        if not self._undo:
            return None
        edit = self._undo.pop()
        self._redo.append(edit)
        self._set(edit.before)
        return edit

    def redo(self) -> Edit | None:
        """Do the edit again that was taken back last, and return it; None if there is none."""
        if not self._redo:
            return None
        edit = self._redo.pop()
        self._undo.append(edit)
        self._set(edit.after)
        return edit

    def undo_slot(self, name: str) -> Edit | None:
        """Take back the last edit of one slot and leave later edits of other slots alone.

        Called again, it goes further back. It is an edit itself, so `undo` takes it back. It does not go past a
        renumbering, because the slot was another vertebra before.

        Returns
        -------
        Edit or None
            None if nothing that concerns the slot can be taken back.
        """
        self._slot(name)
        reverted = {edit.reverts for edit in self._undo if name in edit.names}
        for edit in reversed(self._undo):
            if not edit.keeps_slots:
                return None
            if name in edit.names and edit.reverts is None and edit not in reverted:
                text = _("{name} as it was before").format(name=name)
                return self._change([edit.before[name]], text, edit)
        return None

    def reset(self, laminae: LaminaSet) -> None:
        """Start anew from another set, without a history: another list or scan."""
        self._undo.clear()
        self._redo.clear()
        self._set(laminae)

    def _slot(self, name: str) -> Lamina:
        lamina = self._laminae.get(name)
        # A provisional set holds no empty slots, but may get any.
        if lamina is None and self._laminae.is_provisional:
            return Lamina(name)
        if lamina is None:
            raise LaminaError(_("The list has no slot {name}: change its numbering first.").format(name=name))
        return lamina

    def _change(self, laminae: list[Lamina], text: str, reverts: Edit | None = None) -> Edit | None:
        changed = self._laminae.with_laminae(laminae)
        if changed == self._laminae:
            return None
        names = tuple(lamina.name for lamina in laminae if self._laminae.get(lamina.name) != lamina)
        return self._apply(Edit(text, names, self._laminae, changed, reverts))

    def _apply(self, edit: Edit) -> Edit:
        self._undo.append(edit)
        self._redo.clear()
        self._set(edit.after)
        return edit

    def _set(self, laminae: LaminaSet) -> None:
        self._laminae = laminae
        for notify in list(self.on_change):
            notify()


def changed_laminae(before: Mapping[str, Lamina], after: Mapping[str, Lamina]) -> list[Lamina]:
    """Return the laminae of a set that differ from an earlier set of the same slots."""
    return [lamina for name, lamina in after.items() if before.get(name) != lamina]


def _as_tuple(names: str | Iterable[str]) -> tuple[str, ...]:
    return (names,) if isinstance(names, str) else tuple(names)


def _listed(names: tuple[str, ...]) -> str:
    """Return a few names, or how many there are."""
    return ", ".join(names) if len(names) <= 2 else _("{count} laminae").format(count=len(names))
