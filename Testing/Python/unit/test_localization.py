"""From a probability map to named laminae, on maps whose spine is known."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from made_maps import (
    SHAPE,
    grid,
    names_of,
    opposite_of,
    probability_of,
    straight_column,
    whole_spine,
)

from LaminaLabelingLib.anatomy import VERTEBRAE, Numbering
from LaminaLabelingLib.errors import LaminaError
from LaminaLabelingLib.laminae import Review, Source
from LaminaLabelingLib.volumes import Volume
from LaminaSegmentationLib import localization
from LaminaSegmentationLib.known_vertebrae import Anchor, Known
from LaminaSegmentationLib.localization import localize


def located(points, known=None, values=1.0, volume=None, column=None):
    volume = volume or grid()
    return localize(
        probability_of(points, values),
        volume,
        straight_column(volume) if column is None else column,
        known=known,
    )


def test_17_pairs_are_named_from_the_top_with_the_patients_sides():
    volume, points = grid(), whole_spine()
    result = located(points)
    assert not result.laminae.is_provisional
    assert result.reliable
    for number, name in enumerate(result.laminae):
        assert np.allclose(result.laminae[name].position, volume.to_world(points[number : number + 1])[0], atol=1e-6)
        assert result.laminae[name].confidence > 0.9
        assert result.laminae[name].source is Source.detected
    assert result.notes == ()
    assert result.suggested == {}
    assert result.rejected == ()


def test_16_pairs_are_numbered_and_the_reason_is_given():
    result = located(whole_spine()[:-2])
    assert result.laminae.is_provisional
    assert list(result.laminae)[:2] == ["P01L", "P01R"]
    assert len(result.laminae.positions()) == 32
    assert "16 levels" in result.notes[0]


def test_a_missed_lamina_is_suggested_where_it_is_and_said_to_be():
    points = whole_spine()
    result = located(np.delete(points, 9, axis=0))
    assert not result.laminae.is_provisional
    lamina = result.laminae["T5R"]
    assert lamina.is_suggested
    assert np.linalg.norm(lamina.position - grid().to_world(points[9:10])[0]) < 2.5
    assert lamina.confidence < min(other.confidence for name, other in result.laminae.items() if name != "T5R")
    assert result.suggested == {"T5R": "no echo; placed by its partner and its neighbors"}


def test_a_level_that_nothing_shows_is_suggested_between_its_neighbors():
    points = whole_spine()
    result = located(np.delete(points, [16, 17], axis=0))
    assert not result.laminae.is_provisional
    for number, name in ((16, "T9L"), (17, "T9R")):
        assert np.linalg.norm(result.laminae[name].position - grid().to_world(points[number : number + 1])[0]) < 4.0
        assert result.suggested[name] == "no echo of the level; placed by the levels around it"


def test_a_faint_echo_is_taken_where_the_neighbors_expect_it():
    points = whole_spine()
    values = np.ones(34)
    values[20] = 0.3
    result = localize(probability_of(points, values), grid(), straight_column(grid()), threshold=0.5)
    name = VERTEBRAE[10] + "L"
    assert np.allclose(result.laminae[name].position, grid().to_world(points[20:21])[0], atol=1e-6)
    assert result.laminae[name].is_suggested
    assert result.suggested == {name: "a faint echo where its neighbors expect it"}


def test_a_false_echo_does_not_cost_the_names():
    result = located(np.concatenate([whole_spine(), [[147.0, 58.0, 20.0]]]), values=[1.0] * 34 + [0.6])
    assert not result.laminae.is_provisional
    assert len(result.laminae.positions()) == 34
    assert [why for _, why in result.rejected] == ["between two levels"]


@pytest.mark.parametrize(
    ("place", "why"),
    [
        ((100.0, 90.0, 20.0), "too far beside the midline"),
        ((107.0, 48.0, 20.0), "on the midline"),
        ((103.0, 58.0, 20.0), "too close to a more certain lamina of the same side"),
        ((210.0, 38.0, 44.0), "deeper than the laminae around it"),
        ((210.0, 38.0, 3.0), "shallower than the laminae around it"),
        ((210.0, 29.0, 20.0), "not in the row of its side"),
        ((366.0, 57.0, 20.0), "beyond the spine's end"),
    ],
)
def test_candidates_that_fit_nowhere_are_rejected_with_the_reason(place, why):
    points = np.concatenate([whole_spine(), [place]])
    values = np.ones(35)
    values[-1] = 0.8
    result = located(points, values=values)
    assert why in [reason for _, reason in result.rejected]
    assert len(result.laminae.positions()) == 34
    assert not result.laminae.is_provisional


def test_what_the_network_sees_beyond_the_scan_is_rejected():
    volume = grid()
    volume.array[:360] = 1.0
    result = located(np.concatenate([whole_spine(), [[370.0, 58.0, 20.0]]]), volume=volume)
    assert [why for _, why in result.rejected] == ["outside the scan"]
    assert not result.laminae.is_provisional


def test_a_spine_upside_down_is_not_reliable():
    points = whole_spine() * [-1, -1, 1] + [383, 95, 0]
    result = located(points, column=straight_column(grid(), 47.0))
    assert result.laminae.is_provisional
    assert not result.reliable
    assert "upside down" in result.notes[0]


def test_equal_spacing_is_not_named():
    points = [[15 + 21 * level, 48 + side * 10, 20] for level in range(17) for side in (-1, 1)]
    result = located(points)
    assert result.laminae.is_provisional
    assert "does not grow downwards" in result.notes[0]


# Bad input


def test_nothing_found_is_said():
    result = localize(np.zeros(SHAPE, np.float32), grid(), straight_column(grid()))
    assert len(result.laminae.positions()) == 0
    assert "No lamina" in result.notes[0]
    assert len(result.notes) == 1 or "no lamina" in result.notes[1]


def test_one_candidate_is_kept_but_not_trusted():
    result = located([[100, 58, 20]])
    assert list(result.laminae.positions()) == ["P01R"]
    assert not result.reliable
    assert result.laminae["P01R"].confidence <= 0.5
    assert "1 lamina was seen" in result.notes[0]


def test_one_side_alone_is_not_trusted_and_the_other_not_invented():
    result = located(whole_spine()[::2])
    assert not result.reliable
    assert {name[-1] for name in result.laminae.positions()} == {"L"}
    assert "17 laminae were seen where 34" in result.notes[0]


def test_two_spines_are_noticed():
    points = whole_spine()
    other = np.array([8, 44, 0])
    result = located(np.concatenate([points, points + other]) - np.array([0, 20, 0]))
    assert not result.reliable
    assert result.laminae.is_provisional
    assert "more than one spine" in result.notes[0]


def test_a_line_across_is_no_spine():
    result = located([[100, column, 20] for column in range(10, 90, 9)])
    assert not result.reliable
    assert len(result.laminae.positions()) <= 2


def test_random_echoes_are_not_trusted():
    rng = np.random.default_rng(0)
    points = np.column_stack([rng.uniform(5, 378, 60), rng.uniform(5, 90, 60), rng.uniform(5, 43, 60)])
    result = located(points)
    assert not result.reliable
    assert result.laminae.is_provisional
    assert result.suggested == {}


# What a person knows


def part(first, last):
    """The laminae of levels first to last, in a scan that shows no more."""
    points = whole_spine()[2 * first : 2 * last + 2]
    volume = grid()
    low, high = int(points[0, 0]) - 8, int(points[-1, 0]) + 9
    volume.array[low:high] = 1.0
    return points, volume


def test_a_part_of_a_spine_is_numbered():
    points, volume = part(3, 13)
    result = located(points, volume=volume)
    assert names_of(result) == [f"P{number:02d}{side}" for number in range(1, 12) for side in "LR"]
    assert result.reliable


def test_an_anchor_names_a_part_of_a_spine():
    points, volume = part(3, 13)
    t12 = VERTEBRAE.index("T12")
    place = volume.to_world(whole_spine()[2 * t12 : 2 * t12 + 2].mean(axis=0)[None])[0]
    result = located(points, Known(anchor=Anchor("T12", tuple(place))), volume=volume)
    assert names_of(result) == [vertebra + side for vertebra in VERTEBRAE[3:14] for side in "LR"]
    assert result.notes == ()


def test_a_wrong_anchor_shifts_the_names_as_the_user_says():
    """The user's word counts; the spacing does not overrule it."""
    points, volume = part(3, 13)
    t12 = VERTEBRAE.index("T12")
    place = volume.to_world(whole_spine()[2 * t12 : 2 * t12 + 2].mean(axis=0)[None])[0]
    result = located(points, Known(anchor=Anchor("T11", tuple(place))), volume=volume)
    assert names_of(result)[:2] == ["T3L", "T3R"]


