"""One look at all customers: from their daily use and contracts to what the warning page shows.

The same for the sample and for the real book: use by group and day goes into the panel, findings of
access and contract go into the ledgers, and the outcome becomes the console's words-free facts.
"""

from collections.abc import Mapping, Sequence
from datetime import date
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from quartermaster.console import ports_warning as ports
from quartermaster.console.ports import Bilingual
from quartermaster.exposure import outlook
from quartermaster.exposure.access_signals import Access, Signal, access_signals
from quartermaster.exposure.contract_signals import contract_signals, notice_of
from quartermaster.exposure.daily_statements import SETTLING_DAYS
from quartermaster.exposure.evidence import Evidence
from quartermaster.exposure.evidence_ledger import Ledger
from quartermaster.exposure.panel import Panel
from quartermaster.exposure.warning import BANK_DAYS_MIN
from quartermaster.kernel.contract import Contract
from quartermaster.kernel.events import CustomerStated, Cut, ProbabilitiesStated, StatedEvent
from quartermaster.stats import detectors
from quartermaster.stats.likelihood import shift

FloatArray = npt.NDArray[np.float64]

DIGITS = 6
"""Of a stated probability: a millionth is finer than any of them is known."""
PROBABILITY_EDGE = 1e-6
"""A stated probability lies inside 0 to 1; certainty cannot be scored."""
FROM_METERS = "meters"
"""Source of findings about use; a finding about a contract names the contract."""


class GroupUse(NamedTuple):
    """One customer group: its use by day, and what binds it."""

    group: str
    name: str
    by_model: Mapping[str, FloatArray]
    by_workload: Mapping[str, FloatArray]
    prices: Mapping[str, float]
    contracts: Sequence[Sequence[Contract]]
    """Each one's versions, oldest first."""
    months: Mapping[str, Mapping[str, int]]
    """By contract, minor units owed by closed month."""
    facts: tuple[tuple[Signal, Bilingual], ...] = ()
    """Published findings, with their words."""


def outlook_of(groups: Sequence[GroupUse], first_day: date, last_day: date) -> outlook.Outlook:
    """The look itself.

    Raises:
        DataError: more customers and days than fit a panel.
    """
    ordered = sorted(groups, key=lambda group: group.group)
    days = (last_day - first_day).days + 1
    daily = np.zeros((len(ordered), days))
    for place, group in enumerate(ordered):
        for series in group.by_model.values():
            daily[place] += series
    panel = Panel(tuple(group.group for group in ordered), first_day, daily)
    return outlook.look(panel, {group.group: _signals(group, last_day) for group in ordered})


def shown(found: outlook.Outlook, groups: Sequence[GroupUse]) -> ports.WarningLook:
    """The look as the console's facts."""
    by_group = {group.group: group for group in groups}
    counts, warnings = found.counts, found.warnings
    return ports.WarningLook(
        on=found.on,
        customers=tuple(_customer(one, found, by_group[one.customer]) for one in found.customers),
        learnt_rows=0 if warnings is None else warnings.learnt_rows,
        base_rate=None if warnings is None else warnings.base_rate,
        false_alarms_a_year=None if found.bank is None else found.bank.rate,
        found=None if counts is None else counts.found,
        tried=None if counts is None else counts.tried,
        window_days=None if counts is None else counts.window_days,
        days=int(found.daily.daily.shape[1]),
        alarm_days_min=BANK_DAYS_MIN,
    )


def stated(found: outlook.Outlook, cut: Cut) -> tuple[ProbabilitiesStated, ...]:
    """What the look says of every customer, one fact an event."""
    year = [
        CustomerStated(
            customer=one.customer,
            probability=_inside(one.ledger.posterior.probability),
            usage_a_day=one.usage_a_day,
            low=min(_inside(one.ledger.posterior.low), _inside(one.ledger.posterior.probability)),
            high=max(_inside(one.ledger.posterior.high), _inside(one.ledger.posterior.probability)),
        )
        for one in found.customers
    ]
    quarter = [
        CustomerStated(
            customer=one.customer,
            probability=_inside(one.usage.probability),
            usage_a_day=one.usage.usage_13_weeks / SETTLING_DAYS,
        )
        for one in found.customers
        if one.usage is not None and one.usage.probability is not None
    ]
    events: tuple[tuple[StatedEvent, list[CustomerStated]], ...] = (
        ("halved_in_a_year", year),
        ("halved_in_a_quarter", quarter),
    )
    return tuple(
        ProbabilitiesStated(
            event=event, on=found.on.isoformat(), customers=tuple(said), cut=dict(cut)
        )
        for event, said in events
        if said
    )


