"""How the results of an experiment come together: summary, tests, tables and page."""

import csv
import io
import math
from dataclasses import replace

import pytest

from LaminaSegmentationLib import experiment_table
from LaminaSegmentationLib.experiment import ARMS, Folder, Record, Run, Settings, parse_arms, write_json
from LaminaSegmentationLib.experiment_data import simulated_data
from LaminaSegmentationLib.experiment_report import middle_scan, report_text

DATA = simulated_data("clinic", 1.0, 1_000_000, 700_000, 7, (5, 1, 1))
SETTINGS = Settings(DATA, [192, 48, 24], "paper", 16, 200, None, None, 1e-4, "float32")


def recorded(path, seeds=(0,)):
    folder = Folder(path)
    Record(folder, SETTINGS, parse_arms("dice,centroid"), list(seeds)).write()
    return folder


def scored(values, lumbar=0.0, epoch=3):
    """What a run says of two scans, with Dice and d3D given and all else equal to the Dice."""
    cases = [
        {
            "name": f"scan {number}",
            "values": {
                "dice": dice,
                "d3d_total_vox": d3d,
                "delta": dice,
                "missed": dice,
                "false": dice,
                "recall_5mm": dice,
                "mean_error_mm": None,
            },
            "by_region": {"L1-L5": {"missed": lumbar + number}},
        }
        for number, (dice, d3d) in enumerate(values)
    ]
    return {"epoch": epoch, "value": 0.5, "weights": "w", "prediction_seconds": 1.0, "cases": cases}


def result(seed, values, minutes=2.0, **more):
    return {
        "run": f"x-{seed}",
        "seed": seed,
        "seconds": 60 * minutes,
        "hardware": "CPU",
        "backend": "torch",
        "precision": "float32",
        "history": [{"epoch": 1, "val_loss": 1.0, "val_d3d": 1.0}],
        "choices": {"val_loss": scored(values, **more)},
    }


RESULTS = [result(0, [(0.4, 10.0), (0.6, 30.0)]), result(1, [(0.2, 20.0), (0.8, 40.0)], minutes=4.0, epoch=6)]


def test_scans_are_averaged_over_the_seeds_before_anything_else():
    arm = experiment_table.summarize_arm(ARMS["dice"], RESULTS)
    # Scan by scan: Dice 0.3 and 0.7, d3D 15 and 35. Seed by seed: 0.5 and 0.5, 20 and 30.
    assert arm["keys"]["dice"]["mean"] == pytest.approx(0.5)
    assert arm["keys"]["dice"]["std"] == pytest.approx(0.4 / math.sqrt(2))
    assert arm["keys"]["dice"]["by_seed"] == pytest.approx([0.5, 0.5])
    assert arm["keys"]["d3d_total_vox"]["std"] == pytest.approx(20 / math.sqrt(2))
    assert arm["keys"]["d3d_total_vox"]["seed_std"] == pytest.approx(10 / math.sqrt(2))
    assert arm["keys"]["missed_L1-L5"]["mean"] == pytest.approx(0.5)
    assert math.isnan(arm["keys"]["mean_error_mm"]["mean"])
    assert arm["cases"]["scan 1"]["d3d_total_vox"] == 35.0
    assert (arm["best_epoch"], arm["training_minutes"], arm["seeds"]) == (4.5, 3.0, [0, 1])


def test_a_figure_that_one_seed_lacks_is_the_others():
    half = [RESULTS[0], result(1, [(None, 20.0), (0.8, 40.0)])]
    arm = experiment_table.summarize_arm(ARMS["dice"], half)
    assert arm["cases"]["scan 0"]["dice"] == 0.4
    assert arm["keys"]["dice"]["mean"] == pytest.approx((0.4 + 0.7) / 2)


def finish(folder, run, content):
    write_json(content, folder.runs / run.name / "result.json")


