"""A folder of scans and how far a rater is with each."""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, replace
from enum import StrEnum
from pathlib import Path

from LaminaLabelingLib.anatomy import SLOTS
from LaminaLabelingLib.case_files import CasePaths, FolderFiles, check_rater, natural_key, rivalry, scan_name
from LaminaLabelingLib.case_locks import owner_of
from LaminaLabelingLib.case_sidecars import SessionFile, digest_of, read_session
from LaminaLabelingLib.errors import LaminaError
from LaminaLabelingLib.i18n import tr as _
from LaminaLabelingLib.laminae import LaminaSet, Review
from LaminaLabelingLib.markups_files import read_markups


class Status(StrEnum):
    """How far a rater is with a scan."""

    untouched = "untouched"
    """There is neither a draft nor saved labels."""
    begun = "begun"
    """There is a draft, or the saved labels have a slot that nobody has decided about."""
    done = "done"
    """There are saved labels without a draft, and every slot is placed or absent."""
    reviewed = "reviewed"
    """Done, and somebody has marked exactly these labels as reviewed."""

    @property
    def is_unfinished(self) -> bool:
        """Whether there is something left to label."""
        return self in (Status.untouched, Status.begun)


@dataclass(frozen=True)
class Case:
    """A scan and what one rater has done with it.

    Attributes
    ----------
    scan : Path
        Its file.
    name : str
        Its file name without the image extension.
    status : Status
    placed, absent, unreviewed : int
        Numbers of slots in the draft, or in the saved labels if there is none.
    total : int
        Number of all slots.
    raters : tuple of str
        All who have saved labels for this scan.
    has_draft : bool
        Whether this rater has edits that are not saved.
    locked_by : str
        Who else works on this rater's labels, as part of a sentence: "anna on PC7". Empty if nobody does; on another
        computer it may have been long ago.
    problem : str
        A sentence for the user if something is wrong with the files, else empty.
    """

    scan: Path
    name: str
    status: Status = Status.untouched
    placed: int = 0
    absent: int = 0
    unreviewed: int = 0
    total: int = len(SLOTS)
    raters: tuple[str, ...] = ()
    has_draft: bool = False
    locked_by: str = ""
    problem: str = ""


class CaseFolder:
    """The scans of a folder, for one rater. No voxel is read.

    Parameters
    ----------
    folder : str or Path
    rater : str

    Attributes
    ----------
    folder : Path
    rater : str
    cases : tuple of Case
        In natural order: ``scan2`` comes before ``scan10``.
    problem : str
        A sentence for the user if there is no scan, else empty.

    Raises
    ------
    LaminaError
        If the folder cannot be listed, or the rater's name cannot be used.
    """

    def __init__(self, folder: str | Path, rater: str) -> None:
        self.folder = Path(folder).absolute()
        self.rater = check_rater(rater)
        self.cases: tuple[Case, ...] = ()
        self.problem = ""
        self.refresh()

    def refresh(self) -> None:
        """Look at the folder again.

        Raises
        ------
        LaminaError
            If it cannot be listed any more; the cases then stay as they were.
        """
        files = FolderFiles.of(self.folder)
        files.check_spelling(self.rater)
        self.cases = tuple(self._case(file_name, files) for file_name in files.scans)
        self.problem = ""
        if not self.cases:
            self.problem = _(
                "There is no scan in this folder: choose one that holds NRRD, NIfTI or MetaImage files, such as .nrrd."
            )

    def case(self, name: str) -> Case:
        """Return the case of a scan.

        Raises
        ------
        LaminaError
            If there is none of that name.
        """
        for case in self.cases:
            if case.name == name:
                return case
        raise LaminaError(
            _('There is no scan "{name}" in the list: choose another, or look at the folder again.').format(name=name)
        )

    def next(self, name: str | None = None, unfinished: bool = False) -> Case | None:
        """Return the case after another one.

        Parameters
        ----------
        name : str or None
            Of a case, which need not be there any more; None starts at the top.
        unfinished : bool
            Whether to skip cases that are done or reviewed.

        Returns
        -------
        Case or None
            None if no other follows. Cases with a problem are skipped.
        """
        return self._first(self.cases, unfinished, lambda key: name is None or key > natural_key(name))

    def previous(self, name: str | None = None, unfinished: bool = False) -> Case | None:
        """Return the case before another one, see `next`; without a name the last one."""
        return self._first(self.cases[::-1], unfinished, lambda key: name is None or key < natural_key(name))

    def summary(self) -> dict[Status, int]:
        """Return the number of cases by status, those without any too."""
        counts = Counter(case.status for case in self.cases)
        return {status: counts[status] for status in Status}

    @staticmethod
    def _first(cases: tuple[Case, ...], unfinished: bool, comes: Callable[[tuple], bool]) -> Case | None:
        for case in cases:
            wanted = not case.problem and (case.status.is_unfinished or not unfinished)
            if wanted and comes(natural_key(case.name)):
                return case
        return None

    def _case(self, file_name: str, files: FolderFiles) -> Case:
        name = scan_name(file_name)
        case = Case(self.folder / file_name, name, raters=files.raters.get(name, ()))
        rivals = files.rivals(file_name)
        if rivals:
            # Which of the scans the labels belong to cannot be known.
            return replace(case, raters=(), problem=rivalry(file_name, rivals))
        paths = CasePaths(self.folder, name, self.rater)
        if paths.lock.name in files.names:
            case = replace(case, locked_by=owner_of(paths.lock))
        try:
            return _with_status(case, paths, files)
        except LaminaError as error:
            return replace(case, has_draft=paths.draft.name in files.names, status=Status.begun, problem=str(error))


def _with_status(case: Case, paths: CasePaths, files: FolderFiles) -> Case:
    """Return a case with what its labels and its session say."""
    session = read_session(paths.session) if paths.session.name in files.names else SessionFile()
    draft = _read_if_there(paths.draft) if paths.draft.name in files.names else None
    if draft is not None:
        return replace(case, has_draft=True, status=Status.begun, **_counts(draft))
    saved = _read_if_there(paths.labels) if paths.labels.name in files.names else None
    if saved is None:
        return case
    case = replace(case, status=Status.begun, **_counts(saved))
    if case.placed + case.absent < case.total:
        return case
    # Few labels have been reviewed, and reading all of them a second time would take a second time as long.
    reviewed = bool(session.reviews) and session.is_reviewed(digest_of(paths.labels))
    return replace(case, status=Status.reviewed if reviewed else Status.done)


def _read_if_there(path: Path) -> LaminaSet | None:
    """Return the laminae of a file, None if it is gone: a draft goes when its rater saves."""
    try:
        return read_markups(path)
    except LaminaError as error:
        if isinstance(error.__cause__, FileNotFoundError):
            return None
        raise


def _counts(laminae: LaminaSet) -> dict[str, int]:
    reviews = Counter(lamina.review for lamina in laminae.values())
    return {
        "placed": reviews[Review.placed],
        "absent": reviews[Review.absent],
        "unreviewed": reviews[Review.unreviewed],
        "total": len(laminae),
    }
