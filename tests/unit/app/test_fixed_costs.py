"""The days of a month add up to its draft invoice: to the cent, however they are asked for."""

import itertools
import random
from collections import defaultdict
from decimal import Decimal
from functools import partial
from typing import Any

import msgspec
import pytest
from tests.unit.app.batch_world import World

from quartermaster.app.api_fixed_costs import fixed_costs
from quartermaster.app.api_usage import OwnUsage, day_costs
from quartermaster.billing.invoice import Invoice
from quartermaster.book.views import View
from quartermaster.commands import contract as contracts
from quartermaster.commands import invoice as invoices
from quartermaster.commands.actor import OPERATOR
from quartermaster.kernel.case import Credit, CreditGrant
from quartermaster.kernel.clock import US_PER_HOUR, US_PER_S, Instant, month
from quartermaster.kernel.contract import Commitment, CommitmentPer, Contract, PtuLine
from quartermaster.kernel.events import HourlyUsage
from quartermaster.kernel.units import Counts, ServiceClass
from quartermaster.usage.bucket_rows import BucketsAsked, DayCost

DAY_S = 86_400
LATER = Instant(month(2027, 6, "UTC").start)
"""Everything here is over by then."""
ZONES = ("UTC", "Europe/Berlin", "Asia/Kolkata")
PERS: tuple[CommitmentPer, ...] = ("month", "year", "term")
CLASSES: tuple[ServiceClass, ...] = ("standard", "batch")


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    return World(tmp_path_factory.mktemp("fixed"))


def signed(draw: random.Random, name: str, zone: str) -> Contract:
    """A contract with units and commitments that begin and end where they like."""
    begins, ends = month(2026, 11, zone).start, month(2027, 3, zone).end
    hours = (ends - begins) // US_PER_HOUR

    def line(price: str) -> PtuLine:
        first = draw.randrange(hours - 1)
        last = draw.randrange(first + 1, hours)
        return PtuLine(
            "m",
            "eu",
            units=draw.randrange(1, 300),
            start=begins + first * US_PER_HOUR,
            end=begins + last * US_PER_HOUR,
            price_per_ptu_hour=price,
        )

    per = draw.choice(PERS)
    floor = Commitment(floor_minor=draw.randrange(50_000_000), start=begins, end=ends, per=per)
    return Contract(
        name,
        1,
        "acme",
        "list",
        "USD",
        zone,
        begins,
        ptu_lines=tuple(line(price) for price in ("0.0137", "1.00007", "2")),
        commitments=(floor,) if draw.random() < 0.7 else (),
        end=ends,
    )


