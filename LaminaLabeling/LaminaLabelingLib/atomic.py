"""Files that are either written completely or not at all."""

import secrets
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from LaminaLabelingLib.errors import LaminaError
from LaminaLabelingLib.i18n import tr as _


@contextmanager
def atomic_path(path: str | Path) -> Iterator[Path]:
    """Give a temporary file name beside `path`, and move the file into place when the block ends without an error.

    A crash, a full disk or a cancel in the middle leaves the old file (or none), never half of a new one.

    Parameters
    ----------
    path : str or Path
        The file to write. Its folder must exist.

    Yields
    ------
    Path
        A name in the same folder that ends like `path`, so that a writer that chooses the format by the extension
        chooses the right one.

    Raises
    ------
    LaminaError
        If the folder does not exist, or the file cannot be written there.

    Examples
    --------
    >>> with atomic_path("points.csv") as temporary:  # doctest: +SKIP
    ...     temporary.write_text("name,r_mm,a_mm,s_mm\\n")
    """
    path = Path(path)
    temporary = path.with_name(f".{secrets.token_hex(6)}-{path.name}")
    try:
        if not path.parent.is_dir():
            raise LaminaError(
                _('"{name}" cannot be written because its folder does not exist: make it first.').format(name=path.name)
            )
        if path.is_dir():
            raise LaminaError(_('"{name}" is a folder: give the name of a file to write.').format(name=path.name))
        yield temporary
        temporary.replace(path)
    except OSError as error:
        raise LaminaError(
            _(
                "{name} could not be written ({reason}): check the space on the disk and your permission to write to "
                "the folder."
            ).format(name=f'"{path.name}"', reason=error.strerror or _("unknown reason"))
        ) from error
    finally:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)
