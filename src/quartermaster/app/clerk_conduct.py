"""The clerk's daily analysis of conduct: what watchers kept, judged once a day, into the journal.

The journal holds what was seen (`ConductObserved`, one fact a day) and which accounts the evidence
alarmed on (`ConductAlarmed`). Beside the watchers' files, each day's folder gets a file with what
the meter counted and which rows may become an account's past. Each step can be interrupted and
repeated: facts have a key a day, and a clerk that was away catches up day by day.
"""

import logging
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence, Set
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import NamedTuple, overload

import msgspec
import numpy as np

from quartermaster.app.clerk_warning import ALARMED, alarmed, cleared, due_day
from quartermaster.app.rooms import Rooms, open_usage
from quartermaster.app.watch import conduct_key, days_folder
from quartermaster.book.views import View
from quartermaster.commands.actor import CLERK
from quartermaster.conduct import blind, facts
from quartermaster.conduct.coincidence import HOURS_MIN
from quartermaster.conduct.declared import Terms
from quartermaster.conduct.facts import Facts
from quartermaster.conduct.history import PAST_DAYS
from quartermaster.conduct.linked import ACCOUNTS_MIN, link_days
from quartermaster.conduct.model import shipped
from quartermaster.conduct.review import Account, Judged, Reviewed, counted, evidence_of, review
from quartermaster.conduct.sketch import (
    HALF_HOURS,
    KeptDay,
    MeterTotals,
    Traces,
    hashed_name,
)
from quartermaster.conduct.watch import ORDINARY_MIN
from quartermaster.kernel.case import CaseEvidence, CaseLink, CasePart, CaseStratum
from quartermaster.kernel.clock import US_PER_HOUR, Instant, Period, as_datetime, as_instant
from quartermaster.kernel.contract import Contract, PermittedUse
from quartermaster.kernel.events import ConductAlarmed, ConductObserved, Cut, HourlyUsage
from quartermaster.usage.cut import current_cut
from quartermaster.usage.query import hourly
from quartermaster.usage.written import written

log = logging.getLogger(__name__)

OBSERVED = "conduct:observed:"
"""Beginning of the keys of the days that were judged; the day follows."""
METER_FILE = "meter.bin"
"""Beside the watchers' files of a day."""
LINK_SAMPLE_MIN = 10
"""Fewer requests of an account have neither a template nor a middle to compare."""


class DayMeter(msgspec.Struct, array_like=True):
    """What the meter counted of an account's day, and which rows of its sample are usual."""

    requests: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    models: dict[str, int] = {}
    keys: set[int] = set()
    half_hours: list[int] = msgspec.field(default_factory=lambda: [0] * HALF_HOURS)
    usual: list[int] | None = None
    """None is all of them."""

    def take(self, row: HourlyUsage, key: bytes) -> None:
        """Add an hour of one key and model."""
        counts = row.counts
        written = counts.output + counts.reasoning
        self.requests += row.requests
        self.input_tokens += counts.tokens - written
        self.output_tokens += written
        self.models[row.model] = self.models.get(row.model, 0) + row.requests
        self.keys.add(hashed_name(row.key_id, key))
        # The rollup has whole hours; both halves of one count the same.
        at = row.hour // US_PER_HOUR % 24 * 2
        for half in (at, at + 1):
            self.half_hours[half] += row.requests


class Day(NamedTuple):
    """Everything about a day before it is judged."""

    on: date
    meters: dict[str, DayMeter]
    read: dict[str, Facts]
    unread: dict[str, Facts]
    """Accounts of which gateways drew requests, and not one could be read."""
    cut: Cut


class PastDay(NamedTuple):
    """A day of an account's past, as it is stored."""

    files: Sequence[Path]
    meter: DayMeter
    whole: bool
    """Whether a person said that all of it is usual."""

    def read(self) -> KeptDay | None:
        """What is usual of it; None where nothing can be read any more."""
        found = facts.read_files(self.files)
        if found is None:
            return None
        day = _kept(found, self.meter)
        if self.whole or self.meter.usual is None:
            return day
        rows = np.array([row for row in self.meter.usual if row < len(day.sample)], dtype=np.intp)
        return day.usual(rows)


class StoredPast(Sequence[KeptDay]):
    """An account's past, read anew for each look: that of 3,000 accounts at once has 4 GB.

    Args:
        days: oldest first; those that cannot be read are left out.
    """

    def __init__(self, days: Sequence[PastDay]) -> None:
        self._days = days

    def __iter__(self) -> Iterator[KeptDay]:
        return (day for one in self._days if (day := one.read()) is not None)

    def __len__(self) -> int:
        return sum(1 for _ in self)

    @overload
    def __getitem__(self, at: int) -> KeptDay: ...

    @overload
    def __getitem__(self, at: slice) -> Sequence[KeptDay]: ...

    def __getitem__(self, at: int | slice) -> KeptDay | Sequence[KeptDay]:
        return list(self)[at]


