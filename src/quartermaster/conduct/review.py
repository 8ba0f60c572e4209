"""The daily analysis: every account's day against its past, ranked among the others, added up.

Pure: days as they were read back and what was said before in, judgements out. Evidence on an
account is counted again from its judged days each time, so what the journal says is all there is.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

import msgspec
import numpy as np
import numpy.typing as npt

from quartermaster.conduct.alarm import Accumulator, Evidence
from quartermaster.conduct.daily import HARVEST_BOUNDS, DayScore, judge_day
from quartermaster.conduct.declared import Reading, Terms
from quartermaster.conduct.detectors import Finding
from quartermaster.conduct.features import features
from quartermaster.conduct.model import Model
from quartermaster.conduct.score import Workload
from quartermaster.conduct.sketch import CELLS, DIRECTIONS, KeptDay, Sample
from quartermaster.conduct.watch import ORDINARY_MIN
from quartermaster.kernel.case import (
    CaseCluster,
    CaseDay,
    CaseEvidence,
    CaseFinding,
    CaseLink,
    CaseNeighbour,
    CaseReason,
    CaseStratum,
)

NEIGHBOURS = 3
"""Ordinary tenants that look most like the account: enough to see what it might be instead."""
DIGITS = 6
"""Of scores and p-values in facts."""


class Judged(NamedTuple):
    """A day that was judged before."""

    day: CaseDay
    explained: bool
    cleared: bool = False
    """Whether a person has since closed a case without a finding: nothing is bet on it again."""


class Account(NamedTuple):
    """An account as the analysis takes it."""

    today: KeptDay
    past: Sequence[KeptDay]
    """Oldest first."""
    before: Sequence[Judged]
    """All judged days before today, oldest first."""
    terms: Terms | None
    ordinary: bool
    """Whether nothing is held against it: others are ranked among such accounts."""


class Reviewed(NamedTuple):
    """An account's day as it was judged."""

    found: DayScore
    usual: npt.NDArray[np.intp]
    """Rows of the sample that may become part of the account's past."""
    day: CaseDay
    evidence: Evidence | None


def review(
    accounts: Mapping[str, Account],
    key: bytes,
    model: Model,
    others: Mapping[str, float] | None = None,
) -> tuple[dict[str, Reviewed], tuple[float, ...]]:
    """Judge a day of every account; those with too short a past are left out.

    Args:
        accounts: by name.
        key: the deployment's, which breaks ties.
        model: the weights.
        others: the last scores of ordinary tenants that were not read on the day.

    Returns:
        What was found, and the scores of ordinary tenants that it was ranked among.
    """
    judged = {
        name: one
        for name, account in accounts.items()
        if (one := judge_day(account.past, account.today, model, account.terms)) is not None
    }
    last = {
        **(others or {}),
        **_last_scores(accounts, {name: one.found for name, one in judged.items()}),
    }
    out = {}
    for name, one in judged.items():
        among = [score for other, score in last.items() if other != name]
        found, account = one.found, accounts[name]
        evidence = _evidence(name, found, account.before, among, key)
        out[name] = Reviewed(found, one.usual, _case_day(found, account.today, evidence), evidence)
    return out, tuple(sorted(round(score, DIGITS) for score in last.values()))


def counted(score: float, *, explained: bool) -> float:
    """What a day counts: one that the contract explains is a day without news."""
    return HARVEST_BOUNDS[0] if explained else score


def evidence_of(
    name: str,
    reviewed: Reviewed,
    accounts: Mapping[str, Account],
    ordinary: tuple[float, ...],
    *,
    links: tuple[CaseLink, ...],
    alpha: float,
    model: Model,
    blind: tuple[str, ...],
) -> CaseEvidence:
    """Everything that an alarm stands on, as a case takes it."""
    account, found = accounts[name], reviewed.found
    mine = tuple(link for link in links if name in (link.left, link.right))
    workload = found.workload
    return CaseEvidence(
        findings=tuple(
            msgspec.structs.replace(one, account=name)
            for one in _findings(found.findings, found.declared)
        ),
        days=(*(one.day for one in account.before), reviewed.day),
        clusters=() if workload is None else (_cluster(found, workload, account.today, reviewed),),
        links=mine,
        neighbours=_neighbours(name, accounts),
        ordinary=ordinary,
        past_cells=_cells(day.sample for day in account.past),
        fleet_cells=_cells(one.today.sample for n, one in accounts.items() if n != name),
        strata=_strata(found, account.today, reviewed),
        even_chance=None if workload is None else model.even_chance(workload.score),
        alpha=alpha,
        line=model.day_line,
        blind=(*found.blind, *blind),
        source="daily analysis",
    )