def _inside(probability: float) -> float:
    return round(min(max(probability, PROBABILITY_EDGE), 1 - PROBABILITY_EDGE), DIGITS)


def _signals(group: GroupUse, on: date) -> list[Signal]:
    access = Access(on, group.by_model, group.by_workload, group.prices)
    found = [*access_signals(access, FROM_METERS)] if group.by_model else []
    for versions in group.contracts:
        found += contract_signals(versions, group.months.get(versions[-1].id, {}), on)
    return found + [signal for signal, _ in group.facts if signal.on <= on]


def _customer(
    one: outlook.CustomerOutlook, found: outlook.Outlook, group: GroupUse
) -> ports.CustomerLook:
    usage = one.usage
    return ports.CustomerLook(
        customer=one.customer,
        name=group.name,
        usage_a_day=one.usage_a_day,
        known_days=one.known_days,
        ledger=_ledger(one, group.facts),
        quarter=None if usage is None else usage.probability,
        alarms=()
        if usage is None
        else tuple(ports.AlarmUp(a.detector, a.since, a.score, a.threshold) for a in usage.alarms),
        reasons=()
        if usage is None
        else tuple(ports.UsageReason(r.feature, r.value, r.effect) for r in usage.reasons),
        notices=tuple(_notice(versions, found.on) for versions in group.contracts),
        timeline=_timeline(found, one.customer),
    )


def _notice(versions: Sequence[Contract], on: date) -> ports.NoticeLine:
    found = notice_of(versions, on)
    return ports.NoticeLine(
        found.contract, found.notice_days, found.state, found.ends_on, found.notice_by
    )


def _ledger(
    one: outlook.CustomerOutlook, facts: Sequence[tuple[Signal, Bilingual]]
) -> ports.WarningLedger:
    steps: Ledger = one.ledger
    told, before = [], steps.prior.probability
    for line, signal in zip(steps.lines, one.signals, strict=True):
        told.append(
            ports.WarningStep(
                kind=signal.kind,
                on=signal.on,
                source=signal.source,
                figures=signal.figures,
                block=line.block,
                origin=line.origin,
                ratio=line.ratio.central,
                low=line.ratio.low,
                high=line.ratio.high,
                counted=line.counted,
                before=before,
                alone=shift(before, line.ratio.central),
                after=line.after,
                fact=next((words for known, words in facts if known is signal), None),
            )
        )
        before = line.after
    stale: Sequence[Evidence] = steps.stale
    return ports.WarningLedger(
        prior=ports.Chance(*steps.prior),
        prior_by=one.believed.by,
        prior_figures=dict(one.believed.figures),
        steps=tuple(told),
        stale=tuple(piece.kind for piece in stale),
        joint=steps.joint.central,
        joint_low=steps.joint.low,
        joint_high=steps.joint.high,
        stated=ports.Chance(*steps.posterior),
        if_independent=steps.if_independent,
    )


def _timeline(found: outlook.Outlook, customer: str) -> ports.DetectorTimeline:
    line = found.timeline(customer)
    bank = found.bank
    seen = {} if bank is None else dict(zip(detectors.NAMES, line.scores, strict=True))
    return ports.DetectorTimeline(
        first_day=line.first_day,
        usage=tuple(float(amount) for amount in line.usage),
        scores={
            name: tuple(None if np.isnan(value) else round(float(value), 3) for value in row)
            for name, row in seen.items()
        },
        thresholds={}
        if bank is None
        else {
            name: float(value)
            for name, value in zip(detectors.NAMES, bank.thresholds, strict=True)
            if np.isfinite(value)
        },
        changes=tuple(ports.LevelChange(one.week_from, one.ratio) for one in line.changes),
    )
