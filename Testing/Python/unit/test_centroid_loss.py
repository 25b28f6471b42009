"""The centroid loss (eqs. 1-6) and the loss per lamina, against values worked out by hand."""

import math

import numpy as np
import pytest
from tiny_networks import run_python

from LaminaSegmentationLib.losses import (
    centroid_factors,
    centroid_loss,
    create_loss,
    dice_loss,
    lamina_dice,
    voronoi_territories,
)

SHAPE = (16, 12, 8)
CORONAL, SAGITTAL = math.hypot(16, 12), math.hypot(16, 8)


def numbers(tensor):
    from keras import ops

    return ops.convert_to_numpy(tensor)


def volume(*centers, shape=SHAPE, value=1.0):
    """A batch of one volume with 3x3x3 cubes."""
    array = np.zeros((1, *shape, 1), np.float32)
    for i, j, k in centers:
        array[0, i - 1 : i + 2, j - 1 : j + 2, k - 1 : k + 2, 0] = value
    return array


def factors(truth, prediction):
    return [numbers(factor).tolist() for factor in centroid_factors(truth, prediction)]


A, B, C = (3, 3, 3), (8, 8, 5), (13, 4, 2)


def test_a_perfect_prediction_has_no_distance_and_no_loss():
    truth = volume(A, B)
    assert factors(truth, truth) == [[0.0], [1.0]]
    assert numbers(centroid_loss(truth, truth))[0] == 0.0


def test_no_prediction_costs_the_diagonals_and_all_numbers():
    truth, nothing = volume(A, B), volume()
    distance, number = factors(truth, nothing)
    assert distance[0] == pytest.approx(CORONAL + SAGITTAL)
    assert number == [4.0]  # two missing in each projection
    assert numbers(centroid_loss(truth, nothing))[0] == pytest.approx((CORONAL + SAGITTAL) * 4.0)


def test_the_diagonals_at_full_size_are_those_of_the_method():
    truth, nothing = volume((100, 40, 20), shape=(384, 96, 48)), volume(shape=(384, 96, 48))
    distance, number = factors(truth, nothing)
    assert distance[0] == pytest.approx(395.8 + 387.0, abs=0.05)
    assert number == [2.0]


def test_without_truth_the_false_ones_are_counted_and_the_distance_is_1():
    assert factors(volume(), volume(A, B)) == [[1.0], [4.0]]
    assert numbers(centroid_loss(volume(), volume(A, B)))[0] == pytest.approx(4.0)
    assert factors(volume(), volume()) == [[1.0], [1.0]]
    assert numbers(centroid_loss(volume(), volume()))[0] == pytest.approx(1.0)


def test_a_shifted_prediction_costs_its_distance_in_each_projection():
    # Two voxels down and one to the right: sqrt(5) in the coronal projection, 2 in the sagittal one.
    distance, number = factors(volume(A), volume((5, 4, 3)))
    assert distance[0] == pytest.approx(math.sqrt(5) + 2.0)
    assert number == [1.0]


def test_one_false_positive_far_away_costs_its_number_alone():
    truth, prediction = volume(A, B), volume(A, B, C)
    assert factors(truth, prediction) == [[0.0], [2.0]]
    assert numbers(centroid_loss(truth, prediction))[0] == 0.0


def test_a_missed_lamina_costs_its_distance_to_the_nearest_found_one():
    distance, number = factors(volume(A, B), volume(A))
    assert distance[0] == pytest.approx((math.hypot(5, 5) + math.hypot(5, 2)) / 2)
    assert number == [2.0]
    dice = 1 - 2 * 27 / (54 + 27)
    assert numbers(centroid_loss(volume(A, B), volume(A)))[0] == pytest.approx(dice * distance[0] * 2.0, rel=1e-5)


def test_a_merged_pair_is_one_component_with_one_centroid():
    truth = volume((5, 2, 3), (5, 8, 3))
    merged = truth.copy()
    merged[0, 4:7, 4:7, 2:5] = 1.0  # columns 1..9: its centroid is 3 from either truth
    distance, number = factors(truth, merged)
    # In the sagittal projection left and right coincide in truth and prediction alike.
    assert distance == pytest.approx([3.0])
    assert number == [1.0]


def test_left_and_right_merge_in_the_sagittal_projection_of_the_truth():
    # Found is the left one only: the sagittal projection is perfect, the coronal one lacks one component.
    distance, number = factors(volume((5, 2, 3), (5, 8, 3)), volume((5, 2, 3)))
    assert distance == pytest.approx([6.0 / 2])
    assert number == [1.0]