def catch_up(rooms: Rooms) -> list[ConductObserved]:
    """Judge every day that is over and was not judged; returns what was seen.

    Old days are forgotten also where a day cannot be judged: that is what was promised.
    """
    last = due_day(rooms.now())
    folder = days_folder(rooms.var)
    seen = observed(rooms)  # once, however many days are caught up
    newest = max((one.on for one in seen), default="")
    first = min((path.name for path in folder.glob("????-??-??")), default="")
    if not first:
        return []
    day = max(date.fromisoformat(newest) + timedelta(days=1) if newest else date.min,
              date.fromisoformat(first))  # fmt: skip
    found: list[ConductObserved] = []
    try:
        while day <= last:
            found.append(analyse(rooms, day, (*seen, *found)))
            day += timedelta(days=1)
    finally:
        facts.forget_before(folder, last)
    return found


def analyse(rooms: Rooms, on: date, known: Sequence[ConductObserved]) -> ConductObserved:
    """Judge one day in the light of the days that were judged before, and record it."""
    key, model, settings = conduct_key(rooms.var), shipped(), rooms.settings.conduct
    view = rooms.book.view()
    day = _day(rooms, view, on, key)
    before = _judged(rooms, view, on, known)
    held = {alarm.account for alarm in alarmed(rooms)}
    ordinary_names = _ordinary(view, held)
    accounts = _accounts(rooms, view, day, before, ordinary_names)
    others = _resting(before, ordinary_names - set(accounts), on)
    reviewed, ordinary = review(accounts, key, model, others)
    links = _links(accounts, key, settings.link_p, _known(accounts, on))
    unseen = _blind(view, day, accounts, reviewed, ordinary)
    _add_damaged(days_folder(rooms.var), day, unseen)
    seen = ConductObserved(
        on=on.isoformat(),
        days=tuple(reviewed[name].day for name in sorted(reviewed)),
        explained=tuple(sorted(n for n, one in reviewed.items() if one.found.explained)),
        links=links,
        blind=unseen,
        cut=day.cut,
    )
    _keep(rooms.var, day, reviewed)
    alarms = []
    for name, one in sorted(reviewed.items()):
        if name in held or one.evidence is None or not one.evidence.alarms(settings.alpha):
            continue
        evidence = evidence_of(
            name, one, accounts, ordinary,
            links=links, alpha=settings.alpha, model=model, blind=unseen.get(name, ()),
        )  # fmt: skip
        evidence = msgspec.structs.replace(evidence, strata=_strata(rooms, name, day, evidence))
        group = view.customers[name].group
        alarms.append(
            ConductAlarmed(group=group, account=name, on=on.isoformat(), evidence=evidence)
        )
    _record(rooms, seen, alarms)
    return seen


def observed(rooms: Rooms) -> list[ConductObserved]:
    """Every day that was judged, oldest first."""
    entries = rooms.book.keyed(OBSERVED)
    return [entry.fact for entry in entries if isinstance(entry.fact, ConductObserved)]


def _day(rooms: Rooms, view: View, on: date, key: bytes) -> Day:
    table = open_usage(rooms.var)
    cut = current_cut(table)
    meters: dict[str, DayMeter] = defaultdict(DayMeter)
    for row in hourly(table, cut, period=_utc_day(on)):
        customer = view.customers.get(row.customer)
        if customer is not None and not customer.sample:
            meters[row.customer].take(row, key)
    read: dict[str, Facts] = {}
    unread: dict[str, Facts] = {}
    files = facts.files_of(days_folder(rooms.var), on.isoformat())
    for account in meters:
        found = facts.read_files(files.get(account, ()))
        if found is not None:
            (read if len(found.sample) else unread)[account] = found
    return Day(on, dict(meters), read, unread, cut)


def _ordinary(view: View, held: Set[str]) -> set[str]:
    """Customers that nothing is held against: others are ranked among them."""
    return {
        name
        for name, customer in view.customers.items()
        if name not in held
        and view.standing.get(customer.group, "active") == "active"
        and customer.group not in view.investigated
    }


def _resting(before: Mapping[str, Sequence[Judged]], names: Set[str], on: date) -> dict[str, float]:
    """The last scores of those that were judged in four weeks, and did not ask on this day."""
    since = (on - timedelta(days=PAST_DAYS)).isoformat()
    last = {name: before[name][-1] for name in names if before.get(name)}
    return {
        name: counted(one.day.score, explained=one.explained)
        for name, one in last.items()
        if one.day.day >= since
    }


