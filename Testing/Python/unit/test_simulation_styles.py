"""What the numbers of a style do to a scan."""

import dataclasses

import numpy as np
import pytest

from LaminaLabelingLib.anatomy import SLOTS
from LaminaLabelingLib.errors import LaminaError
from LaminaSegmentationLib.simulation import STYLES, simulate_scan, style_for_training, style_named
from LaminaSegmentationLib.simulation.anatomy import draw_spine
from LaminaSegmentationLib.simulation.bones import bones_of, lamina_surface
from LaminaSegmentationLib.simulation.echo import Probe, render_frames, tissue_level
from LaminaSegmentationLib.simulation.faults import Poses, draw_poses
from LaminaSegmentationLib.simulation.scan import _draw_probe, _in_field_of_view, _pivoted

PROBE = Probe(radius=55.0, half_angle=0.45, depth=46.0, lines=48)


def changed(**numbers):
    return dataclasses.replace(style_named("clear"), **numbers)


def bones(style, seed=3):
    generator = np.random.default_rng(seed)
    spine = draw_spine(generator, style)
    return spine, *bones_of(spine, style, generator)


def offsets_from_the_truth(style):
    """Distance along each axis from where a lamina reflects to its true center, (34, 3) mm."""
    spine, parts, _ = bones(style)
    laminae = [part for part in parts if part.kind == "lamina"]
    tops = np.array([part.center - part.axes[2] * part.radii[2] for part in laminae])
    truth = np.array([lamina_surface(vertebra, side) for vertebra in spine.vertebrae for side in (-1, 1)])
    axes = np.array([vertebra.axes for vertebra in spine.vertebrae for _ in (-1, 1)])
    return np.einsum("nij,nj->ni", axes, tops - truth)


def test_without_facets_a_lamina_reflects_from_its_center():
    assert np.abs(offsets_from_the_truth(changed(facet=(0.0, 0.0, 0.0)))).max() < 1e-9


def test_facets_move_the_echo_and_leave_the_truth():
    moved = offsets_from_the_truth(changed(facet=(2.0, 1.0, 0.0)))
    assert 1.2 < moved[:, 0].std() < 2.8
    assert 0.6 < moved[:, 1].std() < 1.4
    assert np.abs(moved[:, 2]).max() < 1e-9


def test_bait_is_raised_and_laminae_are_not():
    _, plain, _ = bones(changed(bait_db=(0.0, 0.0)))
    _, raised, _ = bones(changed(bait_db=(4.0, 4.0)))
    for before, after in zip(plain, raised):
        gained = 0.0 if before.kind in ("lamina", "spinous process") else 4.0
        assert after.gain_db - before.gain_db == pytest.approx(gained)


def test_the_rates_of_lost_laminae_are_those_of_the_style():
    style = changed(dropout=0.0, loss_rate_lumbar=0.5, loss_rate_thoracic=0.0, loss_db=(15.0, 15.0), cobb_range=(6, 20))
    lost = [bones(style, seed)[2] for seed in range(40)]
    lumbar = [loss[name] for loss in lost for name in SLOTS if name[0] == "L"]
    thoracic = [loss[name] for loss in lost for name in SLOTS if name[0] == "T"]
    assert set(lumbar) == {0.0, 15.0}
    assert 0.4 < np.mean(np.array(lumbar) > 0) < 0.6
    assert not any(thoracic)


def level(style, seed=5):
    return tissue_level(np.random.default_rng(seed), PROBE, np.full(30, 20.0), 0.8, style)


def test_a_water_bath_sends_back_less_than_tissue():
    assert level(changed(water_bath=1.0)).mean() < level(changed(water_bath=0.0)).mean() - 8.0


def test_tissue_follows_its_level():
    louder = level(changed(tissue_db=(5.0, 5.0))) - level(changed(tissue_db=(0.0, 0.0)))
    assert np.allclose(louder, 5.0, atol=1e-3)


