import json

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from labeled_scans import (
    NUMBERINGS,
    half_voxel,
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
from LaminaLabelingLib.labels_import import EXPORT_ENDINGS, IMPORT_ENDINGS, OtherScanError, export_labels, import_labels
from LaminaLabelingLib.laminae import Lamina, LaminaSet, Review, Source
from LaminaLabelingLib.markups_files import write_markups
from LaminaLabelingLib.tables import write_csv

FILES = settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=25, deadline=None)
EXACT = {".mrk.json", ".csv"}
# VerSe keeps the directions of the file, but none of its positions are rounded to voxels.
POSITIONS = [".mrk.json", ".csv", ".verse.json"]
NAMED = [*POSITIONS, ".seg.nrrd"]


@FILES
@given(st.data(), scans(), st.sampled_from(NUMBERINGS), st.sampled_from(EXPORT_ENDINGS))
def test_a_full_set_survives_every_format(tmp_path, data, volume, numbering, ending):
    laminae = laminae_in(volume, numbering, data.draw(jitters(len(numbering.vertebrae))))
    # A name of its own for each ending: ITK reads labels.nii where labels.nii.gz is asked for and both are there.
    path = export_labels(laminae, volume, tmp_path / f"labels{ending.replace('.', '-')}{ending}", overwrite=True)
    imported = import_labels(path, volume, numbering)
    assert imported.laminae.numbering == numbering
    assert imported.warnings == ()
    if ending in EXACT:
        assert imported.laminae == laminae
    elif ending in POSITIONS:
        assert largest_distance(imported.laminae, laminae) < 1e-6
    else:
        assert largest_distance(imported.laminae, laminae) <= half_voxel(volume) * (2 if ending == ".seg.nrrd" else 1)
    assert all(entry.name.startswith("labels-") for entry in tmp_path.iterdir())


@FILES
@given(st.data(), scans(), st.sampled_from(NUMBERINGS), st.sampled_from(NAMED))
def test_an_incomplete_set_keeps_its_names_where_the_format_has_them(tmp_path, data, volume, numbering, ending):
    chosen = data.draw(st.sets(st.sampled_from(numbering.slots), min_size=1, max_size=8))
    laminae = some_of(laminae_in(volume, numbering), chosen)
    path = export_labels(laminae, volume, tmp_path / f"labels{ending}", overwrite=True)
    imported = import_labels(path, volume, numbering)
    assert largest_distance(imported.laminae, laminae) <= 2 * half_voxel(volume)
    assert imported.laminae.numbering == numbering
    if ending in EXACT:
        assert imported == type(imported)(laminae, ())
    else:
        (warning,) = imported.warnings
        assert f"lists {len(chosen)} of {len(laminae)} laminae" in warning
        assert f"the other {len(laminae) - len(chosen)} are unset" in warning


@FILES
@given(st.data(), scans(), st.integers(1, 16), st.sampled_from([".mrk.json", ".csv", ".seg.nrrd", ".nrrd", ".nii.gz"]))
def test_pairs_without_numbers_survive_and_say_so(tmp_path, data, volume, levels, ending):
    laminae = provisional_in(volume, levels, data.draw(jitters(levels)))
    path = export_labels(laminae, volume, tmp_path / f"labels{ending}", overwrite=True)
    imported = import_labels(path, volume)
    assert largest_distance(imported.laminae, laminae) <= 2 * half_voxel(volume)
    (warning,) = imported.warnings
    assert "does not say which vertebrae" in warning
    if ending in EXACT:
        assert imported.laminae == laminae


@FILES
@given(scans(), st.sampled_from(NAMED))
def test_left_stays_left_in_every_format(tmp_path, volume, ending):
    swapped = some_of(laminae_in(volume), ["T1L", "T4L", "T4R", "L5R"]).swapped_sides()
    path = export_labels(swapped, volume, tmp_path / f"labels{ending}", overwrite=True)
    imported = import_labels(path, volume)
    assert largest_distance(imported.laminae, swapped) <= 2 * half_voxel(volume)
    # The one complete pair has its left lamina on the right.
    assert "In 1 of 1 pairs the left lamina lies right of the right one" in imported.warnings[-1]


@pytest.mark.parametrize("ending", [".mrk.json", ".csv"])
def test_states_are_kept_by_point_lists_and_tables(tmp_path, ending):
    laminae = LaminaSet(
        Numbering(11, 4),
        [
            Lamina("T1L", (1, 2, 3), Review.placed, Source.manual),
            Lamina("T1R", (4, 5, 6), Review.unreviewed, Source.inferred, 0.25),
            Lamina("T2L", None, Review.absent, Source.manual),
        ],
    )
    path = export_labels(laminae, None, tmp_path / f"labels{ending}")
    assert import_labels(path).laminae == laminae


