"""One book, rated by somebody else: invoices, ledger, costs, revenue and accruals to the cent.

The oracle below shares no code with the product: it walks hours one by one through the standard
library's calendar, multiplies fractions, and rounds once a line. Worlds are random: zones with and
without daylight saving, prices that change within a month, contracts that move to another price
book and another rounding, units, floors, credits, late usage and usage that is taken back.
"""

import itertools
import random
from collections import defaultdict
from datetime import UTC, datetime, timedelta
from fractions import Fraction
from functools import partial
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import msgspec
import pytest

from quartermaster.app import clerk, clerk_commitments, live
from quartermaster.app.api_fixed_costs import fixed_costs
from quartermaster.app.api_usage import day_costs
from quartermaster.app.revenue_months import revenue_months
from quartermaster.billing.invoice import Invoice
from quartermaster.billing.provisioned import with_provisioned
from quartermaster.billing.rate import rate
from quartermaster.book.store import Book, open_book
from quartermaster.book.views import View
from quartermaster.commands import contract as contracts
from quartermaster.commands import invoice as invoices
from quartermaster.commands import price_book as price_books
from quartermaster.commands.actor import OPERATOR
from quartermaster.commands.customer import add_customer
from quartermaster.kernel.clock import US_PER_HOUR, US_PER_S, Instant, as_instant
from quartermaster.kernel.contract import (
    Commitment,
    CommitmentPer,
    Contract,
    Customer,
    PtuLine,
)
from quartermaster.kernel.events import Cut, HourlyUsage
from quartermaster.kernel.price import Price, PriceBook
from quartermaster.kernel.units import Counts
from quartermaster.usage.bucket_rows import BucketsAsked

ZONES = (
    *("UTC", "Europe/Berlin", "America/New_York", "Pacific/Auckland", "America/Santiago"),
    *("Africa/Cairo", "Asia/Tokyo", "Pacific/Apia"),
)
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MODELS, CLASSES = ("m", "n"), ("standard", "batch", "priority")
HOUR = timedelta(hours=1)


def utc(at: int) -> datetime:
    return EPOCH + timedelta(microseconds=at)


def us(at: datetime) -> int:
    return (at - EPOCH) // timedelta(microseconds=1)


