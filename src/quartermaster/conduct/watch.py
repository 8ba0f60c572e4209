"""Many accounts' days in their order: each against its past, with the evidence so far.

Sketches of 28 days are held for each account, some 180 bytes a request in the sample: a thousand
accounts with sixty requests a day take 300 MB.
"""

from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence

import msgspec

from quartermaster.conduct.alarm import Accumulator, Evidence
from quartermaster.conduct.daily import HARVEST_BOUNDS, DayScore, judge_day
from quartermaster.conduct.declared import Terms
from quartermaster.conduct.history import PAST_DAYS
from quartermaster.conduct.model import Model, shipped
from quartermaster.conduct.observe import Observer
from quartermaster.conduct.records import AccountDay
from quartermaster.conduct.sketch import DaySketch, sketched
from quartermaster.kernel.errors import DataError

ORDINARY_MIN = 19
"""With fewer ordinary tenants no p-value reaches 5 %, and ranks among them say nothing."""


class Watched(msgspec.Struct, frozen=True):
    """A day of a known account, and what has accumulated of it."""

    found: DayScore
    evidence: Evidence | None
    """`None` where no ordinary tenants were given to rank it among."""


def watch_days(
    days: Iterable[AccountDay],
    observer: Observer,
    key: bytes,
    *,
    ordinary: Sequence[float] = (),
    terms: Mapping[str, Terms] | None = None,
    model: Model | None = None,
) -> Iterator[Watched]:
    """Judge each day that has enough of a past.

    Args:
        days: account-days; of one account in the order of time.
        observer: reads requests; made from the same key.
        key: the deployment's key.
        ordinary: one score for each ordinary tenant, see `ordinary_scores`; may be empty.
        terms: what contracts permit, by account.
        model: weights; those of the package by default.

    Raises:
        DataError: an account's days are not in order, or there are too few ordinary tenants.
    """
    if ordinary and len(ordinary) < ORDINARY_MIN:
        raise DataError(
            f"{len(ordinary)} ordinary tenants have a past; ranks need {ORDINARY_MIN} or more",
            hint="give more tenants, or leave them out and get scores without p-values",
        )
    pasts: dict[str, deque[DaySketch]] = {}
    evidence: dict[str, Accumulator] = {}
    for day in days:
        past = pasts.setdefault(day.account, deque(maxlen=PAST_DAYS))
        if past and day.day <= past[-1].day:
            raise DataError(
                f"account {day.account}: day {day.day!r} comes after {past[-1].day!r}",
                hint="sort the file by day, and give each account-day one line",
            )
        today = sketched(day, observer, key)
        allowed = None if terms is None else terms.get(day.account)
        one = judge_day(tuple(past), today, model or shipped(), allowed)
        past.append(today.seal(None if one is None else one.usual))
        if one is None:
            continue
        found = one.found
        if not ordinary:
            yield Watched(found, None)
            continue
        run = evidence.setdefault(day.account, Accumulator(day.account, key))
        # What the contract explains is no evidence: it counts as a day without news.
        counted = HARVEST_BOUNDS[0] if found.explained else found.score
        yield Watched(found, run.add(counted, ordinary))


def ordinary_scores(days: Iterable[AccountDay], observer: Observer, key: bytes) -> list[float]:
    """One score a tenant, that of its last day, of tenants that the operator holds for ordinary."""
    last: dict[str, float] = {}
    for watched in watch_days(days, observer, key):
        last[watched.found.account] = watched.found.score
    return list(last.values())
