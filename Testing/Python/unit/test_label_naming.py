import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from label_files import as_mask, some_slots, spine, with_values
from labeled_scans import (
    half_voxel,
    indices_of,
    jitters,
    laminae_in,
    largest_distance,
    provisional_in,
    scan,
    scans,
    some_of,
)
from synthetic_scan import assert_one_sentence

from LaminaLabelingLib.anatomy import Numbering
from LaminaLabelingLib.errors import LaminaError
from LaminaLabelingLib.label_volumes import name_labels, name_points, read_labels_of_volume, write_label_volume
from LaminaLabelingLib.labels_import import import_labels
from LaminaLabelingLib.laminae import Lamina

FILES = settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=25, deadline=None)


@FILES
@given(st.data(), st.sampled_from(["LPS", "RAS", "SAL"]), st.sampled_from(["nrrd", "nii.gz", "mha"]), some_slots())
def test_any_part_of_a_set_comes_back_under_the_same_names(tmp_path, data, code, ending, kept):
    volume = scan(code)
    laminae = some_of(laminae_in(volume, jitter=data.draw(jitters(17))), kept)
    path = tmp_path / f"labels.{ending}"
    write_label_volume(laminae, volume, path)
    found = name_labels(path, volume)
    assert found.by_value and found.laminae.numbering == Numbering()
    assert largest_distance(found.laminae, laminae) <= half_voxel(volume)
    assert {lamina.review for lamina in found.laminae.values()} == {"placed"} | ({"unset"} if len(kept) < 34 else set())


@FILES
@given(st.integers(0, 10_000), some_slots())
def test_any_part_of_a_simulated_spine_comes_back_under_the_same_names(tmp_path, seed, kept):
    volume, laminae = spine(seed, kept)
    write_label_volume(laminae, volume, tmp_path / "labels.nii.gz")
    found = read_labels_of_volume(tmp_path / "labels.nii.gz", volume)
    assert not found.is_provisional
    assert largest_distance(found, laminae) <= half_voxel(volume)


@FILES
@given(st.integers(0, 10_000), some_slots())
def test_pairs_without_values_are_never_of_two_levels(tmp_path, seed, kept):
    volume, laminae = spine(seed, kept)
    write_label_volume(laminae, volume, tmp_path / "labels.nrrd")
    try:
        found = read_labels_of_volume(as_mask(tmp_path / "labels.nrrd"), volume)
    except LaminaError as error:
        assert "Left and right cannot be told" in str(error)
        return
    names, points = zip(*laminae.positions().items())
    for pair in found.complete_pairs().values():
        nearest = [int(np.linalg.norm(np.subtract(points, point), axis=1).argmin()) for point in pair]
        assert names[nearest[0]][:-1] == names[nearest[1]][:-1]


def test_a_numbering_is_not_deduced_from_the_slots_that_are_there(tmp_path):
    volume = scan()
    kept = set(Numbering(11, 4).slots)
    write_label_volume(some_of(laminae_in(volume), kept), volume, tmp_path / "labels.nrrd")
    found = read_labels_of_volume(tmp_path / "labels.nrrd", volume)
    assert found.numbering == Numbering() and set(found.positions()) == kept


@FILES
@given(st.data(), scans(), st.sets(st.integers(0, 31), min_size=1))
def test_pairs_without_numbers_come_back_under_their_names(tmp_path, data, volume, kept):
    laminae = provisional_in(volume, 16, data.draw(jitters(16)))
    laminae = some_of(laminae, [list(laminae)[slot] for slot in kept])
    write_label_volume(laminae, volume, tmp_path / "labels.nrrd")
    assert largest_distance(read_labels_of_volume(tmp_path / "labels.nrrd", volume), laminae) <= half_voxel(volume)


def test_values_that_do_not_fit_the_places_are_not_taken_for_slots(tmp_path):
    volume = scan()
    laminae = some_of(laminae_in(volume), set(Numbering().slots) - {"T3R"})
    path = tmp_path / "labels.nrrd"
    changes = {
        "counted on": lambda values: values - (values > 6),
        "from below": lambda values: 35 - values,
        "two exchanged": lambda values: np.where(values == 9, 11, np.where(values == 11, 9, values)),
        "one twice": lambda values: np.where(values == 9, 11, values),
        "one below 0": lambda values: np.where(values == 9, -9, values),
        "one above": lambda values: np.where(values == 9, 35, values),
    }
    for change in changes.values():
        write_label_volume(laminae, volume, path)
        found = name_labels(with_values(path, change), volume)
        assert not found.by_value and found.laminae.is_provisional
        alone = {vertebra for vertebra, pair in found.laminae.pairs().items() if None in pair}
        assert alone == {"P03"} and "P03L" in found.laminae


def test_exchanged_sides_are_told_from_the_values(tmp_path):
    volume = scan()
    laminae = laminae_in(volume)
    write_label_volume(laminae.swapped_sides(), volume, tmp_path / "labels.nrrd")
    found = name_labels(tmp_path / "labels.nrrd", volume)
    assert found.reversed_sides and not found.by_value
    assert largest_distance(found.laminae, laminae) <= half_voxel(volume)
    assert not name_labels(as_mask(tmp_path / "labels.nrrd"), volume).reversed_sides
    # Three pairs are too few to tell.
    few = some_of(laminae, [f"T{level}{side}" for level in (1, 2, 3) for side in "LR"])
    write_label_volume(few.swapped_sides(), volume, tmp_path / "few.nrrd")
    assert not name_labels(tmp_path / "few.nrrd", volume).reversed_sides


