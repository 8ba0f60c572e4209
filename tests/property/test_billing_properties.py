"""Billing for all usage: how it arrived does not matter, and every quantity is somewhere."""

from collections import Counter
from decimal import Decimal
from fractions import Fraction
from itertools import pairwise

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from quartermaster.billing.commitment import shortfalls
from quartermaster.billing.document import as_json
from quartermaster.billing.invoice import draft, with_credits
from quartermaster.billing.rate import rate
from quartermaster.kernel.case import Credit, CreditGrant
from quartermaster.kernel.clock import US_PER_HOUR, month
from quartermaster.kernel.commitment import parts
from quartermaster.kernel.contract import Commitment, Contract
from quartermaster.kernel.events import HourlyUsage
from quartermaster.kernel.price import Price, PriceBook
from quartermaster.kernel.units import Counts

NOVEMBER = month(2026, 11, "Europe/Berlin")
MIDDLE = NOVEMBER.start + 300 * US_PER_HOUR
CONTRACT = Contract("acme-1", 1, "acme", "list", "USD", "Europe/Berlin", 0)
BOOKS = (
    PriceBook("list", 1, "USD", 0, (Price("m", "input", "0.15"), Price("m", "output", "0.6"))),
    PriceBook(
        "list", 2, "USD", MIDDLE, (Price("m", "input", "0.137"), Price("m", "output", "0.6"))
    ),
)

EMPTY = HourlyUsage(
    "acme", "acme-1", 1, "list", "default", "k1", "m", "d", "standard", MIDDLE, 1, Counts()
)  # fmt: skip
CREDIT = Credit(
    customer="acme",
    contract="acme-1",
    period="",
    minor=0,
    currency="USD",
    held_back_us=1,
    revenue_a_day_minor=1,
    percent=25,
)
TOKENS = st.integers(0, 10**9)
ROWS = st.builds(
    HourlyUsage,
    customer=st.just("acme"),
    contract=st.just("acme-1"),
    contract_version=st.just(1),
    price_book=st.just("list"),
    project=st.sampled_from(["a", "b"]),
    key_id=st.sampled_from(["k1", "k2"]),
    # "x" has no price at all, "m" has none for reasoning.
    model=st.sampled_from(["m", "x"]),
    deployment=st.just("d"),
    service_class=st.just("standard"),
    hour=st.integers(-2, NOVEMBER.hours + 2).map(lambda n: NOVEMBER.start + n * US_PER_HOUR),
    requests=st.integers(1, 1000),
    counts=st.builds(Counts, input=TOKENS, output=TOKENS, reasoning=st.integers(0, 9)),
)
USAGE = st.lists(ROWS, max_size=30)


