"""How the files of a case folder are named, and what lies in such a folder.

Everything about a scan lies beside it. SCAN is the scan's file name without its image extension and may hold dots;
RATER is a person's name of letters, digits, ``-`` and ``_``, so the last dot divides the two:

==================================  =========================================================
``SCAN.RATER.mrk.json``             the labels that a rater has saved
``SCAN.RATER.autosave.mrk.json``    the draft: edits that are not saved yet
``SCAN.RATER.session.json``         where the rater stopped, and who has reviewed which labels
``SCAN.RATER.lock``                 the process that works on them
``SCAN.orientation.json``           axis code of the scan, for all raters
``times.RATER.csv``                 how long a rater has worked on which scan
==================================  =========================================================

What would be lost is kept as ``SCAN.RATER.MARK-YYYYMMDD-HHMMSS`` with the same ending; see `MARKS`.
"""

import os
import re
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from pathlib import Path

from LaminaLabelingLib.errors import LaminaError
from LaminaLabelingLib.i18n import tr as _

IMAGE_EXTENSIONS = (".nii.gz", ".nrrd", ".nhdr", ".nii", ".mha", ".mhd")
"""Extensions of scans, longer ones before those that they end in."""

MARKS = ("backup", "damaged", "lost-lock")
"""Marks of files that were kept: replaced by somebody else's, not readable, and written after a lock was lost."""

LABELS, DRAFT, SESSION, LOCK = ".mrk.json", ".autosave.mrk.json", ".session.json", ".lock"

_RATER = re.compile(r"[A-Za-z0-9_-]{1,40}")
_KEPT = re.compile(rf"(?:{'|'.join(MARKS)})-[0-9]{{8}}-[0-9]{{6}}(?:-[0-9]+)?", re.IGNORECASE)
_LABEL_VOLUME = re.compile(r".*(?:\.seg|[-_.]labels?)", re.IGNORECASE | re.DOTALL)
# On Windows a file cannot be replaced while another program, a virus scanner for one, has it open for a moment.
_WAITS = (0.02, 0.05, 0.1, 0.2) if os.name == "nt" else ()


def check_rater(rater: str) -> str:
    """Check the name of a rater, which becomes part of file names, and return it without spaces around it.

    Raises
    ------
    LaminaError
        If it is not 1 to 40 letters (a to z), digits, ``-`` and ``_``, or names another kind of file.
    """
    name = rater.strip()
    if not _RATER.fullmatch(name):
        raise LaminaError(
            _('"{rater}" cannot be the name of a rater: use 1 to 40 letters (a to z), digits, "-" and "_".').format(
                rater=name
            )
        )
    if name.lower() == "autosave" or _KEPT.fullmatch(name):
        raise LaminaError(
            _(
                '"{rater}" cannot be the name of a rater because files of another kind are named so: use another.'
            ).format(rater=name)
        )
    return name


def scan_name(file_name: str) -> str | None:
    """Return a scan's name, the file name without its image extension; None if the file is no scan.

    Hidden files, files without an image extension and label volumes (``x.seg.nrrd``, ``x-label.nii.gz``) are no scans.
    """
    if file_name.startswith("."):
        return None
    lower = file_name.lower()
    extension = next((extension for extension in IMAGE_EXTENSIONS if lower.endswith(extension)), None)
    if extension is None:
        return None
    stem = file_name[: -len(extension)]
    return None if _LABEL_VOLUME.fullmatch(stem) else stem


def split_labels_name(file_name: str) -> tuple[str, str] | None:
    """Return scan and rater of a file of saved labels; None if it is another file, a draft or a backup too."""
    stem = file_name.removesuffix(LABELS)
    scan, _dot, rater = stem.rpartition(".")
    if stem == file_name or not scan or scan.startswith("."):
        return None
    try:
        return (scan, rater) if check_rater(rater) == rater else None
    except LaminaError:
        return None


def natural_key(name: str) -> tuple:
    """Return the sort key by which ``scan2`` comes before ``scan10``; names that differ have different keys."""
    parts = re.split(r"([0-9]+)", name.casefold())
    return tuple(int(part) if index % 2 else part for index, part in enumerate(parts)), name


@dataclass(frozen=True)
class CasePaths:
    """The files of one scan and one rater.

    Parameters
    ----------
    folder : Path
    name : str
        The scan's name.
    rater : str
        As `check_rater` returns it.
    """

    folder: Path
    name: str
    rater: str

    @property
    def labels(self) -> Path:
        """The labels that the rater has saved."""
        return self._of_rater(LABELS)

    @property
    def draft(self) -> Path:
        """The rater's edits that are not saved yet."""
        return self._of_rater(DRAFT)

    @property
    def session(self) -> Path:
        """Where the rater stopped, and who has reviewed which labels."""
        return self._of_rater(SESSION)

    @property
    def lock(self) -> Path:
        """The process that works on these files."""
        return self._of_rater(LOCK)

    @property
    def orientation(self) -> Path:
        """The axis code of the scan."""
        return self.folder / f"{self.name}.orientation.json"

    @property
    def times(self) -> Path:
        """The rater's time sheet, for all scans of the folder."""
        return self.folder / f"times.{self.rater}.csv"

    def labels_of(self, rater: str) -> Path:
        """The labels that another rater has saved for the same scan."""
        return CasePaths(self.folder, self.name, rater).labels

    def kept(self, mark: str, when: datetime, ending: str = LABELS) -> Path:
        """Return a name, not taken yet, under which something is kept that would be lost.

        Parameters
        ----------
        mark : str
            One of `MARKS`.
        when : datetime
        ending : str
            Of the kind of file that is kept.
        """
        stamp = f".{mark}-{when:%Y%m%d-%H%M%S}"
        path, number = self._of_rater(stamp + ending), 1
        while os.path.lexists(path):
            number += 1
            path = self._of_rater(f"{stamp}-{number}{ending}")
        return path

    def is_leftover(self, file_name: str) -> bool:
        """Return whether a file is a temporary one for these files, which a killed process has left."""
        match = re.match(r"\.[0-9a-f]{12}-", file_name)
        rest = file_name[match.end() :] if match else ""
        return rest.startswith(f"{self.name}.{self.rater}.") or rest == self.times.name

    def _of_rater(self, ending: str) -> Path:
        return self.folder / f"{self.name}.{self.rater}{ending}"