def test_touching_corners_are_one_component():
    truth = volume((3, 3, 3))
    diagonal = volume((3, 3, 3), (6, 6, 6))  # corner to corner in both projections
    distance, number = factors(truth, diagonal)
    assert distance[0] == pytest.approx(math.hypot(1.5, 1.5) * 2)
    assert number == [1.0]


def test_a_voxel_counts_from_one_half_on():
    truth = volume(A)
    assert factors(truth, volume(A, value=0.5))[0] == [0.0]
    assert factors(truth, volume(A, value=0.49))[0][0] == pytest.approx(CORONAL + SAGITTAL)


def test_more_truths_than_one_chunk():
    # 36 single voxels, three apart; the prediction is one row of voxels further down.
    truth = np.zeros((1, 40, 40, 4, 1), np.float32)
    truth[0, 1:18:3, 1:18:3, 0, 0] = 1.0
    prediction = np.roll(truth, 1, axis=1)
    distance, number = factors(truth, prediction)
    assert distance[0] == pytest.approx(2.0)
    assert number == [1.0]


def test_a_batch_of_two_is_two_samples():
    truth = np.concatenate([volume(A, B), volume(A, B)])
    prediction = np.concatenate([volume((5, 4, 3), B, value=0.9), volume()])
    together = numbers(centroid_loss(truth, prediction))
    alone = [numbers(centroid_loss(truth[i : i + 1], prediction[i : i + 1]))[0] for i in (0, 1)]
    np.testing.assert_allclose(together, alone, rtol=1e-6)
    assert alone[1] > 20 * alone[0] > 0
    assert float(create_loss("centroid")(truth, prediction)) == pytest.approx(np.mean(alone), rel=1e-6)


def gradient(function, truth, probability):
    import torch

    tensor = torch.tensor(probability, requires_grad=True)
    loss = function(torch.tensor(truth), tensor).sum()
    loss.backward()
    return tensor.grad.numpy()


def test_the_gradient_is_that_of_dice_times_the_factors():
    generator = np.random.default_rng(0)
    truth = np.concatenate([volume(A, B), volume(B, C)])
    probability = np.concatenate([volume((4, 4, 3), C, value=0.8), volume(A, value=0.6)])
    probability += generator.uniform(0.0, 0.3, probability.shape).astype(np.float32)
    distance, number = (numbers(factor) for factor in centroid_factors(truth, probability))
    assert (distance > 1).all() and (number > 1).any()
    factor = (distance * number).reshape(2, 1, 1, 1, 1)
    expected = factor * gradient(dice_loss, truth, probability)
    np.testing.assert_allclose(gradient(centroid_loss, truth, probability), expected, rtol=1e-5)
    assert np.abs(expected).max() > 0


# ---- the loss per lamina ----


def test_territories_are_the_voronoi_cells():
    truth = np.array([[3.0, 3.0, 3.0], [8.0, 8.0, 5.0], [13.0, 4.0, 2.0]])
    grid = np.stack(np.meshgrid(*map(np.arange, SHAPE), indexing="ij"), axis=-1)
    wanted = np.linalg.norm(grid[..., None, :] - truth, axis=-1).argmin(axis=-1)
    padded = np.concatenate([truth, np.zeros((4, 3))])[None].astype(np.float32)
    territories = numbers(voronoi_territories(padded, np.array([3], np.int32), SHAPE))
    np.testing.assert_array_equal(territories[0], wanted)


def test_lamina_dice_is_the_mean_over_the_laminae():
    truth = volume(A, B, C)
    assert numbers(lamina_dice(truth, truth))[0] == pytest.approx(0.0, abs=1e-6)
    assert numbers(lamina_dice(truth, volume()))[0] == pytest.approx(1.0)
    assert numbers(lamina_dice(truth, volume(A, B)))[0] == pytest.approx(1 / 3, abs=1e-6)
    assert numbers(lamina_dice(truth, volume(A, value=0.5)))[0] == pytest.approx((2 + 1 - 27 / (27 + 13.5)) / 3)


def test_a_false_positive_counts_against_its_territory_alone():
    truth = volume(A, C)
    prediction = volume(A, C)
    prediction[0, 15, 0, 0, 0] = 1.0  # one voxel, in the territory of C
    assert numbers(lamina_dice(truth, prediction))[0] == pytest.approx((1 - 54 / 55) / 2, abs=1e-6)


