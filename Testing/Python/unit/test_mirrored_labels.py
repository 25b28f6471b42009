import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from labeled_scans import half_voxel, laminae_in, largest_distance, scan, scans, some_of
from synthetic_scan import assert_one_sentence

from LaminaLabelingLib.anatomy import Numbering
from LaminaLabelingLib.labels_import import MirroredLabelsError, OtherScanError, export_labels, import_labels
from LaminaLabelingLib.laminae import LaminaSet

FILES = settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=25, deadline=None)
# The laminae of this scan lie in it after a half turn, too.
NEAR_ORIGIN = (-24.0, -20.0, 0.0)


@FILES
@given(scans(), st.sampled_from([".mrk.json", ".csv", ".seg.nrrd"]))
def test_mixed_up_coordinates_are_recognized_and_turned_on_demand(tmp_path, volume, ending):
    # Moved far enough from the origin that the turned points cannot lie inside.
    matrix = volume.matrix.copy()
    matrix[:3, 3] = volume.matrix[:3, 3] + [1500.0, -900.0, 0.0]
    volume = volume.with_array(volume.array, matrix)
    turned = volume.with_array(volume.array, np.diag([-1.0, -1.0, 1.0, 1.0]) @ matrix)
    laminae = laminae_in(volume)
    wrong = LaminaSet.from_positions({name: p * [-1, -1, 1] for name, p in laminae.positions().items()})
    path = export_labels(wrong, turned, tmp_path / f"labels{ending}", overwrite=True)
    with pytest.raises(
        MirroredLabelsError, match=r"LPS and RAS .* 34 of 34 laminae lie outside .*turned round"
    ) as caught:
        import_labels(path, volume)
    assert_one_sentence(caught.value)
    imported = import_labels(path, volume, turned_round=True)
    assert imported.warnings == ()
    assert largest_distance(imported.laminae, laminae) <= 2 * half_voxel(volume)
    with pytest.raises(OtherScanError):
        import_labels(export_labels(laminae, volume, path, overwrite=True), volume, turned_round=True)


def test_a_label_volume_in_mixed_up_coordinates_is_turned_before_it_is_named(tmp_path):
    volume = scan()
    turned = volume.with_array(volume.array, np.diag([-1.0, -1.0, 1.0, 1.0]) @ volume.matrix)
    laminae = laminae_in(volume)
    wrong = LaminaSet.from_positions({name: p * [-1, -1, 1] for name, p in laminae.positions().items()})
    path = export_labels(wrong, turned, tmp_path / "labels.nrrd")
    with pytest.raises(MirroredLabelsError):
        import_labels(path, volume)
    imported = import_labels(path, volume, turned_round=True)
    assert largest_distance(imported.laminae, laminae) <= half_voxel(volume)


def exchanged(laminae, names):
    """Return a set in which the pairs of some vertebrae have left and right exchanged."""
    points = laminae.positions()
    for name in names:
        points[name + "L"], points[name + "R"] = points[name + "R"], points[name + "L"]
    return LaminaSet.from_positions(points, laminae.numbering)


def turned(laminae):
    return LaminaSet.from_positions({name: p * [-1, -1, 1] for name, p in laminae.positions().items()})


@pytest.mark.parametrize("ending", [".mrk.json", ".csv", ".verse.json", ".seg.nrrd", ".nrrd", ".nii.gz"])
def test_mixed_up_coordinates_that_stay_in_the_scan_are_asked_about(tmp_path, ending):
    volume = scan(origin=NEAR_ORIGIN)
    path = export_labels(turned(laminae_in(volume)), volume, tmp_path / f"list{ending}")
    with pytest.raises(
        MirroredLabelsError, match=r"left and right are exchanged in 17 of 17 pairs: LPS and RAS .* mirrored scan"
    ) as caught:
        import_labels(path, volume)
    assert_one_sentence(caught.value)
    assert f'"list{ending}"' in str(caught.value)
    put_right = import_labels(path, volume, turned_round=True)
    assert put_right.warnings == ()
    assert largest_distance(put_right.laminae, laminae_in(volume)) <= 2 * half_voxel(volume)
    (warning,) = import_labels(path, volume, as_is=True).warnings
    assert "left and right" in warning and "mirrored" in warning


def test_exchanged_lists_are_imported_as_they_are_on_demand(tmp_path):
    volume = scan(origin=NEAR_ORIGIN)
    path = export_labels(turned(laminae_in(volume)), None, tmp_path / "list.mrk.json")
    imported = import_labels(path, volume, as_is=True)
    assert imported.warnings[0].startswith("In 17 of 17 pairs the left lamina lies right of the right one")
    np.testing.assert_allclose(
        imported.laminae["T1L"].position, laminae_in(volume)["T1L"].position * np.array([-1, -1, 1])
    )


def test_coordinates_outside_the_scan_are_imported_as_they_are_on_demand(tmp_path):
    volume = scan()
    path = export_labels(turned(laminae_in(volume)), None, tmp_path / "list.csv")
    with pytest.raises(MirroredLabelsError):
        import_labels(path, volume)
    imported = import_labels(path, volume, as_is=True)
    assert "34 of 34 laminae lie outside" in imported.warnings[0]
    assert imported.laminae == turned(laminae_in(volume))
    other = export_labels(laminae_in(scan(origin=(12.0, -85.0, 900.0))), None, tmp_path / "other.csv")
    with pytest.raises(OtherScanError):
        import_labels(other, volume, as_is=True)


@pytest.mark.parametrize(
    ("levels", "right_ones", "asked"), [(17, 0, True), (5, 1, True), (4, 0, True), (4, 1, False), (3, 0, False)]
)
def test_four_in_five_of_four_or_more_pairs_must_be_exchanged(tmp_path, levels, right_ones, asked):
    volume = scan(origin=NEAR_ORIGIN)
    kept = [f"{vertebra}{side}" for vertebra in Numbering().vertebrae[:levels] for side in "LR"]
    laminae = exchanged(turned(some_of(laminae_in(volume), kept)), Numbering().vertebrae[:right_ones])
    path = export_labels(laminae, None, tmp_path / "list.csv")
    if asked:
        with pytest.raises(MirroredLabelsError):
            import_labels(path, volume)
    else:
        assert "the left lamina lies right of the right one" in import_labels(path, volume).warnings[-1]


def test_a_half_turn_that_leads_out_of_the_scan_is_not_asked_about(tmp_path):
    volume = scan()
    path = export_labels(laminae_in(volume).swapped_sides(), None, tmp_path / "list.csv")
    (warning,) = import_labels(path, volume).warnings
    assert "In 17 of 17 pairs the left lamina lies right of the right one" in warning


def test_the_values_of_a_mirrored_label_volume_are_warned_about(tmp_path):
    volume = scan()
    path = export_labels(laminae_in(volume).swapped_sides(), volume, tmp_path / "labels.nrrd")
    imported = import_labels(path, volume)
    (warning,) = imported.warnings
    assert warning.startswith('The values of the labels of "labels.nrrd" have left and right exchanged')
    assert largest_distance(imported.laminae, laminae_in(volume)) <= half_voxel(volume)
