"""``slicer.packaging``: checks Python packages. Installing them is not imitated, only how it can end without them."""

import subprocess
from importlib import metadata
from pathlib import Path

import slicer
from packaging.requirements import Requirement

from SlicerHost.errors import NotImitatedError

imitated_ending = ""
"""How a test wants the next installations to end: "declined" by the user, "failed" in pip, or empty."""


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
    """Return None when the requirements are met, and in testing mode; else end as ``imitated_ending`` says."""
    if pip_check(requirements):
        return
    if imitated_ending == "declined":
        raise RuntimeError("User declined package installation")
    if imitated_ending == "failed":
        raise subprocess.CalledProcessError(1, "pip install")
    if not slicer.app.testingEnabled():
        raise NotImitatedError("SlicerHost does not install packages: install them into its environment.")


def pip_install(*arguments, **options):
    raise NotImitatedError("SlicerHost does not install packages.")
