"""The small JSON files beside a scan: where a rater stopped, who reviewed which labels, the scan's axes."""

import hashlib
import json
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from LaminaLabelingLib.atomic import atomic_path
from LaminaLabelingLib.errors import LaminaError
from LaminaLabelingLib.i18n import tr as _
from LaminaLabelingLib.orientation import parse_code


@dataclass(frozen=True)
class Reviewed:
    """Somebody has reviewed labels.

    Parameters
    ----------
    labels : str
        SHA-256 of the file of labels, so that the review ends with the next change.
    by : str
        Who.
    when : str
        ISO date and time with the offset from UTC.
    """

    labels: str
    by: str
    when: str


@dataclass(frozen=True)
class SessionFile:
    """What is kept of a session beside the labels.

    Parameters
    ----------
    state : dict
        Whatever the module wants to find again; JSON values only.
    reviews : tuple of Reviewed
        Oldest first.
    """

    state: dict = field(default_factory=dict)
    reviews: tuple[Reviewed, ...] = ()

    def is_reviewed(self, digest: str | None) -> bool:
        """Return whether somebody has reviewed exactly the labels whose file has this SHA-256."""
        return any(review.labels == digest for review in self.reviews)

    def with_state(self, state: dict) -> "SessionFile":
        """Return the same reviews with another state, as reading it back from a file would give it.

        Raises
        ------
        TypeError, ValueError
            If the state cannot be written as JSON.
        """
        return SessionFile(json.loads(json.dumps(state)), self.reviews)

    def with_review(self, digest: str, by: str, when: datetime) -> "SessionFile":
        """Return the same state with one more review."""
        review = Reviewed(digest, by, when.isoformat(timespec="seconds"))
        return SessionFile(self.state, (*self.reviews, review))


def read_session(path: Path) -> SessionFile:
    """Read a session; an empty one if there is no file.

    Raises
    ------
    LaminaError
        If the file cannot be opened or is damaged; only in the first case its cause is an OSError.
    """
    content = _read_object(path)
    if content is None:
        return SessionFile()
    state, reviews = content.get("state", {}), content.get("reviews", [])
    if not isinstance(state, dict) or not isinstance(reviews, list):
        raise _damaged(path)
    try:
        return SessionFile(state, tuple(Reviewed(*(str(item[key]) for key in _REVIEW_KEYS)) for item in reviews))
    except (KeyError, TypeError) as error:
        raise _damaged(path) from error


def write_session(session: SessionFile, path: Path) -> None:
    """Write a session.

    Raises
    ------
    LaminaError
        If the file cannot be written.
    """
    reviews = [{key: getattr(review, key) for key in _REVIEW_KEYS} for review in session.reviews]
    _write_object({"state": session.state, "reviews": reviews}, path)


def read_axes(path: Path) -> str:
    """Read the axis code of a scan; empty if there is no file.

    Raises
    ------
    LaminaError
        If the file cannot be opened or does not hold an axis code.
    """
    content = _read_object(path)
    if content is None:
        return ""
    try:
        return parse_code(content["axes"])
    except (KeyError, AttributeError) as error:
        raise _damaged(path) from error
    except LaminaError as error:
        raise LaminaError(
            _('"{file}" does not say how the scan lies, choose it again: {problem}').format(
                file=path.name, problem=error
            )
        ) from error


def write_axes(code: str, path: Path) -> None:
    """Write the axis code of a scan.

    Raises
    ------
    LaminaError
        If it is no axis code, or the file cannot be written.
    """
    _write_object({"axes": parse_code(code)}, path)


def digest_of(path: Path) -> str | None:
    """Return the SHA-256 of a file in hexadecimal digits; None if there is no such file.

    Raises
    ------
    LaminaError
        If there is one, but it cannot be read.
    """
    content = read_bytes(path)
    return None if content is None else hashlib.sha256(content).hexdigest()


def read_bytes(path: Path) -> bytes | None:
    """Return what a file holds; None if there is no such file.

    Raises
    ------
    LaminaError
        If there is one, but it cannot be read. The cause is an OSError.
    """
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise LaminaError(
            _(
                '"{file}" cannot be opened ({reason}): check the connection to its disk and that you may read it.'
            ).format(file=path.name, reason=error.strerror or _("unknown reason"))
        ) from error


_REVIEW_KEYS = ("labels", "by", "when")


def _read_object(path: Path) -> dict | None:
    """Return the JSON object that a file holds, None if there is no such file."""
    content = read_bytes(path)
    if content is None:
        return None
    try:
        value = json.loads(content.decode("utf-8-sig"))
    except (ValueError, RecursionError) as error:
        raise _damaged(path) from error
    if not isinstance(value, dict):
        raise _damaged(path)
    return value


def _write_object(content: dict, path: Path) -> None:
    text = json.dumps(content, indent=1, ensure_ascii=False)
    with atomic_path(path) as temporary:
        temporary.write_text(text + "\n", encoding="utf-8")


def _damaged(path: Path) -> LaminaError:
    return LaminaError(_('"{file}" is damaged: remove it or put an intact copy in its place.').format(file=path.name))