def used(draw: random.Random, contract: Contract) -> list[HourlyUsage]:
    """Hours of usage in five months."""
    hours = range(contract.valid_from // US_PER_HOUR + 1, (contract.end or 0) // US_PER_HOUR - 1)
    return [
        HourlyUsage(
            customer="acme",
            contract=contract.id,
            contract_version=1,
            price_book="list",
            project="default",
            key_id="key_1",
            model="m",
            deployment="d",
            service_class=draw.choice(CLASSES),
            hour=hour * US_PER_HOUR,
            requests=1,
            counts=Counts(input=draw.randrange(10**7), output=draw.randrange(10**6)),
        )
        for hour in sorted(draw.sample(hours, 40))
    ]


def asked(first_us: int, end_us: int, **fields: Any) -> BucketsAsked:
    return BucketsAsked(
        first_s=first_us // US_PER_S, end_s=end_us // US_PER_S, width_s=DAY_S, **fields
    )


def told(view: View, rows: list[HourlyUsage], question: BucketsAsked) -> list[DayCost]:
    """What the costs say, of a table with these rows."""

    def draft(contract: str, label: str) -> Invoice:
        agreed, period = invoices.contract_of(view, contract, label)
        return invoices.compute(view, agreed, period, {}, rows, until=LATER)

    first, end = question.first_s * US_PER_S, question.end_s * US_PER_S
    within = [row for row in rows if first <= row.hour < end]
    return day_costs(within, view, question, fixed_costs(view, "acme", question, draft, LATER))


@pytest.mark.parametrize("seed", range(12))
def test_the_days_of_a_month_add_up_to_its_invoice(world: World, seed: int) -> None:
    """Units, floors and credits were missing, and a month of lines was off by cents."""
    draw = random.Random(seed)
    zone, name = ZONES[seed % len(ZONES)], f"acme-fixed-{seed}"
    contract = signed(draw, name, zone)
    view, rows = world.book.view(), used(draw, contract)
    view = msgspec.structs.replace(view, contracts={name: [contract]}, credits=credits_of(name))
    for number in (11, 12, 1, 2, 3):
        period = month(2026 if number > 3 else 2027, number, zone)
        agreed, _ = invoices.contract_of(view, name, period.label)
        invoice = invoices.compute(view, agreed, period, {}, rows, until=LATER)
        # In pages that end anywhere, as a client asks for them.
        hours = period.hours
        cuts = sorted({0, hours, *(draw.randrange(hours) for _ in range(3))})
        pages = [
            asked(period.start + one * US_PER_HOUR, period.start + other * US_PER_HOUR)
            for one, other in itertools.pairwise(cuts)
        ]
        days = [day for page in pages for day in told(view, rows, page)]
        assert sum(day.amount for day in days) == Decimal(invoice.total_minor) / 100
        by_line = told(view, rows, asked(period.start, period.end, by_line=True))
        lines: dict[str | None, Decimal] = defaultdict(Decimal)
        for day in by_line:
            lines[day.line] += day.amount
        units = [line for line in invoice.lines if line.axis == "ptu_hour"]
        assert lines["m, provisioned units"] == sum(line.amount for line in units)
        hours_told = sum(day.quantity or 0 for day in by_line if day.unit == "duration_hours")
        assert hours_told == sum(line.quantity for line in units)
        assert lines["service credit"] == sum(Decimal(one.minor) / 100 for one in invoice.credits)
        assert abs(lines["rounding"]) <= Decimal("0.005") * (len(invoice.lines) + 1)


def credits_of(contract: str) -> dict[str, list[CreditGrant]]:
    """A credit of December."""
    credit = Credit(
        customer="acme",
        contract=contract,
        period="2026-12",
        currency="USD",
        minor=1_234,
        held_back_us=0,
        revenue_a_day_minor=0,
        percent=0,
    )
    return {contract: [CreditGrant("case_1", credit)]}


def test_a_month_that_runs_has_units_by_the_day_and_no_floor_yet(world: World) -> None:
    begins = month(2026, 11, "UTC")
    line = PtuLine("m", "eu", 10, begins.start, begins.end, "2.00")
    floor = Commitment(floor_minor=10**9, start=begins.start, end=begins.end)
    contract = Contract(
        "running", 1, "acme", "list", "USD", "UTC", begins.start,
        ptu_lines=(line,), commitments=(floor,),
    )  # fmt: skip
    view = msgspec.structs.replace(world.book.view(), contracts={"running": [contract]})
    end = begins.start + 50 * US_PER_HOUR
    found = told(view, [], asked(begins.start, end, by_line=True))
    assert [(day.amount, day.quantity, day.unit) for day in found] == [
        (Decimal(480), 240, "duration_hours"),
        (Decimal(480), 240, "duration_hours"),
        (Decimal(40), 20, "duration_hours"),
    ]
    assert {(day.line, day.project, day.key_id) for day in found} == {
        ("m, provisioned units", None, None)
    }
    # They are no project's and no key's, and nobody else's.
    for filtered in ({"projects": ("default",)}, {"keys": ("key_1",)}):
        assert told(view, [], asked(begins.start, end, **filtered)) == []
    span = asked(begins.start, end)
    unneeded = partial(pytest.fail, "no draft is needed")
    assert fixed_costs(view, "globex", span, unneeded, LATER) == []


def test_costs_ask_the_table_and_the_contracts(world: World) -> None:
    """The port itself: one cut, one view, and the customer's own contracts."""
    begins = month(2024, 11, "UTC")
    line = PtuLine("m", "eu", 1, begins.start, begins.end, "1.00", input_tokens_per_minute=1_000)
    contract = Contract(
        "acme-units", 1, "acme", "list", "USD", "UTC", begins.start, ptu_lines=(line,)
    )
    contracts.sign(world.book, OPERATOR, contract, Instant(begins.start))
    usage = OwnUsage(world.rooms)
    (total,) = usage.costs("acme", asked(begins.end - 86_400 * US_PER_S, begins.end))
    assert total.amount == 24
    assert usage.costs("globex", asked(begins.start, begins.end)) == []


@pytest.mark.parametrize("end", [month(2027, 1, "UTC").end, month(9998, 12, "UTC").end])
def test_a_question_into_the_future_is_told_what_has_accrued(world: World, end: int) -> None:
    """The whole floor of a month that has just begun, and units that are yet to stand ready."""
    november = month(2026, 11, "UTC")
    now = Instant(november.start + 36 * US_PER_HOUR)
    floor = Commitment(100_000, november.start, month(2027, 11, "UTC").start, "month")
    line = PtuLine("m", "eu", 2, november.start, november.end, "1.00")
    contract = Contract(
        "acme-now",
        1,
        "acme",
        "list",
        "USD",
        "UTC",
        november.start,
        ptu_lines=(line,),
        commitments=(floor,),
    )
    view = msgspec.structs.replace(world.book.view(), contracts={"acme-now": (contract,)})
    drafted: list[str] = []

    def draft(name: str, label: str) -> Invoice:
        drafted.append(label)
        agreed, period = invoices.contract_of(view, name, label)
        return invoices.compute(view, agreed, period, {}, [], until=now)

    span = asked(november.start, end, by_line=True)
    told = day_costs([], view, span, fixed_costs(view, "acme", span, draft, now))
    assert [(day.line, day.amount) for day in told] == [
        ("m, provisioned units", Decimal(48)),
        ("m, provisioned units", Decimal(24)),
    ]
    assert drafted == []
    assert draft("acme-now", "2026-11").earned_minor == 72_00
    # Half an hour later neither counts the hour that has begun.
    now = Instant(now + 30 * 60 * US_PER_S)
    told = day_costs([], view, span, fixed_costs(view, "acme", span, draft, now))
    assert sum(day.amount for day in told) == Decimal(72)
    assert draft("acme-now", "2026-11").earned_minor == 72_00
    after = asked(november.end, end, by_line=True)
    assert fixed_costs(view, "acme", after, draft, now) == []
