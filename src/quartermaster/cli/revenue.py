"""`quartermaster revenue`: what months came to, billed and accrued apart."""

import click
import msgspec

Options = dict[str, str | None]


@click.command("revenue")
@click.option("--currency", default="", help="Of the totals; that of most requests unless told.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object.")
@click.pass_obj
def command(options: Options, currency: str, *, as_json: bool) -> None:
    """Revenue by month and contract, as the clerk last rated it.

    Billed is what draft invoices come to before service credits. Accrued is what running
    commitments lack so far: on no invoice, and no revenue.
    """
    from quartermaster.app import live, open_rooms
    from quartermaster.app.revenue_months import revenue_months

    found = revenue_months(live.read(open_rooms(options).var), currency=currency)
    if as_json:
        click.echo(msgspec.json.encode(found))
        return
    for line in found.months:
        worth = line.converted if line.currency != found.currency else None
        click.echo(
            f"{line.month}  {line.contract}  {line.billed} {line.currency}"
            + (f" = {worth} {found.currency}" if worth is not None else "")
            + (f", of it shortfall {line.shortfall}" if line.shortfall.strip("0.") else "")
            + (", the month runs" if line.running else "")
            + (f", {line.unpriced} tokens or images wait for a price" if line.unpriced else "")
        )
    for total in found.totals:
        click.echo(f"{total.month}  billed in all: {total.billed} {found.currency}")
    for one in found.accrued:
        click.echo(
            f"accrued, not billed: {one.contract} {one.first} to {one.last}: "
            f"{one.amount} {one.currency}"
        )
    for rate in found.rates:
        click.echo(f"rate: 1 {rate.base} = {rate.rate} {rate.quote}, {rate.source}, {rate.on}")
    for name, why in found.left_out.items():
        click.echo(f"{name} is in no total: {why}", err=True)
