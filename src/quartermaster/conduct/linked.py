"""Link the accounts of a file, and score those that are joined as one."""

from collections.abc import Iterable, Mapping, Set

import msgspec

from quartermaster.conduct.likeness import signature
from quartermaster.conduct.links import KNOWN_MIN, Link, Population, groups, link
from quartermaster.conduct.model import Model, shipped
from quartermaster.conduct.observe import Observer
from quartermaster.conduct.records import AccountDay
from quartermaster.conduct.score import Workload, best_score, judged
from quartermaster.conduct.sketch import SAMPLE, DaySketch, SketchedDay, joined
from quartermaster.kernel.errors import DataError

ACCOUNTS_MIN = 10
"""What is usual among fewer accounts cannot be said."""
ACCOUNTS_MAX = 50_000
"""Signatures and sketches of more do not fit one machine; link by day or by country."""


class Group(msgspec.Struct, frozen=True):
    """Accounts that are joined, judged as one."""

    accounts: tuple[str, ...]
    requests: int
    workload: Workload


class Linked(msgspec.Struct, frozen=True):
    """What links the accounts of a file."""

    links: tuple[Link, ...]
    groups: tuple[Group, ...]


def linked(
    days: Iterable[AccountDay],
    observer: Observer,
    key: bytes,
    *,
    p_max: float,
    model: Model | None = None,
    ordinary: Iterable[AccountDay] = (),
) -> Linked:
    """Link accounts by all their days, and score joined ones together.

    Args:
        days: account-days; those of one account are put together.
        observer: reads requests; made from the same key.
        key: the deployment's key; also draws the pairs that likeness is ranked among.
        p_max: share of pairs for which as much speaks by chance.
        model: weights; those of the package by default.
        ordinary: days of tenants that are held for ordinary; likeness to them explains likeness.

    Raises:
        DataError: too few accounts to say what is usual, or too many.
    """
    sketches: dict[str, DaySketch] = {}
    known: set[str] = set()
    for part, is_known in ((days, False), (ordinary, True)):
        for day in part:
            sketch = sketches.setdefault(day.account, DaySketch(day.account, "", observer, key))
            for request in day.requests:
                sketch.add(request)
            if is_known:
                known.add(day.account)
    if 0 < len(known) < KNOWN_MIN:
        raise DataError(
            f"{len(known)} ordinary tenants do not say what is usual; {KNOWN_MIN} do",
            hint="give the days of more tenants that you hold for ordinary, or of none",
        )
    held = {name: one.seal() for name, one in sketches.items() if one.totals.requests}
    return link_days(held, key, p_max=p_max, model=model, known=known)


def link_days(
    held: Mapping[str, SketchedDay],
    key: bytes,
    *,
    p_max: float,
    model: Model | None = None,
    known: Set[str] = frozenset(),
) -> Linked:
    """As `linked`, of sketches: one an account.

    Args:
        held: sketches by account, each with a sample.
        key: draws the pairs that likeness is ranked among.
        p_max: share of pairs for which as much speaks by chance.
        model: weights; those of the package by default.
        known: accounts that are known as ordinary tenants.

    Raises:
        DataError: too few accounts to say what is usual, or too many.
    """
    if not ACCOUNTS_MIN <= len(held) <= ACCOUNTS_MAX:
        raise DataError(
            f"{len(held)} accounts with requests; linking needs {ACCOUNTS_MIN} to {ACCOUNTS_MAX}",
            hint="give the accounts of a whole day or week, suspects among the others",
        )
    weights = model or shipped()
    signatures = [
        signature(name, one.sample, one.traces, best_score(one.sample, weights)[0])
        for name, one in held.items()
    ]
    edges = link(Population(signatures, int.from_bytes(key[:4], "big"), known), p_max)
    return Linked(tuple(edges), tuple(_group(names, held, weights) for names in groups(edges)))


def _group(names: list[str], held: Mapping[str, SketchedDay], model: Model) -> Group:
    # As many requests of each account, so that one large account does not speak for all.
    each = max(1, SAMPLE // len(names))
    together = joined(held[name].sample.take(slice(each)) for name in names)
    parts = judged(together, model)
    total = sum(held[name].totals.requests for name in names)
    return Group(tuple(names), total, max(parts, key=lambda part: part.score))
