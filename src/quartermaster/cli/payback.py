"""`quartermaster payback`: when is the money back, with a customer and without it?"""

import json
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from typing import Any

import click

from quartermaster.capacity.cost import capex as fleet_capex
from quartermaster.capacity.cost import decimal
from quartermaster.capacity.document import table
from quartermaster.capacity.fleet import FLEET_BYTES_MAX, parse_fleet
from quartermaster.capacity.payback import (
    Loss,
    Plan,
    break_even_backfill,
    months_without,
    stretch,
)
from quartermaster.kernel.errors import DataError, UsageError
from quartermaster.kernel.money import EXACT, Money, exact_decimal, exponent, round_line

BACKFILLS = (0, 25, 50, 75, 100)
"""Percent; the curve of the answer, so that nobody has to ask five times."""
DIGITS_MAX = 15
"""Under a quadrillion: more than any currency's whole investment in computing."""
DECIMALS_MAX = 6
"""A share to a millionth; what is finer is not known."""
_MONTHS = Decimal("0.0001")


class Number(click.ParamType[Decimal]):
    """A decimal, exact; with `percent`, `24%` is 0.24."""

    name = "number"

    def __init__(self, *, percent: bool = False) -> None:
        self.percent = percent

    def convert(
        self,
        value: Any,  # noqa: ANN401 - click
        param: click.Parameter | None,
        ctx: click.Context | None,
    ) -> Decimal:
        """Read the text; a mistake becomes a usage error that names the option."""
        text = str(value).strip()
        percent = self.percent and text.endswith("%")
        try:
            found = exact_decimal(text[:-1] if percent else text)
        except UsageError as error:
            self.fail(error.message, param, ctx)
        if found.adjusted() >= DIGITS_MAX or -int(found.as_tuple().exponent) > DECIMALS_MAX:
            self.fail(f"{text!r}: at most {DIGITS_MAX} digits and {DECIMALS_MAX} decimals")
        return found.scaleb(-2, context=EXACT) if percent else found


SHARE = Number(percent=True)
AMOUNT = Number()


@click.command("payback")
@click.option("--capex", type=AMOUNT, help="What was spent, in major units.")
@click.option("--fleet", type=click.Path(path_type=Path), help="Take capex from a fleet's GPUs.")
@click.option("--annual-revenue", type=AMOUNT, required=True, help="A year, every customer.")
@click.option("--contribution", type=SHARE, required=True, help="Margin on revenue: 0.30 or 30%.")
@click.option("--share", type=SHARE, required=True, help="The leaver's share of revenue: 24%.")
@click.option("--backfill", type=SHARE, default="0", help="Part of it sold to others at once.")
@click.option("--leaves-after", type=AMOUNT, default="0", help="Months before it leaves.")
@click.option(
    "--within",
    type=AMOUNT,
    help="Months by which the money must be back; a fleet's longest depreciation unless told.",
)
@click.option("--currency", default="USD", help="ISO 4217 code; a fleet has its own.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def command(
    *,
    capex: Decimal | None,
    fleet: Path | None,
    annual_revenue: Decimal,
    contribution: Decimal,
    share: Decimal,
    backfill: Decimal,
    leaves_after: Decimal,
    within: Decimal | None,
    currency: str,
    as_json: bool,
) -> None:
    """When an investment is paid back, with a customer and without it.

    Simple payback: no discounting, no growth. Backfill is what others pay for the capacity that
    the leaver freed, as a part of what it paid.
    """
    if (capex is None) == (fleet is None):
        raise UsageError("capex: give either --capex or --fleet FILE")
    if fleet is not None:
        spent, longest = _of_fleet(fleet)
        within = within if within is not None else Decimal(longest)
    else:
        assert capex is not None, "one of the two was given"
        exponent(currency)
        spent = round_line(capex, currency)
    plan = Plan(
        spent.minor, round_line(annual_revenue, spent.currency).minor, Fraction(contribution)
    )
    loss = Loss(Fraction(share), Fraction(backfill), Fraction(leaves_after))
    tree = answer(plan, loss, spent.currency, within)
    if as_json:
        click.echo(json.dumps(tree, indent=2))
    else:
        click.echo("\n".join(_lines(tree)))


def answer(plan: Plan, loss: Loss, currency: str, within: Decimal | None) -> dict[str, Any]:
    """Everything that is asked, as decimal strings; null where the money never comes back."""
    curve = [Loss(loss.share, Fraction(part, 100), loss.after_months) for part in BACKFILLS]
    needed = None if within is None else break_even_backfill(plan, loss, Fraction(within))
    return {
        "schema": "quartermaster.payback/1",
        "currency": currency,
        "capex": str(Money(plan.capex_minor, currency).decimal),
        "annual_revenue": str(Money(plan.annual_revenue_minor, currency).decimal),
        "contribution": _number(plan.contribution),
        "share": _number(loss.share),
        "backfill": _number(loss.backfill),
        "leaves_after_months": _number(loss.after_months),
        "months_with": _number(plan.months),
        "months_without": _number(months_without(plan, loss)),
        "stretch": _number(stretch(loss)),
        "by_backfill": [
            {
                "backfill": _number(one.backfill),
                "months_without": _number(months_without(plan, one)),
            }
            for one in curve
        ],
        "within_months": None if within is None else _number(Fraction(within)),
        "break_even_backfill": _number(needed),
    }


def _of_fleet(path: Path) -> tuple[Money, int]:
    """Capex of a fleet, and the longest time over which a pool of it is written off."""
    try:
        data = path.read_bytes()[: FLEET_BYTES_MAX + 1]
    except OSError as error:
        raise DataError(f"{path.name} cannot be read: {error.strerror}") from error
    found = parse_fleet(data, path.name)
    spent = fleet_capex(found)
    if not spent.minor:
        raise DataError(f"{path.name}: every pool is leased", hint="give --capex instead")
    return spent, max(pool.depreciation_months for pool in found.pools)


def _number(value: Fraction | None) -> str | None:
    return None if value is None else str(decimal(value).quantize(_MONTHS, context=EXACT))


def _lines(tree: dict[str, Any]) -> list[str]:
    left = "never" if tree["months_without"] is None else f"{_short(tree['months_without'])} months"
    share = f"{Decimal(tree['share']).scaleb(2):f}".rstrip("0").rstrip(".")
    stretched = "" if tree["stretch"] is None else f", stretched {Decimal(tree['stretch']):.3f}x"
    with_it = f"payback {_short(tree['months_with'])} months with the customer"
    lines = [
        f"{with_it}, {left} without its {share}% of revenue{stretched}",
        "",
        *table(
            ("backfill", "months without"),
            [
                (f"{Decimal(row['backfill']):.0%}", _short(row["months_without"]) or "never")
                for row in tree["by_backfill"]
            ],
        ),
    ]
    if tree["within_months"] is not None:
        limit = _short(tree["within_months"])
        part = tree["break_even_backfill"]
        lines += [
            "",
            f"break-even: {Decimal(part):.1%} of it backfilled pays back within {limit} months"
            if part is not None
            else f"break-even: no backfill pays back within {limit} months",
        ]
    return lines


def _short(months: str | None) -> str:
    return "" if months is None else f"{Decimal(months):.1f}"
