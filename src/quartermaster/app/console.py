"""The console's ports, answered from the sample book, the clerk's views and the workers' status."""

from collections import Counter, defaultdict
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
from quartermaster.kernel.money import EXACT, exponent, round_line
from quartermaster.revenue.run_rate import MONTHS_A_YEAR
from quartermaster.sim.book import reference_scenario, sample_book, sample_guidance

LIVE_ZONE = "UTC"
"""Real usage of several contracts is shown by UTC month; each invoice keeps its own zone."""


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
        """The open month, or None while nothing that was used comes to a minor unit."""
        del now  # the facts are as of the clerk's last look
        book = views.read(self._var)
        rows = live_rows(book) if book is not None else ()
        if book is None or not any(row.minor > 0 for row in rows):
            return None
        cut = ", ".join(f"{app_id}:{segment}" for app_id, segment in sorted(book.cut.items()))
        return _facts(
            rows,
            now=Instant(book.computed_at),
            sample=False,
            denominator=ports.Bilingual(
                de="gemeterter Umsatz aller Kunden, ohne Steuern",
                en="metered revenue of all customers, excl. tax",
            ),
            origin=ports.Bilingual(de=f"Schnitt {cut}", en=f"cut {cut}"),
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
            total=None if book is None else _total(book, month_of(now, LIVE_ZONE).label),
        )


def live_rows(book: views.LiveBook) -> tuple[RevenueRow, ...]:
    """Real revenue by customer and month, rounded to minor units as its invoice would be."""
    return tuple(
        RevenueRow(
            customer=row.customer_name,
            group=row.group_name,
            month=row.month,
            minor=round_line(row.amount, row.currency).minor,
            currency=row.currency,
        )
        for row in book.revenue
    )


@cache
def _sample_facts() -> ports.OverviewFacts:
    scenario = reference_scenario()
    promise = sample_guidance()
    day = _day(promise.issued_on)
    scope = scenario.scope_by_id[scenario.claim_by_id[recipe(scenario).total].scope]
    scale = exponent(promise.figure.unit)
    return _facts(
        sample_book(),
        now=Instant(0),
        sample=True,
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
    now: Instant,
    sample: bool,
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
        time_zone=LIVE_ZONE,
        denominator=denominator,
        total_minor=exposure.denominator.minor,
        revenue=_groups(exposure),
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


def _groups(exposure: Exposure) -> tuple[ports.GroupRevenue, ...]:
    total = Decimal(exposure.denominator.minor)
    return tuple(
        ports.GroupRevenue(
            group=group.group,
            name=group.group,
            minor=group.minor,
            share=EXACT.divide(Decimal(group.minor), total),
            entities=tuple(m.customer for m in group.members if m.customer != group.group),
        )
        for group in exposure.groups
    )


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


def _total(book: views.LiveBook, month: str) -> ports.MeteredTotal | None:
    """Everything of the open month; amounts only where they are of one currency."""
    rows = [row for row in book.revenue if row.month == month]
    if not rows:
        return None
    amounts: dict[str, Decimal] = defaultdict(Decimal)
    for row in rows:
        amounts[row.currency] += row.amount
    one = len(amounts) == 1
    return ports.MeteredTotal(
        period=month,
        requests=sum(row.requests for row in rows),
        tokens=sum(row.tokens for row in rows),
        rated=next(iter(amounts.values())) if one else None,
        currency=next(iter(amounts)) if one else "",
    )
