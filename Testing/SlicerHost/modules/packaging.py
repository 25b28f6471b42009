"""``slicer.packaging``: checks Python packages. Installing them is not imitated."""

from importlib import metadata
from pathlib import Path

import slicer
from packaging.requirements import Requirement

from SlicerHost.errors import NotImitatedError


def load_requirements(path):
    """Return the requirements of a ``requirements.txt``; comments, empty lines and pip's options are skipped."""
    lines = (line.strip() for line in Path(path).read_text(encoding="utf-8").splitlines())
    return [Requirement(line) for line in lines if line and line[0] not in "#-"]


def _as_list(requirements):
    if isinstance(requirements, str):
        return [Requirement(requirements)]
    if isinstance(requirements, Requirement):
        return [requirements]
    return [Requirement(item) if isinstance(item, str) else item for item in requirements]


def _is_satisfied(requirement):
    if requirement.marker is not None and not requirement.marker.evaluate():
        return True
    try:
        return requirement.specifier.contains(metadata.version(requirement.name), prereleases=True)
    except metadata.PackageNotFoundError:
        return False


def pip_check(requirements):
    """Return whether every requirement is met by the installed packages."""
    return all(map(_is_satisfied, _as_list(requirements)))


def pip_ensure(requirements, requester=None, **options):
    """Return None when the requirements are met, and in testing mode; the dialog that installs is not imitated."""
    if not pip_check(requirements) and not slicer.app.testingEnabled():
        raise NotImitatedError("SlicerHost does not install packages: install them into its environment.")


def pip_install(*arguments, **options):
    raise NotImitatedError("SlicerHost does not install packages.")
