"""The book that console pages show: the sample, or what the clerk last rated. Never both."""

import hashlib
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping
from functools import cache
from pathlib import Path

import msgspec

from quartermaster.app import live as views
from quartermaster.app.owed import terms_of
from quartermaster.console.format import Lang, money
from quartermaster.console.ports import Bilingual
from quartermaster.exposure.book import recipe
from quartermaster.exposure.months import month_number, month_text
from quartermaster.exposure.risk_assumptions import CustomerTerms
from quartermaster.exposure.rollup import Exposure
from quartermaster.exposure.rows import RevenueRow, data_sha256
from quartermaster.kernel.clock import Instant, month_of
from quartermaster.kernel.money import Money, split
from quartermaster.sim.book import reference_scenario, sample_book

SAMPLE_ZONE = "UTC"
"""The sample book knows months only; its zone is a formality."""


class ShownBook(msgspec.Struct, frozen=True, kw_only=True):
    """Revenue by customer and month in one currency, at least one row, and where it comes from."""

    rows: tuple[RevenueRow, ...]
    names: Mapping[str, str]
    """Of groups and customers by id; an id that is missing is the name."""
    sample: bool
    time_zone: str
    open_from: str
    """The first month `YYYY-MM` that is not over everywhere; empty where all are."""
    computed_at: Instant
    denominator: Bilingual
    origin: Bilingual
    owed: tuple[views.Owed, ...] = ()
    """What commitments ask for, in the currency of the rows; by ids of groups."""

    @property
    def stamp(self) -> str:
        """Changes when a figure of it may."""
        owed = hashlib.sha256(msgspec.json.encode(self.owed)).hexdigest() if self.owed else ""
        return f"{data_sha256(self.rows)} {self.open_from} {owed}"


def book_terms(book: ShownBook, exposure: Exposure) -> tuple[CustomerTerms, ...]:
    """What customers of the book owe under their contracts from the first open month on."""
    groups = [group.group for group in exposure.groups]
    return terms_of(book.owed, book.open_from, groups) if book.owed else ()


@cache
def sample_shown() -> ShownBook:
    """The sample book, computed once: it has no clock."""
    scenario = reference_scenario()
    scope = scenario.scope_by_id[scenario.claim_by_id[recipe(scenario).total].scope]
    return ShownBook(
        rows=sample_book(),
        names={},
        sample=True,
        time_zone=SAMPLE_ZONE,
        open_from="",
        computed_at=Instant(0),
        denominator=Bilingual(
            de=f"Umsatz von {scope.said('de')}, ohne Steuern",
            en=f"revenue of {scope.said('en')}, excl. tax",
        ),
        origin=Bilingual(
            de=f"erfundene Welt nach dem Szenario {scenario.id}, Startwert {scenario.seed}",
            en=f"an invented world after the scenario {scenario.id}, seed {scenario.seed}",
        ),
    )


def live_shown(var: Path) -> ShownBook | None:
    """The real book as the clerk last rated it, or None while nothing comes to a minor unit."""
    book = views.read(var)
    earned = _of_one_currency(book) if book is not None else ()
    if book is None or not earned:
        return None
    currency, computed_at = earned[0].currency, Instant(book.computed_at)
    zones = ", ".join(sorted({row.time_zone for row in earned}))
    cut = ", ".join(f"{app_id}:{segment}" for app_id, segment in sorted(book.cut.items()))
    return ShownBook(
        rows=tuple(_rows(earned, book.owed, computed_at)),
        names={row.group: row.group_name for row in earned}
        | {_member(row): row.customer_name for row in earned},
        sample=False,
        time_zone=zones,
        open_from=min(month_of(computed_at, row.time_zone).label for row in earned),
        computed_at=computed_at,
        denominator=Bilingual(
            de=f"Umsatz aus gezählter Nutzung aller in {currency} abgerechneten Kunden, "
            "ohne Steuern",
            en=f"metered revenue of all customers billed in {currency}, excl. tax",
        ),
        origin=Bilingual(
            de=f"Stand {cut}, Monate in {zones}" + _left_out(book, currency, "de"),
            en=f"cut {cut}, months in {zones}" + _left_out(book, currency, "en"),
        ),
        owed=tuple(one for one in book.owed if one.currency == currency),
    )


def _of_one_currency(book: views.LiveBook) -> tuple[views.MonthRevenue, ...]:
    """What was earned in the currency of most requests; amounts of several are never added."""
    requests: Counter[str] = Counter()
    for row in book.revenue:
        if row.minor > 0:
            requests[row.currency] += row.requests
    shown = min(requests, key=lambda currency: (-requests[currency], currency), default="")
    return tuple(row for row in book.revenue if row.currency == shown)


def _left_out(book: views.LiveBook, shown: str, lang: Lang) -> str:
    """What other currencies come to: named beside the book, because no rate adds them to it."""
    sums: Counter[str] = Counter()
    groups: dict[str, set[str]] = defaultdict(set)
    for row in book.revenue:
        if row.currency != shown and row.minor > 0:
            sums[row.currency] += row.minor
            groups[row.currency].add(row.group)
    if not sums:
        return ""
    amounts = ", ".join(
        f"{money(Money(minor, currency), lang)} ({len(groups[currency])})"
        for currency, minor in sorted(sums.items())
    )
    if lang == "de":
        return f"; nicht darin, weil in anderer Währung (Zahl der Kunden): {amounts}"
    return f"; not in it, because in another currency (number of customers): {amounts}"


def _rows(
    earned: Iterable[views.MonthRevenue], owed: Iterable[views.Owed], now: Instant
) -> Iterator[RevenueRow]:
    """By ids, because two customers may have one name; a row that comes to nothing is none.

    What a year or a term lacked was charged with its last month, and is spread evenly over its
    months here: times twelve it would be no run-rate, and in one month no share. Until that month
    is over it is still owed ahead, and in no month here.
    """
    spread: Counter[tuple[str, str]] = Counter()
    rows, ends = list(earned), dict[str, str]()
    for one in owed:
        ends[one.contract] = max(one.last, ends.get(one.contract, ""))
    for row in rows:
        for charged in row.charged:
            first, last = month_number(charged.first), month_number(charged.last)
            if first < last and row.month >= month_of(now, row.time_zone).label:
                continue
            parts = split(charged.minor, [1] * (last - first + 1))
            for at, minor in enumerate(parts, start=first):
                spread[row.contract, month_text(at)] += minor
    for row in rows:
        minor = row.used_minor + spread[row.contract, row.month]
        if minor > 0:
            yield RevenueRow(
                customer=_member(row),
                group=row.group,
                month=row.month,
                minor=minor,
                currency=row.currency,
                contract_end=ends.get(row.contract, ""),
            )


def _member(row: views.MonthRevenue) -> str:
    """A customer's id where a group may have the same one."""
    return f"customer:{row.customer}"
