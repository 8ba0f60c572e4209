"""The capacity page's port: a fleet's window from metered usage, or of the sample.

Customers are shown as groups under common control, as on every page: entities leave together.
"""

import hashlib
import threading
from collections import Counter, OrderedDict
from collections.abc import Callable, Iterable, Mapping
from decimal import Decimal
from fractions import Fraction
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from quartermaster.app import book_notes
from quartermaster.app import live as views
from quartermaster.app.capacity_metered import Metered, metered
from quartermaster.app.console_book import ShownBook
from quartermaster.app.one_currency import in_one_currency
from quartermaster.app.owed import ahead, notices, owing, units_ahead
from quartermaster.capacity.answer import OtherCurrency, span_of
from quartermaster.capacity.cost import HOURS_PER_MONTH, capex
from quartermaster.capacity.demand import HourTokens, without
from quartermaster.capacity.fleet import FLEET_BYTES_MAX, Fleet, Reservation, parse_fleet
from quartermaster.capacity.payback import MONTHS_A_YEAR, NOTHING_OWED, Loss, Owing, Plan
from quartermaster.capacity.statement import Statement, state, without_reservations
from quartermaster.console import ports_capacity as ports
from quartermaster.console.format import Lang
from quartermaster.console.ports import Bilingual
from quartermaster.console.ports_what_if import StrandedFacts
from quartermaster.exposure.departure_bridge import Bridge
from quartermaster.kernel.clock import Instant, month_named, month_of
from quartermaster.kernel.errors import ConfigError, UsageError
from quartermaster.kernel.money import Money
from quartermaster.sim.book import reference_scenario, sample_book
from quartermaster.sim.capacity import sample_capacity

if TYPE_CHECKING:
    from quartermaster.app.rooms import Rooms

ANSWERS_MAX = 32
"""Answers kept in memory. A statement of a month holds each hour's customers: some 10 MB for a
hundred of them."""
MONTHS_SHOWN_MAX = 24
"""Two years of months to choose from: older ones are asked for with `quartermaster capacity`."""
ZONE = "UTC"
"""Demand is counted by UTC hours; a month of a fleet is the same for all of its customers."""


class Given(msgspec.Struct, frozen=True, kw_only=True):
    """A window as it was read: customers are still single entities."""

    sample: bool
    fleet: Fleet
    fleet_sha256: str
    rows: tuple[HourTokens, ...]
    paid: Mapping[str, int]
    groups: Mapping[str, str]
    """Group by entity, and by any name that a reservation may use."""
    names: dict[str, str]
    month: str
    months: tuple[str, ...]
    span: tuple[int, int]
    whole_month: bool
    unpriced: int
    elsewhere: tuple[OtherCurrency, ...] = ()
    owed: tuple[views.Owed, ...] = ()
    """What commitments ask for, by group."""
    notices: Mapping[str, int] = {}
    """Days of notice by group."""
    owed_from: str = ""
    """The month from which a departure is asked about."""
    origin: Bilingual
    version: str
    """Changes when anything of the above does."""


Source = Callable[[str, Instant], Given | ports.CapacityMissing]


