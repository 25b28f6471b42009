"""The report: well-formed, self-contained, the same figures in all files, and a page for whatever is given."""

import base64
import csv
import io
import json
import re
import xml.etree.ElementTree as ET

import numpy as np
import pytest
import SimpleITK as sitk
from hypothesis import given
from hypothesis import strategies as st
from test_curvature import made_spine, single_curve

from LaminaLabelingLib.curvature import Angle
from LaminaLabelingLib.errors import LaminaError
from LaminaLabelingLib.laminae import Lamina, LaminaSet
from LaminaLabelingLib.report import Report, report_files, write_report
from LaminaLabelingLib.report_elements import add, as_text
from LaminaLabelingLib.report_figures import COLUMNS, figures_of, lamina_states, table_rows
from LaminaLabelingLib.report_pictures import coronal_picture, png_bytes, sagittal_picture
from LaminaLabelingLib.report_texts import angle_text, interval_text, names_text
from LaminaLabelingLib.volumes import Volume

SPACING = np.array([2.0, 1.0, 1.0])


def spine(angle=30.0, **more):
    return LaminaSet.from_positions(made_spine(single_curve(angle), **more))


def scan_around(laminae, bright=(), ground=40):
    """Return a scan of 2 x 1 x 1 mm voxels around laminae, with bright voxels at points."""
    points = np.array(list(laminae.positions().values()))
    low, high = points.min(axis=0) - 20.0, points.max(axis=0) + 20.0
    matrix = np.eye(4)
    matrix[:3, :3] = np.array([[0, 1, 0], [0, 0, 1], [-1, 0, 0]]) * SPACING
    matrix[:3, 3] = low[0], low[1], high[2]
    shape = np.ceil((high - low)[[2, 0, 1]] / SPACING).astype(int) + 1
    array = np.full(shape, ground, np.uint8)
    volume = Volume(array, matrix)
    for point in bright:
        array[tuple(np.rint(volume.to_index(point)).astype(int))] = 250
    return volume


def page(report):
    """Parse the page strictly."""
    return ET.fromstring(report.html().removeprefix("<!DOCTYPE html>\n"))


def said(report):
    return " ".join(" ".join(page(report).itertext()).split())


def found(tree, tag):
    return list(tree.iter(tag))


PROVISIONAL = LaminaSet.provisional(
    [
        Lamina(name, at, "unreviewed", "detected", 0.9)
        for name, at in made_spine(np.linspace(20, -20, 9), names=[f"P{n:02d}" for n in range(1, 10)]).items()
    ]
)
MIXED = spine().with_laminae(
    [
        Lamina("T1R"),
        Lamina("L5L", None, "absent", "manual"),
        Lamina("L5R", None, "absent", "manual"),
        Lamina("T8L", made_spine(single_curve(30.0))["T8L"], "unreviewed", "inferred", 0.2),
        Lamina("T9L", made_spine(single_curve(30.0))["T9L"], "unreviewed", "detected", 0.9),
    ]
)
CASES = {
    "whole": lambda: Report(spine(), scan_around(spine())),
    "follow-up": lambda: Report(spine(42.0), earlier=spine(), earlier_case="before"),
    "provisional": lambda: Report(PROVISIONAL, scan_around(PROVISIONAL)),
    "not comparable": lambda: Report(PROVISIONAL, earlier=spine()),
    "mixed": lambda: Report(MIXED, scan_around(MIXED)),
    "nothing": lambda: Report(LaminaSet()),
    "no points": lambda: Report(LaminaSet(), scan_around(spine())),
    "one point": lambda: Report(LaminaSet.from_positions({"T5L": (1.0, 2.0, 3.0)})),
}


@pytest.fixture(params=CASES)
def report(request):
    return CASES[request.param]()


# The page


def test_every_page_is_well_formed_and_needs_nothing_but_itself(report):
    tree = page(report)
    assert not found(tree, "script") and not found(tree, "link")
    text = report.html()
    assert "default-src 'none'" in text
    for address in re.findall(r'(?:href|src|action|data)="([^"]*)"', text):
        assert address.startswith("data:image/png;base64,")
    outside = re.sub(r"data:image/png;base64,[A-Za-z0-9+/=]*", "", text)
    assert "//" not in outside and "url(" not in outside and "@import" not in outside


