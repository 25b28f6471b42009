import json

import numpy as np
import pytest

from LaminaLabelingLib.errors import LaminaError
from LaminaLabelingLib.files import write_markups
from LaminaLabelingLib.volumes import write_volume
from LaminaSegmentationLib.dataset import (
    labelled_case,
    load_case,
    prepare_case,
    read_dataset,
    save_case,
    simulated_case,
    split_names,
)


@pytest.fixture(scope="module")
def case(coarse_scan):
    return prepare_case(coarse_scan.volume, coarse_scan.truth)


def test_a_case_survives_the_file(case, tmp_path):
    save_case(case, tmp_path / "case.npz")
    again = load_case(tmp_path / "case.npz")
    assert again.name == case.name
    assert again.names == case.names
    assert np.array_equal(again.grid, case.grid)
    assert np.array_equal(again.centroids, case.centroids)
    assert np.array_equal(again.spacing, case.spacing)


def test_centroids_lie_on_the_grid(case):
    assert case.centroids.shape == (34, 3)
    assert (case.centroids > -0.5).all()
    assert (case.centroids < np.array(case.grid.shape) - 0.5).all()


def test_a_cached_case_is_read_and_a_damaged_one_made_again(tmp_path, monkeypatch):
    first = simulated_case(31, 1.0, cache=tmp_path)
    (path,) = tmp_path.iterdir()
    calls = []
    monkeypatch.setattr("LaminaSegmentationLib.dataset.simulate_scan", lambda *given: calls.append(given))
    assert np.array_equal(simulated_case(31, 1.0, cache=tmp_path).grid, first.grid)
    assert calls == []
    monkeypatch.undo()
    path.write_bytes(path.read_bytes()[:1000])
    assert np.array_equal(simulated_case(31, 1.0, cache=tmp_path).grid, first.grid)


def test_a_labelled_scan_gives_the_same_case_as_the_simulation(coarse_scan, case, tmp_path):
    write_volume(coarse_scan.volume, tmp_path / "scan.nrrd")
    write_markups(coarse_scan.truth, tmp_path / "scan.mrk.json")
    read = labelled_case(tmp_path / "scan.nrrd", tmp_path / "scan.mrk.json", cache=tmp_path / "cache")
    assert np.array_equal(read.grid, case.grid)
    assert np.allclose(read.centroids, case.centroids, atol=1e-5)
    assert len(list((tmp_path / "cache").iterdir())) == 1


def dataset(folder, content):
    for name in ("a.nrrd", "b.nrrd", "a.mrk.json", "b.mrk.json"):
        (folder / name).write_text("")
    path = folder / "dataset.json"
    path.write_text(json.dumps(content))
    return path


def test_paths_are_relative_to_the_file(tmp_path):
    path = dataset(tmp_path, {"training": [{"image": "a.nrrd", "label": "a.mrk.json", "patient": "1"}]})
    splits = read_dataset(path)
    assert splits["training"][0]["image"] == tmp_path / "a.nrrd"
    assert splits["test"] == []


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ({"training": [{"image": "a.nrrd"}]}, "Entry 1 of 'training'"),
        ({"training": [{"image": "a.nrrd", "label": "c.mrk.json"}]}, "c.mrk.json"),
        ({"test": {"image": "a.nrrd"}}, "must be a list"),
        ([], "no dataset file"),
        (
            {
                "training": [{"image": "a.nrrd", "label": "a.mrk.json", "patient": "1"}],
                "test": [{"image": "b.nrrd", "label": "b.mrk.json", "patient": "1"}],
            },
            "patient '1' is also in 'training'",
        ),
    ],
)
def test_a_bad_dataset_names_the_entry(tmp_path, content, words):
    with pytest.raises(LaminaError, match=words):
        read_dataset(dataset(tmp_path, content))


def test_no_dataset_and_no_json_are_one_sentence(tmp_path):
    with pytest.raises(LaminaError, match="no file"):
        read_dataset(tmp_path / "none.json")
    (tmp_path / "text.json").write_text("{")
    with pytest.raises(LaminaError, match="JSON"):
        read_dataset(tmp_path / "text.json")


def test_splits_have_the_asked_sizes_and_depend_on_the_seed():
    names = split_names(70, (50, 10, 10), seed=4)
    assert [names.count(split) for split in ("training", "validation", "test")] == [50, 10, 10]
    assert names == split_names(70, (50, 10, 10), seed=4)
    assert names != split_names(70, (50, 10, 10), seed=5)
    assert split_names(3, (1, 0, 0), seed=0) == ["training"] * 3


@pytest.mark.parametrize("ratio", [(0, 0, 0), (1, 2), (5, -1, 1)])
def test_a_split_without_sense_is_refused(ratio):
    with pytest.raises(LaminaError, match="50,10,10"):
        split_names(10, ratio, seed=0)