def _evidence(
    name: str, found: DayScore, before: Sequence[Judged], others: Sequence[float], key: bytes
) -> Evidence | None:
    if len(others) < ORDINARY_MIN:
        return None
    run = Accumulator(name, key)
    for one in before:
        own, among = one.day.p_own, one.day.p_population
        bet_on = own is not None and among is not None and not one.cleared
        p = max(own or 0.0, among or 0.0) if bet_on else None
        run.again(counted(one.day.score, explained=one.explained), p)
    return run.add(round(counted(found.score, explained=found.explained), DIGITS), others)


def _last_scores(
    accounts: Mapping[str, Account], today: Mapping[str, DayScore]
) -> dict[str, float]:
    """The newest score of each ordinary tenant."""
    out = {}
    for name, account in accounts.items():
        if not account.ordinary:
            continue
        if name in today:
            out[name] = counted(today[name].score, explained=today[name].explained)
        elif account.before:
            last = account.before[-1]
            out[name] = counted(last.day.score, explained=last.explained)
    return out


def _case_day(found: DayScore, today: KeptDay, evidence: Evidence | None) -> CaseDay:
    ratio = today.totals.output_ratio
    return CaseDay(
        account=found.account,
        day=found.day,
        requests=found.requests,
        sampled_fraction=round(found.sampled_fraction, DIGITS),
        new_share=round(found.new_share, DIGITS),
        newness=round(found.newness, DIGITS),
        score=round(found.score, DIGITS),
        over_line=found.over_line,
        output_ratio=None if ratio is None else round(ratio, DIGITS),
        models=dict(today.traces.models),
        # Not rounded: evidence is counted again from them.
        p_population=None if evidence is None else evidence.p_population,
        p_own=None if evidence is None else evidence.p_own,
        evidence=None if evidence is None else evidence.value,
    )


def _findings(
    found: Sequence[Finding], readings: Sequence[Reading] = ()
) -> tuple[CaseFinding, ...]:
    status = {reading.kind: reading.status for reading in readings}
    return tuple(
        CaseFinding(
            kind=one.kind,
            strength=one.strength,
            share=round(one.share, DIGITS),
            status=status.get(one.kind, "open"),
            observe_only=one.observe_only,
        )
        for one in found
    )


def _cluster(
    found: DayScore, workload: Workload, today: KeptDay, reviewed: Reviewed
) -> CaseCluster:
    return CaseCluster(
        account=found.account,
        kind=workload.kind,
        requests=round(workload.requests / found.sampled_fraction),
        share=workload.requests / max(1, len(today.sample)),
        score=round(workload.score, DIGITS),
        findings=_findings(workload.findings, found.declared),
        reasons=tuple(
            CaseReason(reason.feature, round(reason.adds, DIGITS)) for reason in workload.reasons
        ),
        cells=_cells([today.sample.take(_set_aside(today, reviewed))]),
    )


def _set_aside(today: KeptDay, reviewed: Reviewed) -> npt.NDArray[np.intp]:
    """Rows that look like a harvest and stay out of the account's past."""
    return np.setdiff1d(np.arange(len(today.sample)), reviewed.usual)


def _strata(found: DayScore, today: KeptDay, reviewed: Reviewed) -> tuple[CaseStratum, ...]:
    hits = len(_set_aside(today, reviewed))
    if not hits or found.workload is None:
        return ()
    return (
        CaseStratum(
            cluster=found.workload.kind,
            account=found.account,
            day=found.day,
            requests=found.requests,
            read=len(today.sample),
            hits=hits,
        ),
    )


def _cells(samples: Iterable[Sample]) -> tuple[int, ...]:
    """How many requests fell into each cell of the space of topics."""
    total = np.zeros(CELLS, dtype=np.int64)
    places = 1 << np.arange(DIRECTIONS)
    for sample in samples:
        at = (sample.vectors[:, :DIRECTIONS] > 0) @ places
        total += np.bincount(at, minlength=CELLS)
    return tuple(int(count) for count in total)


def _neighbours(name: str, accounts: Mapping[str, Account]) -> tuple[CaseNeighbour, ...]:
    """The ordinary tenants that look most alike today, under names that say nothing."""
    mine = features(accounts[name].today.sample)
    found = []
    for other, account in accounts.items():
        if other == name or not account.ordinary or not account.before:
            continue
        apart = np.sqrt(features(account.today.sample)) - np.sqrt(mine)
        away = float(np.sqrt((apart**2).sum()))
        found.append((away, account.before[-1].day.score))
    nearest = sorted(found)[:NEIGHBOURS]
    return tuple(
        CaseNeighbour(f"ordinary tenant {at}", round(away, DIGITS), score)
        for at, (away, score) in enumerate(nearest, 1)
    )
