"""Work on one scan of a case folder: drafts, saved labels, reviews, and the time that it takes."""

import copy
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from types import TracebackType

from LaminaLabelingLib.case_files import CasePaths, FolderFiles, check_rater, insistently, is_file
from LaminaLabelingLib.case_locks import CaseLock
from LaminaLabelingLib.case_sidecars import SessionFile, digest_of, write_axes
from LaminaLabelingLib.case_store import CaseStore, remove
from LaminaLabelingLib.errors import LaminaError
from LaminaLabelingLib.i18n import tr as _
from LaminaLabelingLib.laminae import LaminaSet, Review
from LaminaLabelingLib.markups_files import read_markups
from LaminaLabelingLib.orientation import parse_code
from LaminaLabelingLib.time_sheet import Activity, append_row, now


class CaseSession:
    """One rater's work on one scan; made by `open`. As a context manager it closes itself.

    Attributes
    ----------
    laminae : LaminaSet
        As last stored, in the draft or in the saved labels.
    axes : str
        Axis code that was chosen for the scan; empty if none was.
    recovered : bool
        Whether the session started from a draft that an earlier one had left.
    has_draft : bool
        Whether there are edits that are not in the saved labels; also those that could not be stored.
    """

    def __init__(self, store: CaseStore, clock: Callable[[], datetime] = now) -> None:
        self._store = store
        self._clock = clock
        self._closed = False
        self._activity = Activity(clock)
        self.axes = store.axes
        self.recovered = self.has_draft = store.draft is not None
        self.laminae = store.saved if store.draft is None else store.draft

    @classmethod
    def open(
        cls,
        folder: str | Path,
        name: str,
        rater: str,
        take_over: bool = False,
        clock: Callable[[], datetime] = now,
    ) -> "CaseSession":
        """Start to work on a scan, where the rater has stopped.

        Parameters
        ----------
        folder : str or Path
        name : str
            The scan's name, see `case_files`.
        rater : str
        take_over : bool
            Whether to take the case from somebody on another computer, after `CaseLockedError` said that it may be.
        clock : callable
            Returns the local time with its offset.

        Returns
        -------
        CaseSession

        Raises
        ------
        CaseLockedError
            If the case is open already.
        LaminaError
            If there is no such scan, the rater's name cannot be used, the folder cannot be written to, or the saved
            labels cannot be read and there is no draft.
        """
        rater = check_rater(rater)
        files = FolderFiles.of(folder)
        scan = files.find_scan(name)
        files.check_spelling(rater)
        paths = CasePaths(files.folder, name, rater)
        lock = CaseLock.acquire(paths.lock, take_over)
        try:
            return cls(CaseStore(scan, paths, lock, clock), clock)
        except BaseException:
            lock.release()
            raise

    @property
    def scan(self) -> Path:
        """The scan's file."""
        return self._store.scan

    @property
    def name(self) -> str:
        """The scan's name."""
        return self._store.paths.name

    @property
    def rater(self) -> str:
        """The person whose labels these are."""
        return self._store.paths.rater

    @property
    def state(self) -> dict:
        """What the module wants to find again, as last stored."""
        # A copy, so that what is compared when storing is what was stored.
        return copy.deepcopy(self._store.session.state)

    @property
    def saved_path(self) -> Path:
        """The file of the saved labels, which may not exist yet."""
        return self._store.paths.labels

    @property
    def warnings(self) -> tuple[str, ...]:
        """What the user should know about the files that were found, a sentence each."""
        return self._store.warnings

    def autosave(self, laminae: LaminaSet, state: dict | None = None) -> None:
        """Store edits in the draft, so that a crash in the next moment loses nothing.

        Laminae that equal the saved labels need no draft: it is removed.

        Parameters
        ----------
        laminae : LaminaSet
        state : dict or None
            What to find again; JSON values only. None keeps the last.

        Raises
        ------
        LaminaError
            If the case was taken over by somebody else (the edits are then kept in a file of their own), if the scan
            is gone (the draft is written nevertheless), or the folder cannot be written to.
        """
        session = self._begin(laminae, state)
        self._store.write_draft(laminae)
        self.laminae, self.has_draft = laminae, self._store.draft is not None
        self._store.write_session(session)
        self._store.check_scan()

    def save(self, laminae: LaminaSet, state: dict | None = None) -> Path:
        """Make edits the saved labels, and remove the draft.

        Labels that somebody else has written there meanwhile are kept first, as ``SCAN.RATER.backup-DATE.mrk.json``.

        Parameters
        ----------
        laminae : LaminaSet
        state : dict or None
            What to find again; JSON values only. None keeps the last.

        Returns
        -------
        Path
            The saved labels.

        Raises
        ------
        LaminaError
            As `autosave`. The saved labels are then as they were, or as they should be.
        """
        if not is_file(self.scan):
            # Labels without a scan would help nobody; the draft keeps them until it is back.
            self.autosave(laminae, state)
        session = self._begin(laminae, state)
        self._store.write_labels(laminae)
        self.laminae = laminae
        self._store.remove_draft()
        self.has_draft = False
        self._store.write_session(session)
        return self.saved_path

    def discard_draft(self) -> LaminaSet:
        """Go back to the saved labels, as they are on the disk now, and return them. Nothing is asked before.

        Raises
        ------
        LaminaError
            If the saved labels cannot be read, or the draft cannot be removed; it then stays.
        """
        self._check_open()
        self._store.reread_labels()
        # The draft of somebody who has taken the case over is not ours to remove.
        if self._store.lock.is_held():
            self._store.remove_draft()
        self.laminae, self.has_draft, self.recovered = self._store.saved, False, False
        return self.laminae

    def mark_reviewed(self, by: str) -> None:
        """Say that somebody has reviewed the saved labels, exactly as they are.

        Parameters
        ----------
        by : str
            Who has reviewed them; may be the rater.

        Raises
        ------
        LaminaError
            If there are no saved labels, edits that are not saved, or slots that nobody has decided about.
        """
        self._check_open()
        by = " ".join(by.split())
        if not by:
            raise LaminaError(_("Say who has reviewed the labels: give a name."))
        digest = self._store.saved_digest
        if self.has_draft or digest is None:
            raise LaminaError(_("Only saved labels can be marked as reviewed: save them first."))
        self._check_complete()
        self._store.keep_lock()
        if digest_of(self.saved_path) != digest:
            raise LaminaError(
                _('"{file}" was changed by somebody else: close the case, open it again and look at it.').format(
                    file=self.saved_path.name
                )
            )
        self._store.write_session(self._store.session.with_review(digest, by, self._clock()))

    def labels_of(self, rater: str) -> LaminaSet:
        """Return the labels that another rater has saved for this scan, to look at.

        Raises
        ------
        LaminaError
            If there are none, or they cannot be read.
        """
        path = self._store.paths.labels_of(check_rater(rater))
        if not is_file(path):
            raise LaminaError(
                _('"{rater}" has no saved labels for "{scan}": choose another rater.').format(
                    rater=rater, scan=self.name
                )
            )
        return read_markups(path)

    def set_axes(self, code: str) -> None:
        """Keep the axis code of the scan, for all raters; an empty one takes the choice back.

        Raises
        ------
        LaminaError
            If it is no axis code, or cannot be written.
        """
        self._check_open()
        path = self._store.paths.orientation
        if code.strip():
            insistently(write_axes, code, path)
            self.axes = parse_code(code)
        else:
            remove(path)
            self.axes = ""

    def active(self, kind_of_edit: bool = True) -> None:
        """Note for the time sheet that somebody does something now.

        Parameters
        ----------
        kind_of_edit : bool
            Whether it changes the labels; False for looking around.
        """
        self._activity.note(kind_of_edit)

    def close(self) -> None:
        """Note the time spent and let others work on the case. The draft stays. Closing again does nothing.

        Raises
        ------
        LaminaError
            If the time could not be noted; the case is closed nevertheless.
        """
        if self._closed:
            return
        self._closed = True
        try:
            row = self._activity.row(self.name, self.rater)
            if row is not None:
                append_row(row, self._store.paths.times)
        finally:
            self._store.lock.release()

    def __enter__(self) -> "CaseSession":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _begin(self, laminae: LaminaSet, state: dict | None) -> SessionFile:
        """Check that edits may be stored, and return the session to store with them."""
        self._check_open()
        session = self._store.session if state is None else self._store.session.with_state(state)
        # From here on until they are stored, the edits exist in memory only, and leaving must ask.
        self.has_draft = self.has_draft or laminae != self._store.saved
        self._store.keep_lock(laminae)
        return session

    def _check_complete(self) -> None:
        undecided = [
            lamina.name for lamina in self.laminae.values() if lamina.review in (Review.unset, Review.unreviewed)
        ]
        if undecided:
            raise LaminaError(
                _("{count} slots are still open, {slot} for one: place each or mark it as absent, then save.").format(
                    count=len(undecided), slot=undecided[0]
                )
            )

    def _check_open(self) -> None:
        if self._closed:
            raise RuntimeError("the case is closed")
