"""Price books: immutable, effective-dated, decimal strings per stated unit.

A quantity without a price is never zero money: it is refused at admission, or queued as unpriced
where the operator chose `serve_unpriced`.
"""

from decimal import Decimal
from typing import Literal

import msgspec

from quartermaster.kernel.errors import UsageError
from quartermaster.kernel.money import EXACT, exact_decimal, exponent
from quartermaster.kernel.units import AXES, Axis, ServiceClass

PriceUnit = Literal["1M_tokens", "1_image", "1_request", "1_ptu_hour"]

UNIT_SCALE: dict[PriceUnit, int] = {"1M_tokens": 6, "1_image": 0, "1_request": 0, "1_ptu_hour": 0}
"""Decimal places between one metered unit and one priced unit; a shift, so nothing is divided."""


# Times a quantity of up to 20 digits the product still fits the 38 digits of `money.EXACT`.
PRICE_DIGITS_MAX = 18


class Price(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What one unit of one axis of one model costs in one service class."""

    model: str
    axis: Axis
    amount: str
    unit: PriceUnit = "1M_tokens"
    service_class: ServiceClass = "standard"
    source: str = ""

    def of(self, quantity: int) -> Decimal:
        """Exact major units for an integer quantity."""
        scaled = EXACT.multiply(exact_decimal(self.amount), Decimal(quantity))
        return scaled.scaleb(-UNIT_SCALE[self.unit], context=EXACT)


class PriceBook(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A version of a list of prices, valid from an instant until the next version begins."""

    id: str
    version: int
    currency: str
    valid_from: int
    prices: tuple[Price, ...]
    source: str = ""
    sample: bool = False

    def __post_init__(self) -> None:
        exponent(self.currency)
        seen = set()
        for price in self.prices:
            key = (price.model, price.axis, price.service_class)
            if key in seen:
                raise UsageError(f"price book {self.id}: {' '.join(key)} is priced twice")
            seen.add(key)
            amount = exact_decimal(price.amount)
            if len(amount.as_tuple().digits) > PRICE_DIGITS_MAX:
                raise UsageError(
                    f"price book {self.id}: {' '.join(key)} has over {PRICE_DIGITS_MAX} digits"
                )
            if amount < 0:
                raise UsageError(f"price book {self.id}: {' '.join(key)} has a negative price")
            if (price.axis == "image") != (price.unit == "1_image"):
                raise UsageError(
                    f"price book {self.id}: {' '.join(key)} in {price.unit}",
                    hint="images are priced per 1_image, every other axis per 1M_tokens",
                )

    def find(self, model: str, axis: Axis, service_class: ServiceClass) -> Price | None:
        """The price, or None when this quantity has none."""
        for price in self.prices:
            if (price.model, price.axis, price.service_class) == (model, axis, service_class):
                return price
        return None

    def unpriced_axes(
        self, model: str, axes: tuple[Axis, ...], service_class: ServiceClass
    ) -> tuple[Axis, ...]:
        """Axes the meter can emit for the model that this book has no price for."""
        priced = {
            price.axis
            for price in self.prices
            if price.model == model and price.service_class == service_class
        }
        return tuple(axis for axis in axes if axis not in priced)


# What a text model's meter can emit; a deployment states its own axes where it can emit more.
TEXT_AXES: tuple[Axis, ...] = ("input", "cached_read", "output", "reasoning")
assert set(TEXT_AXES) <= set(AXES), "text axes are meter axes"