def test_every_page_says_that_it_is_research_and_when_it_was_made(report):
    text = said(report)
    assert "Research use only" in text and "not a diagnosis" in text
    assert re.fullmatch(r"\d{4}-\d\d-\d\d", report.created) and report.created in text


@given(st.text(st.characters(codec="utf-8", exclude_categories=("Cs", "Cc")), min_size=1))
def test_names_are_shown_as_they_are_and_never_as_markup(name):
    report = Report(LaminaSet(), case=name, model=name, software=name, earlier=LaminaSet(), earlier_case=name)
    tree = page(report)
    assert found(tree, "h1")[0].text == f"Spine curvature: {name}"
    assert found(tree, "title")[0].text == f"Spine curvature: {name}"


def test_a_script_in_a_name_stays_a_text():
    text = Report(spine(), case='<script>alert("1")</script>', earlier=spine(), earlier_case="<img src=x>").html()
    assert "<script" not in text and "<img" not in text
    assert "&lt;script&gt;" in text and "&lt;img src=x&gt;" in text


def test_a_simulated_scan_is_called_that_and_no_other_is():
    assert "Simulated scan" in said(Report(spine(), is_simulated=True))
    assert "imulated" not in said(Report(spine()))


def test_the_table_has_the_curve_with_its_ends_apex_side_and_interval():
    report = Report(spine())
    (curve,) = report.measurement.curves
    cells = [[" ".join(cell.itertext()) for cell in row] for row in found(found(page(report), "table")[0], "tr")]
    assert cells[1] == [
        "main thoracic",
        f"{curve.upper}–{curve.lower}",
        curve.apex,
        "right",
        f"{angle_text(curve.angle)}  ({interval_text(curve.angle)})",
        f"{angle_text(curve.maximum)}  ({interval_text(curve.maximum)})",
        f"{curve.plane_deg:.0f}°",
    ]


def test_a_straight_spine_is_said_to_have_no_curve():
    assert "No curve of 10 degrees or more." in said(Report(LaminaSet.from_positions(made_spine(np.zeros(17)))))


def test_what_is_not_measured_says_why():
    assert said(Report(PROVISIONAL)).count("not measured: the levels are not named") == 2
    text = said(Report(MIXED))
    assert "not measured: T1 without both laminae" in text
    assert "not measured: L5 without both laminae" in text


def test_suggested_absent_and_missing_laminae_are_listed():
    text = said(Report(MIXED))
    assert "29 placed or confirmed by a person; 1 found by the program and not reviewed" in text
    assert "1 suggested, not seen: T8L; 2 not in the scan: L5; 1 missing: T1R." in text
    assert "Laminae of T8 are suggested" in text


def test_without_a_measurement_the_page_says_why_and_still_shows_the_scan():
    report = Report(LaminaSet(), scan_around(spine()))
    assert report.measurement is None
    assert "0 vertebrae have both laminae: at least 5 are needed" in said(report)
    assert len(found(page(report), "image")) == 2


def test_the_follow_up_says_what_is_beyond_chance():
    report = Report(spine(42.0), earlier=spine(), earlier_case="first visit")
    text = said(report)
    (change,) = report.comparison.curves
    assert "Compared with first visit" in text
    assert f"+{angle_text(change.change)} ({interval_text(change.change)}) beyond chance, 5° or more" in text


def test_a_follow_up_that_cannot_be_made_is_a_sentence():
    report = Report(PROVISIONAL, earlier=spine())
    assert report.comparison is None
    assert "Not compared. The levels of the later scan are not named" in said(report)
    assert "Follow-up" not in said(Report(spine()))


# The drawing


def test_each_state_of_a_lamina_has_a_shape_of_its_own():
    coronal = found(page(Report(MIXED)), "svg")[1]
    circles = found(coronal, "circle")
    hollow = [circle for circle in circles if circle.get("fill") == "none"]
    diamonds = [path for path in found(coronal, "path") if path.get("fill") == "none" and "z" in path.get("d")]
    assert (len(circles) - 2 * len(hollow)) / 2 == 29  # a disk on a ground for each placed one
    assert (len(hollow), len(diamonds)) == (1, 1)


