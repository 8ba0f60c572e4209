"""Money for all values: splitting, rounding and pricing lose nothing."""

from contextlib import suppress
from decimal import Decimal
from fractions import Fraction

from hypothesis import given
from hypothesis import strategies as st

from quartermaster.kernel.errors import UsageError
from quartermaster.kernel.money import Money, exact_decimal, exponent, round_line, split
from quartermaster.kernel.price import Price

AMOUNTS = st.decimals(
    min_value=Decimal("-1e12"), max_value=Decimal("1e12"), places=12, allow_nan=False
)
CURRENCIES = st.sampled_from(["USD", "EUR", "JPY", "KWD", "UYW"])
QUANTITIES = st.integers(0, 10**15)
PRICES = st.decimals(min_value=0, max_value=1_000, places=9, allow_nan=False).map(str)


@given(AMOUNTS, CURRENCIES, st.sampled_from(["half_up", "half_even", "down"]))
def test_rounding_moves_a_line_by_less_than_one_minor_unit(
    amount: Decimal, currency: str, rounding: str
) -> None:
    rounded = round_line(amount, currency, rounding)  # type: ignore[arg-type]
    moved = abs(Fraction(rounded.minor) - Fraction(amount) * 10 ** exponent(currency))
    assert moved < 1 if rounding == "down" else moved <= Fraction(1, 2)


@given(st.integers(-(10**15), 10**15), CURRENCIES)
def test_an_amount_of_minor_units_is_not_changed_by_rounding_it_again(
    minor: int, currency: str
) -> None:
    money = Money(minor, currency)
    assert round_line(money.decimal, currency) == money


@given(st.integers(-(10**12), 10**12), st.lists(st.integers(0, 10**6), min_size=1))
def test_a_split_gives_everything_away(total: int, weights: list[int]) -> None:
    if sum(weights) == 0:
        weights = [1, *weights]
    shares = split(total, weights)
    assert sum(shares) == total
    for share, weight in zip(shares, weights, strict=True):
        assert abs(Fraction(share) - Fraction(total * weight, sum(weights))) < 1


@given(PRICES, QUANTITIES)
def test_a_price_times_a_quantity_is_exact(price: str, quantity: int) -> None:
    amount = Price("m", "input", price).of(quantity)
    assert Fraction(amount) == Fraction(price) * quantity / 10**6


@given(PRICES, st.lists(QUANTITIES.map(lambda q: q // 100), max_size=20))
def test_splitting_a_quantity_does_not_change_its_amount(price: str, parts: list[int]) -> None:
    line = Price("m", "input", price)
    assert sum((line.of(part) for part in parts), Decimal(0)) == line.of(sum(parts))


@given(st.text(max_size=20) | st.from_regex(r"[-+]?[0-9.eE_ ]{1,12}", fullmatch=True))
def test_text_is_a_finite_decimal_or_refused(text: str) -> None:
    with suppress(UsageError):
        assert exact_decimal(text).is_finite()
