"""Draft invoices: one rounding a line, the total of the rounded lines, the same bytes again."""

from decimal import Decimal

import msgspec
import pytest

from quartermaster.billing.document import as_json, as_text, plain
from quartermaster.billing.invoice import Invoice, draft
from quartermaster.billing.rate import Rated, rate
from quartermaster.kernel.clock import US_PER_HOUR, month
from quartermaster.kernel.contract import Contract
from quartermaster.kernel.errors import IntegrityError
from quartermaster.kernel.events import HourlyUsage
from quartermaster.kernel.money import Rounding
from quartermaster.kernel.price import Price, PriceBook
from quartermaster.kernel.units import Counts

NOVEMBER = month(2026, 11, "Europe/Berlin")
CONTRACT = Contract("acme-1", 1, "acme", "list", "USD", "Europe/Berlin", 0)
LIST = PriceBook("list", 1, "USD", 0, (Price("m", "input", "0.15"), Price("m", "output", "0.60")))


def usage(hour: int, counts: Counts, contract: str = "acme-1") -> HourlyUsage:
    return HourlyUsage(
        customer="acme",
        contract=contract,
        contract_version=1,
        price_book="list",
        project="default",
        key_id="k",
        model="m",
        deployment="d",
        service_class="standard",
        hour=hour,
        requests=1,
        counts=counts,
    )


def invoice(
    counts: Counts, *, rounding: Rounding = "half_up", currency: str = "USD", sample: bool = False
) -> Invoice:
    contract = msgspec.structs.replace(
        CONTRACT, rounding=rounding, currency=currency, sample=sample
    )
    book = msgspec.structs.replace(LIST, currency=currency)
    rated = rate([usage(NOVEMBER.start, counts)], [contract], [book])
    return draft(contract, NOVEMBER, rated, {"gw-0": 3})


@pytest.mark.parametrize(
    ("rounding", "minor"), [("half_up", 206), ("half_even", 206), ("down", 205)]
)
def test_the_line_is_rounded_once_as_the_contract_says(rounding: Rounding, minor: int) -> None:
    drafted = invoice(Counts(input=13_700_000), rounding=rounding)
    (line,) = drafted.lines
    assert line.amount == Decimal("2.055")
    assert (line.minor, drafted.total_minor) == (minor, minor)


def test_half_even_differs_from_half_up_on_an_even_digit() -> None:
    # 300,000 tokens at $0.15: 4.5 cents.
    assert invoice(Counts(input=300_000), rounding="half_up").total_minor == 5
    assert invoice(Counts(input=300_000), rounding="half_even").total_minor == 4


def test_the_total_is_the_sum_of_rounded_lines_not_the_rounded_sum() -> None:
    # 0.0045 and 0.0045 dollars round to nothing each, 0.009 together would be one cent.
    drafted = invoice(Counts(input=30_000, output=7_500))
    assert [line.minor for line in drafted.lines] == [0, 0]
    assert drafted.total_minor == 0


def test_currencies_without_cents_round_to_whole_units() -> None:
    drafted = invoice(Counts(input=10_000_000), currency="JPY")
    assert (drafted.lines[0].amount, drafted.total_minor) == (Decimal("1.5"), 2)
    assert "2 JPY" in as_text(drafted)


def test_other_contracts_and_months_stay_out() -> None:
    other = msgspec.structs.replace(CONTRACT, id="acme-2")
    hours = [
        usage(NOVEMBER.start, Counts(input=10**6)),
        usage(NOVEMBER.end, Counts(input=10**6)),
        usage(NOVEMBER.start - US_PER_HOUR, Counts(input=10**6)),
        usage(NOVEMBER.start, Counts(input=10**6), contract="acme-2"),
        usage(NOVEMBER.start, Counts(reasoning=1), contract="acme-2"),
    ]
    drafted = draft(CONTRACT, NOVEMBER, rate(hours, [CONTRACT, other], [LIST]), {})
    assert [line.quantity for line in drafted.lines] == [10**6]
    assert drafted.unpriced == ()


def test_the_order_of_the_input_does_not_change_a_byte() -> None:
    hours = [usage(NOVEMBER.start + n * US_PER_HOUR, Counts(input=n, output=7)) for n in range(9)]
    forwards = draft(CONTRACT, NOVEMBER, rate(hours, [CONTRACT], [LIST]), {"a": 1, "b": 2})
    backwards = draft(CONTRACT, NOVEMBER, rate(hours[::-1], [CONTRACT], [LIST]), {"b": 2, "a": 1})
    assert as_json(forwards) == as_json(backwards)
    assert as_text(forwards) == as_text(backwards)


def test_another_cut_is_another_draft_even_with_the_same_lines() -> None:
    rated = rate([usage(NOVEMBER.start, Counts(input=5))], [CONTRACT], [LIST])
    one = draft(CONTRACT, NOVEMBER, rated, {"gw-0": 1})
    two = draft(CONTRACT, NOVEMBER, rated, {"gw-0": 2})
    assert one.id != two.id
    assert one.lines_sha256 == two.lines_sha256


def test_waiting_usage_is_named_and_costs_nothing_yet() -> None:
    drafted = invoice(Counts(input=13_700_000, reasoning=5_000))
    assert drafted.total_minor == 206
    text = as_text(drafted)
    assert "waiting for a price" in text
    assert "5,000 m standard reasoning: price book list version 1 has no price for it" in text


def test_a_sample_says_so_on_its_face_and_in_json() -> None:
    drafted = invoice(Counts(input=1), sample=True)
    assert "SAMPLE" in as_text(drafted).splitlines()[0]
    assert msgspec.json.decode(as_json(drafted))["sample"] is True
    assert "SAMPLE" not in as_text(invoice(Counts(input=1)))


def test_an_empty_period_is_an_invoice_of_zero() -> None:
    drafted = draft(CONTRACT, NOVEMBER, Rated((), ()), {})
    assert drafted.total_minor == 0
    assert "No rated usage" in as_text(drafted)
    assert "0.00 USD" in as_text(drafted)


def test_a_line_of_another_currency_or_zone_is_never_added_up() -> None:
    rated = rate([usage(NOVEMBER.start, Counts(input=1))], [CONTRACT], [LIST])
    euros = msgspec.structs.replace(CONTRACT, currency="EUR")
    with pytest.raises(IntegrityError, match="USD"):
        draft(euros, NOVEMBER, rated, {})
    with pytest.raises(IntegrityError, match="UTC"):
        draft(CONTRACT, month(2026, 11, "UTC"), rated, {})


@pytest.mark.parametrize(
    ("value", "text"),
    [("2.0550", "2.055"), ("100", "100"), ("0.00000015", "0.00000015"), ("1E+3", "1000")],
)
def test_exact_amounts_are_written_without_exponents(value: str, text: str) -> None:
    assert plain(Decimal(value)) == text
