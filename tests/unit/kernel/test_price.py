"""Prices and price books refuse what would be billed wrongly."""

from decimal import Decimal

import msgspec
import pytest

from quartermaster.kernel.errors import UsageError
from quartermaster.kernel.price import TEXT_AXES, Price, PriceBook

INPUT = Price("m", "input", "0.15")


def book(*prices: Price, currency: str = "USD") -> PriceBook:
    return PriceBook("list", 1, currency, 0, prices)


def test_a_price_is_per_million_tokens_or_per_image() -> None:
    assert INPUT.of(1_000_000) == Decimal("0.15")
    assert INPUT.of(137) == Decimal("0.00002055")
    assert INPUT.of(0) == 0
    assert Price("m", "image", "0.02", unit="1_image").of(3) == Decimal("0.06")


def test_a_year_of_the_largest_customer_is_still_exact() -> None:
    # 60 billion requests a month of 1,300 tokens, for ten years, at a price of twelve decimals.
    quantity = 60 * 10**9 * 1_300 * 120
    amount = Price("m", "input", "0.123456789012").of(quantity)
    assert amount == Decimal(123456789012 * quantity).scaleb(-18)


@pytest.mark.parametrize(
    "prices",
    [
        (INPUT, Price("m", "input", "0.20")),
        (Price("m", "input", "-0.01"),),
        (Price("m", "input", "0,15"),),
        (Price("m", "input", "0.1234567890123456789"),),
        (Price("m", "image", "0.02"),),
        (Price("m", "input", "0.02", unit="1_image"),),
    ],
)
def test_books_that_would_bill_wrongly_are_refused(prices: tuple[Price, ...]) -> None:
    with pytest.raises(UsageError):
        book(*prices)


def test_the_same_axis_may_cost_differently_in_each_class() -> None:
    batch = msgspec.structs.replace(INPUT, service_class="batch", amount="0.075")
    both = book(INPUT, batch)
    assert both.find("m", "input", "standard") == INPUT
    assert both.find("m", "input", "batch") == batch
    assert both.find("m", "input", "priority") is None
    assert both.find("m", "output", "standard") is None
    assert both.find("x", "input", "standard") is None


def test_axes_without_a_price_are_named() -> None:
    assert book(INPUT).unpriced_axes("m", TEXT_AXES, "standard") == (
        "cached_read",
        "output",
        "reasoning",
    )
    assert book(INPUT).unpriced_axes("x", TEXT_AXES, "standard") == TEXT_AXES
    assert book(INPUT).unpriced_axes("m", ("input",), "standard") == ()
    assert book(INPUT).unpriced_axes("m", ("input",), "batch") == ("input",)
