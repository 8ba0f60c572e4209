"""Block bootstrap of a rate: its coverage with dependent windows, and where it knows nothing."""

import random

import pytest

from quartermaster.kernel.errors import UsageError
from quartermaster.stats.bootstrap import block_rate

SEED = 11
"""Of the simulation; printed where it fails."""
RATE, WINDOWS, RUNS = 0.8, 400, 200


def sticky(draw: random.Random) -> list[tuple[int, int]]:
    """Hits that stay as they are for a while, as overlapping windows do; a rate of 0.8."""
    hit, found = draw.random() < RATE, []
    for _ in range(WINDOWS):
        hit = hit if draw.random() < 0.6 else draw.random() < RATE
        found.append((int(hit), 1))
    return found


def covered(block: int) -> float:
    draw = random.Random(SEED)
    inside = 0
    for run in range(RUNS):
        rate = block_rate(sticky(draw), block=block, seed=run, draws=200)
        inside += rate.low <= RATE <= rate.high
    return inside / RUNS


def test_blocks_cover_what_single_windows_do_not() -> None:
    blocks, single = covered(12), covered(1)
    assert blocks >= 0.82, f"seed {SEED}: {blocks}"
    assert single <= 0.75, f"seed {SEED}: {single}"


def test_the_same_seed_gives_the_same_interval() -> None:
    windows = sticky(random.Random(1))
    assert block_rate(windows, block=5, seed=3) == block_rate(windows, block=5, seed=3)
    assert block_rate(windows, block=5, seed=3) != block_rate(windows, block=5, seed=4)


def test_windows_of_one_time_stay_together() -> None:
    found = block_rate([(2, 4), (4, 4)], block=1, seed=0)
    assert (found.hits, found.windows, found.rate) == (6, 8, 0.75)
    assert (found.low, found.high) == (0.5, 1.0)


def test_all_hits_are_not_certainty() -> None:
    every = block_rate([(1, 1)] * 8, block=2, seed=0)
    assert (every.rate, every.high) == (1.0, 1.0)
    assert every.low == pytest.approx(0.05 ** (1 / 4))
    none = block_rate([(0, 1)] * 8, block=2, seed=0)
    assert none.low == 0.0
    assert none.high == pytest.approx(1 - 0.05 ** (1 / 4))


def test_nothing_has_no_rate() -> None:
    for windows in ([], [(0, 0)]):
        with pytest.raises(UsageError):
            block_rate(windows, block=1, seed=0)