def halves(row: HourlyUsage) -> list[HourlyUsage]:
    """The same usage as two rows, as if it had been metered by two workers."""
    first = Counts(*(count // 2 for count in msgspec.structs.astuple(row.counts)))
    second = Counts(*(count - count // 2 for count in msgspec.structs.astuple(row.counts)))
    return [msgspec.structs.replace(row, counts=counts) for counts in (first, second)]


@given(USAGE, st.randoms(use_true_random=False))
def test_order_and_splitting_of_usage_do_not_change_a_byte(
    rows: list[HourlyUsage], random: object
) -> None:
    split_rows = [half for row in rows for half in halves(row)]
    random.shuffle(split_rows)  # type: ignore[attr-defined]
    whole = draft(CONTRACT, NOVEMBER, rate(rows, [CONTRACT], BOOKS), {"gw-0": 1})
    parts = draft(CONTRACT, NOVEMBER, rate(split_rows, [CONTRACT], BOOKS), {"gw-0": 1})
    assert as_json(parts) == as_json(whole)


@given(USAGE)
def test_every_metered_quantity_is_in_exactly_one_line_or_queue_entry(
    rows: list[HourlyUsage],
) -> None:
    rated = rate(rows, [CONTRACT], BOOKS)
    metered: Counter[tuple[str, str]] = Counter()
    for row in rows:
        metered.update({(row.model, axis): quantity for axis, quantity in row.counts.items()})
    found: Counter[tuple[str, str]] = Counter()
    for line in rated.lines:
        found[line.model, line.axis] += line.quantity
    for entry in rated.unpriced:
        found[entry.model, entry.axis] += entry.quantity
    assert found == metered
    assert {line.model for line in rated.lines} <= {"m"}


@given(USAGE)
def test_amounts_equal_an_independent_computation_row_by_row(rows: list[HourlyUsage]) -> None:
    expected = Fraction(0)
    for row in rows:
        if row.model == "m":
            price = Fraction("0.15") if row.hour < MIDDLE else Fraction("0.137")
            expected += price * row.counts.input + Fraction("0.6") * row.counts.output
    rated = rate(rows, [CONTRACT], BOOKS)
    assert sum((Fraction(line.amount) for line in rated.lines), Fraction(0)) * 10**6 == expected


@given(USAGE)
def test_a_total_is_the_sum_of_its_lines_and_near_the_exact_amount(
    rows: list[HourlyUsage],
) -> None:
    invoice = draft(CONTRACT, NOVEMBER, rate(rows, [CONTRACT], BOOKS), {})
    assert invoice.total_minor == sum(line.minor for line in invoice.lines)
    exact = sum((Fraction(line.amount) for line in invoice.lines), Fraction(0)) * 100
    assert abs(invoice.total_minor - exact) <= Fraction(len(invoice.lines), 2)


@given(USAGE, USAGE)
def test_late_usage_only_adds_and_leaves_the_earlier_cut_as_it_was(
    early: list[HourlyUsage], late: list[HourlyUsage]
) -> None:
    before = draft(CONTRACT, NOVEMBER, rate(early, [CONTRACT], BOOKS), {"gw-0": 1})
    after = draft(CONTRACT, NOVEMBER, rate(early + late, [CONTRACT], BOOKS), {"gw-0": 2})
    again = draft(CONTRACT, NOVEMBER, rate(early, [CONTRACT], BOOKS), {"gw-0": 1})
    assert as_json(again) == as_json(before)
    assert after.total_minor >= before.total_minor


YEAR = [month(2026 + (10 + n) // 12, (10 + n) % 12 + 1, "Europe/Berlin") for n in range(12)]
FLOORS = st.sampled_from(["month", "year", "term"])
SPREAD = st.lists(
    st.tuples(st.integers(0, 11), st.integers(0, 700), TOKENS, st.sampled_from(["m", "x"])),
    max_size=20,
)


@given(SPREAD, FLOORS, st.integers(1, 10**6), st.integers(0, 11), st.integers(0, 50_000))
def test_months_under_a_floor_come_to_the_floor_or_to_usage_whichever_is_more(
    used: list[tuple[int, int, int, str]], per: str, floor: int, granted_in: int, credit: int
) -> None:
    """To the minor unit, with credits taken off and nothing below zero, whatever the usage."""
    commitment = msgspec.convert(
        {"floor_minor": floor, "start": YEAR[0].start, "end": YEAR[-1].end, "per": per}, Commitment
    )
    agreed = msgspec.structs.replace(CONTRACT, commitments=(commitment,))
    rows = [
        msgspec.structs.replace(
            EMPTY,
            model=model,
            hour=YEAR[at].start + hour * US_PER_HOUR,
            counts=Counts(input=tokens),
        )
        for at, hour, tokens, model in used
    ]
    label = YEAR[granted_in].label
    grants = [CreditGrant("case", msgspec.structs.replace(CREDIT, minor=credit, period=label))]
    earned, plain, redeemed = list[tuple[str, int]](), list[int](), 0
    for period in YEAR:
        rated = rate([row for row in rows if row.hour in period], [agreed], BOOKS)
        short = shortfalls([agreed], BOOKS, rows, period)
        invoice = draft(agreed, period, rated, {}, short)
        billed = with_credits(invoice, grants, earned[granted_in:])
        assert billed.total_minor == invoice.earned_minor + sum(one.minor for one in billed.credits)
        assert billed.total_minor >= 0
        redeemed -= sum(one.minor for one in billed.credits)
        plain.append(sum(line.minor for line in invoice.lines))
        earned.append((period.label, invoice.earned_minor))
        assert invoice.earned_minor >= plain[-1]
    months = [minor for _, minor in earned]
    if per == "month":
        assert months == [max(minor, floor) for minor in plain]
    else:
        assert sum(months) == max(sum(plain), floor)
        assert months[:-1] == plain[:-1]
    assert redeemed == min(credit, sum(months[granted_in:]))


@given(
    st.integers(1, 10**9),
    st.integers(0, 500),
    st.integers(1, 3_000),
    st.lists(st.integers(1, 3_000), max_size=3),
)
def test_parts_of_a_commitment_cover_its_time_once_and_are_whole_together(
    floor: int, first: int, hours: int, cuts: list[int]
) -> None:
    """However versions cut a term, its parts are the hours for which they name it, prorated."""
    start = NOVEMBER.start + first * US_PER_HOUR
    commitment = Commitment(floor, start, start + hours * US_PER_HOUR, "term")
    begins = sorted({start, *(start + cut * US_PER_HOUR for cut in cuts)})
    versions = [
        msgspec.structs.replace(
            CONTRACT, version=number, valid_from=at, commitments=(commitment,) if number % 2 else ()
        )
        for number, at in enumerate(begins, start=1)
    ]
    found = parts(versions)
    assert all(one.end <= other.start for one, other in pairwise(found))
    agreed = [
        (max(at, commitment.start), min(until, commitment.end))
        for number, (at, until) in enumerate(pairwise([*begins, commitment.end]), start=1)
        if number % 2
    ]
    hours_agreed = sum(max(end - begin, 0) for begin, end in agreed) // US_PER_HOUR
    assert sum(one.lasts_us for one in found) == hours_agreed * US_PER_HOUR
    owed = sum((Fraction(one.floor("USD")) for one in found), Fraction(0))
    assert abs(owed - Fraction(floor * hours_agreed, 100 * hours)) < Fraction(1, 10**20)
    if len(begins) == 1:
        assert [(one.start, one.end) for one in found] == [(commitment.start, commitment.end)]
        assert found[0].floor("USD") == Decimal(floor) / 100