def test_the_picture_shows_a_lamina_where_its_mark_is_drawn():
    """A bright voxel in the scan and the mark of the lamina there meet on the page, in both views."""
    laminae = spine(rotation_deg=8.0)
    for name in ("T3L", "L4R"):
        point = laminae.positions()[name]
        volume = scan_around(laminae, [point], ground=0)
        levels = np.array([0.5 * (left + right) for left, right in laminae.complete_pairs().values()])
        for picture, axis in ((coronal_picture(volume, levels), 0), (sagittal_picture(volume, levels), 1)):
            row, column = np.unravel_index(picture.pixels.argmax(), picture.pixels.shape)
            there = picture.to_plane @ (column + 0.5, row + 0.5, 1.0)
            assert there == pytest.approx(point[[axis, 2]], abs=1.2)


def test_left_is_drawn_on_the_left_and_the_top_at_the_top():
    tree = page(Report(spine()))
    coronal = found(tree, "svg")[1]
    letters = {text.text: float(text.get("x")) for text in found(coronal, "text") if text.text in ("L", "R")}
    assert letters["L"] < letters["R"]
    names = {text.text: float(text.get("y")) for text in found(found(tree, "svg")[0], "text")}
    assert names["T1"] < names["T12"] < names["L5"]
    first_left, first_right = found(coronal, "circle")[0], found(coronal, "circle")[2]
    assert float(first_left.get("cx")) < float(first_right.get("cx"))


def test_the_lines_through_the_end_vertebrae_lean_as_the_vertebrae_do():
    report = Report(spine(40.0))
    (curve,) = report.measurement.curves
    coronal = found(page(report), "svg")[1]
    slopes = []
    for line in found(coronal, "line"):
        x1, y1, x2, y2 = (float(line.get(key)) for key in ("x1", "y1", "x2", "y2"))
        slopes.append(np.degrees(np.arctan((y1 - y2) / (x2 - x1))))  # up on the page is up in the patient
    expected = [report.measurement.level(name).tilt.value for name in (curve.upper, curve.lower)]
    assert slopes[1::2] == pytest.approx(expected, abs=0.1)


def test_the_apex_is_marked_on_the_convex_side():
    for angle, points_left in ((30.0, True), (-30.0, False)):
        marker = found(found(page(Report(spine(angle))), "svg")[1], "polygon")[0]
        tip, base = (float(corner.split(",")[0]) for corner in marker.get("points").split()[:2])
        assert (tip < base) is points_left


def test_a_png_is_read_back_as_it_was(tmp_path):
    pixels = np.random.default_rng(0).integers(0, 256, (7, 5), dtype=np.uint8)
    (tmp_path / "picture.png").write_bytes(png_bytes(pixels))
    assert np.array_equal(sitk.GetArrayFromImage(sitk.ReadImage(str(tmp_path / "picture.png"))), pixels)


def test_the_address_of_a_picture_holds_the_picture():
    picture = coronal_picture(scan_around(spine()), np.zeros((0, 3)))
    kind, _comma, content = picture.address.partition(",")
    assert kind == "data:image/png;base64"
    assert base64.b64decode(content) == png_bytes(picture.pixels)