class ShownCapacity:
    """The port over a window that may grow between two calls."""

    def __init__(self, source: Source) -> None:
        self._source = source
        self._lock = threading.Lock()
        self._answers: OrderedDict[tuple[str, ports.CapacityQuestion], ports.CapacityFacts] = (
            OrderedDict()
        )

    def capacity(
        self, question: ports.CapacityQuestion, now: Instant
    ) -> ports.CapacityFacts | ports.CapacityMissing:
        """The facts, from memory where the same was asked of the same window.

        Raises:
            UsageError: a month or customer that is not there.
            DataError: the fleet document cannot be used.
        """
        given = self._source(question.month, now)
        if isinstance(given, ports.CapacityMissing):
            return given
        key = (given.version, question)
        with self._lock:
            found = self._answers.get(key)
            if found is None:
                found = answer(given, question)
                self._answers[key] = found
                if len(self._answers) > ANSWERS_MAX:
                    self._answers.popitem(last=False)
            self._answers.move_to_end(key)
        return found

    def stranded(
        self, book: ShownBook, group: str, steps: Bridge, now: Instant
    ) -> StrandedFacts | None:
        """What a departure from that book leaves unused, at what it goes on costing.

        None where the capacity is of another book, in another currency, or does not serve that
        customer. Months count as they go: half of the usage gone for two months strands one.
        """
        asked = ports.CapacityQuestion(customer=group)
        try:
            found = self.capacity(asked, now)
        except UsageError:
            return None  # the customer is not in the window; nothing else can be wrong with it
        if isinstance(found, ports.CapacityMissing) or found.sample != book.sample:
            return None
        if found.before.fleet.currency != book.rows[0].currency:
            return None
        return stranded_facts(found, steps)


def stranded_facts(found: ports.CapacityFacts, steps: Bridge) -> StrandedFacts:
    """The stranded hours of a whole departure, over the months in which usage is gone."""
    before, after = found.before, found.after
    months = Fraction(before.hours) / HOURS_PER_MONTH
    monthly = Fraction(after.money.stranded - before.money.stranded) / months
    hours = Fraction(after.time.stranded - before.time.stranded, 3_600_000_000) / months
    gone = max(steps.gone_months - steps.refilled_months, 0.0)
    return StrandedFacts(
        minor=round(monthly * Fraction(gone)),
        month_minor=round(monthly),
        gpu_hours=Decimal(round(hours)),
        months=Decimal(f"{gone:.6g}"),
        fleet=before.fleet.name,
    )


def sample_window(month: str, now: Instant) -> Given:
    """Of the sample fleet; it has no clock, and one month."""
    del now
    found = _sample()
    if month not in {"", found.month}:
        raise UsageError(
            f"there is no demand in {month}", hint=f"the sample has {found.month}", field="month"
        )
    return found


def metered_window(rooms: "Rooms", file: str) -> Source:
    """Of the configured fleet and what was metered."""

    def source(month: str, now: Instant) -> Given | ports.CapacityMissing:
        fleet, sha256 = read_fleet(file)
        book = views.read(rooms.var)
        if book is None or not book.revenue:
            return ports.CapacityMissing(reason="no_demand")
        months = tuple(sorted({row.month for row in book.revenue}, reverse=True))
        open_month = month_of(now, ZONE).label
        chosen = month or next((label for label in months if label < open_month), months[0])
        whole, period = chosen < open_month, month_named(chosen, ZONE)
        found = metered(rooms, fleet, period, whole_month=whole)
        if not found.rows:
            return ports.CapacityMissing(reason="no_demand")
        groups = {row.customer: row.group for row in book.revenue}
        groups |= {row.customer_name: row.group for row in book.revenue}
        groups |= {row.group_name: row.group for row in book.revenue}
        cut = ", ".join(f"{app_id}:{segment}" for app_id, segment in sorted(found.cut.items()))
        return Given(
            sample=False,
            fleet=fleet,
            fleet_sha256=sha256,
            rows=found.rows,
            paid=found.paid,
            groups=groups,
            names={row.group: row.group_name for row in book.revenue},
            month=chosen,
            months=months[:MONTHS_SHOWN_MAX],
            span=span_of(found.rows, period if whole else None),
            whole_month=whole,
            unpriced=found.unpriced,
            elsewhere=found.elsewhere,
            owed=_owed(rooms, book, fleet.currency, now),
            notices=notices(rooms.book.view(), now),
            owed_from=open_month,
            origin=Bilingual(
                de="; ".join([f"Stand {cut}", *_converted(found, "de")]),
                en="; ".join([f"cut {cut}", *_converted(found, "en")]),
            ),
            version=f"{sha256} {cut} {chosen} {open_month} {_money_stamp(found, book.owed)}",
        )

    return source