def point_list(path, points, system="LPS"):
    """Write a plain point list of Slicer with the given labels and positions."""
    control_points = [{"label": label, "position": list(position)} for label, position in points]
    markup = {"type": "Fiducial", "coordinateSystem": system, "controlPoints": control_points}
    path.write_text(json.dumps({"markups": [markup]}))
    return path


def lps(laminae):
    return [(name, point * [-1, -1, 1]) for name, point in laminae.positions().items()]


def test_the_numbering_is_deduced_or_declared(tmp_path):
    volume = scan()
    for numbering in NUMBERINGS:
        path = point_list(tmp_path / "list.mrk.json", lps(laminae_in(volume, numbering)))
        assert import_labels(path, volume).laminae.numbering == numbering
    few = point_list(tmp_path / "few.mrk.json", lps(some_of(laminae_in(volume), ["T1L", "L1R"])))
    assert import_labels(few, volume).laminae.numbering == Numbering()
    declared = import_labels(few, volume, Numbering(11, 6))
    assert declared.laminae.numbering == Numbering(11, 6)
    assert declared.warnings == ('"few.mrk.json" lists 2 of 34 laminae: the other 32 are unset.',)


def test_a_list_with_fewer_points_than_slots_is_completed_with_a_warning(tmp_path):
    volume = scan()
    path = point_list(tmp_path / "list.mrk.json", lps(laminae_in(volume, Numbering(11, 5))))
    imported = import_labels(path, volume, Numbering(12, 5))
    assert imported.warnings == ('"list.mrk.json" lists 32 of 34 laminae: the other 2 are unset.',)
    assert imported.laminae["T12R"].review is Review.unset


@pytest.mark.parametrize(("name", "numbering"), [("T13L", Numbering(12, 6)), ("L6R", Numbering(13, 5))])
@pytest.mark.parametrize("ending", NAMED)
def test_a_name_that_the_declared_numbering_does_not_have_is_refused(tmp_path, name, numbering, ending):
    volume = scan()
    laminae = some_of(laminae_in(volume, Numbering(13, 6)), ["T1L", name])
    path = export_labels(laminae, volume, tmp_path / f"labels{ending}")
    with pytest.raises(
        LaminaError, match=f"{name[:-1]}[LR] does not exist .*change the numbering of the list"
    ) as caught:
        import_labels(path, volume, numbering)
    assert_one_sentence(caught.value)
    assert f'"labels{ending}"' in str(caught.value)
    assert import_labels(path, volume).laminae[name].position is not None


def test_an_empty_slot_that_the_declared_numbering_does_not_have_is_one_too_many(tmp_path):
    path = tmp_path / "list.mrk.json"
    write_markups(some_of(laminae_in(scan(), Numbering(13, 5)), ["T1L"]), path)
    with pytest.raises(LaminaError, match="T13L does not exist"):
        import_labels(path, numbering=Numbering())


BAD_CONTENT = {
    "empty.mrk.json": ("", "was cut short"),
    "cut.mrk.json": ('{"markups": [{"type": "Fiducial", "controlPoints": [{"label": "T1L"', "was cut short"),
    "cut.verse.json": ('[{"direction": ["L", "P", "S"]}, {"label": 8', "was cut short"),
    "no points.mrk.json": ('{"markups": [{"type": "Fiducial", "controlPoints": []}]}', "holds no laminae"),
    "number.json": ("3", "not a markups file"),
    "verse.json": ("[]", "format of VerSe"),
    "label.json": ('[{"direction": ["L","P","S"]}, {"label": [8], "X": 1, "Y": 1, "Z": 1}]', "no lamina"),
    "large.json": ('[{"direction": ["L","P","S"]}, {"label": 8, "X": 1' + "0" * 400 + ', "Y": 1, "Z": 1}]', "VerSe"),
    "only direction.json": ('[{"direction": ["L","P","S"]}]', "holds no laminae"),
    "empty.csv": ("", "no column name"),
    "header.csv": ("name,r_mm,a_mm,s_mm\n", "holds no laminae"),
    "cut.csv": ("name,r_mm,a_mm,s_mm,review\nT1L,1,2,3,placed\nT1R,1,2,3", "line 3 has fewer columns"),
    "nan.csv": ("name,r_mm,a_mm,s_mm\nT1L,1,2,nan\n", "line 2 has a value"),
    "twice.csv": ("name,r_mm,a_mm,s_mm\nT1L,1,2,3\nT1L,1,2,4\n", "T1L comes twice"),
    "mixed.csv": ("name,r_mm,a_mm,s_mm\nT1L,1,2,3\nP01L,1,2,4\n", "P01L is a provisional name"),
    "unset.csv": ("name,r_mm,a_mm,s_mm\nT1L,,,\nT1R,,,\n", "holds no laminae"),
    "other.fcsv": ("", "no format that can be imported"),
    "empty.nrrd": ("", "cannot be read as a 3D scan"),
    "cut.seg.nrrd": ("NRRD0004\ntype: uint8\n", "cannot be read as a 3D scan"),
    "text.nii.gz": ("hello", "cannot be read as a 3D scan"),
}


