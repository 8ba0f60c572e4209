"""The book ahead: totals are exact sums, nothing is known too early, gaps in knowledge are said."""

import math
import random

import pytest

from quartermaster.kernel.errors import NotFoundError, UsageError
from quartermaster.revenue.forecast import OTHERS, Forecast, forecast
from quartermaster.revenue.origins import Origins
from quartermaster.revenue.suggest import suggest, windows_needed
from quartermaster.stats.forecast import ORIGIN_MIN

Series = dict[str, list[int]]


def book(months: int = 36, customers: int = 8, seed: int = 5) -> Series:
    draw = random.Random(seed)
    found: Series = {}
    for at in range(customers):
        level = 12.0 - at / 2
        values = []
        for _ in range(months):
            level += 0.02 + draw.gauss(0, 0.05)
            values.append(round(math.exp(level)))
        found[f"customer {at}"] = values
    return found


@pytest.fixture(scope="module")
def found() -> Forecast:
    return forecast(book(), steps=6, without="customer 1", top=3)


def test_totals_are_exactly_the_sums_of_their_parts(found: Forecast) -> None:
    assert found.without is not None
    gone = next(fan for fan in found.parts if fan.name == "customer 1")
    for step, point in enumerate(found.whole.points):
        assert point.minor == sum(fan.points[step].minor for fan in found.parts)
        assert found.without.points[step].minor == point.minor - gone.points[step].minor
    assert found.whole.total.minor == sum(fan.total.minor for fan in found.parts)
    assert found.whole.total.minor == sum(point.minor for point in found.whole.points)


def test_the_large_are_named_and_the_rest_is_pooled(found: Forecast) -> None:
    assert [fan.name for fan in found.parts] == ["customer 0", "customer 1", "customer 2", OTHERS]
    assert [fan.pooled for fan in found.parts] == [0, 0, 0, 5]


def test_who_is_left_out_is_named_however_small() -> None:
    found = forecast(book(), steps=2, without="customer 7", top=2)
    assert [fan.name for fan in found.parts][-2:] == ["customer 7", OTHERS]


def test_every_customer_named_leaves_no_tail() -> None:
    found = forecast(book(customers=3), steps=2, top=10)
    assert [fan.name for fan in found.parts] == ["customer 0", "customer 1", "customer 2"]
    assert found.without is None


def test_intervals_hold_the_point_and_their_coverage_is_told(found: Forecast) -> None:
    for fan in (found.whole, found.without, *found.parts):
        assert fan is not None
        for point in (*fan.points, fan.total):
            assert point.low is not None
            assert point.high is not None
            assert 0 <= point.low <= point.minor <= point.high
            assert point.measured
        assert fan.coverage is not None
        assert fan.coverage.low <= fan.coverage.rate <= fan.coverage.high
        assert fan.coverage.windows > 0
    assert found.origins == 36 - ORIGIN_MIN


def test_beyond_what_was_measured_intervals_are_stretched_and_say_so() -> None:
    found = forecast(book(months=20), steps=12).whole
    measured = [point.measured for point in found.points]
    assert measured == [True] * 5 + [False] * 7
    assert not found.total.measured

    def part(at: int) -> float:
        high = found.points[at].high
        assert high is not None
        return (high - found.points[at].minor) / found.points[at].minor

    assert part(11) == pytest.approx(part(4) * math.sqrt(12 / 5), rel=1e-3)


def test_a_short_history_has_a_forecast_and_no_interval() -> None:
    found = forecast(book(months=8), steps=3).whole
    assert [point.low for point in (*found.points, found.total)] == [None] * 4
    assert found.coverage is None


def test_a_past_origin_knows_nothing_later() -> None:
    series, origin = book(), 20
    later = {name: values[:origin] + values[:16] for name, values in series.items()}
    window = Origins(series, steps=3, top=3, season=12).window(origin)
    assert Origins(later, steps=3, top=3, season=12).window(origin) == window
    alone = {name: values[:origin] for name, values in series.items()}
    assert Origins(alone, steps=3, top=3, season=12).window(origin) == window


def test_who_is_named_at_an_origin_is_who_was_large_then() -> None:
    series = book()
    series["late"] = [0] * 30 + [10**9] * 6
    origins = Origins(series, steps=2, top=2, season=12)
    assert "late" not in origins.chosen(30)
    assert origins.chosen(36)[0] == "late"