def test_what_was_never_scanned_does_not_darken_the_side_view():
    volume = scan_around(spine())
    volume.array[:, : volume.shape[1] // 2] = 0
    pixels = sagittal_picture(volume, np.zeros((0, 3))).pixels
    assert (pixels == 255).all()


def test_elements_round_numbers_and_escape_texts():
    element = add(ET.Element("p"), "text", "a < b", x=1.23456, y=2.0, class_="k", font_size=3, none=None)
    assert as_text(element) == '<text x="1.23" y="2" class="k" font-size="3">a &lt; b</text>'


# The figures


def test_the_states_of_all_laminae_are_told_once_each():
    states = lamina_states(MIXED)
    assert sorted(name for names in states.values() for name in names) == sorted(MIXED)
    alone = LaminaSet.provisional([Lamina("P01L", (0.0, 0.0, 0.0), "placed", "manual")])
    assert lamina_states(alone)["missing"] == ("P01R",)


def test_the_table_holds_the_figures_of_the_json_file(report, tmp_path):
    files = write_report(report, tmp_path / "report.html")
    figures = json.loads(files["figures"].read_text(encoding="utf-8"))
    assert figures == figures_of(report)
    rows = list(csv.reader(io.StringIO(files["table"].read_text(encoding="utf-8"))))
    assert rows[0] == list(COLUMNS)
    assert rows[1:] == [["" if cell is None else str(cell) for cell in row] for row in table_rows(figures)]
    kinds = [row[0] for row in rows[1:]]
    assert kinds.count("curve angle") == len(figures["curves"])
    assert kinds.count("tilt") == kinds.count("rotation") == len(figures["levels"])
    follow_up = figures["follow_up"] or {"curves": []}
    assert kinds.count("curve change") == len(follow_up["curves"])


@given(st.integers(0, 10_000))
def test_a_mirrored_patient_has_the_same_figures_on_the_other_side(seed):
    rng = np.random.default_rng(seed)
    positions = {name: at + rng.normal(0, 1.3, 3) for name, at in made_spine(single_curve(35.0)).items()}
    other = {"L": "R", "R": "L"}
    mirrored = {name[:-1] + other[name[-1]]: at * (-1, 1, 1) for name, at in positions.items()}
    one, two = (figures_of(Report(LaminaSet.from_positions(each))) for each in (positions, mirrored))
    for curve, image in zip(one["curves"], two["curves"], strict=True):
        assert {curve["side"], image["side"]} == {"left", "right"}
        assert all(curve[key] == image[key] for key in ("upper", "apex", "lower", "region"))
        for kind in ("angle", "sagittal", "maximum"):
            assert image[kind] == pytest.approx(curve[kind], abs=2e-3)
    for level, image in zip(one["levels"], two["levels"], strict=True):
        assert image["rotation"]["value_deg"] == pytest.approx(-level["rotation"]["value_deg"], abs=2e-3)
        assert image["rotation"]["low_deg"] == pytest.approx(-level["rotation"]["high_deg"], abs=2e-3)
    assert one["kyphosis"] == pytest.approx(two["kyphosis"], abs=2e-3)


@pytest.mark.parametrize(
    ("angle", "text", "interval"),
    [
        (Angle(31.6, 2.0), "32°", "28° to 36°"),
        (Angle(-0.4, 1.0), "0°", "−2° to 2°"),
        (Angle(-12.0, 0.0), "−12°", "−12° to −12°"),
    ],
)
def test_angles_read_as_whole_degrees(angle, text, interval):
    assert (angle_text(angle), interval_text(angle)) == (text, interval)


@pytest.mark.parametrize(
    ("names", "text"),
    [
        ([], ""),
        (["T2L"], "T2L"),
        (["T2L", "T2R"], "T2"),
        (["T1L", "T1R", "T2L", "T2R"], "T1, T2"),
        (["T1L", "T1R", "T2L", "T2R", "T3L", "T3R", "T4R"], "T1–T3, T4R"),
        (["T1L", "T1R", "T3L", "T3R"], "T1, T3"),
    ],
)
def test_names_are_put_together(names, text):
    assert names_text(names, ["T1", "T2", "T3", "T4"]) == text


# Writing


def test_all_three_files_are_written_and_none_is_replaced_unasked(tmp_path):
    files = write_report(Report(spine()), tmp_path / "S017.html")
    assert {file.name for file in tmp_path.iterdir()} == {"S017.html", "S017.csv", "S017.json"}
    before = files["page"].read_text(encoding="utf-8")
    files["page"].unlink()
    with pytest.raises(LaminaError, match=r"S017\.csv, S017\.json would be replaced"):
        write_report(Report(spine()), tmp_path / "S017.html")
    assert not files["page"].exists()
    write_report(Report(spine()), tmp_path / "S017.html", replace=True)
    assert files["page"].read_text(encoding="utf-8") == before


def test_when_one_file_cannot_be_written_none_is(tmp_path):
    (tmp_path / "S017.json").mkdir()
    with pytest.raises(LaminaError, match=r"S017\.json"):
        write_report(Report(spine()), tmp_path / "S017.html", replace=True)
    assert [file.name for file in tmp_path.iterdir()] == ["S017.json"]


@pytest.mark.parametrize("name", ["report.pdf", "report", "laminae.csv"])
def test_another_ending_is_refused(name):
    with pytest.raises(LaminaError, match=r"let the name of the report end in \.html"):
        report_files(name)
