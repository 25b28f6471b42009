"""What Slicer builds is what is in the repository: CMake installs only the files that it lists."""

import json
import re
import tomllib
from pathlib import Path

import jsonschema
import pytest
from packaging.requirements import Requirement

ROOT = Path(__file__).parents[3]
MODULES = ("LaminaLabeling", "LaminaSegmentation")
COMES_WITH_SLICER = {"numpy", "scipy", "SimpleITK"}


def cmake_list(text, name):
    """Return the items of ``set(name ...)`` with ``${MODULE_NAME}`` filled in."""
    module = re.search(r"set\(MODULE_NAME (\w+)\)", text).group(1)
    items = re.search(rf"set\({name}\s(.*?)\)", text, re.DOTALL).group(1).split()
    return [item.replace("${MODULE_NAME}", module) for item in items]


def files_in(module, folder):
    """Return the files of one folder of a module, relative to the module; none of caches and temporary folders."""
    root = ROOT / module
    files = (path.relative_to(root) for path in (root / folder).rglob("*") if path.is_file())
    return {
        path.as_posix() for path in files if not any(part[0] == "." or part == "__pycache__" for part in path.parts)
    }


@pytest.fixture(params=MODULES)
def module(request):
    return request.param


@pytest.fixture
def text(module):
    return (ROOT / module / "CMakeLists.txt").read_text(encoding="utf-8")


def test_every_library_file_is_listed_and_every_listed_file_is_there(module, text):
    packages = files_in(module, f"{module}Lib") | files_in(module, f"{module}Gui")
    expected = {name for name in packages if name.endswith(".py")} | {f"{module}.py"}
    assert set(cmake_list(text, "MODULE_PYTHON_SCRIPTS")) == expected


def test_every_resource_is_listed_and_every_listed_resource_is_there(module, text):
    data = {name for name in files_in(module, f"{module}Lib") if not name.endswith(".py")}
    assert set(cmake_list(text, "MODULE_PYTHON_RESOURCES")) == files_in(module, "Resources") | data


@pytest.mark.parametrize("name", ["MODULE_PYTHON_SCRIPTS", "MODULE_PYTHON_RESOURCES"])
def test_no_file_is_listed_twice(text, name):
    items = cmake_list(text, name)
    assert sorted(set(items)) == sorted(items)


def test_the_lists_are_built_and_the_self_test_is_registered(text):
    assert "SCRIPTS ${MODULE_PYTHON_SCRIPTS}" in text
    assert "RESOURCES ${MODULE_PYTHON_RESOURCES}" in text
    assert "slicer_add_python_unittest(SCRIPT ${MODULE_NAME}.py)" in text


def test_the_extension_builds_every_module():
    text = (ROOT / "CMakeLists.txt").read_text(encoding="utf-8")
    assert re.findall(r"add_subdirectory\((\w+)\)", text) == list(MODULES)


def test_the_pictures_that_the_catalog_shows_are_in_the_repository():
    text = (ROOT / "CMakeLists.txt").read_text(encoding="utf-8")
    addresses = re.findall(r'EXTENSION_(?:ICONURL|SCREENSHOTURLS) "([^"]+)"', text)
    assert len(addresses) == 2
    for address in addresses:
        assert (ROOT / address.partition("/main/")[2]).is_file()


def test_the_catalog_entry_has_what_the_index_asks_for():
    """The fields and types are those of Slicer's slicer-extension-catalog-entry-schema-v1.0.2."""
    schema = {
        "type": "object",
        "required": ["$schema", "category", "scm_url"],
        "additionalProperties": False,
        "properties": {
            "$schema": {"type": "string"},
            "category": {"const": "Ultrasound"},
            "scm_url": {"type": "string", "pattern": r"/Slicer\w+\.git$"},
            "scm_revision": {"type": "string"},
            "build_dependencies": {"type": "array", "items": {"type": "string"}},
            "build_subdirectory": {"type": "string"},
            "tier": {"type": "integer", "minimum": 1, "maximum": 5},
        },
    }
    jsonschema.validate(json.loads((ROOT / "LaminaUltrasound.json").read_text(encoding="utf-8")), schema)


def test_slicer_installs_what_the_package_depends_on():
    """The first-use list is that of pyproject.toml, with the same bounds, less what Slicer brings."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    needed = {str(requirement) for requirement in map(Requirement, project["dependencies"])}
    lines = (ROOT / "LaminaSegmentation/Resources/requirements.txt").read_text(encoding="utf-8").splitlines()
    listed = {str(Requirement(line)) for line in lines if line and not line.startswith("#")}
    assert listed == {text for text in needed if Requirement(text).name not in COMES_WITH_SLICER}
    assert all(specifier.operator == ">=" for text in listed for specifier in Requirement(text).specifier)