def _owed(
    rooms: "Rooms", book: views.LiveBook, currency: str, now: Instant
) -> tuple[views.Owed, ...]:
    """Commitments and units that are still to be paid for, as far as a rate brings them in."""
    units = units_ahead(rooms.book.view(), now)
    both = msgspec.structs.replace(book, owed=(*book.owed, *units))
    return in_one_currency(both, currency).owed


def _converted(found: Metered, lang: Lang) -> list[str]:
    return [book_notes.converted(found.rates, lang)] if found.rates else []


def _money_stamp(found: Metered, owed: tuple[views.Owed, ...]) -> int:
    """Changes with what the same usage comes to: a price or a contract may be agreed on later."""
    return hash(
        (tuple(sorted(found.paid.items())), found.elsewhere, found.unpriced, owed, found.rates)
    )


def read_fleet(file: str) -> tuple[Fleet, str]:
    """The configured document and the hash of its bytes.

    Raises:
        ConfigError: it cannot be read.
        DataError: it cannot be used.
    """
    try:
        with Path(file).expanduser().open("rb") as opened:
            data = opened.read(FLEET_BYTES_MAX + 1)
    except OSError as error:
        raise ConfigError(
            f"capacity.file {file} cannot be read: {error.strerror}",
            hint="name a fleet document, or leave the setting out",
            field="capacity.file",
        ) from error
    return parse_fleet(data, Path(file).name), hashlib.sha256(data).hexdigest()


def answer(given: Given, question: ports.CapacityQuestion) -> ports.CapacityFacts:
    """Everything the page shows.

    Raises:
        UsageError: nobody of that id is in the window.
        DataError: demand that no pool serves.
    """
    groups = given.groups
    fleet = _grouped_fleet(given.fleet, groups)
    rows = grouped(given.rows, groups)
    revenue: dict[str, int] = {}
    for customer, minor in given.paid.items():
        group = groups.get(customer, customer)
        revenue[group] = revenue.get(group, 0) + minor
    elsewhere = _elsewhere(given)
    unknown = {group for group, _ in elsewhere}
    revenue = {who: minor for who, minor in revenue.items() if who not in unknown}
    before = state(fleet, rows, span=given.span, revenue=revenue, unknown=unknown)
    choices = [line.customer for line in before.customers]
    customer = question.customer or choices[0]
    if customer not in choices:
        raise UsageError(
            f"customer: {customer!r} is not in this window",
            hint="choose one of the list",
            field="customer",
        )
    after = state(
        without_reservations(fleet, [customer]),
        without(rows, [customer], question.backfill_percent),
        span=given.span,
        revenue={who: minor for who, minor in revenue.items() if who != customer},
        unknown=unknown - {customer},
    )
    owed, months = ahead(given.owed, customer, given.owed_from) if given.owed else (0, 0)
    return ports.CapacityFacts(
        sample=given.sample,
        question=msgspec.structs.replace(question, month=given.month, customer=customer),
        months=given.months,
        whole_month=given.whole_month,
        choices=tuple((group, given.names.get(group, group)) for group in choices),
        names=given.names,
        before=before,
        after=after,
        revenue_minor=sum(revenue.values()),
        unpriced=given.unpriced,
        elsewhere=elsewhere,
        owed=ports.Owed(customer, Money(owed, fleet.currency), months) if owed else None,
        payback=payback_of(
            before,
            revenue,
            customer,
            question,
            owing(owed, months, given.notices.get(customer, 0)),
        ),
        fleet_sha256=given.fleet_sha256,
        origin=given.origin,
    )


def _elsewhere(given: Given) -> tuple[tuple[str, Money], ...]:
    sums: Counter[tuple[str, str]] = Counter()
    for one in given.elsewhere:
        sums[given.groups.get(one.customer, one.customer), one.currency] += one.minor
    return tuple((group, Money(minor, unit)) for (group, unit), minor in sorted(sums.items()))