def _accounts(
    rooms: Rooms,
    view: View,
    day: Day,
    before: Mapping[str, Sequence[Judged]],
    ordinary: Set[str],
) -> dict[str, Account]:
    """Everybody that was read, with the past as it was kept."""
    folder = days_folder(rooms.var)
    # What a person has dismissed is the account's usual traffic from then on.
    dismissed = _ends(cleared(rooms, {"dismissed"}))
    days = [(day.on - timedelta(days=back)).isoformat() for back in range(PAST_DAYS, 0, -1)]
    meters = {one: _meters(folder, one) for one in days}
    files = {one: facts.files_of(folder, one) for one in days}
    out = {}
    for name, found in day.read.items():
        all_usual = dismissed.get(view.customers[name].group, "")
        past = [
            PastDay(files[one][name], meters[one][name], whole=one <= all_usual)
            for one in days
            if name in meters[one] and name in files[one]
        ]
        out[name] = Account(
            today=_kept(found, day.meters[name]),
            past=StoredPast(past),
            before=before.get(name, ()),
            terms=_terms(view, name, day.on),
            ordinary=name in ordinary,
        )
    return out


def _judged(
    rooms: Rooms, view: View, on: date, known: Sequence[ConductObserved]
) -> dict[str, list[Judged]]:
    """All days that were judged before, by account."""
    ends = _ends(cleared(rooms))
    out: dict[str, list[Judged]] = defaultdict(list)
    for fact in known:
        for one in fact.days if fact.on < on.isoformat() else ():
            customer = view.customers.get(one.account)
            done = customer is not None and one.day <= ends.get(customer.group, "")
            out[one.account].append(Judged(one, one.account in fact.explained, done))
    return out


def _ends(cleared_at: Mapping[str, int]) -> dict[str, str]:
    """The UTC day of each instant."""
    return {name: as_datetime(Instant(at)).date().isoformat() for name, at in cleared_at.items()}


def _kept(found: Facts, meter: DayMeter) -> KeptDay:
    totals = MeterTotals(
        requests=meter.requests,
        input_tokens=meter.input_tokens,
        output_tokens=meter.output_tokens,
        metered=meter.requests,
    )
    # An hour counts in both of its halves, so what the halves add up to is no number of requests.
    timed = meter.half_hours if meter.requests >= HOURS_MIN else [0] * HALF_HOURS
    traces = Traces(
        set(), set(meter.keys), set(found.networks), set(found.clients), set(found.end_users),
        set(found.settings), dict(meter.models), np.array(timed, dtype=np.uint32),
    )  # fmt: skip
    return KeptDay(found.account, found.day, facts.read_counts(found, totals), traces, found.sample)


def _terms(view: View, account: str, on: date) -> Terms | None:
    """What the account's contracts permit on a day, taken together."""
    contracts = list(_contracts(view, account, on))
    if not contracts:
        return None
    uses: list[PermittedUse] = []
    models: list[str] = []
    for contract in contracts:
        uses += [use for use in contract.permitted_uses if use not in uses]
        models += [model for model in contract.distillation_models if model not in models]
    return Terms(tuple(uses), tuple(models))


def _contracts(view: View, account: str, on: date) -> Iterable[Contract]:
    noon = as_instant(datetime(on.year, on.month, on.day, 12, tzinfo=UTC))
    for name, versions in sorted(view.contracts.items()):
        if versions[-1].customer == account:
            contract = view.contract_at(name, noon)
            if contract is not None:
                yield contract


def _known(accounts: Mapping[str, Account], on: date) -> set[str]:
    """Customers in good standing that were there four weeks ago: what is alike to them is usual.

    Younger ones explain nothing, since shards of one campaign would explain each other.
    """
    since = (on - timedelta(days=PAST_DAYS)).isoformat()
    return {
        name
        for name, account in accounts.items()
        if account.ordinary and account.before and account.before[0].day.day <= since
    }


def _links(
    accounts: Mapping[str, Account], key: bytes, p_max: float, known: Set[str]
) -> tuple[CaseLink, ...]:
    held = {
        name: one.today
        for name, one in accounts.items()
        if len(one.today.sample) >= LINK_SAMPLE_MIN
    }
    # A rank among fewer pairs is never as rare as is asked for.
    if len(held) < ACCOUNTS_MIN or len(held) * (len(held) - 1) / 2 < 1 / p_max:
        return ()
    edges = link_days(held, key, p_max=p_max, known=known).links
    return tuple(
        CaseLink(one.left, one.right, one.p, one.reasons) for one in edges if one.confirmed
    )


