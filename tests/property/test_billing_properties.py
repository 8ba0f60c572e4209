"""Billing for all usage: how it arrived does not matter, and every quantity is somewhere."""

from collections import Counter
from fractions import Fraction

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from quartermaster.billing.document import as_json
from quartermaster.billing.invoice import draft
from quartermaster.billing.rate import rate
from quartermaster.kernel.clock import US_PER_HOUR, month
from quartermaster.kernel.contract import Contract
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