def payback_of(
    statement: Statement,
    revenue: Mapping[str, int],
    customer: str,
    question: ports.CapacityQuestion,
    owed: Owing = NOTHING_OWED,
) -> ports.PaybackFacts | None:
    """When the fleet is paid back by a year like this window, with and without the customer."""
    spent, taken = capex(statement.fleet).minor, sum(revenue.values())
    running = sum(line.cost.lease_minor + line.cost.power_minor for line in statement.pools)
    if not spent or taken <= 0:
        return None
    derived = question.contribution is None
    part = Fraction(taken - running, taken) if derived else Fraction(question.contribution or 0)
    yearly = round(taken * HOURS_PER_MONTH * MONTHS_A_YEAR / statement.hours)
    if not 0 < part <= 1 or yearly <= 0:
        return None
    return ports.PaybackFacts(
        plan=Plan(spent, yearly, part),
        loss=Loss(
            Fraction(max(revenue.get(customer, 0), 0), taken),
            Fraction(question.backfill_percent, 100),
        ),
        owing=owed,
        within_months=max(pool.depreciation_months for pool in statement.fleet.pools),
        derived=derived,
    )


def grouped(rows: Iterable[HourTokens], groups: Mapping[str, str]) -> tuple[HourTokens, ...]:
    """Demand by group: entities under common control are one customer."""
    sums: dict[tuple[int, str, str], list[int]] = {}
    for row in rows:
        key = (row.hour, groups.get(row.customer, row.customer), row.model)
        into = sums.setdefault(key, [0, 0, 0, 0])
        used = (row.prefill_tokens, row.decode_tokens, row.requests, row.cached_tokens)
        for at, count in enumerate(used):
            into[at] += count
    return tuple(HourTokens(*key, *counts) for key, counts in sorted(sums.items()))


def _grouped_fleet(fleet: Fleet, groups: Mapping[str, str]) -> Fleet:
    """Reservations by group; those of two entities are one."""
    pools = []
    for pool in fleet.pools:
        kept: dict[str, int] = {}
        for one in pool.reservations:
            group = groups.get(one.customer, one.customer)
            kept[group] = kept.get(group, 0) + one.gpus
        reservations = tuple(Reservation(customer=who, gpus=gpus) for who, gpus in kept.items())
        pools.append(msgspec.structs.replace(pool, reservations=reservations))
    return msgspec.structs.replace(fleet, pools=tuple(pools))


@cache
def _sample() -> Given:
    found = sample_capacity()
    scenario = reference_scenario()
    body = msgspec.json.encode(found.fleet)
    return Given(
        sample=True,
        fleet=found.fleet,
        fleet_sha256=hashlib.sha256(body).hexdigest(),
        rows=found.rows,
        paid=found.revenue,
        groups={row.customer: row.group for row in sample_book()},
        names={},
        month=found.month,
        months=(found.month,),
        span=found.span,
        whole_month=True,
        unpriced=0,
        origin=Bilingual(
            de=f"eine erfundene Flotte für die Kunden des Beispielbuchs, Startwert {scenario.seed}",
            en=f"a made-up fleet for the customers of the sample book, seed {scenario.seed}",
        ),
        version="sample",
    )


def capacity_of(rooms: "Rooms", *, sample: bool) -> ShownCapacity:
    """The configured fleet; without one the sample, or nothing where samples are left out.

    Raises:
        ConfigError: the configured document cannot be read.
        DataError: it cannot be used.
    """
    file = rooms.settings.capacity.file
    if file:
        read_fleet(file)  # a mistake is said at the start, not to the first reader
        return ShownCapacity(metered_window(rooms, file))
    if sample:
        return ShownCapacity(sample_window)
    return ShownCapacity(lambda _month, _now: ports.CapacityMissing(reason="not_configured"))
