"""Numbers as readers write them, compared with Babel (CLDR), and the stated differences."""

import re
from datetime import date
from decimal import Decimal

import pytest
from babel.dates import format_date
from babel.numbers import format_compact_currency, format_currency, format_decimal, format_percent
from hypothesis import given
from hypothesis import strategies as st

from quartermaster.console import format as fmt
from quartermaster.console.format import LANGS, NBSP, Lang
from quartermaster.kernel.clock import Instant
from quartermaster.kernel.errors import UsageError
from quartermaster.kernel.money import Money

langs = st.sampled_from(LANGS)
minors = st.integers(-(10**15), 10**15)
currencies = st.sampled_from(["USD", "EUR", "GBP", "JPY"])


@given(minors, currencies, langs)
def test_money_is_written_as_cldr_does(minor: int, currency: str, lang: Lang) -> None:
    amount = Money(minor, currency)
    assert fmt.money(amount, lang) == format_currency(amount.decimal, currency, locale=lang)


@given(st.decimals(-(10**9), 10**9, places=4), langs)
def test_numbers_are_written_as_cldr_does(value: Decimal, lang: Lang) -> None:
    expected = format_decimal(value, "#,##0.0000", locale=lang)
    assert fmt.number(value, lang).lstrip("-") == expected.lstrip("-")


@given(st.decimals(0, 2, places=5), langs)
def test_shares_are_written_as_cldr_does(share: Decimal, lang: Lang) -> None:
    pattern = f"#,##0.0{NBSP}%" if lang == "de" else "#,##0.0%"
    assert fmt.percent(share, lang) == format_percent(share, pattern, locale=lang)


# Babel does not move up a unit when rounding fills it, and CLDR has none above trillions.
@given(st.integers(1_000_000_00, 999_000_000_000_000_00), currencies.filter("JPY".__ne__), langs)
def test_compact_money_is_written_as_cldr_does(minor: int, currency: str, lang: Lang) -> None:
    amount = Money(minor, currency)
    expected = format_compact_currency(amount.decimal, currency, locale=lang, fraction_digits=1)
    if "1000" not in expected:
        assert fmt.money_compact(amount, lang) == expected


@given(st.dates(date(1970, 1, 1), date(2100, 1, 1)))
def test_german_days_and_all_months_are_written_as_cldr_does(value: date) -> None:
    period = f"{value:%Y-%m}"
    assert fmt.day(value, "de") == format_date(value, "medium", locale="de")
    assert fmt.day(value, "en") == format_date(value, "d MMM yyyy", locale="en")
    for lang in LANGS:
        assert fmt.month(period, lang) == format_date(value, "LLL yyyy", locale=lang)
        assert fmt.month_long(period, lang) == format_date(value, "LLLL yyyy", locale=lang)


@pytest.mark.parametrize(
    ("minor", "german", "english"),
    [
        (1_240_000_000, "12,4 Mio. $", "$12.4M"),
        (99_995_000, "1 Mio. $", "$1M"),
        (99_999_999_999, "1 Mrd. $", "$1B"),
        (-1_240_000_000, "-12,4 Mio. $", "-$12.4M"),
        (123_456, "1.235 $", "$1.2K"),
        (950, "9,50 $", "$9.50"),
        (2, "0,02 $", "$0.02"),
        (0, "0 $", "$0"),
    ],
)
def test_compact_money(minor: int, german: str, english: str) -> None:
    assert fmt.money_compact(Money(minor, "USD"), "de").replace(NBSP, " ") == german
    assert fmt.money_compact(Money(minor, "USD"), "en") == english


def test_the_forms_the_product_promises() -> None:
    assert fmt.percent(Decimal("0.241"), "de") == f"24,1{NBSP}%"
    assert fmt.percent(Decimal("0.241"), "en") == "24.1%"
    assert fmt.day(date(2024, 3, 31), "de") == "31.03.2024"
    assert fmt.day(date(2024, 3, 31), "en") == "31 Mar 2024"
    assert fmt.moment(Instant(1_711_893_909_999_999), "de") == "31.03.2024, 14:05:09 UTC"
    assert fmt.number(Decimal("-0.04"), "en", decimals=1) == "0.0"
    assert fmt.money(Money(5, "CHF"), "en") == f"CHF{NBSP}0.05"


@pytest.mark.parametrize("major", [500_001, 600_000, 968_328, 999_499])
@pytest.mark.parametrize("lang", LANGS)
def test_most_of_a_million_is_not_one(major: int, lang: Lang) -> None:
    for show in (fmt.money_short, fmt.money_compact):
        shown = show(Money(major * 100, "USD"), lang)
        assert re.sub(r"[^0-9]", "", shown)[0] in "569", shown
        assert "Mio" not in shown
        assert "M" not in shown


def test_short_money_has_three_digits() -> None:
    amounts = [98_662_000_000, 102_345_000_000, 8_333_333_300, 28_000_000_00]
    shown = [fmt.money_short(Money(minor, "USD"), "en") for minor in amounts]
    assert shown == ["$987M", "$1.02B", "$83.3M", "$28M"]


def test_a_range_is_written_in_the_unit_of_its_higher_end() -> None:
    low, high = Money(98_000_000_000, "USD"), Money(105_000_000_000, "USD")
    assert fmt.money_range(low, high, "en") == "$0.98–1.05B"
    assert fmt.money_range(low, high, "de").replace(NBSP, " ") == "0,98–1,05 Mrd. $"
    assert fmt.money_range(Money(100, "USD"), Money(250, "USD"), "en") == "$1.00–2.50"


def test_exact_money_keeps_every_digit_and_at_least_the_minor_ones() -> None:
    assert fmt.money_exact(Decimal("0.0000031"), "USD", "en") == "$0.0000031"
    assert fmt.money_exact(Decimal(12), "USD", "de") == f"12,00{NBSP}$"
    assert fmt.money_exact(Decimal("1E+3"), "USD", "en") == "$1,000.00"


@pytest.mark.parametrize("period", ["2024-13", "2024-00", "24-03", "2024-3", "2024", "x"])
def test_a_wrong_month_is_refused(period: str) -> None:
    with pytest.raises(UsageError, match="not a month"):
        fmt.month(period, "en")