@pytest.mark.parametrize("name", BAD_CONTENT)
def test_a_file_that_cannot_be_used_is_refused_with_one_sentence(tmp_path, name):
    content, message = BAD_CONTENT[name]
    (tmp_path / name).write_text(content)
    with pytest.raises(LaminaError, match=message) as caught:
        import_labels(tmp_path / name, scan())
    assert_one_sentence(caught.value)
    assert name in str(caught.value)


@pytest.mark.parametrize("ending", IMPORT_ENDINGS)
def test_a_missing_file_and_a_folder_are_named(tmp_path, ending):
    with pytest.raises(LaminaError, match='no file "gone') as caught:
        import_labels(tmp_path / f"gone{ending}", scan())
    assert_one_sentence(caught.value)
    (tmp_path / f"folder{ending}").mkdir()
    with pytest.raises(LaminaError, match=f"folder{ending}") as caught:
        import_labels(tmp_path / f"folder{ending}", scan())
    assert_one_sentence(caught.value)


@pytest.mark.parametrize(
    ("points", "message"),
    [
        ([("T1L", (0, 0, 0)), ("T1L", (1, 1, 1))], "T1L comes twice"),
        ([("F-1", (0, 0, 0))], '"F-1" is not the name of a lamina'),
        ([("T14L", (0, 0, 0))], '"T14L" is not the name of a lamina'),
        ([("T1L", (0, 0, float("nan")))], "T1L has a position that is not finite"),
        ([("T1L", (0, 0, float("inf")))], "T1L has a position that is not finite"),
        ([("T1L", (0, 0, 10**400))], "T1L has no position of three numbers"),
        ([("T1L", (0, 0, 0)), ("P01L", (1, 1, 1))], "P01L is a provisional name"),
    ],
)
def test_points_that_cannot_be_used_are_named(tmp_path, points, message):
    with pytest.raises(LaminaError, match=message) as caught:
        import_labels(point_list(tmp_path / "list.mrk.json", points))
    assert_one_sentence(caught.value)
    assert '"list.mrk.json"' in str(caught.value)


def test_every_cut_of_a_list_and_of_a_table_is_refused_or_warned_about(tmp_path):
    laminae = laminae_in(scan())
    for ending, step in ((".mrk.json", 997), (".csv", 37)):
        whole = export_labels(laminae, None, tmp_path / f"whole{ending}").read_bytes()
        path = tmp_path / f"cut{ending}"
        for length in range(0, len(whole) - 20, step):
            path.write_bytes(whole[:length])
            try:
                imported = import_labels(path)
            except LaminaError:
                continue
            kept = imported.laminae.positions()
            assert all(np.array_equal(point, laminae[name].position) for name, point in kept.items())
            assert imported.warnings == (
                f'"cut{ending}" lists {len(kept)} of 34 laminae: the other {34 - len(kept)} are unset.',
            )


def test_values_that_may_be_a_mere_count_are_warned_about(tmp_path):
    volume = scan()
    laminae = laminae_in(volume)
    first = Numbering().slots[:6]
    for counted in (first, first[:3] + first[4:]):
        path = export_labels(some_of(laminae, counted), volume, tmp_path / "counted.nrrd", overwrite=True)
        assert "start at 1 and were taken for T1L to T3R" in import_labels(path, volume).warnings[1]
    for name, kept in (("named.seg.nrrd", Numbering().slots[:6]), ("later.nrrd", Numbering().slots[2:6])):
        path = export_labels(some_of(laminae, kept), volume, tmp_path / name)
        assert len(import_labels(path, volume).warnings) == 1


