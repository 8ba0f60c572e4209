"""Commitments in the forecast: each customer's own floor, from its first month to its last."""

import pytest

from quartermaster.kernel.errors import NotFoundError, UsageError
from quartermaster.revenue.floors import Floor, bound, owed
from quartermaster.revenue.forecast import OTHERS, Forecast, forecast
from quartermaster.revenue.judged import Fan
from quartermaster.revenue.suggest import suggest

MONTHS, STEPS = 30, 6
Series = dict[str, list[int]]


def book() -> Series:
    """Three customers that pay alike every month but for a little, and one that fades."""
    wave = [0, 300, -200, 100, -400, 200]
    found = {
        name: [level + wave[(at + shift) % 6] for at in range(MONTHS)]
        for name, level, shift in (("A", 90_000, 0), ("B", 50_000, 2), ("C", 20_000, 4))
    }
    found["D"] = [round(40_000 * 0.9**at) for at in range(MONTHS)]
    return found


def part(found: Forecast, name: str) -> Fan:
    return next(fan for fan in found.parts if fan.name == name)


def minors(fan: Fan) -> list[int]:
    return [point.minor for point in fan.points]


def test_owed_by_period_and_by_what_was_known() -> None:
    floors = [Floor(0, 4, 10), Floor(3, 9, 5), Floor(7, 8, 100)]
    assert owed(floors, 2, 8, today=True) == [10, 15, 15, 5, 5, 105, 105, 5]
    assert owed(floors, 2, 8, today=False) == [10, 10, 10, 0, 0, 0, 0, 0]
    assert bound([-3, 7, 2], [0, 5, 5]) == [-3, 7, 5]


@pytest.mark.parametrize("bad", [(3, 2, 1), (0, 1, -1)])
def test_a_floor_that_cannot_be_is_refused(bad: tuple[int, int, int]) -> None:
    with pytest.raises(UsageError):
        Floor(*bad)


def test_a_floor_binds_one_customer_until_it_ends() -> None:
    free = forecast(book(), steps=STEPS, top=4)
    floors = {"D": [Floor(MONTHS + 1, MONTHS + 3, 9_000)]}
    found = forecast(book(), steps=STEPS, top=4, floors=floors)
    before, after = minors(part(free, "D")), minors(part(found, "D"))
    assert max(before) < 9_000
    assert after == [before[0], 9_000, 9_000, 9_000, *before[4:]]
    added = sum(after) - sum(before)
    assert part(found, "D").topped_up == found.whole.topped_up == added
    assert found.whole.total.minor == free.whole.total.minor + added
    for name in "ABC":
        assert minors(part(found, name)) == minors(part(free, name))


def test_a_floor_below_the_forecast_changes_only_the_lower_ends() -> None:
    free = forecast(book(), steps=STEPS, top=4)
    least = part(free, "A").points[0].minor - 100
    found = forecast(book(), steps=STEPS, top=4, floors={"A": [Floor(0, MONTHS + 2, least)]})
    assert minors(found.whole) == minors(free.whole)
    for at, (ours, theirs) in enumerate(
        zip(part(found, "A").points, part(free, "A").points, strict=True)
    ):
        assert theirs.low is not None
        assert ours.low == (max(theirs.low, least) if at <= 2 else theirs.low)
        assert ours.high == theirs.high


def test_an_interval_under_a_floor_is_the_floor() -> None:
    found = forecast(book(), steps=STEPS, top=4, floors={"D": [Floor(0, MONTHS + 9, 30_000)]})
    assert all((p.low, p.minor, p.high) == (30_000,) * 3 for p in part(found, "D").points)
    assert part(found, "D").total.low == 6 * 30_000


def test_a_floor_in_the_pooled_tail_is_held_against_its_own_customer() -> None:
    """The tail as a whole brings more than the floor; D alone does not."""
    free = forecast(book(), steps=STEPS, top=1)
    own = minors(part(forecast(book(), steps=STEPS, top=4), "D"))
    found = forecast(book(), steps=STEPS, top=1, floors={"D": [Floor(0, MONTHS + 9, 9_000)]})
    assert min(minors(part(free, OTHERS))) > 9_000
    rises = [
        a - b for a, b in zip(minors(part(found, OTHERS)), minors(part(free, OTHERS)), strict=True)
    ]
    assert all(9_000 - value - 500 <= rise <= 9_000 for rise, value in zip(rises, own, strict=True))
    assert part(found, OTHERS).topped_up == sum(rises) == found.whole.topped_up > 0
    assert found.whole.total.minor == sum(fan.total.minor for fan in found.parts)


def test_without_a_customer_its_commitment_is_still_owed_until_it_ends() -> None:
    floors = {"A": [Floor(0, MONTHS + 1, 60_000)]}
    free = forecast(book(), steps=STEPS, without="A", top=4)
    found = forecast(book(), steps=STEPS, without="A", top=4, floors=floors)
    assert free.without is not None
    assert found.without is not None
    assert (free.without.owed, found.without.owed) == (0, 120_000)
    others = [sum(minors(part(found, name))[at] for name in "BCD") for at in range(STEPS)]
    assert minors(found.without) == [o + 60_000 * (at < 2) for at, o in enumerate(others)]
    assert found.whole.total.minor == free.whole.total.minor
    for ours, theirs in zip(found.without.points, free.without.points, strict=True):
        assert ours.low is not None
        assert theirs.low is not None
        assert ours.low - theirs.low == ours.minor - theirs.minor


def test_past_forecasts_knew_their_floors_and_are_better_for_it() -> None:
    """D pays its minimum from month 12 on: who knew that is less often surprised."""
    series = book()
    series["D"] = [
        max(value, 20_000) if at >= 12 else value for at, value in enumerate(series["D"])
    ]
    floors = {"D": [Floor(12, MONTHS + 9, 20_000)]}
    free, found = (forecast(series, steps=3, top=4, floors=one) for one in ({}, floors))
    width = [
        fan.whole.total.high - fan.whole.total.low
        for fan in (free, found)
        if fan.whole.total.high is not None and fan.whole.total.low is not None
    ]
    assert width[1] < width[0]
    assert found.whole.coverage is not None


def test_a_suggestion_counts_what_is_owed() -> None:
    series = book()
    free = suggest(series, steps=3, miss=0.2, beat=0.2, top=4)
    floors = {"D": [Floor(MONTHS, 99, 30_000)]}
    found = suggest(series, steps=3, miss=0.2, beat=0.2, top=4, floors=floors)
    assert found.forecast - free.forecast > 60_000
    assert found.low - free.low > 50_000


def test_a_floor_of_nobody_is_refused() -> None:
    with pytest.raises(NotFoundError, match="'E'"):
        forecast(book(), steps=3, floors={"E": [Floor(0, 1, 1)]})
