"""Use, contracts and names of every customer group, as a look wants them: real or sample."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from datetime import date, timedelta
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from quartermaster.app.live import MonthRevenue
from quartermaster.app.warning_look import GroupUse
from quartermaster.book.views import View
from quartermaster.console.ports import Bilingual
from quartermaster.exposure.access_signals import Signal
from quartermaster.kernel.clock import Instant, month_of
from quartermaster.kernel.contract import Contract
from quartermaster.kernel.events import ConductAlarmed
from quartermaster.sim.usage import MODELS, sample_usage
from quartermaster.usage.daily import DailyUse

FloatArray = npt.NDArray[np.float64]

FROM_CONDUCT = "conduct"
"""Source of findings of the daily analysis."""
HISTORY_DAYS = 3 * 366
"""Three years: as much as seasons and thresholds gain from, and a panel of bounded size."""


class Known(NamedTuple):
    """Everybody's use over the same days."""

    groups: tuple[GroupUse, ...]
    first_day: date
    last_day: date


def real_use(
    rows: Sequence[DailyUse],
    view: View,
    revenue: Iterable[MonthRevenue],
    *,
    last_day: date,
    now: Instant,
    alarms: Iterable[ConductAlarmed] = (),
) -> Known | None:
    """What real customers used up to the last day, or None before the first day of use.

    Usage of unknown and of sample customers stays out.

    Args:
        rows: daily use.
        view: what the journal says.
        revenue: what closed months came to.
        last_day: the last day that is known.
        now: decides which months are closed.
        alarms: of the daily analysis of conduct; each is a finding about its group.
    """
    suspected = _suspected(alarms)
    real = {one.id: one for one in view.customers.values() if not one.sample}
    mine = [row for row in rows if row.customer in real]
    if not mine:
        return None
    first = min(row.day for row in mine)
    models: dict[str, dict[str, FloatArray]] = defaultdict(dict)
    workloads: dict[str, dict[str, FloatArray]] = defaultdict(dict)
    count = (last_day - first).days + 1
    for row in mine:
        group, at = real[row.customer].group, (row.day - first).days
        for series, name in (
            (models, row.model),
            (workloads, f"{row.customer}/{row.project}"),
        ):
            days = series[group].setdefault(name, np.zeros(count))
            days[at] += row.tokens
    owed = _owed(revenue, now)
    return Known(
        tuple(
            GroupUse(
                group=group,
                name=view.groups[group].name if group in view.groups else group,
                by_model=models[group],
                by_workload=workloads[group],
                prices=_prices(view, contracts, now),
                contracts=contracts,
                months=owed,
                facts=tuple(suspected[group]),
            )
            for group in sorted(models)
            for contracts in [_contracts(view, group)]
        ),
        first,
        last_day,
    )


def sample_use() -> Known:
    """What the sample's customers used."""
    usage = sample_usage()
    facts: dict[str, list[tuple[Signal, Bilingual]]] = defaultdict(list)
    for fact in usage.facts:
        signal = Signal(kind=fact.kind, on=fact.on, source=fact.source)
        facts[fact.customer].append((signal, Bilingual(de=fact.de, en=fact.en)))
    return Known(
        tuple(
            GroupUse(
                group=customer,
                name=customer,
                by_model=_arrays(models),
                by_workload=_arrays(usage.by_workload[customer]),
                prices=MODELS,
                contracts=[usage.contracts[customer]],
                months={},
                facts=tuple(facts[customer]),
            )
            for customer, models in sorted(usage.by_model.items())
        ),
        usage.first_day,
        usage.last_day,
    )


def known_until(known: Known, on: date) -> Known:
    """The same as it was known on an earlier day."""
    count = (on - known.first_day).days + 1
    groups = tuple(
        group._replace(
            by_model={name: days[:count] for name, days in group.by_model.items()},
            by_workload={name: days[:count] for name, days in group.by_workload.items()},
        )
        for group in known.groups
    )
    return Known(groups, known.first_day, on)


def usage_by_day(known: Known) -> dict[str, dict[date, float]]:
    """Tokens of every group by day, for settling what was stated."""
    found: dict[str, dict[date, float]] = {}
    for group in known.groups:
        total = sum(group.by_model.values(), np.zeros((known.last_day - known.first_day).days + 1))
        found[group.group] = {
            known.first_day + timedelta(days=int(at)): float(total[at])
            for at in np.flatnonzero(total)
        }
    return found


def _suspected(
    alarms: Iterable[ConductAlarmed],
) -> defaultdict[str, list[tuple[Signal, Bilingual]]]:
    """Alarms as findings: what one is worth for leaving is the ledger's business, not ours."""
    found: defaultdict[str, list[tuple[Signal, Bilingual]]] = defaultdict(list)
    for alarm in alarms:
        on = date.fromisoformat(alarm.on)
        last = alarm.evidence.days[-1].evidence if alarm.evidence.days else None
        odds = round(last or 1 / (alarm.evidence.alpha or 1))
        words = Bilingual(
            de=f"die tägliche Prüfung von {alarm.account} schlug an: {odds} zu 1",
            en=f"the daily analysis of {alarm.account} alarmed: {odds} to 1",
        )
        figures: dict[str, float | str] = {"account": alarm.account, "evidence": float(odds)}
        signal = Signal(kind="conduct_suspicion", on=on, source=FROM_CONDUCT, figures=figures)
        found[alarm.group].append((signal, words))
    return found


def _arrays(series: Mapping[str, Sequence[float]]) -> dict[str, FloatArray]:
    return {name: np.array(days, dtype=np.float64) for name, days in series.items()}


def _contracts(view: View, group: str) -> list[Sequence[Contract]]:
    """Real contracts of a group's customers, by id."""
    return [
        versions
        for _, versions in sorted(view.contracts.items())
        if not versions[-1].sample
        and versions[-1].customer in view.customers
        and view.customers[versions[-1].customer].group == group
    ]


def _prices(view: View, contracts: Iterable[Sequence[Contract]], now: Instant) -> dict[str, float]:
    """What a million output tokens of each model cost this group; only their order is used."""
    found: dict[str, float] = {}
    for versions in contracts:
        book = view.price_book_at(versions[-1].price_book, now)
        for price in () if book is None else book.prices:
            if (price.axis, price.service_class) == ("output", "standard"):
                found.setdefault(price.model, float(price.amount))
    return found


def _owed(revenue: Iterable[MonthRevenue], now: Instant) -> dict[str, dict[str, int]]:
    """Minor units used by contract and month, of months that are over; no shortfalls."""
    found: dict[str, dict[str, int]] = defaultdict(dict)
    for row in revenue:
        if row.month < month_of(now, row.time_zone).label:
            found[row.contract][row.month] = row.used_minor
    return found
