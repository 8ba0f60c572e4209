"""Exchange rates: the mean of a month's days, exact, in one direction, and never guessed."""

from datetime import date, timedelta
from decimal import ROUND_HALF_UP, Decimal
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from quartermaster.kernel.errors import CallerError, NotFoundError
from quartermaster.kernel.exchange import ExchangeRate, Rates
from quartermaster.kernel.money import Money

TODAY = date(2026, 11, 20)


def rate(on: str, value: str, base: str = "EUR", quote: str = "USD") -> ExchangeRate:
    return ExchangeRate(base=base, quote=quote, rate=value, on=on, source="bank")


def test_a_month_is_converted_at_the_mean_of_its_days() -> None:
    # Ten days at 1.00, twenty at 1.30: 1.20.
    rates = Rates([rate("2026-01-01", "1.00"), rate("2026-09-11", "1.30")])
    found = rates.month(Money(100_00, "EUR"), "USD", "2026-09", TODAY)
    assert found.money == Money(120_00, "USD")
    assert [one.on for one in found.rates] == ["2026-01-01", "2026-09-11"]
    # Of a month that runs, the days that were.
    assert rates.month(Money(100_00, "EUR"), "USD", "2026-11", TODAY).money.minor == 130_00
    assert rates.newest(Money(-100_00, "EUR"), "USD", TODAY).money == Money(-130_00, "USD")


def test_the_other_direction_is_the_inverse_and_minor_units_are_the_currencies_own() -> None:
    rates = Rates([rate("2020-01-01", "1.25"), rate("2020-01-01", "150", "USD", "JPY")])
    assert rates.month(Money(100_00, "USD"), "EUR", "2026-02", TODAY).money == Money(80_00, "EUR")
    assert rates.newest(Money(1_99, "USD"), "JPY", TODAY).money == Money(299, "JPY")
    assert rates.newest(Money(299, "JPY"), "USD", TODAY).money == Money(199, "USD")
    same = rates.month(Money(7, "CHF"), "CHF", "2026-02", TODAY)
    assert (same.money, same.rates) == (Money(7, "CHF"), ())


@pytest.mark.parametrize("label", ["2026-08", "2026-09"])
def test_a_day_without_a_rate_is_refused_with_the_command_that_adds_it(label: str) -> None:
    rates = Rates([rate("2026-09-02", "1.08")])
    with pytest.raises(NotFoundError, match=f"is in force on {label}-01") as refused:
        rates.month(Money(1, "EUR"), "USD", label, TODAY)
    assert f"quartermaster rate add EUR USD RATE --on {label}-01" in refused.value.hint
    with pytest.raises(NotFoundError, match="GBP and USD"):
        rates.newest(Money(1, "GBP"), "USD", TODAY)


@pytest.mark.parametrize(
    "wrong",
    [
        {"quote": "EUR"},
        {"base": "euro"},
        {"rate": "0"},
        {"rate": "-1"},
        {"rate": "1,08"},
        {"rate": "1.0000000000000000001"},
        {"on": "2026-11"},
        {"on": "20261101"},
        {"on": "1969-12-31"},
        {"source": " "},
    ],
)
def test_what_is_no_rate_is_refused(wrong: dict[str, str]) -> None:
    fields = {"base": "EUR", "quote": "USD", "rate": "1.08", "on": "2026-11-01", "source": "bank"}
    with pytest.raises(CallerError):
        ExchangeRate(**(fields | wrong))


@given(
    minor=st.integers(-(10**15), 10**15),
    steps=st.lists(
        st.tuples(st.integers(0, 90), st.decimals("0.0001", "9999", places=4)), max_size=6
    ),
    first=st.decimals("0.0001", "9999", places=4),
    month=st.integers(1, 12),
)
def test_a_month_is_what_its_days_come_to_one_by_one(
    minor: int, steps: list[tuple[int, Decimal]], first: Decimal, month: int
) -> None:
    label = f"2024-{month:02d}"
    begin = date(2024, month, 1)
    known = {date(2020, 1, 1): first}
    known |= {begin - timedelta(30) + timedelta(after): value for after, value in steps}
    rates = Rates([rate(on.isoformat(), f"{value}") for on, value in known.items()])
    days = []
    at = begin
    while at.month == month:
        days.append(Fraction(known[max(on for on in known if on <= at)]))
        at += timedelta(1)
    exact = Fraction(minor) * sum(days, Fraction(0)) * Fraction(1, len(days))
    found = rates.month(Money(minor, "EUR"), "USD", label, TODAY).money.minor
    whole = (Decimal(exact.numerator) / Decimal(exact.denominator)).quantize(
        Decimal(1), ROUND_HALF_UP
    )
    assert abs(found - whole) <= 1 if exact.denominator > 1 else found == whole
    assert abs(Fraction(found) - exact) <= Fraction(1, 2) + Fraction(1, 10**9)
