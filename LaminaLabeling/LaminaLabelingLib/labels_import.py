"""One door for laminae in every format: read and checked against the scan, or written by the file's extension."""

import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from LaminaLabelingLib.anatomy import Numbering
from LaminaLabelingLib.errors import LaminaError
from LaminaLabelingLib.i18n import tr as _
from LaminaLabelingLib.label_volumes import NamedLabels, check_inside, name_labels, write_label_volume
from LaminaLabelingLib.laminae import Lamina, LaminaSet, Review
from LaminaLabelingLib.markups_files import naming_list, read_points, write_markups
from LaminaLabelingLib.scan_bounds import (
    OUTSIDE_MM,
    distance_outside,
    half_turn_explains,
    reversed_pairs,
    turn_round,
    turned_inside,
)
from LaminaLabelingLib.segmentation_files import write_segmentation
from LaminaLabelingLib.tables import read_rows, write_csv
from LaminaLabelingLib.verse_files import read_verse, write_verse
from LaminaLabelingLib.volumes import Volume

IMPORT_ENDINGS = (".mrk.json", ".json", ".csv", ".seg.nrrd", ".nrrd", ".nhdr", ".nii.gz", ".nii", ".mha", ".mhd")
"""Endings of the files that `import_labels` reads; ``.json`` is a point list or one of VerSe."""

EXPORT_ENDINGS = (".mrk.json", ".csv", ".seg.nrrd", ".verse.json", ".nrrd", ".nii.gz", ".nii", ".mha")
"""Endings of the files that `export_labels` writes, a longer one before one that it ends in."""

# Only what is more than rounding counts as outside.
_ROUNDING_MM = 0.01


class MirroredLabelsError(LaminaError):
    """The labels fit the scan only when R and A are negated: they lie outside it, or left and right are exchanged.

    Read them again with ``turned_round=True``, or with ``as_is=True`` to take them as they are.
    """


class OtherScanError(LaminaError):
    """Most labels lie outside the scan: another scan's, unless ``any_scan=True`` says that they are meant."""


@dataclass(frozen=True)
class ImportedLabels:
    """What a file of labels holds.

    Attributes
    ----------
    laminae : LaminaSet
        RAS mm in the world of the scan's file.
    warnings : tuple of str
        One sentence each, for the user.
    """

    laminae: LaminaSet
    warnings: tuple[str, ...] = ()


def import_labels(
    path: str | Path,
    volume: Volume | None = None,
    numbering: Numbering | None = None,
    turned_round: bool = False,
    any_scan: bool = False,
    as_is: bool = False,
) -> ImportedLabels:
    """Read laminae from a file of any format.

    Parameters
    ----------
    path : str or Path
        Ends in one of `IMPORT_ENDINGS`. A ``.json`` whose content is a list is one of VerSe; a ``.seg.nrrd`` whose
        segments are not all named like laminae is read like any label volume.
    volume : Volume or None
        The scan to which the labels should belong. None checks nothing; VerSe lists and label volumes need it.
    numbering : Numbering or None
        The vertebrae that the patient has. None deduces it from the names, see `Numbering.of`.
    turned_round : bool
        Whether to negate R and A, see `MirroredLabelsError`.
    any_scan : bool
        Whether to read labels even if they lie outside the scan; a warning then says so.
    as_is : bool
        Whether to read labels even if a half turn would make them fit the scan; a warning then says what does not.

    Returns
    -------
    ImportedLabels
        Slots that the file does not hold are unset.

    Raises
    ------
    MirroredLabelsError
        If most labels lie outside the scan, or left and right are exchanged in nearly all of several pairs, and a half
        turn puts that right.
    OtherScanError
        If most labels lie outside the scan and a half turn does not explain it.
    LaminaError
        If the file cannot be read, holds no lamina, a name that the numbering does not have, or one twice.
    """
    path = Path(path)
    named = None
    if path.name.lower().endswith((".json", ".csv")):
        listed = _listed(path, volume, numbering, turned_round)
        with naming_list(path):
            laminae = LaminaSet.of(listed, numbering)
    else:
        named = _named(path, volume, numbering, turned_round)
        laminae, listed = named.laminae, _with_position(named.laminae)
    if all(lamina.review is Review.unset for lamina in laminae.values()):
        raise LaminaError(_('"{file}" holds no laminae: there is nothing to import.').format(file=path.name))
    warnings = _missing(listed, laminae, path.name)
    if named is not None:
        warnings += _running_count(named, path.name) + _doubtful(listed)
    if volume is not None:
        warnings += _check_scan(laminae, volume, path.name, turned_round, any_scan, as_is)
        ask = not (turned_round or any_scan or as_is)
        warnings += _check_sides(laminae, volume, path.name, ask, named is not None and named.reversed_sides)
    return ImportedLabels(laminae, tuple(warnings))