@pytest.mark.parametrize("missing", ["T1L", "T3R", "T9L", "L5R"])
def test_one_that_is_missing_leaves_a_gap_in_its_own_pair(tmp_path, missing):
    volume = scan()
    laminae = laminae_in(volume)
    write_label_volume(some_of(laminae, set(laminae) - {missing}), volume, tmp_path / "labels.nrrd")
    found = read_labels_of_volume(as_mask(tmp_path / "labels.nrrd"), volume)
    expected = dict(zip(Numbering().slots, [f"P{level:02d}{side}" for level in range(1, 18) for side in "LR"]))
    assert list(found) == [expected[name] for name in laminae if name != missing]
    for name in set(laminae) - {missing}:
        assert np.linalg.norm(np.subtract(found[expected[name]].position, laminae[name].position)) < half_voxel(volume)


def test_seventeen_on_each_side_are_not_all_laminae_if_one_is_a_speck():
    volume = scan()
    points = laminae_in(volume).positions()
    del points["T3R"]
    points["speck"] = volume.to_world([168, 40, 20])
    named = name_points(np.array(list(points.values())), volume, "labels.nrrd")
    assert [name for name in named if name[:-1] in ("P03", "P04", "P17", "P18")] == [
        *("P03L", "P04L", "P04R", "P17L", "P17R", "P18R")
    ]


@FILES
@given(st.data(), st.sampled_from(["LPS", "RAS", "SAL"]), st.sets(st.integers(0, 33), min_size=1, max_size=6))
def test_the_sides_of_an_incomplete_set_are_right(tmp_path, data, code, missing):
    volume = scan(code)
    laminae = laminae_in(volume, jitter=data.draw(jitters(17)))
    kept = [name for slot, name in enumerate(laminae) if slot not in missing]
    write_label_volume(some_of(laminae, kept), volume, tmp_path / "labels.nrrd")
    found = read_labels_of_volume(as_mask(tmp_path / "labels.nrrd"), volume)
    assert found.is_provisional
    for side in "LR":
        expected = np.array([laminae[name].position for name in kept if name.endswith(side)])
        mine = np.array([lamina.position for lamina in found.values() if lamina.side == side])
        np.testing.assert_allclose(mine, expected, atol=half_voxel(volume))


def test_three_missing_at_one_end_do_not_put_the_others_on_the_wrong_side():
    volume = scan()
    laminae = laminae_in(volume)
    kept = some_of(laminae, set(laminae) - {"T1L", "T2L", "T3L"}).positions()
    named = name_points(np.array(list(kept.values())), volume, "labels.nrrd")
    assert sorted(name[-1] for name in named) == ["L"] * 14 + ["R"] * 17
    np.testing.assert_allclose(named["P01R"], kept["T1R"])
    np.testing.assert_allclose(named["P04L"], kept["T4L"])
    assert not {"P01L", "P02L", "P03L"} & set(named)


@pytest.mark.parametrize("names", [["T2L", "T3L"], [f"T{number}R" for number in range(1, 13)]])
def test_labels_in_one_row_are_refused_because_their_side_would_be_a_guess(tmp_path, names):
    volume = scan()
    write_label_volume(some_of(laminae_in(volume), names), volume, tmp_path / "labels.nrrd")
    as_mask(tmp_path / "labels.nrrd")
    for read in (read_labels_of_volume, import_labels):
        with pytest.raises(LaminaError, match=r'^Left and right cannot be told in "labels\.nrrd"') as caught:
            read(tmp_path / "labels.nrrd", volume)
        assert_one_sentence(caught.value)


def test_a_lamina_whose_side_is_in_doubt_is_left_to_be_reviewed(tmp_path):
    volume = scan()
    laminae = some_of(laminae_in(volume), [f"T{number}{side}" for number in range(1, 8) for side in "LR"])
    # Far below the others and on their midline.
    far = Lamina("L5L", volume.to_world([160, 24, 20]), "placed", "manual")
    write_label_volume(laminae.with_lamina(far), volume, tmp_path / "labels.nrrd")
    found = read_labels_of_volume(as_mask(tmp_path / "labels.nrrd"), volume)
    (doubtful,) = [lamina for lamina in found.values() if lamina.review == "unreviewed"]
    np.testing.assert_allclose(volume.to_index(doubtful.position), [160, 24, 20], atol=0.01)
    assert {lamina.source for lamina in found.values()} == {"manual"}
    assert [lamina.review for lamina in found.values()].count("placed") == 14


@pytest.mark.parametrize("world", [(1, 1, 1), (-1, 1, 1), (-1, -1, 1), (1, 1, -1)])
def test_sides_and_order_follow_the_scans_axes_and_not_its_world(world):
    volume = scan()
    volume = volume.with_array(volume.array, np.diag([*world, 1.0]) @ volume.matrix)
    points = indices_of(Numbering().vertebrae)
    named = name_points(volume.to_world(np.array(list(points.values())))[::-1], volume, "labels.nrrd")
    assert set(named) == set(points)
    for name, index in points.items():
        np.testing.assert_allclose(volume.to_index(named[name]), index, atol=1e-9)
