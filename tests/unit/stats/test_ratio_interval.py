"""The interval of a ratio: what it needs, what it scales with, and where it has no width."""

import random

import pytest

from quartermaster.kernel.errors import UsageError
from quartermaster.stats.ratio_interval import critical_value, ratio_interval


def months(count: int, seed: int = 1, times: int = 1) -> list[tuple[int, int]]:
    draw = random.Random(seed)
    return [(times * draw.randint(15, 35), times * 100) for _ in range(count)]


def test_it_holds_the_ratio_and_does_not_depend_on_the_unit() -> None:
    found = ratio_interval(months(12))
    assert found is not None
    ratio = sum(part for part, _ in months(12)) / 1_200
    assert found[0] < ratio < found[1]
    assert ratio_interval(months(12, times=1_000)) == pytest.approx(found)


def test_more_months_are_surer() -> None:
    widths = []
    for count in (12, 24, 48, 96, 200):
        found = ratio_interval(months(count))
        assert found is not None
        widths.append(found[1] - found[0])
    assert widths == sorted(widths, reverse=True)


def test_months_that_hang_together_and_few_months_are_less_sure() -> None:
    assert critical_value(12, 0.0) == pytest.approx(1.52, abs=0.01)
    for near in (0.0, 0.3, 0.6):
        values = [critical_value(count, near) for count in (12, 13, 18, 30, 90, 120, 500)]
        assert values == sorted(values, reverse=True)
    assert critical_value(12, 0.6) > critical_value(12, 0.3) > critical_value(12, 0.0)


def test_a_ratio_that_never_moves_has_no_width() -> None:
    assert ratio_interval([(3 * n, 7 * n) for n in range(1, 13)]) == pytest.approx((3 / 7, 3 / 7))


def test_too_few_months_or_no_whole() -> None:
    assert ratio_interval(months(11)) is None
    with pytest.raises(UsageError, match="positive whole"):
        ratio_interval([(1, 0)] * 12)
