import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from mask_families import blobs, cubes, families, serpentine, spiral
from scipy import ndimage
from tiny_networks import run_python

from LaminaLabelingLib.errors import LaminaError
from LaminaSegmentationLib.components import component_centroids, label_components, label_points, most_components

MOST_ROUNDS = 8
"""More than any mask below needs. Plain propagation would take hundreds on the serpentines."""

FACE = {2: 4, 3: 6}


def numbers(tensor):
    from keras import ops

    return ops.convert_to_numpy(tensor)


def compare_with_scipy(masks, diagonal=True):
    """Assert the same partition, counts, sizes and centroids; return the rounds."""
    masks = np.asarray(masks, bool)
    axes = masks.ndim - 1
    connectivity = None if diagonal else FACE[axes]
    structure = ndimage.generate_binary_structure(axes, axes if diagonal else 1)
    labels, counts, rounds = map(numbers, label_components(masks, connectivity))
    positions, sizes = map(numbers, component_centroids(labels, most_components(masks.shape[1:], connectivity)))
    for index, mask in enumerate(masks):
        wanted, count = ndimage.label(mask, structure)
        assert counts[index] == count
        # As many pairs as components: the two numberings are one to one.
        pairs = np.unique(np.stack([wanted[mask], labels[index][mask]]), axis=1)
        assert pairs.shape[1] == count
        assert not labels[index][~mask].any()
        assert sorted(pairs[1]) == list(range(1, count + 1))
        centers = np.array(ndimage.center_of_mass(mask, wanted, pairs[0])).reshape(-1, axes)
        np.testing.assert_allclose(positions[index, pairs[1] - 1], centers, atol=1e-4)
        np.testing.assert_array_equal(
            sizes[index, pairs[1] - 1], np.bincount(wanted.ravel(), minlength=count + 1)[pairs[0]]
        )
        assert not positions[index, count:].any()
        assert not sizes[index, count:].any()
    assert rounds <= MOST_ROUNDS
    return int(rounds)


sides = st.integers(1, 17)
shapes = st.one_of(st.tuples(sides, sides), st.tuples(st.integers(1, 7), st.integers(1, 7), st.integers(1, 7)))


@settings(max_examples=60, deadline=None)
@given(st.data(), shapes, st.booleans())
def test_any_masks_are_labelled_as_scipy_labels_them(data, shape, diagonal):
    masks = data.draw(hnp.arrays(bool, (data.draw(st.integers(1, 3)), *shape)))
    compare_with_scipy(masks, diagonal)


@settings(max_examples=40, deadline=None)
@given(shapes, st.floats(0.0, 1.0), st.integers(0, 2**32 - 1), st.booleans())
def test_noise_of_every_density(shape, density, seed, diagonal):
    compare_with_scipy(np.random.default_rng(seed).random((2, *shape)) < density, diagonal)


@settings(max_examples=25, deadline=None)
@given(st.integers(8, 40), st.integers(8, 40), st.floats(0.05, 0.7), st.integers(0, 1000), st.floats(0.5, 4.0))
def test_blobs(rows, columns, share, seed, scale):
    compare_with_scipy(blobs((rows, columns), share, seed, scale)[None])


@settings(max_examples=20, deadline=None)
@given(st.integers(2, 60), st.integers(2, 40), st.sampled_from([0, 1, 2, 3]), st.booleans())
def test_serpentines_in_every_direction(rows, columns, turns, diagonal):
    compare_with_scipy(np.rot90(serpentine(rows, columns), turns)[None].copy(), diagonal)


@pytest.mark.parametrize("size", [2, 3, 7, 16, 33, 64])
@pytest.mark.parametrize("diagonal", [True, False])
def test_spirals_from_either_end(size, diagonal):
    path = spiral(size)
    assert ndimage.label(path, np.ones((3, 3)))[1] == 1
    compare_with_scipy(np.stack([path, path[::-1, ::-1], path.T]), diagonal)


def test_a_serpentine_through_a_volume():
    layers = np.zeros((9, 11, 10), bool)
    layers[::2] = serpentine(11, 10)
    layers[1::4, 0, 0] = layers[3::4, -1, -1] = True
    compare_with_scipy(layers[None], diagonal=False)


@pytest.mark.parametrize("shape", [(5, 7), (3, 4, 5)])
def test_empty_and_full_masks_side_by_side(shape):
    compare_with_scipy(np.stack([np.zeros(shape), np.ones(shape), np.zeros(shape)]))


def test_components_at_the_border_and_in_the_corners():
    mask = np.zeros((6, 8), bool)
    mask[[0, 0, -1, -1], [0, -1, 0, -1]] = True
    mask[2:4, 0] = mask[-1, 3:5] = True
    compare_with_scipy(mask[None])


def test_masks_of_a_batch_never_touch_each_other():
    below, above = np.zeros((4, 4), bool), np.zeros((4, 4), bool)
    below[-1], above[0] = True, True
    found = label_components(np.stack([below, above]))
    assert numbers(found.counts).tolist() == [1, 1]
    positions = numbers(component_centroids(found.labels, 2).positions)
    np.testing.assert_allclose(positions[:, 0], [[3, 1.5], [0, 1.5]])


