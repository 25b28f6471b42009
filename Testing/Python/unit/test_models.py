import copy
import hashlib
import json
import shutil

import numpy as np
import pytest
from tiny_networks import GRID, noise, tiny_card, tiny_unet

from LaminaLabelingLib.errors import LaminaError
from LaminaSegmentationLib import models
from LaminaSegmentationLib.models import check_card, find_model, list_models, load_model, write_bundle

LISTED = {name: {"sha256": "0" * 64, "bytes": 1} for name in models.FILES}


def full_card(**changes):
    """A card as `write_bundle` completes it."""
    output = {"meaning": "probability", "range": [0, 1]}
    return {**tiny_card(), "schema_version": 1, "output": output, "files": LISTED} | changes


def changed(path, value):
    """A full card with the value at a dotted path replaced, or removed if it is None."""
    card = copy.deepcopy(full_card())
    *parents, last = path.split(".")
    target = card
    for name in parents:
        target = target[name]
    if value is None:
        del target[last]
    else:
        target[last] = value
    return card


@pytest.fixture
def shelf(tiny_bundle, tmp_path, monkeypatch):
    """A folder of models that the software finds by name, with a copy of the tiny one."""
    shutil.copytree(tiny_bundle.folder, tmp_path / "shelf" / "tiny")
    monkeypatch.setattr(models, "MODEL_FOLDERS", (tmp_path / "none", tmp_path / "shelf"))
    return tmp_path / "shelf"


def test_a_bundle_holds_four_files_and_nothing_else_is_left(tiny_bundle):
    assert sorted(path.name for path in tiny_bundle.folder.iterdir()) == [
        "card.json",
        "model.bin",
        "model.weights.h5",
        "model.xml",
    ]
    assert [path.name for path in tiny_bundle.folder.parent.iterdir()] == ["tiny"]


def test_the_card_lists_size_and_hash_of_each_file(tiny_bundle):
    files = json.loads((tiny_bundle.folder / "card.json").read_text(encoding="utf-8"))["files"]
    assert set(files) == {"model.bin", "model.weights.h5", "model.xml"}
    for name, expected in files.items():
        data = (tiny_bundle.folder / name).read_bytes()
        assert expected == {"sha256": hashlib.sha256(data).hexdigest(), "bytes": len(data)}


def test_the_card_keeps_what_was_given_and_says_what_comes_out(tiny_bundle):
    assert {key: tiny_bundle.card[key] for key in tiny_card()} == tiny_card()
    assert tiny_bundle.card["schema_version"] == 1
    assert tiny_bundle.card["output"]["range"] == [0, 1]
    assert (tiny_bundle.name, tiny_bundle.grid_shape) == ("tiny", GRID)


def test_the_weights_come_back(tiny_bundle):
    batch = noise()[None, ..., None]
    np.testing.assert_array_equal(tiny_bundle.build().predict_on_batch(batch), tiny_unet().predict_on_batch(batch))


def test_no_path_of_the_machine_gets_into_the_graph(tiny_bundle):
    text = tiny_bundle.graph.read_text(encoding="utf-8")
    assert str(tiny_bundle.folder.parent) not in text
    assert "/tmp" not in text


def test_a_model_is_found_by_name_and_by_path(shelf):
    assert find_model("tiny") == shelf / "tiny"
    assert find_model(shelf / "tiny") == find_model(str(shelf / "tiny")) == shelf / "tiny"
    assert load_model("tiny").name == "tiny"


def test_an_unknown_model_is_refused_with_the_known_ones(shelf):
    with pytest.raises(LaminaError, match='no model "huge"; known models: tiny'):
        load_model("huge")


def test_without_any_model_the_error_says_none(tmp_path, monkeypatch):
    monkeypatch.setattr(models, "MODEL_FOLDERS", (tmp_path,))
    with pytest.raises(LaminaError, match="known models: none"):
        find_model("huge")


def test_a_folder_without_a_card_is_no_model(tmp_path):
    with pytest.raises(LaminaError, match=r"has no card\.json"):
        load_model(tmp_path)


def test_models_are_listed_by_name_and_broken_ones_left_out(shelf, caplog):
    shutil.copytree(shelf / "tiny", shelf / "another")
    (shelf / "broken").mkdir()
    (shelf / "broken" / "card.json").write_text("{", encoding="utf-8")
    assert [bundle.folder.name for bundle in list_models()] == ["another", "tiny"]
    assert "broken" in caplog.text


