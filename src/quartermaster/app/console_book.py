"""The book that console pages show: the sample, or what the clerk last rated. Never both."""

import hashlib
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from functools import cache
from pathlib import Path

import msgspec

from quartermaster.app import book_notes
from quartermaster.app import live as views
from quartermaster.app.one_currency import in_one_currency, main_currency
from quartermaster.app.owed import terms_of
from quartermaster.console.ports import Bilingual
from quartermaster.exposure.book import recipe
from quartermaster.exposure.months import month_number, month_text
from quartermaster.exposure.risk_assumptions import CustomerTerms
from quartermaster.exposure.rollup import Exposure
from quartermaster.exposure.rows import RevenueRow, data_sha256
from quartermaster.kernel.clock import Instant, month_of
from quartermaster.kernel.money import split
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
    currency = "" if book is None else main_currency(book)
    if book is None or not currency:
        return None
    worth, computed_at = in_one_currency(book, currency), Instant(book.computed_at)
    earned = [worth.revenue[row] for row in book.revenue if row in worth.revenue]
    zones = ", ".join(sorted({row.time_zone for row in earned}))
    cut = ", ".join(f"{app_id}:{segment}" for app_id, segment in sorted(book.cut.items()))
    added = worth.added
    return ShownBook(
        rows=tuple(_rows(earned, book.owed)),
        names={row.group: row.group_name for row in earned}
        | {_member(row): row.customer_name for row in earned},
        sample=False,
        time_zone=zones,
        open_from=min(month_of(computed_at, row.time_zone).label for row in earned),
        computed_at=computed_at,
        denominator=Bilingual(
            de=f"Umsatz aus gezählter Nutzung aller in {' und '.join((currency, *added))} "
            "abgerechneten Kunden, ohne Steuern",
            en=f"metered revenue of all customers billed in {' and '.join((currency, *added))}, "
            "excl. tax",
        ),
        origin=Bilingual(
            de=f"Stand {cut}, Monate in {zones}{book_notes.of(book, worth, 'de')}",
            en=f"cut {cut}, months in {zones}{book_notes.of(book, worth, 'en')}",
        ),
        owed=tuple(worth.owed),
    )


def _rows(earned: Iterable[views.MonthRevenue], owed: Iterable[views.Owed]) -> Iterator[RevenueRow]:
    """By ids, because two customers may have one name; a row that comes to nothing is none.

    Each month is what its invoice bills. What a year or a term lacked is billed with its last
    month, and `evened` spreads it over all of them: times twelve it would be no run-rate.
    """
    evened: Counter[tuple[str, str]] = Counter()
    rows, ends = list(earned), dict[str, str]()
    for one in owed:
        ends[one.contract] = max(one.last, ends.get(one.contract, ""))
    for row in rows:
        for charged in row.charged:
            first, last = month_number(charged.first), month_number(charged.last)
            for at, minor in enumerate(split(charged.minor, [1] * (last - first + 1)), start=first):
                evened[row.contract, month_text(at)] += minor
            evened[row.contract, row.month] -= charged.minor
    for row in rows:
        moved = evened[row.contract, row.month]
        if row.minor > 0 or row.minor + moved > 0:
            yield RevenueRow(
                customer=_member(row),
                group=row.group,
                month=row.month,
                minor=row.minor,
                currency=row.currency,
                contract_end=ends.get(row.contract, ""),
                evened=moved,
            )


def _member(row: views.MonthRevenue) -> str:
    """A customer's id where a group may have the same one."""
    return f"customer:{row.customer}"