def test_an_anchor_outside_the_scan_or_of_no_vertebra_is_refused():
    with pytest.raises(LaminaError, match="does not lie in the scan"):
        located(whole_spine(), Known(anchor=Anchor("T12", (0.0, 0.0, 900.0))))
    with pytest.raises(LaminaError, match="T13"):
        located(whole_spine(), Known(anchor=Anchor("T13", (0.0, 0.0, -100.0))))


def test_absent_vertebrae_are_marked_and_the_rest_is_named():
    points, volume = part(1, 16)
    result = located(points, Known(absent=("T1",)), volume=volume)
    assert names_of(result) == [vertebra + side for vertebra in VERTEBRAE[1:] for side in "LR"]
    assert result.laminae["T1L"].review is Review.absent


def test_an_absent_lamina_is_not_suggested():
    result = located(np.delete(whole_spine(), 9, axis=0), Known(absent=("T5R",)))
    assert result.laminae["T5R"].review is Review.absent
    assert result.laminae["T5R"].position is None
    assert result.suggested == {}


def test_an_absent_vertebra_that_does_not_exist_is_refused():
    with pytest.raises(LaminaError, match="L6"):
        located(whole_spine(), Known(absent=("L6",)))


@pytest.mark.parametrize(("thoracic", "lumbar"), [(12, 4), (11, 5), (13, 5), (12, 6), (11, 4)])
def test_other_numberings_are_named_by_their_count(thoracic, lumbar):
    numbering = Numbering(thoracic, lumbar)
    points = whole_spine(levels=len(numbering.vertebrae))
    result = located(points, Known(numbering=numbering))
    assert names_of(result) == list(numbering.slots)
    assert located(points).laminae.is_provisional