@pytest.mark.parametrize("name", models.FILES)
def test_a_changed_file_is_named_and_refused(shelf, name):
    data = bytearray((shelf / "tiny" / name).read_bytes())
    data[len(data) // 2] ^= 1
    (shelf / "tiny" / name).write_bytes(data)
    with pytest.raises(LaminaError, match=f'"{name}".*changed or damaged, download it again'):
        load_model("tiny")


@pytest.mark.parametrize("name", models.FILES)
def test_a_cut_off_or_missing_file_is_named_and_refused(shelf, name):
    path = shelf / "tiny" / name
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(LaminaError, match=f'"{name}".*changed or damaged'):
        load_model("tiny")
    path.unlink()
    with pytest.raises(LaminaError, match=f'"{name}".*missing'):
        load_model("tiny")


@pytest.mark.parametrize("text", ["", "{", "[]", '{"name": "tiny"}', "\xff"])
def test_a_damaged_card_is_refused(shelf, text):
    (shelf / "tiny" / "card.json").write_bytes(text.encode("latin-1"))
    with pytest.raises(LaminaError, match="tiny"):
        load_model("tiny")


def test_a_full_card_is_valid():
    check_card(full_card())


@pytest.mark.parametrize(
    ("path", "value", "field"),
    [
        ("schema_version", 2, "schema_version"),
        ("name", "../escape", "name"),
        ("title", None, "title"),
        ("created", "yesterday", "created"),
        ("intended_use", "diagnosis", "intended_use"),
        ("input.axes", "RAS", "input.axes"),
        ("input.grid", [384, 96], "input.grid"),
        ("input.grid", [384, 96, 44], "input.grid.2"),
        ("decision.threshold", 1.0, "decision.threshold"),
        ("decision.minimum_voxels", 0, "decision.minimum_voxels"),
        ("training.seeds", [5, 1_000_010], "training.seeds.0"),
        ("training.style_version", None, "style_version"),
        ("evaluation.data", "10 scans", "evaluation.data"),
        ("evaluation.figures", {}, "evaluation.figures"),
        ("files", {"model.xml": LISTED["model.xml"]}, "files"),
        ("files", {**LISTED, "../model.xml": LISTED["model.xml"]}, "files"),
        ("license", "", "license"),
    ],
)
def test_an_invalid_card_is_refused_naming_the_field(path, value, field):
    with pytest.raises(LaminaError, match=field):
        check_card(changed(path, value))


def test_a_model_of_a_clinics_own_scans_needs_no_simulated_evaluation():
    card = full_card()
    card["training"] = {key: card["training"][key] for key in card["training"] if key not in models_of_simulation()}
    check_card(card | {"evaluation": {"data": "10 scans of the clinic", "figures": {"dice": 0.4}}})


def models_of_simulation():
    return {"style", "style_version", "seeds"}


def test_a_card_that_belies_its_network_is_refused():
    with pytest.raises(LaminaError, match=r"architecture\.parameters"):
        check_card(changed("architecture.parameters", 12345))
    with pytest.raises(LaminaError, match='network preset "huge"'):
        check_card(changed("architecture.preset", "huge"))


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_a_card_holds_finite_figures_only(value):
    evaluation = {"data": "10 simulated scans", "figures": {"dice": value}}
    with pytest.raises(LaminaError, match="finite"):
        check_card(full_card(evaluation=evaluation))


def test_an_existing_bundle_is_not_overwritten(tiny_bundle):
    before = (tiny_bundle.folder / "card.json").read_bytes()
    with pytest.raises(LaminaError, match="nothing is overwritten"):
        write_bundle(tiny_bundle.folder, tiny_unet(), tiny_card())
    assert (tiny_bundle.folder / "card.json").read_bytes() == before


def test_a_model_that_is_not_the_cards_is_refused(tmp_path):
    with pytest.raises(LaminaError, match="another number of parameters"):
        write_bundle(tmp_path / "tiny", tiny_unet(width=4), tiny_card())
    assert list(tmp_path.iterdir()) == []


def test_a_failed_conversion_leaves_nothing(tmp_path, monkeypatch):
    monkeypatch.setattr(models.sys, "executable", shutil.which("false"))
    with pytest.raises(LaminaError, match="could not be converted to OpenVINO"):
        write_bundle(tmp_path / "tiny", tiny_unet(), tiny_card())
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("folder", models.MODEL_FOLDERS[:1])
def test_every_model_that_ships_is_valid_and_small(folder):
    for card in sorted(folder.glob("*/card.json")):
        bundle = load_model(card.parent)
        assert bundle.name == card.parent.name
        assert bundle.grid_shape == (384, 96, 48)
        assert sum(entry["bytes"] for entry in bundle.card["files"].values()) < 15_000_000
    assert folder.is_dir()