class World:
    """What was agreed and used, drawn from one seed; four months, some of which change clocks."""

    def __init__(self, seed: int) -> None:
        draw = random.Random(seed)
        self.draw, self.zone = draw, ZONES[seed % len(ZONES)]
        local = ZoneInfo(self.zone)
        year, first = draw.choice([(2025, 2), (2025, 9), (2026, 2), (2024, 12)])
        edges = [
            datetime(year + n // 12, n % 12 + 1, 1, tzinfo=local)
            for n in range(first - 1, first + 4)
        ]
        self.months = [
            (f"{a.year}-{a.month:02d}", us(a.astimezone(UTC)), us(b.astimezone(UTC)))
            for a, b in itertools.pairwise(edges)
        ]
        self.start, self.end = self.months[0][1], self.months[-1][2]
        self.currency = draw.choice(["USD", "JPY", "KWD"])
        self.books = [*self._book("list"), *self._book("other")]
        self.contracts = self._contracts()
        self.rows = [self._used() for _ in range(30)]

    def hour(self, low: int | None = None, high: int | None = None) -> int:
        low, high = low or self.start, high or self.end
        return low + self.draw.randrange((high - low) // US_PER_HOUR) * US_PER_HOUR

    def amount(self) -> str:
        return f"{self.draw.randrange(10 ** self.draw.randrange(1, 9))}e-{self.draw.randrange(6)}"

    def _book(self, name: str) -> list[PriceBook]:
        begins = [0, *sorted({self.hour() for _ in range(self.draw.randrange(3))})]
        return [
            PriceBook(
                name,
                number,
                self.currency,
                at,
                tuple(
                    Price(model, axis, self.amount(), service_class=kind)  # type: ignore[arg-type]
                    for model in MODELS
                    for axis in ("input", "output")
                    for kind in CLASSES
                    if (model, kind) != ("n", "priority")  # waits for a price for ever
                ),
            )
            for number, at in enumerate(begins, start=1)
        ]

    def _contracts(self) -> list[Contract]:
        draw = self.draw
        line = PtuLine(
            "m", "eu", draw.randrange(1, 9), self.hour(), self.end, self.amount(), spillover=True,
            input_tokens_per_minute=1,
        )  # fmt: skip
        per: CommitmentPer = draw.choice(("month", "year", "term"))
        floor = Commitment(
            draw.randrange(1, 10**7), self.start, self.hour(self.start + 900 * US_PER_HOUR), per,
            ("standard", "provisioned"),
        )  # fmt: skip
        first = Contract(
            "c", 1, "acme", "list", self.currency, self.zone, self.start,
            ptu_lines=(line,) if draw.random() < 0.6 else (),
            commitments=(floor,) if draw.random() < 0.7 else (),
        )  # fmt: skip
        if draw.random() < 0.5:
            return [first]
        second = msgspec.structs.replace(
            first,
            version=2,
            valid_from=self.hour(self.start + US_PER_HOUR),
            price_book="other",
            rounding=draw.choice(["half_even", "down"]),
            commitments=first.commitments if draw.random() < 0.6 else (),
        )
        return [first, second]

    def _used(self, **fields: Any) -> HourlyUsage:
        hour = self.hour()
        version = max(c.version for c in self.contracts if c.valid_from <= hour)
        values: dict[str, Any] = {
            "customer": "acme", "contract": "c", "contract_version": version, "price_book": "x",
            "project": "default", "key_id": "k", "model": self.draw.choice(MODELS),
            "deployment": "d", "service_class": self.draw.choice([*CLASSES, "provisioned"]),
            "hour": hour, "requests": 1,
            "counts": Counts(input=self.draw.randrange(10**8), output=self.draw.randrange(10**7)),
        }  # fmt: skip
        return HourlyUsage(**(values | fields))


# -- the oracle ----------------------------------------------------------------------------------


def rounded(amount: Fraction, places: int, how: str) -> int:
    """Minor units, by hand."""
    whole, rest = divmod(amount * Fraction(10) ** places, 1)
    if how == "down":
        return int(whole)
    if rest == Fraction(1, 2) and how == "half_even":
        return int(whole) + int(whole) % 2
    return int(whole) + (rest >= Fraction(1, 2))


def exact(text: str) -> Fraction:
    mantissa, _, power = text.partition("e")
    places = int(power or 0)
    return Fraction(mantissa) * Fraction(10) ** places


class Oracle:
    """Rates a world hour by hour."""

    def __init__(self, world: World, now: int) -> None:
        self.world, self.now = world, now - now % US_PER_HOUR
        self.places = {"USD": 2, "JPY": 0, "KWD": 3}[world.currency]

    def lines(self, low: int, high: int, *, ready: int) -> dict[tuple[Any, ...], Fraction]:
        """Exact amounts by what an invoice tells apart; units stand ready until `ready`."""
        found: dict[tuple[Any, ...], Fraction] = defaultdict(Fraction)
        for row in self.world.rows:
            if not low <= row.hour < high:
                continue
            agreed = self.world.contracts[row.contract_version - 1]
            held = [one for one in agreed.ptu_lines if one.model == row.model]
            if row.service_class == "provisioned" and any(
                one.start <= row.hour < one.end for one in held
            ):
                continue  # at nothing: no minor unit
            book = [
                one
                for one in self.world.books
                if one.id == agreed.price_book and one.valid_from <= row.hour
            ][-1]
            for price in book.prices:
                if (price.model, price.service_class) == (row.model, row.service_class):
                    quantity = getattr(row.counts, price.axis)
                    what = (book.id, row.model, row.service_class, price.axis, price.amount)
                    found[what] += Fraction(quantity, 10**6) * exact(price.amount)
        at = low
        while at < min(high, ready):
            agreed = [one for one in self.world.contracts if one.valid_from <= at][-1]
            for line in agreed.ptu_lines:
                if line.start <= at < line.end:
                    units = "", line.model, "provisioned", "hours", line.price_per_ptu_hour
                    found[units] += line.units * exact(line.price_per_ptu_hour)
            at += US_PER_HOUR
        return found

    def rounding(self, high: int) -> str:
        return [one for one in self.world.contracts if one.valid_from < high][-1].rounding

    def minor(self, low: int, high: int, month_end: int, *, ready: int, kinds: Any = None) -> int:
        how = self.rounding(month_end)
        return sum(
            rounded(amount, self.places, how)
            for what, amount in self.lines(low, high, ready=ready).items()
            if kinds is None or what[2] in kinds
        )

    def parts(self) -> list[tuple[Commitment, int, int, int]]:
        """Commitment, start, end, and how long the whole is."""
        found = []
        for one in {c for version in self.world.contracts for c in version.commitments}:
            naming = [v for v in self.world.contracts if one in v.commitments]
            later = [v for v in self.world.contracts if v.version > naming[-1].version]
            low = max(one.start, naming[0].valid_from)
            high = min([one.end, *(v.valid_from for v in later)])
            for begin, end in self.wholes(one):
                if max(begin, low) < min(end, high):
                    found.append((one, max(begin, low), min(end, high), end - begin))
        return found

    def wholes(self, one: Commitment) -> list[tuple[int, int]]:
        if one.per == "month":
            return [(low, high) for _, low, high in self.world.months]
        if one.per == "term":
            return [(one.start, one.end)]
        local = utc(one.start).astimezone(ZoneInfo(self.world.zone))
        return [(one.start, us(local.replace(year=local.year + 1).astimezone(UTC)))]

    def shortfall(self, part: tuple[Commitment, int, int, int], until: int) -> int:
        """What a part lacks of its floor for the time until then."""
        one, low, high, whole = part
        until = min(until, high)
        counted = sum(
            self.minor(max(low, begin), min(until, end), end, ready=high, kinds=one.service_classes)
            for _, begin, end in self.world.months
            if max(low, begin) < min(until, end)
        )
        floor = Fraction(one.floor_minor * (until - low), whole)
        lacks = (floor - counted) / 10**self.places
        last = next(end for _, begin, end in self.world.months if begin < high <= end)
        return rounded(lacks, self.places, self.rounding(last)) if lacks > 0 else 0

    def billed(self, low: int, high: int) -> int:
        """What a month's invoice comes to before credits."""
        over = [part for part in self.parts() if low < part[2] <= high and part[2] <= self.now]
        return self.minor(low, high, high, ready=self.now) + sum(
            self.shortfall(part, part[2]) for part in over
        )

    def accrued(self) -> int:
        """What running parts lack so far."""
        running = [part for part in self.parts() if part[1] < self.now < part[2]]
        how = self.world.contracts[-1].rounding
        total = 0
        for one, low, _, whole in running:
            exact_minor = Fraction(one.floor_minor * (self.now - low), whole) - sum(
                self.minor(max(low, begin), min(self.now, end), end, ready=self.now,
                           kinds=one.service_classes)
                for _, begin, end in self.world.months
                if max(low, begin) < min(self.now, end)
            )  # fmt: skip
            amount = exact_minor / 10**self.places
            total += rounded(amount, self.places, how) if exact_minor > 0 else 0
        return total


# -- the faces -----------------------------------------------------------------------------------


def signed(world: World, folder: Path) -> Book:
    book = open_book(f"sqlite:///{folder}/book.sqlite")
    now = Instant(world.start)
    add_customer(book, OPERATOR, Customer("acme", "ACME", "acme"), now)
    for prices in world.books:
        price_books.publish(book, OPERATOR, prices, now)
    for agreed in world.contracts:
        contracts.sign(book, OPERATOR, agreed, now)
    return book


def drafted(book: Book, world: World, label: str, cut: Cut, now: int) -> Invoice:
    def read(_: Contract, span: Any) -> invoices.UsageAtCut:
        # No more than was asked for: what a draft needs and did not ask for is missing.
        return invoices.UsageAtCut(cut, span, [row for row in world.rows if row.hour in span])

    return invoices.draft(book, OPERATOR, contract="c", period=label, read=read, now=Instant(now))


def told(view: View, world: World, low: int, high: int, now: int) -> dict[str, Fraction]:
    """The costs that a customer is told of a span, by line."""

    def draft(contract: str, label: str) -> Invoice:
        agreed, period = invoices.contract_of(view, contract, label)
        return invoices.compute(view, agreed, period, {}, world.rows, until=Instant(now))

    asked = BucketsAsked(
        first_s=low // US_PER_S, end_s=high // US_PER_S, width_s=86_400, by_line=True
    )
    rows = [row for row in world.rows if low <= row.hour < high]
    fixed = fixed_costs(view, "acme", asked, draft, Instant(now))
    sums: dict[str, Fraction] = defaultdict(Fraction)
    for day in day_costs(rows, view, asked, fixed):
        sums[day.line or ""] += Fraction(day.amount)
    return sums


def shown(view: View, world: World, now: int) -> live.LiveBook:
    """What the clerk writes for the pages."""
    rated = rate(world.rows, view.contracts["c"], world.books)
    bound = clerk_commitments.bound_rows(view, world.rows)
    return live.LiveBook(
        {},
        now,
        clerk._revenue(view, world.rows, rated, {}, Instant(now), bound),
        accrued=clerk_commitments.accrued(view, bound, Instant(now)),
    )


def check(book: Book, world: World, cut: Cut, now: int) -> None:
    """Every face against the oracle, at one moment."""
    oracle = Oracle(world, now)
    view, unit = book.view(), 10**oracle.places
    begun = [month for month in world.months if month[1] <= now]
    expected = {label: oracle.billed(low, high) for label, low, high in begun}
    recorded = {label: drafted(book, world, label, cut, now) for label in expected}
    assert {label: one.earned_minor for label, one in recorded.items()} == expected
    # The ledger is what the drafts say, sums to zero, and a second run books nothing.
    book.verify()
    facts = len(book.facts())
    again = {label: drafted(book, world, label, cut, now) for label in expected}
    assert again == recorded
    assert len(book.facts()) == facts
    with book.reading() as reading:
        balances = reading.ledger.balances()
        assert sum(balances.values()) == 0
    assert -balances.get(("revenue:acme", world.currency), 0) == sum(expected.values())
    # What pages show of the same usage.
    pages = shown(view, world, now)
    assert {row.month: row.minor for row in pages.revenue if row.minor} == {
        label: minor for label, minor in expected.items() if minor
    }
    assert sum(one.minor for one in pages.accrued) == oracle.accrued()
    listed = revenue_months(pages) if pages.revenue else None
    if listed is not None:
        assert {one.month: Fraction(one.billed) * unit for one in listed.totals} == {
            row.month: row.minor for row in pages.revenue
        }
    # What the customer's own program adds up, in two questions that meet anywhere.
    for label, low, high in begun:
        cut_at = world.hour(low, high)
        parts = [told(view, world, low, cut_at, now), told(view, world, cut_at, high, now)]
        whole = sum((sum(part.values(), Fraction(0)) for part in parts), Fraction(0))
        if high <= now:
            assert whole * unit == recorded[label].total_minor
        else:
            lines = sum((Fraction(line.amount) for line in recorded[label].lines), Fraction(0))
            assert whole == lines


SEEDS = 2


@pytest.mark.parametrize("seed", range(SEEDS))
def test_every_face_says_what_an_independent_rating_says(tmp_path: Path, seed: int) -> None:
    run(World(seed), tmp_path)


@pytest.mark.long
@pytest.mark.parametrize("seed", range(SEEDS, 400))
def test_every_face_says_the_same_of_many_worlds(tmp_path: Path, seed: int) -> None:
    run(World(seed), tmp_path)


def run(world: World, folder: Path) -> None:
    book = signed(world, folder)
    try:
        # While a month runs, at its end, with late usage, and with usage taken back.
        now, every = world.hour() + 1_234_567, world.rows
        world.rows = [row for row in every if row.hour < now]
        check(book, world, {"g": 1}, now)
        world.rows = every
        check(book, world, {"g": 2}, world.end + 1)
        world.rows += [world._used() for _ in range(10)]
        check(book, world, {"g": 3}, world.end + 1)
        for _ in range(8):
            world.rows.pop(world.draw.randrange(len(world.rows)))
        check(book, world, {"g": 4}, world.end + 1)
    finally:
        book.close()


def test_the_oracle_finds_a_cent_that_is_planted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = World(0)
    real = with_provisioned
    cheaper = partial(msgspec.structs.replace, price="0.01")

    def planted(*args: Any, **fields: Any) -> Any:
        found = real(*args, **fields)
        if not found.lines:
            return found
        line = found.lines[0]
        wrong = msgspec.structs.replace(line, amount=line.amount + 1)
        return msgspec.structs.replace(found, lines=(cheaper(wrong), *found.lines[1:]))

    monkeypatch.setattr("quartermaster.commands.invoice.with_provisioned", planted)
    with pytest.raises(AssertionError):
        run(world, tmp_path)
    assert as_instant(utc(world.start)) == world.start