def test_a_checkerboard_fills_the_bound():
    board = np.indices((7, 9)).sum(axis=0) % 2 == 0
    assert int(numbers(label_components(board[None], 4).counts)[0]) == most_components((7, 9), 4) == 32
    dots = np.zeros((7, 9), bool)
    dots[::2, ::2] = True
    assert int(numbers(label_components(dots[None]).counts)[0]) == most_components((7, 9)) == 20


def test_components_beyond_the_bound_are_left_out():
    dots = np.zeros((1, 1, 9), bool)
    dots[0, 0, ::2] = True
    labels, counts, _ = label_components(dots)
    positions, sizes = map(numbers, component_centroids(labels, 3))
    assert int(numbers(counts)[0]) == 5
    assert positions.shape == (1, 3, 2)
    assert sizes.tolist() == [[1.0, 1.0, 1.0]]


def test_the_grid_of_the_network_is_labelled_right():
    volume = cubes((384, 96, 48), 34, 5)
    compare_with_scipy(volume[None])
    compare_with_scipy(np.ones((1, 96, 96), bool))


@pytest.mark.parametrize("name", families())
def test_few_rounds_suffice_on_every_family(name):
    assert compare_with_scipy(families()[name][None]) <= 8


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 2**32 - 1), st.floats(0.0, 0.3))
def test_a_few_voxels_are_labelled_as_their_grid_is(seed, density):
    masks = np.random.default_rng(seed).random((2, 5, 6, 4)) < density
    most = int(masks.sum(axis=(1, 2, 3)).max()) + 2
    points, valid = np.zeros((2, most, 3), np.int32), np.zeros((2, most), bool)
    for index, mask in enumerate(masks):
        voxels = np.random.default_rng(seed).permutation(np.argwhere(mask))
        points[index, : len(voxels)], valid[index, : len(voxels)] = voxels, True
    labels, counts, _ = map(numbers, label_points(points, valid))
    for index, mask in enumerate(masks):
        wanted, count = ndimage.label(mask, np.ones((3, 3, 3)))
        ours = labels[index][valid[index]]
        assert counts[index] == count
        assert not labels[index][~valid[index]].any()
        pairs = np.unique(np.stack([wanted[tuple(points[index][valid[index]].T)], ours]), axis=1)
        assert pairs.shape[1] == count
        assert sorted(pairs[1]) == list(range(1, count + 1))


def test_wrong_input_is_refused():
    with pytest.raises(LaminaError, match="two or three axes"):
        label_components(np.zeros((4, 4)))
    with pytest.raises(LaminaError, match="choose 4 or 8"):
        label_components(np.zeros((1, 4, 4)), 26)
    with pytest.raises(LaminaError, match="crop them"):
        label_components(np.broadcast_to(np.zeros((1, 1, 1), np.uint8), (1, 5000, 5000)))


OTHER_BACKEND = """
import json, sys
sys.path.insert(0, {folder!r})
import numpy as np
from keras import backend, ops
from mask_families import cubes, families
from LaminaSegmentationLib.components import component_centroids, label_components

def compiled(function):
    if backend.backend() == "tensorflow":
        import tensorflow
        return tensorflow.function(function, jit_compile=True)
    import jax
    return jax.jit(function)

def measure(mask):
    found = label_components(mask)
    return *found, component_centroids(found.labels, 5).positions

noise = np.random.default_rng(3).random((3, 9, 8, 7)) < 0.3
masks = {{**{{name: mask[None] for name, mask in families(48, 32).items()}}, "volumes": noise}}
masks["empty"] = np.zeros((1, 5, 6), bool)
result = {{}}
for name, mask in masks.items():
    function = compiled(measure)
    found = function(ops.convert_to_tensor(mask))
    labels, counts, rounds, positions = [ops.convert_to_numpy(part) for part in found]
    result[name] = [labels.tolist(), counts.tolist(), int(rounds), positions.tolist()]
print(json.dumps(result))
"""


@pytest.mark.parametrize("backend", ["tensorflow", "jax"])
def test_other_backends_compiled_by_xla_give_the_same(backend, request):
    folder = str(request.path.parent)
    result = run_python(OTHER_BACKEND.format(folder=folder), backend)
    noise = np.random.default_rng(3).random((3, 9, 8, 7)) < 0.3
    masks = {**{name: mask[None] for name, mask in families(48, 32).items()}, "volumes": noise}
    masks["empty"] = np.zeros((1, 5, 6), bool)
    assert result.keys() == masks.keys()
    for name, (labels, counts, rounds, positions) in result.items():
        ours = label_components(masks[name])
        np.testing.assert_array_equal(labels, numbers(ours.labels), err_msg=name)
        assert counts == numbers(ours.counts).tolist()
        assert counts == [ndimage.label(mask, np.ones((3,) * mask.ndim))[1] for mask in masks[name]]
        wanted = numbers(component_centroids(ours.labels, 5).positions)
        np.testing.assert_allclose(positions, wanted, atol=1e-4, err_msg=name)
        assert rounds == int(numbers(ours.rounds))
