import math

import pytest

from LaminaSegmentationLib import pace as pace_module
from LaminaSegmentationLib.pace import Pace


@pytest.fixture
def clock(monkeypatch):
    """A clock that stands still until a test moves it."""
    hands = [0.0]
    monkeypatch.setattr(pace_module.time, "monotonic", lambda: hands[0])
    return hands


def step(pace, clock, seconds):
    with pace.step():
        clock[0] += seconds


def test_a_slow_first_step_is_forgotten(clock):
    pace = Pace(None, validations=2)
    step(pace, clock, 60.0)
    step(pace, clock, 1.0)
    assert pace.step_seconds == 1.0
    step(pace, clock, 2.0)
    assert pace.step_seconds == pytest.approx(1.1)


def test_a_validation_is_guessed_until_it_was_timed(clock):
    pace = Pace(100.0, validations=5)
    step(pace, clock, 2.0)
    assert pace.validation_seconds == 10.0
    with pace.validation():
        clock[0] += 4.0
    step(pace, clock, 2.0)
    assert pace.validation_seconds == 4.0
    assert pace.estimate(steps=10, validations=2) == pytest.approx(28.0)


def test_a_step_fits_if_the_validation_after_it_does_too(clock):
    pace = Pace(20.0, validations=3)
    step(pace, clock, 4.0)
    assert pace.left() == 16.0
    assert not pace.fits_step()  # 4 for the step and 12 for the validation leave nothing
    with pace.validation():
        clock[0] += 5.0
    assert pace.fits_step()


def test_the_share_of_the_limit_counts_earlier_calls(clock):
    pace = Pace(100.0, validations=1, earlier=300.0)
    assert pace.share() == 0.75
    clock[0] += 50.0
    assert pace.share() == 0.875
    assert pace.estimate(steps=1000, validations=0) == 0.0


def test_without_a_limit_everything_fits(clock):
    pace = Pace(None, validations=1)
    clock[0] += 1e9
    assert pace.fits_step()
    assert pace.left() == math.inf
    assert pace.share() == 0.0