def speckle_length(style):
    """Correlation with the neighbor two samples deeper, in tissue without bone."""
    silence = np.zeros((30, PROBE.lines, PROBE.samples), np.float32)
    none = np.full((30, PROBE.lines), np.inf)
    generator = np.random.default_rng(1)
    frames = render_frames(generator, PROBE, silence, none, 0 * silence[..., 0], 0 * silence[..., 0], 0.8, style)
    frames = frames[:, :, 20:-20].astype(float)
    return np.corrcoef(frames[:, :, :-2].ravel(), frames[:, :, 2:].ravel())[0, 1]


def test_a_longer_pulse_makes_coarser_speckle():
    assert speckle_length(changed(pulse_mm=(1.8, 1.8))) > speckle_length(changed(pulse_mm=(0.6, 0.6))) + 0.2


def test_the_lines_of_a_linear_probe_are_all_but_parallel():
    generator = np.random.default_rng(0)
    style = changed(linear_probe=1.0)
    probe = _draw_probe(generator, draw_spine(generator, style), style)
    surface = 2 * probe.radius * np.sin(probe.half_angle)
    bottom = 2 * (probe.radius + probe.depth) * np.sin(probe.half_angle)
    assert 44.0 <= surface <= 66.0
    assert bottom / surface < 1.15


def test_a_linear_probe_rolls_about_its_face():
    generator = np.random.default_rng(2)
    style = changed(linear_probe=1.0, wobble=(0.0, 0.0), cobb_mean=40.0)
    spine = draw_spine(generator, style)
    probe = _draw_probe(generator, spine, style)
    poses = draw_poses(generator, spine, np.arange(0.0, 300.0, 2.0), style)
    turned = _pivoted(poses, probe)
    # The middle line moves as that of a convex probe of 66 mm would; about the distant apex it moved ten times as far.
    for depth in (0.0, 20.0):
        reach = probe.radius + depth
        right = turned.right + reach * np.sin(turned.roll)
        anterior = turned.anterior - probe.radius + reach * np.cos(turned.roll)
        np.testing.assert_allclose(right - poses.right, (66.0 + depth) * np.sin(poses.roll), atol=1e-9)
        np.testing.assert_allclose(anterior - poses.anterior, (66.0 + depth) * np.cos(poses.roll) - 66.0, atol=1e-9)
    assert np.abs(np.degrees(poses.roll)).max() > 2.0


def test_the_truth_leaves_out_what_the_beam_never_passes_over():
    probe = Probe(radius=55.0, half_angle=0.45, depth=46.0)
    level = np.zeros(50)
    poses = Poses(np.arange(50.0), level, level, level, np.zeros((50, 3)))
    inside = {"middle": (25.0, 0.0, 20.0), "edge": (25.0, 30.0, 20.0), "deep": (25.0, 0.0, 45.0)}
    outside = {"beside": (25.0, 40.0, 20.0), "deeper": (25.0, 0.0, 47.0), "above": (25.0, 0.0, -1.0)}
    assert all(_in_field_of_view(np.array(point), poses, probe) for point in inside.values())
    assert not any(_in_field_of_view(np.array(point), poses, probe) for point in outside.values())


@pytest.mark.parametrize("name", ["varied", "portable"])
def test_scans_of_every_style_hold_all_laminae(name):
    scan = simulate_scan(seed=21, spacing=1.0, style=name)
    positions = scan.truth.positions()
    index = np.round(scan.volume.to_index(np.array(list(positions.values())))).astype(int)
    assert tuple(positions) == SLOTS
    assert (index >= 0).all() and (index < scan.volume.array.shape).all()
    assert scan.parameters["style"] == name


def test_one_style_is_kept_for_tests_alone():
    assert [name for name, style in STYLES.items() if style.testing_only] == ["portable"]
    assert style_for_training("varied").name == "varied"
    with pytest.raises(LaminaError, match=r"kept for tests.*clear or clinic or varied"):
        style_for_training("portable")
    with pytest.raises(LaminaError, match="no simulation style"):
        style_for_training("grainy")