@pytest.mark.parametrize("ending", [".mrk.json", ".csv", ".seg.nrrd", ".nii.gz"])
def test_the_labels_of_another_scan_are_refused_unless_they_are_meant(tmp_path, ending):
    volume, other = scan(), scan(origin=(12.0, -85.0, 600.0))
    path = export_labels(laminae_in(other), other, tmp_path / f"labels{ending}")
    with pytest.raises(OtherScanError, match=r"another scan: \d+ of 34 laminae lie outside .* up to \d+ mm") as caught:
        import_labels(path, volume)
    assert_one_sentence(caught.value)
    imported = import_labels(path, volume, any_scan=True)
    assert largest_distance(imported.laminae, laminae_in(other)) <= 2 * half_voxel(volume)
    (warning,) = imported.warnings
    assert "may belong to another scan" in warning


def test_without_a_scan_nothing_is_checked_against_one(tmp_path):
    laminae = laminae_in(scan(origin=(900.0, 900.0, 900.0))).swapped_sides()
    path = export_labels(laminae, None, tmp_path / "labels.csv")
    assert import_labels(path).warnings == ()
    assert import_labels(path, turned_round=True).laminae["T1L"].position == tuple(
        np.multiply(laminae["T1L"].position, (-1, -1, 1))
    )


@pytest.mark.parametrize(("beyond", "outside"), [(-0.1, False), (0.0, False), (0.2, True), (20.0, True)])
def test_single_laminae_outside_are_named(tmp_path, beyond, outside):
    volume = scan()
    laminae = laminae_in(volume)
    moved = volume.to_world([20, 47.5 + beyond, 20])
    laminae = laminae.with_lamina(Lamina("T3R", moved, Review.placed, Source.manual))
    imported = import_labels(export_labels(laminae, None, tmp_path / "labels.csv"), volume)
    assert imported.warnings == (("These laminae lie outside the scan: T3R.",) if outside else ())


@pytest.mark.parametrize(("outside", "refused"), [(1, False), (2, True)])
def test_another_scan_means_that_more_than_half_lie_outside(tmp_path, outside, refused):
    volume = scan()
    indices = [[300, 10, 10]] * outside + [[50, 10, 10]]
    points = {name: volume.to_world(index) for name, index in zip(("T1L", "T2L", "T3L"), indices)}
    path = export_labels(LaminaSet.from_positions(points), None, tmp_path / "labels.csv")
    if refused:
        with pytest.raises(OtherScanError):
            import_labels(path, volume)
    else:
        assert any("outside the scan: T1L" in warning for warning in import_labels(path, volume).warnings)


@pytest.mark.parametrize("ending", [".csv", ".nrrd"])
def test_pairs_without_numbers_and_with_one_side_are_warned_about(tmp_path, ending):
    volume = scan()
    laminae = provisional_in(volume, 17)
    path = export_labels(
        some_of(laminae, set(laminae) - {"P05L", "P09L", "P12R"}), volume, tmp_path / f"labels{ending}"
    )
    imported = import_labels(path, volume)
    assert imported.laminae.is_provisional and "P05R" in imported.laminae
    assert "3 of its 17 pairs have one side only (15 left and 16 right laminae)" in imported.warnings[1]


@pytest.mark.parametrize("name", ["labels.verse.json", "labels.nrrd", "labels.mha"])
def test_formats_that_count_voxels_need_a_scan(tmp_path, name):
    volume = scan()
    with pytest.raises(LaminaError, match="load its scan first") as caught:
        export_labels(laminae_in(volume), None, tmp_path / name)
    assert_one_sentence(caught.value)
    path = export_labels(laminae_in(volume), volume, tmp_path / name)
    with pytest.raises(LaminaError, match="load its scan first") as caught:
        import_labels(path)
    assert_one_sentence(caught.value)


def test_a_segmentation_that_names_other_things_is_read_by_its_components(tmp_path):
    volume = scan()
    path = export_labels(laminae_in(volume), volume, tmp_path / "labels.seg.nrrd")
    path.write_bytes(path.read_bytes().replace(b"Segment0_Name:=T1L", b"Segment0_Name:=rib"))
    imported = import_labels(path, volume)
    assert largest_distance(imported.laminae, laminae_in(volume)) <= 2 * half_voxel(volume)


def test_doubtful_sides_of_a_label_volume_are_named_and_a_models_list_is_not(tmp_path):
    from LaminaLabelingLib.labels_import import _doubtful

    found = [Lamina("P01L", (0, 0, 0), "unreviewed", "manual"), Lamina("P01R", (9, 0, 0), "placed", "manual")]
    assert ["P01L" in text and "P01R" not in text for text in _doubtful(found)] == [True]
    path = tmp_path / "found.csv"
    write_csv(LaminaSet.provisional(found), path)
    assert not any("could not be told well" in text for text in import_labels(path).warnings)