@dataclass(frozen=True)
class FolderFiles:
    """What lies in a case folder, by name only.

    Parameters
    ----------
    folder : Path
    names : frozenset of str
        All files that are not hidden.
    """

    folder: Path
    names: frozenset[str]

    @classmethod
    def of(cls, folder: str | Path) -> "FolderFiles":
        """List a folder.

        Raises
        ------
        LaminaError
            If there is no such folder, or it cannot be listed.
        """
        folder = Path(folder).absolute()
        return cls(folder, frozenset(name for name in list_files(folder) if not name.startswith(".")))

    @cached_property
    def scans(self) -> tuple[str, ...]:
        """File names of the scans, in natural order."""
        return tuple(sorted((name for name in self.names if scan_name(name) is not None), key=natural_key))

    @cached_property
    def raters(self) -> dict[str, tuple[str, ...]]:
        """Names of the raters that have saved labels, sorted, by the scan's name."""
        found: dict[str, list[str]] = {}
        for scan, rater in filter(None, map(split_labels_name, self.names)):
            found.setdefault(scan, []).append(rater)
        return {scan: tuple(sorted(raters, key=natural_key)) for scan, raters in found.items()}

    def rivals(self, file_name: str) -> tuple[str, ...]:
        """Return the other scans whose labels would have the same file name, by the rules of any system."""
        return tuple(other for other in self._by_folded_name[scan_name(file_name).casefold()] if other != file_name)

    def find_scan(self, name: str) -> Path:
        """Return the file of a scan.

        Raises
        ------
        LaminaError
            If there is no scan of that name, or more than one.
        """
        found = [file_name for file_name in self.scans if scan_name(file_name) == name]
        if not found:
            raise LaminaError(
                _('There is no scan "{name}" in the folder: put it back or choose another one.').format(name=name)
            )
        if rivals := self.rivals(found[0]):
            raise LaminaError(rivalry(found[0], rivals))
        return self.folder / found[0]

    def check_spelling(self, rater: str) -> None:
        """Refuse a rater whose name differs from that of another only in capitals: many systems take them for one.

        Raises
        ------
        LaminaError
        """
        known = {name for raters in self.raters.values() for name in raters}
        other = next((name for name in sorted(known) if name.casefold() == rater.casefold()), None)
        if other is not None and rater not in known:
            raise LaminaError(
                _('The folder holds labels of "{other}": write the name in the same way, not as "{rater}".').format(
                    other=other, rater=rater
                )
            )

    @cached_property
    def _by_folded_name(self) -> dict[str, list[str]]:
        result: dict[str, list[str]] = {}
        for file_name in self.scans:
            result.setdefault(scan_name(file_name).casefold(), []).append(file_name)
        return result


def rivalry(file_name: str, rivals: Iterable[str]) -> str:
    """Return the sentence for scans that would share their labels' file."""
    others = ", ".join(f'"{other}"' for other in rivals)
    return _('"{scan}" and {others} would share their labels: rename one of the scans.').format(
        scan=file_name, others=others
    )


def list_files(folder: Path) -> list[str]:
    """Return the names of all files in a folder, hidden ones too.

    Raises
    ------
    LaminaError
        If there is no such folder, or it cannot be listed.
    """
    try:
        with os.scandir(folder) as entries:
            return [entry.name for entry in entries if entry.is_file()]
    except FileNotFoundError as error:
        raise LaminaError(
            _('There is no folder "{folder}": check its name and the connection to its disk.').format(
                folder=folder.name
            )
        ) from error
    except NotADirectoryError as error:
        raise LaminaError(
            _('"{folder}" is a file: choose the folder that holds the scans.').format(folder=folder.name)
        ) from error
    except OSError as error:
        raise LaminaError(
            _('The folder "{folder}" cannot be read ({reason}): check that you may open it.').format(
                folder=folder.name, reason=error.strerror or _("unknown reason")
            )
        ) from error


def insistently(action: Callable, *arguments):
    """Call a function that replaces or removes a file, again where another program has the file open for a moment."""
    for wait in _WAITS:
        try:
            return action(*arguments)
        except (PermissionError, LaminaError) as error:
            if not isinstance(error if isinstance(error, OSError) else error.__cause__, PermissionError):
                raise
            time.sleep(wait)
    return action(*arguments)


def is_file(path: Path) -> bool:
    """Return whether there is such a file; False also where the disk does not answer."""
    try:
        return path.is_file()
    except OSError:
        return False


def is_folder(path: Path) -> bool:
    """Return whether there is such a folder; False also where the disk does not answer."""
    try:
        return path.is_dir()
    except OSError:
        return False