# Properties


@settings(max_examples=10, deadline=None)
@given(st.sets(st.integers(0, 33), max_size=5))
def test_a_mirrored_scan_gives_mirrored_names(missing):
    points = np.delete(whole_spine(), sorted(missing), axis=0)
    plain = located(points)
    swapped = located(points * [1, -1, 1] + [0, 95, 0], column=straight_column(grid(), 47.0))
    assert {opposite_of(name) for name in names_of(swapped)} == set(names_of(plain))
    for name in names_of(plain):
        assert np.allclose(
            np.array(swapped.laminae[opposite_of(name)].position) * [-1, 1, 1] + [95, 0, 0],
            plain.laminae[name].position,
            atol=1e-3,
        )
        assert swapped.laminae[opposite_of(name)].confidence == pytest.approx(plain.laminae[name].confidence, abs=1e-3)


@settings(max_examples=8, deadline=None)
@given(
    angles=st.tuples(*[st.floats(-180.0, 180.0)] * 3),
    shift=st.tuples(*[st.floats(-500.0, 500.0)] * 3),
    scale=st.floats(0.85, 1.15),
)
def test_a_moved_turned_or_scaled_scan_gives_the_same_names(angles, shift, scale):
    from scipy.spatial.transform import Rotation

    points = np.delete(whole_spine(spacing=20.0), [5, 22], axis=0)
    plain = grid()
    matrix = np.eye(4)
    matrix[:3, :3] = scale * Rotation.from_euler("xyz", angles, degrees=True).as_matrix()
    matrix[:3, 3] = shift
    turned = Volume(array=plain.array, matrix=matrix @ plain.matrix, axes="ARI", name="turned")
    one, other = located(points), located(points, volume=turned, column=straight_column(turned))
    assert names_of(other) == names_of(one) == [vertebra + side for vertebra in VERTEBRAE for side in "LR"]
    for name in names_of(one):
        before = np.append(one.laminae[name].position, 1.0)
        assert np.allclose(other.laminae[name].position, (matrix @ before)[:3], atol=2.0)


@settings(max_examples=8, deadline=None)
@given(st.randoms(use_true_random=False), st.sets(st.integers(0, 33), max_size=4))
def test_the_order_of_the_candidates_does_not_matter(random, missing):
    points = np.concatenate([np.delete(whole_spine(), sorted(missing), axis=0), [[147.0, 58.0, 20.0]]])
    plain = located(points)
    find = localization.find_candidates

    def shuffled(*given, **options):
        found = find(*given, **options)
        random.shuffle(found)
        return found

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(localization, "find_candidates", shuffled)
        again = located(points)
    assert again.laminae == plain.laminae
    assert again.notes == plain.notes
    assert again.suggested == plain.suggested
    assert [why for _, why in again.rejected] == [why for _, why in plain.rejected]
