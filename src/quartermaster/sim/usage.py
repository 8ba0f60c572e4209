"""Sample usage by day: two years of tokens of the sample book's customers, all invented.

Only sizes and names come from the sample book. The ups and downs are drawn here, and five customers
play a part, so that a newcomer sees what early warning finds: one fades out, one moves to the
cheapest model, one empties its workloads, one compares models and declines, one nears its notice.
"""

import calendar
import math
import random
from datetime import date, datetime, timedelta

import msgspec

from quartermaster.exposure.months import MONTHS_A_YEAR, month_number
from quartermaster.exposure.rows import RevenueRow
from quartermaster.kernel.clock import as_instant, zone
from quartermaster.kernel.contract import Commitment, Contract
from quartermaster.sim.book import sample_book

DAYS = 730
"""As long as the sample book."""
SEED = 20_240_331
MODELS = {"large-model": 10.0, "small-model": 0.6}
"""Names and prices of a million tokens, invented."""
WORKLOADS = ("assistant", "search", "batch")
WORKLOAD_PARTS = (0.5, 0.3, 0.2)
ZONE = "UTC"

# Sample shape, not data. Tokens a cent: only the scale of the axis hangs on it.
_TOKENS_A_CENT = 1_000.0
_WEEKEND = 0.55
_DAY_NOISE = 0.12
# A change of level every three years on average, of the big ones every eight.
_JUMPS_A_DAY, _JUMPS_A_DAY_LARGE = 1 / 1_000, 1 / 3_000
_JUMP_MEAN, _JUMP_SPREAD = -0.9, 0.6
_RETURN = 0.003
_LARGE_RANKS = 6
_LARGE_MODEL_PART = 0.8

FADES, CHEAPENS, EMPTIES, EVALUATES, NEARS_NOTICE = (2, 4, 7, 10, 5)
"""Ranks by revenue of the customers that play a part."""
_FADE_DAYS, _FADED_DAYS = 84.0, 52
_EMPTIED_AGO = (75, 48)
_BURST_AGO, _BURST_DAYS = 62, 6


class SampleFact(msgspec.Struct, frozen=True):
    """A published fact that the sample ledger takes in, in both languages, with its source."""

    customer: str
    kind: str
    on: date
    de: str
    en: str
    source: str


class SampleUsage(msgspec.Struct, frozen=True):
    """Tokens by customer and day; every list is of the same days."""

    first_day: date
    by_model: dict[str, dict[str, list[float]]]
    """By customer and model."""
    by_workload: dict[str, dict[str, list[float]]]
    contracts: dict[str, tuple[Contract, ...]]
    facts: tuple[SampleFact, ...]

    @property
    def last_day(self) -> date:
        """The newest day."""
        return self.first_day + timedelta(days=DAYS - 1)


def sample_usage(seed: int = SEED) -> SampleUsage:
    """The sample's usage; the same seed gives the same days."""
    rows = sample_book()
    last = max(row.month for row in rows)
    year, month = divmod(month_number(last), MONTHS_A_YEAR)
    month += 1
    last_day = date(year, month, calendar.monthrange(year, month)[1])
    draw = random.Random(seed)  # noqa: S311 - a reproducible world, not a secret
    sizes = _sizes(rows, last)
    by_model, by_workload = {}, {}
    for rank, (customer, minor) in enumerate(sizes, start=1):
        days = _days(rank, minor / calendar.monthrange(year, month)[1], last_day, draw)
        by_model[customer] = _models(rank, days)
        by_workload[customer] = _workloads(rank, days)
    return SampleUsage(
        first_day=last_day - timedelta(days=DAYS - 1),
        by_model=by_model,
        by_workload=by_workload,
        contracts={
            customer: (_contract(rank, customer, minor, last_day),)
            for rank, (customer, minor) in enumerate(sizes, start=1)
        },
        facts=(
            SampleFact(
                sizes[0][0],
                "conduct_suspicion",
                date(2023, 12, 15),
                "ByteDance soll mit Technik von OpenAI ein eigenes Modell entwickelt haben; OpenAI "
                "sperrte das Konto, um zu prüfen.",
                "ByteDance is reported to have used OpenAI's technology to develop its own model; "
                "OpenAI suspended the account to investigate.",
                "The Verge, 2023-12-15",
            ),
        ),
    )