def _blind(
    view: View,
    day: Day,
    accounts: Mapping[str, Account],
    reviewed: Mapping[str, Reviewed],
    ordinary: tuple[float, ...],
) -> dict[str, tuple[str, ...]]:
    """What could not be seen, by account."""
    out = {}
    for name, meter in sorted(day.meters.items()):
        found = day.read.get(name) or day.unread.get(name)
        codes = [] if found is None else blind.of_sample(found)
        if name not in accounts:
            consent = any(one.watch_content for one in _contracts(view, name, day.on))
            codes.append(blind.NO_TEXT if consent else blind.NO_CONSENT)
            if meter.input_tokens:
                codes.append(f"{blind.OUTPUT_RATIO}:{meter.output_tokens / meter.input_tokens:.2f}")
        elif name not in reviewed:
            codes.append(f"{blind.PAST_SHORT}:{len(accounts[name].past)}")
        elif reviewed[name].evidence is None:
            others = len(ordinary) - accounts[name].ordinary
            codes.append(f"{blind.FEW_ORDINARY}:{min(others, ORDINARY_MIN)}")
        if codes:
            out[name] = tuple(codes)
    return out


def _add_damaged(folder: Path, day: Day, unseen: dict[str, tuple[str, ...]]) -> None:
    """Say what was lost of the day and of the past with files that are damaged."""
    before = [(day.on - timedelta(days=back)).isoformat() for back in range(1, PAST_DAYS + 1)]
    now = facts.laid_aside(folder, day.on.isoformat())
    past = sum((facts.laid_aside(folder, one) for one in before), Counter[str]())
    for name in sorted(day.meters):
        counts = (blind.DAMAGED, now[name]), (blind.PAST_DAMAGED, past[METER_FILE] + past[name])
        codes = tuple(f"{code}:{count}" for code, count in counts if count)
        if codes:
            unseen[name] = (*unseen.get(name, ()), *codes)


def _strata(rooms: Rooms, name: str, day: Day, evidence: CaseEvidence) -> tuple[CaseStratum, ...]:
    """The account's days of four weeks: how much of what was read was set aside, in tokens too."""
    if not evidence.clusters:
        return ()
    folder = days_folder(rooms.var)
    table = open_usage(rooms.var)
    out = []
    for back in range(PAST_DAYS, -1, -1):
        on = day.on - timedelta(days=back)
        meter = _meters(folder, on.isoformat()).get(name)
        found = None if meter is None else facts.read_day(folder, on.isoformat(), name)
        if meter is None or found is None or not len(found.sample):
            continue
        tokens = written(
            table, day.cut, customer=name, period=_utc_day(on), requests=found.requests
        )
        sizes = [tokens.get(one, 0) for one in found.requests]
        usual = range(len(sizes)) if meter.usual is None else meter.usual
        hits = [sizes[at] for at in sorted(set(range(len(sizes))) - set(usual))]
        part = CasePart(
            total=meter.output_tokens,
            read=sum(sizes),
            read_squares=sum(size * size for size in sizes),
            hit=sum(hits),
            hit_squares=sum(size * size for size in hits),
        )
        out.append(
            CaseStratum(
                cluster=evidence.clusters[0].kind,
                account=name,
                day=on.isoformat(),
                requests=meter.requests,
                read=len(sizes),
                hits=len(hits),
                parts={"output_tokens": part},
            )
        )
    return tuple(out)


def _utc_day(on: date) -> Period:
    start = as_instant(datetime(on.year, on.month, on.day, tzinfo=UTC))
    return Period(start, start + 24 * US_PER_HOUR, on.isoformat(), "UTC")


def _meters(folder: Path, day: str) -> dict[str, DayMeter]:
    """What was metered on an earlier day; a damaged file is laid aside, and the day has no past."""
    path = folder / day / METER_FILE
    try:
        return msgspec.msgpack.decode(path.read_bytes(), type=dict[str, DayMeter])
    except FileNotFoundError:
        return {}
    except msgspec.DecodeError as error:
        log.warning("%s cannot be read and is laid aside: %s", path, error)
        facts.lay_aside(path)
        return {}


def _keep(var: Path, day: Day, reviewed: Mapping[str, Reviewed]) -> None:
    """Store what later days need of this one."""
    for name, meter in day.meters.items():
        one = reviewed.get(name)
        if one is not None and len(one.usual) < len(day.read[name].sample):
            meter.usual = [int(row) for row in one.usual]
    path = days_folder(var) / day.on.isoformat() / METER_FILE
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    beside = path.with_suffix(".new")
    beside.write_bytes(msgspec.msgpack.encode(day.meters))
    beside.replace(path)


def _record(rooms: Rooms, observed: ConductObserved, alarms: Iterable[ConductAlarmed]) -> None:
    """Write the day and its alarms at once, where the day has none."""
    with rooms.book.writing() as unit:
        key = f"{OBSERVED}{observed.on}"
        if unit.journal.keyed(key):
            return
        unit.journal.append(observed, actor=CLERK, now=rooms.now(), key=key)
        for alarm in alarms:
            at = f"{ALARMED}{alarm.account}:{alarm.on}"
            unit.journal.append(alarm, actor=CLERK, now=rooms.now(), key=at)
