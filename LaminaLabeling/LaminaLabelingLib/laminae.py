"""The laminae of one scan, by name."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace

import numpy as np

from LaminaLabelingLib.anatomy import Numbering, is_provisional, name_key, opposite
from LaminaLabelingLib.errors import LaminaError
from LaminaLabelingLib.i18n import tr as _
from LaminaLabelingLib.lamina import Lamina, Review, Source

__all__ = ["Lamina", "LaminaSet", "Review", "Source"]


class LaminaSet(Mapping[str, Lamina]):
    """The laminae of one scan, by name, in anatomical order. Immutable: every change returns a new set.

    A named set holds every slot of its numbering, unset ones too. A provisional set (see `provisional`) holds only
    the laminae that are there, under the names ``P01L``, ``P01R``, ... A set is one or the other, never a mixture.

    Parameters
    ----------
    numbering : Numbering
        The vertebrae that the patient has; a set is valid or not against this numbering.
    laminae : iterable of Lamina, or mapping of name to Lamina
        Those that are not unset; all other slots start unset.

    Raises
    ------
    LaminaError
        If a name does not exist in the numbering, is provisional, or comes twice.
    """

    def __init__(
        self, numbering: Numbering | None = None, laminae: Iterable[Lamina] | Mapping[str, Lamina] = ()
    ) -> None:
        self._numbering = Numbering() if numbering is None else numbering
        self._provisional = False
        given = _by_name(laminae)
        for name in given:
            if is_provisional(name):
                raise LaminaError(
                    _("{name} is a provisional name: it cannot stand in a list of numbered vertebrae.").format(
                        name=name
                    )
                )
            if name not in self._numbering.slots:
                raise LaminaError(
                    _(
                        "{name} does not exist with {thoracic} thoracic and {lumbar} lumbar vertebrae: change the "
                        "numbering of the list or the name."
                    ).format(name=name, thoracic=self._numbering.thoracic, lumbar=self._numbering.lumbar)
                )
        self._laminae = {name: given.get(name, Lamina(name)) for name in self._numbering.slots}

    @classmethod
    def provisional(cls, laminae: Iterable[Lamina] | Mapping[str, Lamina] = ()) -> "LaminaSet":
        """Return a set of laminae whose vertebrae are not numbered yet.

        Parameters
        ----------
        laminae : iterable of Lamina, or mapping of name to Lamina
            All with provisional names. Unset ones are left out.

        Returns
        -------
        LaminaSet

        Raises
        ------
        LaminaError
            If a name is not provisional or comes twice.
        """
        given = _by_name(laminae)
        for name in given:
            if not is_provisional(name):
                raise LaminaError(
                    _("{name} names a numbered vertebra: it cannot stand in a list of provisional names.").format(
                        name=name
                    )
                )
        result = cls()
        result._provisional = True
        result._laminae = {
            name: given[name] for name in sorted(given, key=name_key) if given[name].review is not Review.unset
        }
        return result

    @classmethod
    def from_positions(
        cls,
        positions: Mapping[str, object],
        numbering: Numbering | None = None,
        review: Review | str = Review.placed,
        source: Source | str = Source.manual,
        confidence: float | None = None,
    ) -> "LaminaSet":
        """Return a set from positions that all share the same states.

        Parameters
        ----------
        positions : mapping of name to 3 numbers
            RAS mm. All names provisional, or none.
        numbering : Numbering or None
            None deduces it from the names (`Numbering.of`).
        review, source, confidence
            The same for all, see `Lamina`.

        Returns
        -------
        LaminaSet
        """
        laminae = [Lamina(name, point, review, source, confidence) for name, point in positions.items()]
        return cls.of(laminae, numbering)

    @classmethod
    def of(cls, laminae: Iterable[Lamina], numbering: Numbering | None = None) -> "LaminaSet":
        """Return the set that a list of laminae makes, whatever its names: what reading a file needs.

        Parameters
        ----------
        laminae : iterable of Lamina
        numbering : Numbering or None
            None deduces it from the names (`Numbering.of`).

        Returns
        -------
        LaminaSet
            Provisional if there are laminae and all have provisional names, else named.

        Raises
        ------
        LaminaError
            If a name comes twice, does not exist in the numbering, or provisional and numbered names mix.
        """
        laminae = list(laminae)
        if laminae and all(is_provisional(lamina.name) for lamina in laminae):
            return cls.provisional(laminae)
        if numbering is None:
            numbering = Numbering.of(lamina.name for lamina in laminae)
        return cls(numbering, laminae)

    @property
    def numbering(self) -> Numbering:
        """The declared numbering; the usual one for a provisional set, where it means nothing."""
        return self._numbering

    @property
    def is_provisional(self) -> bool:
        """Whether the vertebrae are not numbered yet."""
        return self._provisional

    def __getitem__(self, name: str) -> Lamina:
        return self._laminae[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._laminae)

    def __len__(self) -> int:
        return len(self._laminae)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, LaminaSet):
            return NotImplemented
        return self._key() == other._key()

    def __hash__(self) -> int:
        return hash(self._key())

    def _key(self) -> tuple:
        return self._provisional, self._numbering, tuple(self._laminae.values())

    def __repr__(self) -> str:
        kind = "provisional" if self._provisional else f"T1-T{self._numbering.thoracic}, L1-L{self._numbering.lumbar}"
        return f"<LaminaSet {kind}: {len(self.positions())} of {len(self)} with a position>"

    def positions(self, sources: Iterable[Source | str] | None = None) -> dict[str, np.ndarray]:
        """Return the laminae that have a position.

        Parameters
        ----------
        sources : iterable of Source or str, or None
            Only these sources; None takes all.

        Returns
        -------
        dict of str to ndarray, shape (3,)
            RAS mm, in anatomical order.
        """
        wanted = set(Source) if sources is None else {Source(source) for source in sources}
        return {
            lamina.name: np.array(lamina.position)
            for lamina in self.values()
            if lamina.position is not None and lamina.source in wanted
        }

    def pairs(self) -> dict[str, tuple[Lamina | None, Lamina | None]]:
        """Return the left and the right lamina of each vertebra, from the top down.

        A named set has both, with or without a position; None is a lamina that a provisional set does not hold.
        """
        vertebrae = dict.fromkeys(lamina.vertebra for lamina in self.values())
        return {vertebra: (self.get(vertebra + "L"), self.get(vertebra + "R")) for vertebra in vertebrae}

    def complete_pairs(self, sources: Iterable[Source | str] | None = None) -> dict[str, tuple[np.ndarray, np.ndarray]]:
        """Return the positions of the vertebrae that have both laminae, from the top down.

        Parameters
        ----------
        sources : iterable of Source or str, or None
            Only positions from these sources count; None takes all.

        Returns
        -------
        dict of str to (ndarray, ndarray), each of shape (3,)
            Left and right position in RAS mm, by vertebra.
        """
        points = self.positions(sources)
        return {
            vertebra: (points[vertebra + "L"], points[vertebra + "R"])
            for vertebra in self.pairs()
            if vertebra + "L" in points and vertebra + "R" in points
        }

    def with_lamina(self, lamina: Lamina) -> "LaminaSet":
        """Return a set in which one lamina is replaced, or added to a provisional set; an unset one clears the slot.

        Raises
        ------
        LaminaError
            If the name does not belong in this set.
        """
        return self.with_laminae([lamina])

    def with_laminae(self, laminae: Iterable[Lamina]) -> "LaminaSet":
        """Return a set in which several laminae are replaced; see `with_lamina`."""
        return self._rebuilt({**self._laminae, **_by_name(laminae)}.values())

    def with_numbering(self, numbering: Numbering) -> "LaminaSet":
        """Return the same laminae under another numbering.

        Raises
        ------
        LaminaError
            If the set is provisional, or holds a lamina that the other numbering does not have.
        """
        if self._provisional:
            raise LaminaError(_("A list of provisional names has no numbering yet: name its vertebrae first."))
        held = [lamina for lamina in self.values() if lamina.review is not Review.unset]
        lost = [lamina.name for lamina in held if lamina.name not in numbering.slots]
        if lost:
            raise LaminaError(_no_longer_there(lost, numbering))
        return LaminaSet(numbering, held)

    def swapped_sides(self) -> "LaminaSet":
        """Return a set in which left and right have changed places, for a scan that turns out to be mirrored.

        Only the names change; the positions stay where they are.
        """
        return self._rebuilt(replace(lamina, name=opposite(lamina.name)) for lamina in self.values())

    def renamed(self, names: Mapping[str, str], numbering: Numbering | None = None) -> "LaminaSet":
        """Return a set in which laminae carry other names: a shift by one level, or numbers for provisional pairs.

        All renames happen at once, so a whole column can move by one level. Slots that nothing moves to are unset.

        Parameters
        ----------
        names : mapping of str to str
            New name by old name. Laminae that are not mentioned keep theirs.
        numbering : Numbering or None
            Numbering of the result; None keeps the set's own, and deduces it when provisional names become numbered.

        Returns
        -------
        LaminaSet
            Provisional if all its names are.

        Raises
        ------
        LaminaError
            If an old name is not in the set, two laminae would share a name, or provisional and numbered names mix.
        """
        for old in names:
            if old not in self:
                raise LaminaError(_("{name} cannot be renamed because the list does not hold it.").format(name=old))
        moved = [
            replace(lamina, name=names.get(lamina.name, lamina.name))
            for lamina in self.values()
            if lamina.review is not Review.unset
        ]
        if len({is_provisional(lamina.name) for lamina in moved}) == 2:
            raise LaminaError(
                _("Either all pairs or none can carry provisional names: name the remaining pairs as well.")
            )
        if numbering is None and not self._provisional:
            numbering = self._numbering
        if not moved and self._provisional:
            return self
        return LaminaSet.of(moved, numbering)

    def _rebuilt(self, laminae: Iterable[Lamina]) -> "LaminaSet":
        """Return a set of the same kind and numbering with these laminae."""
        return LaminaSet.provisional(laminae) if self._provisional else LaminaSet(self._numbering, laminae)


def _no_longer_there(names: list[str], numbering: Numbering) -> str:
    """Return what to say about laminae that another numbering does not have."""
    # Those of one region, because what to keep is said for that.
    region = [name for name in names if name[0] == names[0][0]]
    if names[0].startswith("T"):
        text = _(
            "{name} does not exist with {thoracic} thoracic and {lumbar} lumbar vertebrae: empty {names} first, or "
            "keep {kept} thoracic vertebrae."
        )
    else:
        text = _(
            "{name} does not exist with {thoracic} thoracic and {lumbar} lumbar vertebrae: empty {names} first, or "
            "keep {kept} lumbar vertebrae."
        )
    return text.format(
        name=names[0],
        thoracic=numbering.thoracic,
        lumbar=numbering.lumbar,
        names=", ".join(region),
        kept=max(name_key(name)[1] for name in region),
    )


def _by_name(laminae: Iterable[Lamina] | Mapping[str, Lamina]) -> dict[str, Lamina]:
    """Return laminae by their own names, refusing a name that comes twice."""
    result: dict[str, Lamina] = {}
    for lamina in laminae.values() if isinstance(laminae, Mapping) else laminae:
        if lamina.name in result:
            raise LaminaError(
                _("{name} comes twice in the list: each lamina can have one position only.").format(name=lamina.name)
            )
        result[lamina.name] = lamina
    return result
