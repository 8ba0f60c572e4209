"""A file of account-days becomes the evidence of a case: the daily analysis, day by day."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from datetime import date
from pathlib import Path
from typing import NamedTuple

import msgspec
import numpy as np

from quartermaster.conduct.history import PAST_DAYS
from quartermaster.conduct.model import shipped
from quartermaster.conduct.observe import Observer
from quartermaster.conduct.records import AccountDay, Meter, read_days
from quartermaster.conduct.review import Account, Judged, Reviewed, evidence_of, review
from quartermaster.conduct.settings import ConductSettings
from quartermaster.conduct.sketch import SAMPLE, KeptDay, sketched
from quartermaster.exposure.report import input_file
from quartermaster.kernel.case import CaseEvidence, CasePart, CaseStratum
from quartermaster.kernel.errors import DataError
from quartermaster.kernel.money import exponent
from quartermaster.kernel.price import PriceBook
from quartermaster.kernel.units import Axis

NEW = "new"
"""The cluster of what an account did not ask before, over all its days."""


class FileEvidence(NamedTuple):
    """What a file says about an account, as of the last day on which it was judged."""

    evidence: CaseEvidence
    day: str
    asked_anew: tuple[str, ...] = ()
    """Text of that day's new requests, for whoever may see it; nothing keeps it."""


def evidence_of_file(
    path: Path,
    account: str,
    *,
    suspects: Iterable[str] = (),
    prices: PriceBook | None = None,
    key: bytes,
) -> FileEvidence:
    """Judge each day of a file, and give everything that speaks about one account.

    Args:
        path: account-days with a `day`, in any order of accounts.
        account: whom the case is about.
        suspects: other accounts that nobody is ranked among.
        prices: what the account pays; without them the extent holds no money.
        key: the deployment's, or the public one.

    Raises:
        DataError: the file cannot be read, holds what is no day, or no day of the account with
            enough of a past.
    """
    days: defaultdict[str, list[AccountDay]] = defaultdict(list)
    for one in read_days(path):
        if not _is_day(one.day):
            raise DataError(
                f"{path.name}: {one.day!r} of account {one.account} is no day",
                hint="a case's days are dates, such as 2026-11-22",
            )
        days[one.day].append(one)
    held_against = {account, *suspects}
    found = _walked(days, account, held_against, prices, key)
    if found is None:
        raise DataError(
            f"{path.name} holds no day of account {account!r} with enough of a past",
            hint="give the account's days before, too, each line with a day",
        )
    source = input_file(path.name, path.read_bytes())
    evidence = msgspec.structs.replace(
        found.evidence, source=source.name, source_sha256=source.sha256
    )
    return found._replace(evidence=evidence)


def _is_day(text: str) -> bool:
    try:
        return date.fromisoformat(text).isoformat() == text
    except ValueError:
        return False


def _walked(
    days: dict[str, list[AccountDay]],
    account: str,
    held_against: set[str],
    prices: PriceBook | None,
    key: bytes,
) -> FileEvidence | None:
    observer, model, alpha = Observer(key), shipped(), ConductSettings().alpha
    pasts: defaultdict[str, list[KeptDay]] = defaultdict(list)
    before: defaultdict[str, list[Judged]] = defaultdict(list)
    strata: list[CaseStratum] = []
    found: FileEvidence | None = None
    for day in sorted(days):
        today = {one.account: _kept(one, observer, key) for one in days[day]}
        accounts = {
            name: Account(
                today=kept,
                past=tuple(pasts[name][-PAST_DAYS:]),
                before=tuple(before[name]),
                terms=None,
                ordinary=name not in held_against,
            )
            for name, kept in today.items()
        }
        reviewed, ordinary = review(accounts, key, model)
        if account in reviewed:
            evidence = evidence_of(
                account, reviewed[account], accounts, ordinary,
                links=(), alpha=alpha, model=model, blind=(),
            )  # fmt: skip
            asked = next(one for one in days[day] if one.account == account)
            strata += (_metered(one, asked, reviewed[account], prices) for one in evidence.strata)
            whole = msgspec.structs.replace(evidence, strata=tuple(strata))
            found = FileEvidence(whole, day, _asked_anew(asked, reviewed[account]))
        for name, kept in today.items():
            one = reviewed.get(name)
            pasts[name].append(kept if one is None else kept.usual(one.usual))
            if one is not None:
                before[name].append(Judged(one.day, explained=one.found.explained))
    return found


def _kept(day: AccountDay, observer: Observer, key: bytes) -> KeptDay:
    sketch = sketched(day, observer, key)
    return KeptDay(day.account, day.day, sketch.totals, sketch.traces, sketch.sample)


def _asked_anew(day: AccountDay, reviewed: Reviewed) -> tuple[str, ...]:
    """Only a day that was read whole, in its order, says which requests they were."""
    if len(day.requests) > SAMPLE:
        return ()
    aside = np.setdiff1d(np.arange(len(day.requests)), reviewed.usual).tolist()
    return tuple(day.requests[at].turns[-1] for at in aside)


def _metered(
    stratum: CaseStratum, day: AccountDay, reviewed: Reviewed, prices: PriceBook | None
) -> CaseStratum:
    """With output tokens and money, where the file has the meter and the day was read whole."""
    stratum = msgspec.structs.replace(stratum, cluster=NEW)
    tokens = [one.meter.output_tokens if one.meter else None for one in day.requests]
    sizes = [size for size in tokens if size is not None]
    if len(sizes) < len(tokens) or len(tokens) > SAMPLE:
        return stratum
    aside = np.setdiff1d(np.arange(len(sizes)), reviewed.usual).tolist()
    parts = {"output_tokens": _part(sizes, aside)}
    money = _money(day, prices)
    if money is None or prices is None:
        return msgspec.structs.replace(stratum, parts=parts)
    parts["minor"] = _part(money, aside)
    return msgspec.structs.replace(stratum, parts=parts, currency=prices.currency)


def _part(sizes: Sequence[float], hits: Sequence[int]) -> CasePart:
    """Sums of a day that was read whole."""
    mine = [sizes[at] for at in hits]
    total, squares = sum(sizes), sum(size * size for size in sizes)
    return CasePart(total, total, squares, sum(mine), sum(size * size for size in mine))


def _money(day: AccountDay, prices: PriceBook | None) -> list[float] | None:
    """Minor units of each request, for a statistic; None where something has no price."""
    if prices is None:
        return None
    found, scale = [], 10 ** exponent(prices.currency)
    for request in day.requests:
        meter = request.meter
        if meter is None or meter.model is None:
            return None
        amount = 0.0
        for axis, tokens in _axes(meter):
            price = prices.find(meter.model, axis, "standard")
            if price is None or tokens is None:
                return None
            amount += float(price.of(tokens)) * scale
        found.append(amount)
    return found


def _axes(meter: Meter) -> tuple[tuple[Axis, int | None], ...]:
    return ("input", meter.input_tokens), ("output", meter.output_tokens)
