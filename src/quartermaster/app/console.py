"""The console's ports, answered from the sample book, the clerk's views and the workers' status."""

from collections import Counter
from collections.abc import Mapping
from decimal import Decimal
from functools import cache, partial
from pathlib import Path

import msgspec

from quartermaster.app import live as views
from quartermaster.app.api import MeteredUsage, OwnGateways, RatedWeights, with_api
from quartermaster.app.api_relayed import with_relayed
from quartermaster.app.board import Beside, board_of
from quartermaster.app.board_capacity import shown_capacity
from quartermaster.app.clerk_health import with_readiness
from quartermaster.app.console_account import RealAccounts
from quartermaster.app.console_book import ShownBook, live_shown, sample_shown
from quartermaster.app.console_capacity import ShownCapacity, capacity_of
from quartermaster.app.console_cases import RealCases
from quartermaster.app.console_exposure import live_exposure, sample_exposure
from quartermaster.app.console_fan import closed_rows
from quartermaster.app.console_guidance import band_of, recorded_guidance
from quartermaster.app.console_revenue import RealRevenue
from quartermaster.app.console_warning import RealWarning, SampleWarning
from quartermaster.app.console_what_if import what_if_of
from quartermaster.app.live_traffic import LiveTraffic
from quartermaster.app.rooms import Rooms
from quartermaster.app.webhooks import OwnWebhooks
from quartermaster.commands.budget_shown import read_states
from quartermaster.commands.identity import Identity
from quartermaster.commands.ports import Book
from quartermaster.console import ports
from quartermaster.console.ports_control import Control
from quartermaster.console.server import run as serve
from quartermaster.exposure.rollup import Exposure, measure, monthly_totals
from quartermaster.gateway.status import read_status
from quartermaster.kernel.clock import Instant, month_of
from quartermaster.kernel.money import EXACT, exponent
from quartermaster.revenue.run_rate import MONTHS_A_YEAR
from quartermaster.sim.book import sample_guidance


def run(rooms: Rooms, *, sample: bool) -> int:
    """Serve the console until SIGTERM."""
    overview: ports.Overview = SampleOverview() if sample else LiveOverview(rooms.var, rooms.book)
    exposure = sample_exposure() if sample else live_exposure(rooms.var)
    identity, gateways = Identity(rooms.book), Gateways(rooms.var)
    api = with_api(rooms)
    capacity = capacity_of(rooms, sample=sample)
    warning = SampleWarning() if sample else RealWarning(rooms)
    with with_relayed(rooms) as relayed:
        return serve(
            rooms.settings.console,
            identity,
            overview,
            gateways,
            exposure,
            what_if=what_if_of(rooms.var, capacity, rooms.now, sample=sample),
            capacity=capacity,
            warning=warning,
            board=board_of(
                rooms.var, sample=sample, beside=_beside(rooms, warning, capacity, sample=sample)
            ),
            traffic=LiveTraffic(rooms.var),
            revenue=RealRevenue(rooms),
            accounts=RealAccounts(rooms),
            cases=RealCases(rooms, sample=sample),
            control=_control(rooms),
            around=lambda pages: with_readiness(rooms, relayed(api(pages))),
        )


def _control(rooms: Rooms) -> Control:
    """The book and the gateways, for pages that change what is agreed."""
    return Control(
        book=rooms.book,
        gateways=OwnGateways(rooms),
        weights=RatedWeights(rooms),
        budget_states=partial(read_states, rooms.var),
        usage=MeteredUsage(rooms).now,
        webhooks=OwnWebhooks(rooms.var),
    )


def _beside(
    rooms: Rooms, warning: SampleWarning | RealWarning, capacity: ShownCapacity, *, sample: bool
) -> Beside:
    """What the board report takes from the ports of other pages."""
    return Beside(
        lambda wait: warning.record(wait=wait),
        lambda who, revenue: shown_capacity(capacity, who, revenue, rooms.now()),
        # What was promised here says nothing of a sample's revenue.
        lambda: None if sample else recorded_guidance(rooms.book),
    )


class SampleOverview:
    """The sample book, computed once: it has no clock."""

    def overview(self, now: Instant) -> ports.OverviewFacts | None:
        """The sample book's last month."""
        return msgspec.structs.replace(_sample_facts(), as_of=now)


class LiveOverview:
    """The real book as the clerk last rated it."""

    def __init__(self, var: Path, book: Book) -> None:
        self._var = var
        self._book = book

    def overview(self, now: Instant) -> ports.OverviewFacts | None:
        """The newest month that comes to a minor unit, or None while there is none."""
        del now  # the facts are as of the clerk's last look
        book = live_shown(self._var)
        if book is None:
            return None
        last = max(row.month for row in book.rows)
        facts = _facts(book, now=book.computed_at, still_open=book.open_from <= last, guidance=None)
        card = recorded_guidance(self._book)
        guidance = band_of(card, facts.currency)
        return msgspec.structs.replace(facts, guidance=guidance, promises=card)


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
                    out_of_contact=status.out_of_contact,
                )
                for status in statuses
            ),
            refusals=tuple(ports.Refusals(code, count) for code, count in refusals.most_common()),
            last=() if book is None else _last_requests(book),
            total=None if book is None else _total(book, now),
        )


@cache
def _sample_facts() -> ports.OverviewFacts:
    promise = sample_guidance()
    day = ports.day_or_none(promise.issued_on)
    scale = exponent(promise.figure.unit)
    return _facts(
        sample_shown(),
        now=Instant(0),
        still_open=False,
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
    book: ShownBook, *, now: Instant, still_open: bool, guidance: ports.Guidance | None
) -> ports.OverviewFacts:
    exposure = measure(book.rows, scope=book.denominator.en, months=1)
    return ports.OverviewFacts(
        sample=book.sample,
        currency=exposure.denominator.currency,
        as_of=now,
        period=exposure.denominator.last,
        time_zone=book.time_zone,
        still_open=still_open,
        denominator=book.denominator,
        total_minor=exposure.denominator.minor,
        revenue=_groups(exposure, book.names),
        effective_number=Decimal(str(exposure.concentration.effective_number)),
        # Twelve times a month that is not over is no rate; the first month has nothing else.
        run_rate=_run_rate(
            monthly_totals(closed_rows(book.rows, book.open_from) or book.rows),
            exposure.denominator.last,
        ),
        guidance=guidance,
        origin=book.origin,
    )


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
