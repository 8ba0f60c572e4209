"""`quartermaster payback`: when is the money back, with a customer and without it?"""

import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import click

from quartermaster.capacity.fleet import FLEET_BYTES_MAX
from quartermaster.capacity.payback_answer import Question, answer, number, of_amount, of_fleet
from quartermaster.console.format import LANGS, Lang
from quartermaster.console.payback_text import text
from quartermaster.kernel.errors import DataError, UsageError


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
        try:
            return number(str(value), percent=self.percent)
        except UsageError as error:
            self.fail(error.message, param, ctx)


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
@click.option(
    "--still-owed", type=AMOUNT, default="0", help="What it owes after its notice, used or not."
)
@click.option("--owed-months", type=AMOUNT, default="0", help="Over which that comes in.")
@click.option("--notice-months", type=AMOUNT, default="0", help="In which it goes on as before.")
@click.option("--currency", default="USD", help="ISO 4217 code; a fleet has its own.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@click.option("--lang", type=click.Choice(LANGS), default="en", help="Language of the words.")
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
    still_owed: Decimal,
    owed_months: Decimal,
    notice_months: Decimal,
    currency: str,
    as_json: bool,
    lang: Lang,
) -> None:
    """When an investment is paid back, with a customer and without it.

    Simple payback: no discounting, no growth. Backfill is what others pay for the capacity that
    the leaver freed, as a part of what it paid. Notice, and what commitments still ask for, are
    counted beside: payback is shown without them and with them.
    """
    if (capex is None) == (fleet is None):
        raise UsageError("capex: give either --capex or --fleet FILE")
    if fleet is not None:
        spent, longest = of_fleet(_bytes(fleet), fleet.name)
        within = within if within is not None else Decimal(longest)
    else:
        assert capex is not None, "one of the two was given"
        spent = of_amount(capex, currency)
    tree = answer(
        Question(
            spent=spent,
            annual_revenue=annual_revenue,
            contribution=contribution,
            share=share,
            backfill=backfill,
            leaves_after=leaves_after,
            within=within,
            still_owed=still_owed,
            owed_months=owed_months,
            notice_months=notice_months,
        )
    )
    if as_json:
        click.echo(json.dumps(tree, indent=2))
    else:
        click.echo(text(tree, lang))


def _bytes(path: Path) -> bytes:
    try:
        return path.read_bytes()[: FLEET_BYTES_MAX + 1]
    except OSError as error:
        raise DataError(f"{path.name} cannot be read: {error.strerror}") from error