def test_the_summary_waits_until_all_arms_have_a_seed(tmp_path):
    folder = recorded(tmp_path, seeds=[0, 1])
    finish(folder, Run("dice", 0), RESULTS[0])
    assert experiment_table.summarize_experiment(folder) is None
    finish(folder, Run("centroid", 0), result(0, [(0.5, 5.0), (0.7, 20.0)]))
    finish(folder, Run("dice", 1), RESULTS[1])
    summary = experiment_table.summarize_experiment(folder)
    assert (summary["seeds"], list(summary["arms"])) == ([0], ["dice", "centroid"])
    assert summary["arms"]["dice"]["keys"]["d3d_total_vox"]["mean"] == 20.0
    # One pair of arms, four figures: d3D is lower by 5 and 10.
    asked = {(row["first"], row["second"], row["key"]): row for row in summary["comparisons"]}
    assert len(asked) == 4
    d3d = asked["centroid", "dice", "d3d_total_vox"]
    assert (d3d["difference"], d3d["wins"], d3d["of_the_paper"]) == (-7.5, 2, True)
    assert d3d["p_wilcoxon"] == 0.25
    assert d3d["p_wilcoxon_holm"] == pytest.approx(1.0)


@pytest.fixture
def summary(tmp_path):
    folder = recorded(tmp_path)
    finish(folder, Run("dice", 0), RESULTS[0])
    finish(folder, Run("centroid", 0), result(0, [(0.5, 5.0), (0.7, 20.0)]))
    Record(folder, SETTINGS, parse_arms("dice,centroid"), [0]).write()
    return folder, experiment_table.summarize_experiment(folder)


def test_the_papers_rows_are_the_papers(summary):
    rows = [
        row for row in csv.DictReader(io.StringIO(experiment_table.table_csv(summary[1]))) if row["source"] == "paper"
    ]
    keys = ("dice_mean", "dice_std", "d3d_total_vox_mean", "d3d_total_vox_std", "delta_mean", "delta_std")
    found = {row["network"]: [float(row[key]) for key in keys] for row in rows}
    assert found == {
        "D-U-net": [0.407, 0.050, 151.1, 63.7, 4.2, 3.6],
        "B-U-net": [0.280, 0.100, 247.2, 93.6, 9.3, 5.1],
        "C-U-net": [0.412, 0.050, 118.1, 40.8, 3.4, 3.2],
    }
    others = {row["network"]: (row["missed_mean"], row["training_minutes"], row["best_epoch"]) for row in rows}
    assert others == {
        "D-U-net": ("5.0", "253.0", "80"),
        "B-U-net": ("", "254.0", "176"),
        "C-U-net": ("3.0", "259.0", "95"),
    }


def test_both_tables_hold_the_same_of_us(summary):
    _, found = summary
    rows = {
        row["arm"]: row
        for row in csv.DictReader(io.StringIO(experiment_table.table_csv(found)))
        if row["source"] != "paper"
    }
    assert (rows["dice"]["dice_mean"], rows["dice"]["missed_L1-L5_mean"], rows["dice"]["seeds"]) == ("0.5", "0.5", "1")
    assert rows["dice"]["dice_seed_std"] == ""
    text = experiment_table.table_markdown(found)
    assert "| D-U-net | 2, simulated | 0.500 ± 0.141 | 20.0 ± 14.1 |" in text
    assert "| C-U-net, paper | 10, patients | 0.412 ± 0.050 | 118.1 ± 40.8 | 3.4 ± 3.2 | 3.0 | – |" in text


def test_the_page_says_what_the_scans_are_and_that_it_is_complete(summary):
    folder, found = summary
    content = folder.read()
    assert content["complete"]
    text = report_text(content, SETTINGS, found, "scan 0", ["overlays/dice.png"])
    assert "all simulated (style clinic" in text
    assert "200 epochs of 5 steps, on whole grids" in text
    assert "Not all trainings" not in text and "miniature" not in text
    small = replace(SETTINGS, miniature=True)
    text = report_text({**content, "complete": False}, small, {**found, "miniature": True}, "scan 0", [])
    assert "Not all trainings are finished" in text and "its figures mean nothing" in text


def test_the_picture_is_of_the_scan_in_the_middle():
    cases = {f"scan {number}": {"d3d_total_vox": value} for number, value in enumerate((9.0, 1.0, 5.0))}
    assert middle_scan({"arms": {"dice": {"cases": cases}}}) == (2, "scan 2")
