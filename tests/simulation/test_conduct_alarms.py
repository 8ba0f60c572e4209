"""Simulated: looking every day alarms on no more ordinary accounts than stated, ever."""

import random
from collections.abc import Callable

import pytest

from quartermaster.conduct.alarm import accumulate, bet, conformal_p

SEED = 20261123
KEY = bytes(range(32))
ACCOUNTS, DAYS = 300, 180
ALPHA = 0.05


def accounts(draw: random.Random, count: int, days: int) -> list[list[float]]:
    """Accounts of very different levels: some are high every day of their life."""
    return [
        [level + draw.gauss(0, 1) for _ in range(days)]
        for level in (draw.gauss(0, 2) for _ in range(count))
    ]


def reference(draw: random.Random) -> list[float]:
    return [days[0] for days in accounts(draw, 500, 1)]


def ever(scores: list[list[float]], ordinary: list[float]) -> float:
    hits = [
        any(e.alarms(ALPHA) for e in accumulate(days, ordinary, KEY, str(at)))
        for at, days in enumerate(scores)
    ]
    return sum(hits) / len(hits)


def test_ordinary_accounts_are_rarely_alarmed_on_in_half_a_year() -> None:
    draw = random.Random(SEED)
    ordinary = reference(draw)
    share = ever(accounts(draw, ACCOUNTS, DAYS), ordinary)
    assert share <= ALPHA + 2.3 * (ALPHA * (1 - ALPHA) / ACCOUNTS) ** 0.5, f"seed {SEED}"


def test_a_daily_line_of_the_same_level_alarms_on_far_more() -> None:
    draw = random.Random(SEED)
    ordinary = reference(draw)
    days = accounts(draw, ACCOUNTS, DAYS)
    naive = sum(any(conformal_p(ordinary, s) <= ALPHA for s in one) for one in days) / ACCOUNTS
    assert naive > 5 * ALPHA


def test_a_campaign_that_begins_is_found_within_a_fortnight() -> None:
    draw = random.Random(SEED)
    ordinary = reference(draw)
    delays = []
    for at, days in enumerate(accounts(draw, 60, 90)):
        started = [s if t < 60 else 9 + draw.gauss(0, 1) for t, s in enumerate(days)]
        found = accumulate(started, ordinary, KEY, str(at))
        delays.append(next((e.day - 60 for e in found if e.day > 60 and e.alarms(ALPHA)), 99))
    assert sorted(delays)[len(delays) // 2] <= 14, sorted(delays)


def test_a_change_that_is_high_for_nobody_else_is_no_evidence() -> None:
    draw = random.Random(SEED)
    ordinary = reference(draw)
    launched = [[-4.0 + draw.gauss(0, 1) + (3 if t >= 60 else 0) for t in range(90)] for _ in "ab"]
    assert ever(launched, ordinary) == 0


@pytest.mark.parametrize("steps", [20_000])
def test_the_bet_is_fair(steps: int) -> None:
    # Mean over uniform p on a fine grid in log p, where the integrand lives.
    total, last = 0.0, 0.0
    for at in range(1, steps + 1):
        p = 10 ** (-12 * (1 - at / steps))
        total += bet(p) * (p - last)
        last = p
    assert total == pytest.approx(1, abs=0.08)  # p below 1e-12 holds 1 / ln(1e12) = 0.04
    decreasing: Callable[[float], float] = bet
    values = [decreasing(p) for p in (1e-9, 1e-4, 0.01, 0.2, 0.9, 0.9995, 1.0)]
    assert values == sorted(values, reverse=True)
