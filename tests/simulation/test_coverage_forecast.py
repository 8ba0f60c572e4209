"""Intervals hold as often as they say: in made-up worlds by count, on metered usage by blocks."""

import gzip
from collections import Counter

import pytest
from tests.public_data import public_file

from bench.forecast_parts.worlds import WORLDS, one_window
from quartermaster.revenue.judged import scores
from quartermaster.revenue.origins import Past
from quartermaster.stats.bootstrap import block_rate
from quartermaster.stats.conformal import upper_bound
from quartermaster.stats.forecast import ORIGIN_MIN, paths

WINDOWS = 2_000
MISS = 0.2
LOG = "panels/HPC2N-2002-2.2-cln.swf.gz"
DAY_S = 86_400


def share_held(months: int, steps: int, windows: int) -> tuple[float, float]:
    """Coverage of ours and of the naive setting over independent windows, all worlds alike."""
    each = windows // len(WORLDS)
    ours = naive = 0
    for name in WORLDS:
        for seed in range(each):
            held = one_window(name, seed, months=months, steps=steps, miss=MISS)
            ours += held.ours
            naive += held.naive
    count = each * len(WORLDS)
    return ours / count, naive / count


def test_eighty_percent_intervals_hold_eighty_percent() -> None:
    ours, naive = share_held(months=30, steps=3, windows=WINDOWS)
    print(f"seeds 0 to {WINDOWS // len(WORLDS) - 1} of {', '.join(WORLDS)}: {ours}, naive {naive}")
    assert 0.77 <= ours <= 0.83
    assert naive < 0.70, "the naive setting is what we warn of"


@pytest.mark.long
@pytest.mark.parametrize(("months", "steps"), [(24, 1), (24, 3), (42, 1), (42, 3), (60, 6)])
def test_other_histories_and_horizons(months: int, steps: int) -> None:
    ours, naive = share_held(months, steps, 5 * WINDOWS)
    print(f"{months} months, {steps} ahead: {ours}, naive {naive}")
    assert 0.77 <= ours <= 0.83


def daily_cpu_hours() -> list[int]:
    """CPU-hours a day of a real cluster over 3.5 years; the cut last day is left out."""
    hours: Counter[int] = Counter()
    with gzip.open(public_file(LOG), "rt", errors="replace") as file:
        for line in file:
            fields = line.split()
            if not line.startswith(";") and len(fields) > 11 and float(fields[3]) > 0:
                at = int(fields[1]) // DAY_S
                hours[at] += round(float(fields[3]) * max(float(fields[4]), 0) / 3600)
    return [hours[at] for at in range(max(hours))]


@pytest.mark.parametrize("days", [7, pytest.param(28, marks=pytest.mark.long)])
def test_metered_usage_by_day_is_covered(days: int) -> None:
    series = daily_cpu_hours()
    found = paths([float(value) for value in series], horizon=days, season=7)
    past = Past(list(zip(range(ORIGIN_MIN, len(series)), found, strict=False)), series)
    errors = [abs(error) for error in scores(past, 7, 0, days)]
    hits = upper_bound(errors, miss=MISS, delay=days).hits
    rate = block_rate([(int(hit), 1) for hit in hits], block=2 * days, seed=0)
    print(f"{rate.rate} of {rate.windows}, blocks {rate.low} to {rate.high}")
    assert rate.low <= 1 - MISS <= rate.high
    assert rate.high - rate.low < 0.2, "an interval that holds everything shows nothing"