def _sizes(rows: tuple[RevenueRow, ...], last: str) -> list[tuple[str, int]]:
    totals: dict[str, int] = {}
    for row in rows:
        if row.month == last:
            totals[row.group] = totals.get(row.group, 0) + row.minor
    return sorted(totals.items(), key=lambda entry: (-entry[1], entry[0]))


def _days(rank: int, a_day: float, last_day: date, draw: random.Random) -> list[float]:
    """Level, weekday and noise; the level jumps, and returns slowly to where it was."""
    large = rank <= _LARGE_RANKS
    level, found = 0.0, []
    for back in range(DAYS - 1, -1, -1):
        # The largest is the scenario's own customer, of whom no such fall is told.
        often = 0.0 if rank == 1 else _JUMPS_A_DAY_LARGE if large else _JUMPS_A_DAY
        jumps = draw.random() < often
        level += draw.gauss(_JUMP_MEAN, _JUMP_SPREAD) if jumps else -_RETURN * level
        weekend = (last_day - timedelta(days=back)).weekday() >= calendar.SATURDAY
        growth = math.exp(-0.0004 * back)
        amount = a_day * _TOKENS_A_CENT * growth * math.exp(level + _DAY_NOISE * draw.gauss(0, 1))
        found.append(round(amount * (_WEEKEND if weekend else 1.0) * _played(rank, back)))
    return [float(amount) for amount in found]


def _played(rank: int, back: int) -> float:
    """What the customer's part does to a day so many days before the last."""
    if rank == FADES and back < _FADED_DAYS:
        return max(0.0, 1 - (_FADED_DAYS - back) / _FADE_DAYS)
    if rank == EVALUATES and back < _BURST_AGO:
        return 4.0 if back >= _BURST_AGO - _BURST_DAYS else 0.55
    if rank == EMPTIES:
        gone = zip(_EMPTIED_AGO, WORKLOAD_PARTS, strict=False)
        return 1 - sum(part for ago, part in gone if back < ago)
    return 1.0


def _models(rank: int, days: list[float]) -> dict[str, list[float]]:
    count = len(days)
    parts = [
        0.25 if rank == CHEAPENS and at >= count - 40 else _LARGE_MODEL_PART for at in range(count)
    ]
    large = [round(amount * part) * 1.0 for amount, part in zip(days, parts, strict=True)]
    small = [amount - one for amount, one in zip(days, large, strict=True)]
    return dict(zip(MODELS, (large, small), strict=True))


def _workloads(rank: int, days: list[float]) -> dict[str, list[float]]:
    if rank != EMPTIES:
        return {
            name: [amount * part for amount in days]
            for name, part in zip(WORKLOADS, WORKLOAD_PARTS, strict=True)
        }
    found: dict[str, list[float]] = {name: [] for name in WORKLOADS}
    for at, amount in enumerate(days):
        back = len(days) - 1 - at
        left = [
            0.0 if number < len(_EMPTIED_AGO) and back < _EMPTIED_AGO[number] else part
            for number, part in enumerate(WORKLOAD_PARTS)
        ]
        whole = sum(left)
        for name, part in zip(WORKLOADS, left, strict=True):
            found[name].append(amount * part / whole)
    return found


def _contract(rank: int, customer: str, minor: int, last_day: date) -> Contract:
    """Every sample customer has one contract; one of them is near its last day of notice."""
    begun = date(last_day.year - 1, 6, 1)
    ends = date(last_day.year, 6, 1) if rank == NEARS_NOTICE else date(last_day.year + 1, 6, 1)
    commitments: tuple[Commitment, ...] = ()
    if rank == NEARS_NOTICE:
        # Ten months of its bill for a year that has two months left.
        commitments = (Commitment(minor * 10, _instant(begun), _instant(ends), "term"),)
    return Contract(
        id=f"sample-{rank:02d}",
        version=1,
        customer=customer,
        price_book="sample",
        currency="USD",
        time_zone=ZONE,
        valid_from=_instant(begun),
        end=_instant(ends),
        renewal="automatic",
        commitments=commitments,
        sample=True,
    )


def _instant(day: date) -> int:
    return as_instant(datetime(day.year, day.month, day.day, tzinfo=zone(ZONE)))
