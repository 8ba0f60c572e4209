"""The console's ports, answered from the sample book, the clerk's views and the workers' status."""

from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import date
from decimal import Decimal
from functools import cache
from pathlib import Path

import msgspec

from quartermaster.app import live as views
from quartermaster.app.rooms import Rooms
from quartermaster.commands.identity import Identity
from quartermaster.console import ports
from quartermaster.console.server import run as serve
from quartermaster.exposure.book import recipe
from quartermaster.exposure.rollup import Exposure, measure, monthly_totals
from quartermaster.exposure.rows import RevenueRow
from quartermaster.gateway.status import read_status
from quartermaster.kernel.clock import Instant, month_of
from quartermaster.kernel.money import EXACT, exponent
from quartermaster.revenue.run_rate import MONTHS_A_YEAR
from quartermaster.sim.book import reference_scenario, sample_book, sample_guidance

SAMPLE_ZONE = "UTC"
"""The sample book knows months only; its zone is a formality."""


def run(rooms: Rooms, *, sample: bool) -> int:
    """Serve the console until SIGTERM."""
    overview: ports.Overview = SampleOverview() if sample else LiveOverview(rooms.var)
    return serve(rooms.settings.console, Identity(rooms.book), overview, Gateways(rooms.var))


class SampleOverview:
    """The sample book, computed once: it has no clock."""

    def overview(self, now: Instant) -> ports.OverviewFacts | None:
        """The sample book's last month."""
        return msgspec.structs.replace(_sample_facts(), as_of=now)


class LiveOverview:
    """The real book as the clerk last rated it."""

    def __init__(self, var: Path) -> None:
        self._var = var

    def overview(self, now: Instant) -> ports.OverviewFacts | None:
        """The newest month that comes to a minor unit, or None while there is none."""
        del now  # the facts are as of the clerk's last look
        book = views.read(self._var)
        owed = _of_one_currency(book) if book is not None else ()
        if book is None or not owed:
            return None
        last, currency = max(row.month for row in owed), owed[0].currency
        zones = ", ".join(sorted({row.time_zone for row in owed}))
        cut = ", ".join(f"{app_id}:{segment}" for app_id, segment in sorted(book.cut.items()))
        return _facts(
            [_row(row) for row in owed],
            names={row.group: row.group_name for row in owed}
            | {_member(row): row.customer_name for row in owed},
            now=Instant(book.computed_at),
            sample=False,
            time_zone=zones,
            still_open=any(
                month_of(Instant(book.computed_at), row.time_zone).label <= last for row in owed
            ),
            denominator=ports.Bilingual(
                de=f"Umsatz aus gezählter Nutzung aller in {currency} abgerechneten Kunden, "
                "ohne Steuern",
                en=f"metered revenue of all customers billed in {currency}, excl. tax",
            ),
            origin=ports.Bilingual(
                de=f"Schnitt {cut}, Monate in {zones}", en=f"cut {cut}, months in {zones}"
            ),
            guidance=None,
        )


class Gateways:
    """What the gateway workers and the clerk last said."""

    def __init__(self, var: Path) -> None:
        self._var = var

    def live(self, now: Instant) -> ports.LiveFacts:
        """Workers, refusals and the last metered requests."""
        statuses = [read_status(path) for path in sorted((self._var / "status").glob("*.json"))]
        refusals: Counter[str] = Counter()
        for status in statuses:
            refusals.update(status.refusals)
        book = views.read(self._var)
        return ports.LiveFacts(
            workers=tuple(
                ports.WorkerLive(
                    app_id=status.app_id,
                    requests_per_s=Decimal(status.requests_per_s),
                    in_flight=status.in_flight,
                    reported_at=Instant(status.at),
                )
                for status in statuses
            ),
            refusals=tuple(ports.Refusals(code, count) for code, count in refusals.most_common()),
            last=() if book is None else _last_requests(book),
            total=None if book is None else _total(book, now),
        )


def _of_one_currency(book: views.LiveBook) -> tuple[views.MonthRevenue, ...]:
    """What is owed in the currency of most requests; amounts of several are never added."""
    requests: Counter[str] = Counter()
    for row in book.revenue:
        if row.minor > 0:
            requests[row.currency] += row.requests
    shown = min(requests, key=lambda currency: (-requests[currency], currency), default="")
    return tuple(row for row in book.revenue if row.minor > 0 and row.currency == shown)


def _row(row: views.MonthRevenue) -> RevenueRow:
    """By ids, because two customers may have one name."""
    return RevenueRow(
        customer=_member(row),
        group=row.group,
        month=row.month,
        minor=row.minor,
        currency=row.currency,
    )


def _member(row: views.MonthRevenue) -> str:
    """A customer's id where a group may have the same one."""
    return f"customer:{row.customer}"


