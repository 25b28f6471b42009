"""The files of one rater's work on one scan, read and written by the process that holds their lock."""

import hashlib
from collections.abc import Callable
from contextlib import suppress
from datetime import datetime
from pathlib import Path

from LaminaLabelingLib.atomic import atomic_path
from LaminaLabelingLib.case_files import LABELS, SESSION, CasePaths, insistently, is_file, is_folder, list_files
from LaminaLabelingLib.case_locks import CaseLock, is_abandoned_claim, owner_of
from LaminaLabelingLib.case_sidecars import SessionFile, digest_of, read_axes, read_bytes, read_session, write_session
from LaminaLabelingLib.errors import LaminaError
from LaminaLabelingLib.i18n import tr as _
from LaminaLabelingLib.laminae import LaminaSet
from LaminaLabelingLib.markups_files import read_markups, write_markups


class CaseStore:
    """Saved labels, draft and session of a case, as they are on the disk.

    Parameters
    ----------
    scan : Path
        The scan's file.
    paths : CasePaths
    lock : CaseLock
        The lock of these files, held.
    clock : callable
        Returns the local time, for the names of files that are kept.

    Attributes
    ----------
    saved : LaminaSet
        The saved labels; empty if there are none or they are damaged.
    saved_digest : str or None
        SHA-256 of their file, None if there is none.
    saved_is_damaged : bool
    draft : LaminaSet or None
        None if there is none.
    session : SessionFile
    axes : str
        Axis code that was chosen for the scan, empty if none was.
    warnings : tuple of str
        What the user should know about the files that were found.

    Raises
    ------
    LaminaError
        If a file cannot be opened, or the saved labels are damaged and there is no draft.
    """

    def __init__(self, scan: Path, paths: CasePaths, lock: CaseLock, clock: Callable[[], datetime]) -> None:
        self.scan = scan
        self.paths = paths
        self.lock = lock
        self.warnings: tuple[str, ...] = ()
        self._clock = clock
        self._apart: Path | None = None
        self._remove_leftovers()
        self.session = self._read_session()
        self.axes = self._read_axes()
        self._read_labels()

    # Writing

    def keep_lock(self, laminae: LaminaSet | None = None) -> None:
        """Make sure that nobody else works on the files.

        Parameters
        ----------
        laminae : LaminaSet or None
            Edits to keep in a file of their own, ``SCAN.RATER.lost-lock-DATE.mrk.json``, if somebody else does.

        Raises
        ------
        LaminaError
            If somebody has taken the case over, or the folder cannot be reached.
        """
        if not is_folder(self.paths.folder):
            raise LaminaError(
                _(
                    "The folder of {scan} cannot be reached: check the connection to its disk, then save again; until "
                    "then the edits are in this window only."
                ).format(scan=f'"{self.paths.name}"')
            )
        if self.lock.is_held():
            return
        # Somebody has removed the lock. If nothing else has changed, nobody has worked on the files meanwhile.
        if self._is_undisturbed() and self.lock.renew():
            return
        owner = owner_of(self.paths.lock) or _("somebody else")
        kept = ""
        if laminae is not None:
            self._apart = self._apart or self.paths.kept("lost-lock", self._clock())
            insistently(write_markups, laminae, self._apart)
            kept = self._apart.name
        raise LaminaError(
            _('"{scan}" was taken over by {owner}: your edits are kept in "{file}"; close the case.').format(
                scan=self.paths.name, owner=owner, file=kept
            )
            if kept
            else _('"{scan}" was taken over by {owner}: close the case and open it again.').format(
                scan=self.paths.name, owner=owner
            )
        )

    def write_draft(self, laminae: LaminaSet) -> None:
        """Write the draft, or remove it if the saved labels on the disk are the same."""
        if laminae == self.saved and not self.saved_is_damaged and digest_of(self.paths.labels) == self.saved_digest:
            self.remove_draft()
            return
        insistently(write_markups, laminae, self.paths.draft)
        self.draft, self._draft_digest = laminae, digest_of(self.paths.draft)

    def remove_draft(self) -> None:
        """Remove the draft if there is one."""
        remove(self.paths.draft)
        self.draft = self._draft_digest = None

    def write_labels(self, laminae: LaminaSet) -> None:
        """Write the saved labels; a version that is not the one that was read is kept first.

        The same labels again leave the file as it is, whoever has written it, so that their review stays valid.
        """
        content = read_bytes(self.paths.labels)
        digest = None if content is None else hashlib.sha256(content).hexdigest()
        known = digest == self.saved_digest and not self.saved_is_damaged
        if content is not None and known and laminae == self.saved:
            return
        if content is not None and not known:
            with atomic_path(self.paths.kept("backup", self._clock())) as temporary:
                temporary.write_bytes(content)
        insistently(write_markups, laminae, self.paths.labels)
        self.saved, self.saved_digest, self.saved_is_damaged = laminae, digest_of(self.paths.labels), False

    def reread_labels(self) -> None:
        """Take the saved labels as they are on the disk now."""
        digest = digest_of(self.paths.labels)
        saved = LaminaSet() if digest is None else read_markups(self.paths.labels)
        self.saved, self.saved_digest, self.saved_is_damaged = saved, digest, False

    def write_session(self, session: SessionFile) -> None:
        """Write the session if it has changed."""
        if session != self.session:
            insistently(write_session, session, self.paths.session)
            self.session = session

    def check_scan(self) -> None:
        """Raise LaminaError if the scan is gone."""
        if not is_file(self.scan):
            raise LaminaError(
                _(
                    '"{scan}" is not in its folder any more: put it back, then save again; the edits are kept in '
                    '"{draft}".'
                ).format(scan=self.scan.name, draft=self.paths.draft.name)
            )

    # Reading

    def _is_undisturbed(self) -> bool:
        return (digest_of(self.paths.labels), digest_of(self.paths.draft)) == (self.saved_digest, self._draft_digest)

    def _remove_leftovers(self) -> None:
        """Remove the temporary files of a process that was killed; with the lock nobody else writes them."""
        for file_name in list_files(self.paths.folder):
            path = self.paths.folder / file_name
            if self.paths.is_leftover(file_name) and (not file_name.endswith(".lock") or is_abandoned_claim(path)):
                with suppress(OSError):
                    path.unlink()

    def _read_session(self) -> SessionFile:
        try:
            return read_session(self.paths.session)
        except LaminaError as error:
            self._set_aside(self.paths.session, SESSION, error)
            self._warn(_("Where you stopped, and who has reviewed the labels, is not known any more."))
            return SessionFile()

    def _read_axes(self) -> str:
        try:
            return read_axes(self.paths.orientation)
        except LaminaError as error:
            self._warn(str(error))
            return ""

    def _read_labels(self) -> None:
        self.saved, self.saved_is_damaged = LaminaSet(), False
        self.saved_digest = digest_of(self.paths.labels)
        problem = None
        if self.saved_digest is not None:
            try:
                self.saved = read_markups(self.paths.labels)
            except LaminaError as error:
                problem, self.saved_is_damaged = error, True
        self._read_draft()
        if problem is not None:
            # Without a draft nothing could be shown, and saving would hide that there was something.
            if self.draft is None:
                raise problem
            self._warn(
                _("{problem} The draft is shown, and saving it keeps a copy of that file.").format(problem=problem)
            )
        elif self.draft == self.saved:
            # The process was killed after it had saved, before it had removed the draft.
            self.remove_draft()

    def _read_draft(self) -> None:
        self.draft = None
        self._draft_digest = digest_of(self.paths.draft)
        if self._draft_digest is None:
            return
        try:
            self.draft = read_markups(self.paths.draft)
        except LaminaError as error:
            self._set_aside(self.paths.draft, LABELS, error)
            self._warn(_("The saved labels are shown instead of the draft."))
            self._draft_digest = None

    def _set_aside(self, path: Path, ending: str, problem: LaminaError) -> None:
        """Rename a damaged file; what merely cannot be opened now is left alone."""
        if isinstance(problem.__cause__, OSError):
            raise problem
        kept = self.paths.kept("damaged", self._clock(), ending)
        try:
            insistently(path.replace, kept)
        except OSError:
            raise problem from None
        self._warn(
            _('"{file}" is damaged and was renamed to "{kept}": look there for what is missing.').format(
                file=path.name, kept=kept.name
            )
        )

    def _warn(self, sentence: str) -> None:
        self.warnings = (*self.warnings, sentence)


def remove(path: Path) -> None:
    """Remove a file if there is one.

    Raises
    ------
    LaminaError
        If it cannot be removed.
    """
    try:
        insistently(path.unlink, True)
    except OSError as error:
        raise LaminaError(
            _('"{file}" could not be removed ({reason}): check your permission to write to the folder.').format(
                file=path.name, reason=error.strerror or _("unknown reason")
            )
        ) from error