def export_labels(laminae: LaminaSet, volume: Volume | None, path: str | Path, overwrite: bool = False) -> Path:
    """Write laminae in the format that the file's extension names.

    Parameters
    ----------
    laminae : LaminaSet
        RAS mm in the world of the scan's file.
    volume : Volume or None
        The scan; point lists and tables do not need it.
    path : str or Path
        Ends in one of `EXPORT_ENDINGS`. ``.mrk.json`` and ``.csv`` keep everything. A segmentation (``.seg.nrrd``)
        keeps names and, to about a voxel, positions; VerSe (``.verse.json``) keeps names and positions; any other
        label volume keeps only where laminae are.
    overwrite : bool
        Whether an existing file is replaced.

    Returns
    -------
    Path
        The file.

    Raises
    ------
    LaminaError
        If the ending is another one, the file exists, the format needs a scan, numbers or a lamina with a position
        and there is none, a lamina lies outside the scan that the format cannot hold there, or it cannot be written.
    """
    path = Path(path)
    write = _writer(path, volume)
    if path.exists() and not overwrite:
        raise LaminaError(
            _('"{file}" exists already: give another name, or say that it may be replaced.').format(file=path.name)
        )
    if not path.name.lower().endswith((".mrk.json", ".csv")) and not laminae.positions():
        raise LaminaError(
            _('"{file}" cannot be written because no lamina has a position: place one first.').format(file=path.name)
        )
    write(laminae, path)
    return path


def _listed(path: Path, volume: Volume | None, numbering: Numbering | None, turned_round: bool) -> list[Lamina]:
    """Return the laminae that a list of points holds, those without a position too where the format has them."""
    if path.name.lower().endswith(".csv"):
        return _turned(read_rows(path), turned_round)
    if not _holds_list(path):
        return _turned(read_points(path), turned_round)
    volume = _needed(volume, path.name)
    return _turned(_with_position(read_verse(path, volume, numbering)), turned_round)


def _named(path: Path, volume: Volume | None, numbering: Numbering | None, turned_round: bool) -> NamedLabels:
    """Return the laminae of a segmentation or a label volume."""
    if not path.name.lower().endswith(IMPORT_ENDINGS):
        raise LaminaError(
            _('"{file}" has no format that can be imported: give a file that ends in {endings}.').format(
                file=path.name, endings=", ".join(IMPORT_ENDINGS)
            )
        )
    return name_labels(path, volume, numbering, half_turn=turned_round)


def _holds_list(path: Path) -> bool:
    """Return whether a JSON file holds a list, as those of VerSe do; what cannot be read does not."""
    try:
        return isinstance(json.loads(path.read_text(encoding="utf-8-sig")), list)
    except (OSError, ValueError):
        return False


def _with_position(laminae: LaminaSet) -> list[Lamina]:
    return [lamina for lamina in laminae.values() if lamina.position is not None]


def _turned(laminae: list[Lamina], turned_round: bool) -> list[Lamina]:
    if not turned_round:
        return laminae
    return [
        lamina if lamina.position is None else replace(lamina, position=turn_round(lamina.position))
        for lamina in laminae
    ]


def _needed(volume: Volume | None, file: str) -> Volume:
    if volume is None:
        raise LaminaError(
            _('"{file}" is in a format that counts the voxels of a scan: load its scan first.').format(file=file)
        )
    return volume


def _missing(listed: list[Lamina], laminae: LaminaSet, file: str) -> list[str]:
    """Return warnings about slots that the file does not list, and about pairs without numbers."""
    if not laminae.is_provisional:
        points, slots = len(listed), len(laminae)
        if points == slots:
            return []
        text = _('"{file}" lists {points} of {slots} laminae: the other {missing} are unset.')
        return [text.format(file=file, points=points, slots=slots, missing=slots - points)]
    text = _(
        '"{file}" does not say which vertebrae its laminae are: check left and right, and say of one pair which it is.'
    )
    warnings = [text.format(file=file)]
    pairs = laminae.pairs().values()
    alone = sum(None in pair for pair in pairs)
    if alone:
        left, right = (sum(lamina.side == side for lamina in listed) for side in "LR")
        text = _(
            "{alone} of its {total} pairs have one side only ({left} left and {right} right laminae): check which "
            "laminae belong together."
        )
        warnings.append(text.format(alone=alone, total=len(pairs), left=left, right=right))
    return warnings


def _running_count(named: NamedLabels, file: str) -> list[str]:
    """Return a warning if the values of a label volume may be a mere count that starts at 1 for any vertebra."""
    names, slots = list(named.laminae.positions()), list(named.laminae)
    isCount = named.by_value and not named.laminae.is_provisional and names[:1] == slots[:1]
    if not isCount or names[-1] == slots[-1]:  # a count that fills the numbering fits in one way only
        return []
    text = _(
        "The values of the labels of {called} start at 1 and were taken for {first} to {last}: if they are merely "
        "counted, say of one pair which vertebra it is."
    )
    return [text.format(called=f'"{file}"', first=names[0], last=names[-1])]


