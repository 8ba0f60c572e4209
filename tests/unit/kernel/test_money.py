"""Amounts, rounding and splitting at their stated examples."""

from decimal import Decimal

import pytest

from quartermaster.kernel.errors import UsageError
from quartermaster.kernel.money import Money, exact_decimal, exponent, round_line, split


def test_one_hundred_thousand_small_calls_come_to_two_dollars_and_six_cents() -> None:
    exact = Decimal("0.15") * 137 * 100_000 / Decimal(10**6)
    assert exact == Decimal("2.055")
    assert round_line(exact, "USD") == Money(206, "USD")
    assert round_line(exact, "USD", "half_even") == Money(206, "USD")
    assert round_line(exact, "USD", "down") == Money(205, "USD")


def test_rounding_each_call_would_lose_all_of_it() -> None:
    one_call = Decimal("0.15") * 137 / Decimal(10**6)
    assert round_line(one_call, "USD").minor * 100_000 == 0


@pytest.mark.parametrize(
    ("currency", "places"),
    [("USD", 2), ("EUR", 2), ("JPY", 0), ("CLP", 0), ("KWD", 3), ("BHD", 3), ("UYW", 4)],
)
def test_minor_units_follow_iso_4217(currency: str, places: int) -> None:
    assert exponent(currency) == places
    assert round_line(Decimal(1), currency).minor == 10**places
    assert Money(10**places, currency).decimal == 1


@pytest.mark.parametrize("code", ["usd", "US", "DOLLAR", "", "ÜSD"])
def test_other_codes_are_refused(code: str) -> None:
    with pytest.raises(UsageError, match="ISO 4217"):
        exponent(code)


def test_amounts_of_two_currencies_do_not_add() -> None:
    assert Money(1, "USD") + Money(2, "USD") == Money(3, "USD")
    assert -Money(1, "USD") == Money(-1, "USD")
    with pytest.raises(UsageError, match="cannot add"):
        Money(1, "USD") + Money(1, "EUR")


def test_amounts_are_written_with_all_their_decimals() -> None:
    assert str(Money(206, "USD")) == "2.06 USD"
    assert str(Money(-5, "USD")) == "-0.05 USD"
    assert str(Money(2, "JPY")) == "2 JPY"
    assert str(Money(100, "USD")) == "1.00 USD"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "x",
        "1,5",
        "NaN",
        "Infinity",
        "1e400000000000000000000",
        "1e38",
        "1e-38",
        "1_000",
        " 1",
        "１",
        "0." + "1" * 39,
    ],
)
def test_what_is_no_finite_decimal_is_refused(text: str) -> None:
    with pytest.raises(UsageError):
        exact_decimal(text)


def test_text_is_read_digit_for_digit() -> None:
    for text in ("0.15", "-2.50", "+1", ".5", "1.", "1.5E-6", "9" * 38):
        assert exact_decimal(text) == Decimal(text)


def test_a_float_never_enters() -> None:
    with pytest.raises(UsageError):
        exact_decimal(0.15)  # type: ignore[arg-type]


def test_a_split_keeps_every_cent() -> None:
    assert split(100, [1, 1, 1]) == [34, 33, 33]
    assert split(-100, [1, 1, 1]) == [-33, -33, -34]
    assert split(0, [5, 0]) == [0, 0]
    for weights in ([], [0, 0], [1, -1]):
        with pytest.raises(UsageError):
            split(10, weights)
