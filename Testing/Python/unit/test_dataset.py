from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
from synthetic_scan import scan_ira, stored

from LaminaLabelingLib.errors import LaminaError
from LaminaLabelingLib.files import write_markups
from LaminaLabelingLib.volumes import Volume, write_volume
from LaminaSegmentationLib.dataset import (
    Case,
    case_notes,
    labelled_case,
    labelled_cases,
    load_case,
    prepare_case,
    save_case,
    simulated_case,
)
from LaminaSegmentationLib.preprocessing import PREPROCESSING_VERSION, prepare


def flip_a_byte(content):
    """Change one byte in the middle of the grid: the file is whole, its checksum is not."""
    middle = len(content) // 2
    return content[:middle] + bytes([content[middle] ^ 0xFF]) + content[middle + 1 :]


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


@pytest.fixture
def made(monkeypatch):
    """Simulated cases that cost nothing; a list of the seeds that were simulated."""
    seeds = []

    def simulate(seed, spacing, style):
        seeds.append(seed)
        return SimpleNamespace(volume=seed, truth=None)

    def prepared(seed, truth, options):
        grid = np.random.default_rng(seed).normal(size=(16, 8, 8)).astype(np.float16)
        return Case("scan", grid, np.full((2, 3), float(seed)), ("T1L", "T1R"), np.ones(3))

    monkeypatch.setattr("LaminaSegmentationLib.dataset.simulate_scan", simulate)
    monkeypatch.setattr("LaminaSegmentationLib.dataset.prepare_case", prepared)
    return seeds


def test_a_cached_case_is_read(tmp_path, made):
    first, again = (simulated_case(31, 1.0, cache=tmp_path) for _ in range(2))
    assert np.array_equal(again.grid, first.grid)
    assert made == [31]


@pytest.mark.parametrize("damage", [lambda content: content[: len(content) // 2], lambda content: b"", flip_a_byte])
def test_a_damaged_cache_file_is_made_again(tmp_path, damage, made):
    first = simulated_case(31, 1.0, cache=tmp_path)
    (path,) = tmp_path.iterdir()
    path.write_bytes(damage(path.read_bytes()))
    assert np.array_equal(simulated_case(31, 1.0, cache=tmp_path).grid, first.grid)
    assert made == [31, 31]
    simulated_case(31, 1.0, cache=tmp_path)
    assert made == [31, 31]


def test_a_labelled_scan_gives_the_same_case_as_the_simulation(coarse_scan, case, tmp_path):
    write_volume(coarse_scan.volume, tmp_path / "scan.nrrd")
    write_markups(coarse_scan.truth, tmp_path / "scan.mrk.json")
    read = labelled_case(tmp_path / "scan.nrrd", tmp_path / "scan.mrk.json", cache=tmp_path / "cache")
    assert np.array_equal(read.grid, case.grid)
    assert np.allclose(read.centroids, case.centroids, atol=1e-5)
    assert len(list((tmp_path / "cache").iterdir())) == 1


def test_a_case_is_prepared_anew_by_newer_preprocessing(tmp_path, monkeypatch, made):
    simulated_case(31, 2.0, cache=tmp_path)
    monkeypatch.setattr("LaminaSegmentationLib.dataset.PREPROCESSING_VERSION", 999)
    simulated_case(31, 2.0, cache=tmp_path)
    assert len(list(tmp_path.iterdir())) == 2


PREPARED = {
    # version: size of a grid voxel in mm, position of the grid's first voxel in RAS mm, and of the grid the
    # 5 %, 50 % and 95 % quantiles of what was scanned and its share
    1: ((0.9961, 0.9375, 1.1458), (14.2188, 24.3229, -6.748), (-0.8734, -0.508, 2.0239), 0.5387),
}


def test_a_changed_result_of_preprocessing_has_a_new_version():
    """Cached cases are told apart by the version: whoever changes what comes out has to raise it."""
    volume = Volume.from_ijk(*stored(scan_ira(), "RAS"), axes="RAS")
    grid = prepare(volume).grid
    scanned = grid.array[grid.array != 0]
    found = (
        tuple(grid.spacing),
        tuple(grid.matrix[:3, 3]),
        tuple(np.quantile(scanned, (0.05, 0.5, 0.95))),
        scanned.size / grid.array.size,
    )
    for now, then in zip(found, PREPARED[PREPROCESSING_VERSION]):
        np.testing.assert_allclose(now, then, rtol=1e-3, atol=1e-3, err_msg="raise PREPROCESSING_VERSION")


def test_several_may_fill_one_cache_at_once(tmp_path, made):
    with ThreadPoolExecutor(4) as pool:
        cases = list(pool.map(lambda seed: simulated_case(seed, 2.0, cache=tmp_path), [31] * 40))
    assert all(np.array_equal(case.grid, cases[0].grid) for case in cases)
    (path,) = tmp_path.iterdir()
    assert np.array_equal(load_case(path).grid, cases[0].grid)


def test_a_cache_that_cannot_be_written_does_not_end_the_run(tmp_path, caplog, made):
    (tmp_path / "file").write_text("")
    assert simulated_case(31, 2.0, cache=tmp_path / "file" / "cache").centroids.shape == (2, 3)
    assert "could not be kept" in caplog.text


def test_an_entry_that_cannot_be_used_is_named(tmp_path):
    (tmp_path / "a.nrrd").write_text("no scan")
    entry = {"image": tmp_path / "a.nrrd", "label": tmp_path / "a.mrk.json", "where": "Entry 3 of 'test' in 'd.json'"}
    with pytest.raises(LaminaError, match=r"^Entry 3 of 'test' in 'd.json' \('a.nrrd'\) cannot be used: "):
        next(labelled_cases([entry]))


def test_cubes_that_touch_and_laminae_off_the_grid_are_reported():
    centroids = np.array([[5.0, 5, 5], [5, 5, 8], [20, 8, 4], [5, 5, 12], [40, 5, 5]])
    names = ("T1L", "T1R", "T2L", "T2R", "L5L")
    case = Case("scan.nrrd", np.zeros((32, 16, 16), np.float16), centroids, names, np.ones(3))
    assert case_notes(case) == [
        "scan.nrrd: L5L outside the region that the network sees.",
        "scan.nrrd: the labels of T1L and T1R touch on the grid.",
    ]
    assert case_notes(replace(case, centroids=centroids[2:4], names=names[2:4])) == []
