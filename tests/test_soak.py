from __future__ import annotations

import pytest

from tests.soak.__main__ import judge
from tests.soak.slopes import Slope, slope_of

HOURS = [number / 10 for number in range(12)]
NOISE = [0.3, -0.2, 0.1, -0.4, 0.2, 0.4, -0.1, -0.3, 0.0, 0.3, -0.2, -0.1]


def test_a_line_without_noise_has_its_own_slope() -> None:
    slope = slope_of(HOURS, [5.0 + 3.0 * hour for hour in HOURS])
    assert (slope.per_hour, slope.low, slope.high) == pytest.approx((3.0, 3.0, 3.0))


def test_the_interval_is_that_of_a_textbook() -> None:
    # By hand: the squares around the middles sum to 10, 6.8 and 6 across; 3.2 are left of 6.8;
    # Student's t for 3 degrees of freedom is 3.182.
    slope = slope_of([1, 2, 3, 4, 5], [2, 1, 4, 3, 4])
    assert slope.per_hour == pytest.approx(0.6)
    assert slope.high - slope.low == pytest.approx(2 * 3.182446 * (3.2 / 3 / 10) ** 0.5)


@pytest.mark.parametrize(
    ("slope", "noise", "grows"),
    [
        (Slope(per_hour=2.0, low=1.5, high=2.5), 1.0, True),
        (Slope(per_hour=2.0, low=0.5, high=3.5), 1.0, False),
        (Slope(per_hour=0.0, low=0.0, high=0.0), 0.0, False),
        (Slope(per_hour=-9.0, low=-9.5, high=-8.5), 0.0, False),
    ],
)
def test_only_sure_growth_counts(slope: Slope, noise: float, *, grows: bool) -> None:
    assert slope.grows(noise) is grows


@pytest.mark.parametrize(("leak", "fine"), [(0.0, True), (8.0, False)])
def test_a_leak_is_told_from_noise(
    leak: float, capsys: pytest.CaptureFixture[str], *, fine: bool
) -> None:
    hours = [number / 10 for number in range(30)]
    samples = [
        {"memory_mb": 60 + leak * hour + NOISE[number % 12], "handles": 20.0}
        for number, hour in enumerate(hours)
    ]
    assert judge(hours, samples) is fine
    said = capsys.readouterr().out
    assert ("GROWS memory_mb" in said) is not fine
    assert "flat  handles" in said


def test_what_has_caches_may_grow_while_they_fill() -> None:
    hours = [number / 10 for number in range(30)]
    filling = [{"memory_mb": 50 + 9 * hour, "handles": 20.0} for hour in hours]
    assert judge(hours, filling, warm=False)
    leaking = [{"memory_mb": 50.0, "handles": 20 + 9 * hour} for hour in hours]
    assert not judge(hours, leaking, warm=False)