def test_a_merged_pair_still_counts_by_territory():
    truth = volume((5, 2, 3), (5, 8, 3))
    merged = truth.copy()
    merged[0, 4:7, 4:7, 2:5] = 1.0
    # The bridge of 27 voxels lies half way: its middle layer is the first lamina's.
    first, second = 1 - 54 / (54 + 18), 1 - 54 / (54 + 9)
    assert numbers(lamina_dice(truth, merged))[0] == pytest.approx((first + second) / 2, abs=1e-6)


def test_large_laminae_are_labelled_on_the_grid_to_the_same_effect():
    # Two slabs of 24 x 12 x 8 = 2304 voxels each, more than are labelled one by one.
    truth = np.zeros((1, 64, 12, 8, 1), np.float32)
    truth[0, :24] = truth[0, 40:] = 1.0
    prediction = truth.copy()
    prediction[0, 40:] = 0.0
    prediction[0, 50:] = 1.0
    # The second territory holds 14 of its 24 layers.
    assert numbers(lamina_dice(truth, prediction))[0] == pytest.approx((1 - 28 / 38) / 2, abs=1e-6)


def test_without_truth_the_mass_of_the_prediction_is_the_loss():
    assert numbers(lamina_dice(volume(), volume()))[0] == 0.0
    assert numbers(lamina_dice(volume(), volume(A)))[0] == pytest.approx(0.5)


def test_lamina_dice_of_a_batch_is_per_sample():
    truth = np.concatenate([volume(A, B), volume(A)])
    prediction = np.concatenate([volume(A), volume(A)])
    np.testing.assert_allclose(numbers(lamina_dice(truth, prediction)), [0.5, 0.0], atol=1e-6)


def test_a_missed_lamina_has_as_much_gradient_as_if_it_were_alone():
    truth = volume(A, B, C)
    prediction = volume(A, C) + np.float32(0.01)
    missed = np.s_[0, 7:10, 7:10, 4:7, 0]
    per_lamina = gradient(lamina_dice, truth, prediction)[missed]
    plain = gradient(dice_loss, truth, prediction)[missed]
    assert (per_lamina < 0).all() and (plain < 0).all()
    assert np.abs(per_lamina).mean() > 1.5 * np.abs(plain).mean()


def test_the_soft_centroid_is_pulled_towards_the_lamina():
    truth = volume((8, 6, 4))
    prediction = volume((8, 8, 4))
    # Dice knows no way for disjoint cubes; the soft centroid does: less on the far side, more on the near side.
    assert numbers(lamina_dice(truth, prediction, distance_weight=0.1))[0] == pytest.approx(
        1 - 2 * 9 / 54 + 0.1 * 2.0, abs=1e-3
    )
    slope = gradient(lambda t, p: lamina_dice(t, p, distance_weight=10.0), truth, prediction)[0, 8, :, 4, 0]
    assert slope[9] > slope[8] > slope[7]
    assert slope[2] < 0


COMPILED = """
import json
import keras
import numpy as np
from LaminaSegmentationLib.losses import LOSSES, create_loss

truth = np.zeros((2, 16, 16, 8, 1), np.float32)
truth[0, 3:6, 3:6, 3:6] = truth[1, 9:12, 9:12, 2:5] = truth[1, 2:5, 3:6, 3:6] = 1.0
grids = truth + np.random.default_rng(0).normal(size=truth.shape).astype(np.float32)
result = {}
for name in LOSSES:
    keras.utils.set_random_seed(1)
    inputs = keras.Input((None, None, None, 1))
    outputs = keras.layers.Conv3D(1, 3, padding="same", activation="sigmoid")(inputs)
    model = keras.Model(inputs, outputs)
    model.compile(keras.optimizers.SGD(0.01), create_loss(name), jit_compile=True)
    before = model.get_weights()
    values = [float(model.train_on_batch(grids[:, :rows], truth[:, :rows])) for rows in (16, 8)]
    moved = max(float(np.abs(a - b).max()) for a, b in zip(before, model.get_weights()))
    result[name] = [values, moved, bool(model.jit_compile)]
print(json.dumps(result))
"""


@pytest.mark.parametrize("backend", ["tensorflow", "jax"])
def test_every_loss_trains_a_step_under_xla(backend):
    result = run_python(COMPILED, backend)
    assert set(result) == {"dice", "wbce", "dice+wbce", "centroid", "lamina_dice"}
    for name, (values, moved, compiled) in result.items():
        assert compiled
        assert all(math.isfinite(value) for value in values), name
        assert math.isfinite(moved) and moved > 0, name