@cache
def _sample_facts() -> ports.OverviewFacts:
    scenario = reference_scenario()
    promise = sample_guidance()
    day = _day(promise.issued_on)
    scope = scenario.scope_by_id[scenario.claim_by_id[recipe(scenario).total].scope]
    scale = exponent(promise.figure.unit)
    return _facts(
        sample_book(),
        names={},
        now=Instant(0),
        sample=True,
        time_zone=SAMPLE_ZONE,
        still_open=False,
        denominator=ports.Bilingual(
            de=f"Umsatz von {scope.said('de')}, ohne Steuern",
            en=f"revenue of {scope.said('en')}, excl. tax",
        ),
        origin=ports.Bilingual(
            de=f"erfundene Welt nach dem Szenario {scenario.id}, Startwert {scenario.seed}",
            en=f"an invented world after the scenario {scenario.id}, seed {scenario.seed}",
        ),
        guidance=ports.Guidance(
            first=promise.figure.period,
            last=promise.figure.period,
            low_minor=int(Decimal(promise.low).scaleb(scale)),
            high_minor=int(Decimal(promise.high).scaleb(scale)),
            basis=ports.Bilingual(de="wie berichtet", en="as reported"),
            said_by=promise.source if day else f"{promise.source}, {promise.issued_on}",
            said_on=day,
        ),
    )


def _facts(
    rows: Sequence[RevenueRow],
    *,
    names: Mapping[str, str],
    now: Instant,
    sample: bool,
    time_zone: str,
    still_open: bool,
    denominator: ports.Bilingual,
    origin: ports.Bilingual,
    guidance: ports.Guidance | None,
) -> ports.OverviewFacts:
    exposure = measure(rows, scope=denominator.en, months=1)
    return ports.OverviewFacts(
        sample=sample,
        currency=exposure.denominator.currency,
        as_of=now,
        period=exposure.denominator.last,
        time_zone=time_zone,
        still_open=still_open,
        denominator=denominator,
        total_minor=exposure.denominator.minor,
        revenue=_groups(exposure, names),
        effective_number=Decimal(str(exposure.concentration.effective_number)),
        run_rate=_run_rate(monthly_totals(rows), exposure.denominator.last),
        guidance=guidance,
        origin=origin,
    )


def _day(text: str) -> date | None:
    """A full date, or None where the source names a month or a year only."""
    try:
        return date.fromisoformat(text)
    except ValueError:
        return None


def _groups(exposure: Exposure, names: Mapping[str, str]) -> tuple[ports.GroupRevenue, ...]:
    """Groups with their members' names; a member named as its group is not named again."""
    total, found = Decimal(exposure.denominator.minor), []
    for group in exposure.groups:
        name = names.get(group.group, group.group)
        members = [names.get(member.customer, member.customer) for member in group.members]
        found.append(
            ports.GroupRevenue(
                group=group.group,
                name=name,
                minor=group.minor,
                share=EXACT.divide(Decimal(group.minor), total),
                entities=tuple(member for member in members if member != name),
            )
        )
    return tuple(found)


def _run_rate(totals: Mapping[str, int], last: str) -> tuple[ports.RunRate, ...]:
    return tuple(
        ports.RunRate(month, minor * MONTHS_A_YEAR)
        for month, minor in totals.items()
        if month <= last
    )


def _last_requests(book: views.LiveBook) -> tuple[ports.MeteredRequest, ...]:
    names = {row.customer: row.customer_name for row in book.revenue}
    return tuple(
        ports.MeteredRequest(
            request_id=event.opened.request_id,
            at=Instant(event.opened.opened_at),
            customer=names.get(event.opened.customer, event.opened.customer),
            model=event.opened.model,
            input_tokens=event.closed.counts.input
            + event.closed.counts.cached_read
            + event.closed.counts.cache_write,
            output_tokens=event.closed.counts.output + event.closed.counts.reasoning,
            status=event.status,
            count_source=event.closed.count_source,
        )
        for event in book.recent
    )


def _total(book: views.LiveBook, now: Instant) -> ports.MeteredTotal | None:
    """Everything of each contract's open month; an amount only where all are of one currency."""
    rows = [row for row in book.revenue if row.month == month_of(now, row.time_zone).label]
    if not rows:
        return None
    rated = None
    if len({row.currency for row in rows}) == 1:
        rated = Decimal(0)
        for row in rows:
            rated = EXACT.add(rated, row.amount)
    return ports.MeteredTotal(
        period=max(row.month for row in rows),
        requests=sum(row.requests for row in rows),
        tokens=sum(row.tokens for row in rows),
        rated=rated,
        currency=rows[0].currency,
        unpriced=sum(row.unpriced for row in rows),
    )
