"""What holds for all findings of the checks, whatever the list, and what they say about simulated spines."""

import dataclasses

import numpy as np
import pytest
from checked_lists import exchanged, findings, named, shifted, straight
from hypothesis import given, settings
from hypothesis import strategies as st

from LaminaLabelingLib.anatomy import SLOTS, name_key, opposite
from LaminaLabelingLib.checks import KINDS, Finding, check
from LaminaLabelingLib.laminae import LaminaSet


def mistaken(seed):
    """A list with up to three mistakes, some of them large."""
    rng = np.random.default_rng(seed)
    points = straight(rng.uniform(0.82, 1.0))
    for name in rng.choice(SLOTS, rng.integers(0, 4), replace=False):
        points[str(name)] = points[str(name)] + rng.normal(0, 15, 3)
    for name in rng.choice(SLOTS, rng.integers(0, 8), replace=False):
        points.pop(str(name))
    return points


def keys(found):
    return [(finding.kind, finding.name, finding.others) for finding in found]


@given(st.integers(0, 10_000), st.floats(-0.5, 0.5), st.tuples(*[st.floats(-300, 300)] * 3))
@settings(max_examples=60)
def test_findings_do_not_depend_on_where_the_patient_lies_or_is_turned_to(seed, turn, shift):
    points = mistaken(seed)
    rotation = np.array([[np.cos(turn), -np.sin(turn), 0], [np.sin(turn), np.cos(turn), 0], [0, 0, 1]])
    moved = {name: rotation @ point + shift for name, point in points.items()}
    assert keys(check(named(moved))) == keys(check(named(points)))


@given(st.integers(0, 10_000), st.floats(0.7, 1.4))
@settings(max_examples=60)
def test_findings_do_not_depend_on_the_patients_size(seed, scale):
    points = mistaken(seed)
    grown = {name: scale * point for name, point in points.items()}

    def relative(found):
        return [key for key in keys(found) if key[0] != "same place"]  # 3 mm are 3 mm

    assert relative(check(named(grown))) == relative(check(named(points)))


def sided(finding):
    """A finding without the choice which of several slots is named first."""
    return finding.kind, frozenset({finding.name, *finding.others})


@given(st.integers(0, 10_000))
@settings(max_examples=60)
def test_a_mirrored_list_has_mirrored_findings(seed):
    points = mistaken(seed)
    mirrored = {opposite(name): point * [-1, 1, 1] for name, point in points.items()}
    before, after = check(named(points)), check(named(mirrored))
    expected = {(kind, frozenset(opposite(name) for name in names)) for kind, names in map(sided, before)}
    assert {sided(finding) for finding in after} == expected


@given(st.integers(0, 10_000))
@settings(max_examples=60)
def test_findings_are_in_order_and_say_who_and_what(seed):
    points = mistaken(seed)
    found = check(named(points), np.eye(4), (40, 40, 40))
    assert list(found) == sorted(found, key=lambda finding: (name_key(finding.name), KINDS.index(finding.kind)))
    for finding in found:
        assert finding.kind in KINDS
        assert finding.name in points
        assert set(finding.others) <= set(points) - {finding.name}
        assert finding.text.endswith(".")
        assert "nan" not in finding.text


@given(st.dictionaries(st.sampled_from(SLOTS), st.tuples(*[st.sampled_from([-50.0, 0.0, 1.0, 30.0])] * 3)))
@settings(max_examples=100)
def test_nonsense_is_judged_without_an_error(points):
    assert all(isinstance(finding, Finding) for finding in check(named(points)))
    unnumbered = {
        "P" + f"{number // 2 + 1:02d}" + "LR"[number % 2]: point for number, point in enumerate(points.values())
    }
    assert all(
        finding.name in unnumbered for finding in check(LaminaSet.of(LaminaSet.from_positions(unnumbered).values()))
    )


@pytest.mark.parametrize("style", ["clinic", "severe"])
def test_true_laminae_of_simulated_spines_raise_no_finding_and_one_mistake_about_one(style):
    from LaminaSegmentationLib.simulation import style_named
    from LaminaSegmentationLib.simulation.anatomy import draw_spine
    from LaminaSegmentationLib.simulation.bones import lamina_surface
    from LaminaSegmentationLib.simulation.scan import to_ras

    drawn = style_named("clinic")
    if style == "severe":
        drawn = dataclasses.replace(drawn, cobb_mean=60.0, cobb_sd=0.0)
    for seed in range(20):
        spine = draw_spine(np.random.default_rng([seed, 0x1A31]), drawn)
        sides = ((-1, "L"), (1, "R"))
        points = {v.name + letter: to_ras(lamina_surface(v, side)) for v in spine.vertebrae for side, letter in sides}
        assert findings(points) == []
        deeper = findings(shifted(points, "T8R", 0, 12, 0))
        assert [key[:2] for key in deeper] == [("sagittal", "T8R")]
        assert [key[0] for key in findings(exchanged(points, "L2L", "L2R"))] == ["swapped"]