def test_nothing_counts_before_a_customer_came() -> None:
    series = book()
    series["late"] = [0] * 20 + [10**6] * 16
    past = Origins(series, steps=2, top=2, season=12).past_part("late")
    assert past.paths[0][0] == 20 + ORIGIN_MIN
    newcomer = {**book(), "new": [0] * 30 + [10**7] * 6}
    fan = forecast(newcomer, steps=2, top=2).parts[0]
    assert (fan.name, fan.points[0].low, fan.coverage) == ("new", None, None)


def test_the_same_book_gives_the_same_forecast() -> None:
    assert forecast(book(), steps=3) == forecast(book(), steps=3)


def test_days_have_weeks() -> None:
    week = (13, 12, 11, 11, 10, 6, 5)
    series = {"a": [1000 * week[at % 7] for at in range(84)], "b": [500] * 84}
    found = forecast(series, steps=7, season=7)
    assert [point.minor for point in found.whole.points] == pytest.approx(
        [1000 * day + 500 for day in week], rel=0.03
    )


@pytest.mark.parametrize(
    ("series", "options", "says"),
    [
        ({}, {}, "needs customers"),
        ({"a": [1] * 9, "b": [1] * 8}, {}, "same periods"),
        ({"a": [1] * 5}, {}, "needs 6 periods"),
        ({"a": [1] * 9}, {"steps": 0}, "1 to 60"),
        ({"a": [1] * 9}, {"top": 0}, "1 to 100"),
        ({"a": [1] * 9}, {"level": 1.0}, "between 0 and 1"),
    ],
)
def test_what_cannot_be_forecast_is_refused(
    series: Series, options: dict[str, float], says: str
) -> None:
    steps, top = int(options.get("steps", 1)), int(options.get("top", 1))
    with pytest.raises(UsageError, match=says):
        forecast(series, steps=steps, top=top, level=options.get("level", 0.8))


def test_an_unknown_customer_is_not_found() -> None:
    with pytest.raises(NotFoundError, match="no customer 'CUSTOMER'") as error:
        forecast(book(), steps=1, without="CUSTOMER")
    assert "customer 0" in error.value.hint


# --- suggested guidance ---------------------------------------------------------------------


def test_a_suggestion_has_its_chances_and_its_record() -> None:
    found = suggest(book(months=48), steps=3, miss=0.2, beat=0.1, top=3)
    assert found.low < found.high
    assert found.windows == 48 - ORIGIN_MIN - 3 + 1
    assert found.replayed is not None
    assert found.replayed.misses.windows == found.replayed.chances.count
    assert float(found.replayed.chances.expected) == pytest.approx(
        0.2 * found.replayed.chances.count
    )


def test_a_smaller_chance_of_a_miss_is_a_lower_end() -> None:
    careful = suggest(book(months=48), steps=1, miss=0.05, beat=0.3, top=3)
    bold = suggest(book(months=48), steps=1, miss=0.4, beat=0.3, top=3)
    assert careful.low < bold.low
    assert careful.high == bold.high


def test_a_chance_that_no_window_shows_is_refused() -> None:
    assert [windows_needed(chance) for chance in (0.2, 0.1, 0.05, 0.01)] == [10, 10, 19, 99]
    with pytest.raises(UsageError, match="5% needs 19 past windows"):
        suggest(book(months=24), steps=3, miss=0.05, beat=0.2, top=3)
    for miss, beat in ((0.0, 0.2), (0.2, 0.6)):
        with pytest.raises(UsageError, match="chances"):
            suggest(book(), steps=1, miss=miss, beat=beat, top=3)


def test_stated_chances_come_true() -> None:
    """Of many made-up books, a fifth ends below the low end and a tenth above the high one."""
    missed, beaten, runs = 0, 0, 400
    for seed in range(runs):
        series = book(months=33, customers=2, seed=seed)
        known = {name: values[:30] for name, values in series.items()}
        found = suggest(known, steps=3, miss=0.2, beat=0.1, top=2)
        came = sum(sum(values[30:]) for values in series.values())
        missed += came < found.low
        beaten += came > found.high
    assert 0.15 <= missed / runs <= 0.25, f"seeds 0 to {runs - 1}: {missed / runs}"
    assert 0.06 <= beaten / runs <= 0.15, f"seeds 0 to {runs - 1}: {beaten / runs}"
