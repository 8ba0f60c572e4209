"""Simulated: looking every day alarms on no more ordinary accounts than stated, ever."""

import random

import pytest

from quartermaster.conduct.alarm import PLAYERS, Accumulator, Player, accumulate, bet, conformal_p

SEED = 20261123
KEY = bytes(range(32))
ACCOUNTS, DAYS = 120, 180
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


def test_a_campaign_that_begins_is_found_within_a_week() -> None:
    draw = random.Random(SEED)
    ordinary = reference(draw)
    delays = []
    for at, days in enumerate(accounts(draw, 60, 90)):
        started = [s if t < 60 else 9 + draw.gauss(0, 1) for t, s in enumerate(days)]
        found = accumulate(started, ordinary, KEY, str(at))
        delays.append(next((e.day - 60 for e in found if e.day > 60 and e.alarms(ALPHA)), 99))
    assert sorted(delays)[len(delays) // 2] <= 6, sorted(delays)
    assert max(delays) <= 7, sorted(delays)


def test_a_campaign_on_every_second_day_is_found_within_a_month() -> None:
    draw = random.Random(SEED)
    ordinary = reference(draw)
    delays = []
    for at, days in enumerate(accounts(draw, 40, 90)):
        started = [
            s if t < 60 or draw.random() < 0.5 else 9 + draw.gauss(0, 1) for t, s in enumerate(days)
        ]
        found = accumulate(started, ordinary, KEY, str(at))
        delays.append(next((e.day - 60 for e in found if e.day > 60 and e.alarms(ALPHA)), 99))
    assert sorted(delays)[len(delays) // 2] <= 22, sorted(delays)


def test_a_change_that_is_high_for_nobody_else_is_no_evidence() -> None:
    draw = random.Random(SEED)
    ordinary = reference(draw)
    launched = [[-4.0 + draw.gauss(0, 1) + (3 if t >= 60 else 0) for t in range(90)] for _ in "ab"]
    assert ever(launched, ordinary) == 0


@pytest.mark.parametrize("before", [14, 28, 60, 400])
@pytest.mark.parametrize("since", [0, 1, 5, 30])
@pytest.mark.parametrize("player", PLAYERS)
def test_the_bet_is_fair_and_pays_no_more_for_a_larger_p(
    before: int, since: int, player: Player
) -> None:
    steps = 10_000
    grid = [(at + 0.5) / steps for at in range(steps)]
    paid = [bet(p, before, since, player) for p in grid]
    assert sum(paid) / steps == pytest.approx(1, abs=0.01)
    assert paid == sorted(paid, reverse=True)


def test_evidence_is_the_same_when_it_is_counted_again() -> None:
    draw = random.Random(SEED)
    ordinary = reference(draw)
    scores = [draw.gauss(0, 1) + (6 if t > 40 else 0) for t in range(50)]
    first = accumulate(scores, ordinary, KEY, "a")
    again = Accumulator("a", KEY)
    for score, found in zip(scores[:-1], first, strict=False):
        again.again(score, max(found.p_population, found.p_own))
    assert again.add(scores[-1], ordinary) == first[-1]


def test_days_without_ranks_are_a_past_and_no_evidence() -> None:
    draw = random.Random(SEED)
    run = Accumulator("a", KEY)
    for _ in range(60):
        run.again(draw.gauss(0, 1), None)
    assert run.add(0.0, reference(draw)).value < 2