def _doubtful(listed: list[Lamina]) -> list[str]:
    """Return a warning about components of a label volume that could as well belong to the other side."""
    doubtful = [lamina.name for lamina in listed if lamina.review is Review.unreviewed]
    if not doubtful:
        return []
    text = _("The side of {names} could not be told well from the others: look at them first.")
    return [text.format(names=", ".join(doubtful))]


def _check_scan(
    laminae: LaminaSet, volume: Volume, file: str, turned_round: bool, any_scan: bool, as_is: bool
) -> list[str]:
    """Refuse the labels of another scan or in other coordinates, and return a warning about single ones outside."""
    positions = laminae.positions()
    points = np.array(list(positions.values())).reshape(-1, 3)
    distances = distance_outside(points, volume)
    outside = [name for name, distance in zip(positions, distances) if distance > _ROUNDING_MM]
    if not outside:
        return []
    far = int(np.count_nonzero(distances > OUTSIDE_MM))
    if 2 * far > len(points):
        values = {"called": f'"{file}"', "count": far, "total": len(points), "distance": distances.max()}
        mirrored = not turned_round and turned_inside(points, volume)
        if any_scan or (as_is and mirrored):
            text = _("{called} may belong to another scan: {count} of {total} laminae lie outside this one.")
            return [text.format(**values)]
        if mirrored:
            raise MirroredLabelsError(
                _(
                    "{called} seems to mix up LPS and RAS coordinates: {count} of {total} laminae lie outside the "
                    "scan, but in it with R and A negated; import it turned round, or check where it was saved."
                ).format(**values)
            )
        raise OtherScanError(
            _(
                "{called} seems to belong to another scan: {count} of {total} laminae lie outside this one, up to "
                "{distance:.0f} mm; check that the file and the scan belong together."
            ).format(**values)
        )
    return [_("These laminae lie outside the scan: {names}.").format(names=", ".join(outside))]


def _check_sides(laminae: LaminaSet, volume: Volume, file: str, ask: bool, reversed_values: bool) -> list[str]:
    """Refuse left and right where a half turn explains that they are exchanged, or return a warning that they are.

    `reversed_values` says that the values of a label volume have them exchanged, in contrast to the names, which then
    are from the places of the labels.
    """
    pairs = np.array(list(laminae.complete_pairs().values())).reshape(-1, 2, 3)
    as_in_file = pairs[:, ::-1] if reversed_values else pairs
    if ask and half_turn_explains(list(laminae.positions().values()), as_in_file, volume):
        raise MirroredLabelsError(
            _(
                "In {called} left and right are exchanged in {count} of {total} pairs: LPS and RAS may have been mixed "
                "up, or the list was made on a mirrored scan; import it turned round, or as it is."
            ).format(called=f'"{file}"', count=reversed_pairs(as_in_file, volume), total=len(pairs))
        )
    if reversed_values:
        text = _(
            "The values of the labels of {called} have left and right exchanged: here the sides are those on which the "
            "labels lie; check whether the scan or the labels are mirrored."
        )
        return [text.format(called=f'"{file}"')]
    swapped = reversed_pairs(pairs, volume)
    if 2 * swapped <= len(pairs):
        return []
    text = _(
        "In {count} of {total} pairs the left lamina lies right of the right one: check whether left and right were "
        "exchanged, LPS and RAS mixed up, or the scan is mirrored."
    )
    return [text.format(count=swapped, total=len(pairs))]


def _writer(path: Path, volume: Volume | None) -> Callable[[LaminaSet, Path], None]:
    """Return what writes the format of a file."""
    ending = next((ending for ending in EXPORT_ENDINGS if path.name.lower().endswith(ending)), None)
    if ending is None:
        raise LaminaError(
            _('"{file}" has no format that can be exported: give a name that ends in {endings}.').format(
                file=path.name, endings=", ".join(EXPORT_ENDINGS)
            )
        )
    if ending == ".mrk.json":
        return write_markups
    if ending == ".csv":
        return write_csv
    scan = _needed(volume, path.name)
    if ending == ".verse.json":
        return lambda laminae, file: write_verse(laminae, scan, file)
    if ending == ".seg.nrrd":
        return lambda laminae, file: _write_whole_segmentation(laminae, scan, file)
    return lambda laminae, file: write_label_volume(laminae, scan, file)


def _write_whole_segmentation(laminae: LaminaSet, volume: Volume, path: Path) -> None:
    """Write a segmentation unless a lamina would be an empty segment in it."""
    check_inside(laminae, volume, path.name)
    write_segmentation(laminae, volume, path)
