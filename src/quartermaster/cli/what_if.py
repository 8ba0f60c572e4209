"""`quartermaster what-if`: what a departure, a cut, a price or a commitment would change."""

import json
import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from quartermaster.cli.risk_input import (
    Input,
    ProgressLine,
    data_json,
    fraction,
    input_options,
    read_input,
)
from quartermaster.console.format import LANGS
from quartermaster.kernel.errors import UsageError

if TYPE_CHECKING:
    from quartermaster.exposure.risk_levers import Change

Command = Callable[..., None]


@click.group("what-if")
def command() -> None:
    """What one change would do to revenue at risk, in the same scenarios as without it.

    Both worlds draw the same random numbers, so that the difference is the change.
    """


def _lever_options(function: Command) -> Command:
    function = click.option("--group", default="", help="Whose; the largest customer's.")(function)
    function = click.option("--lang", type=click.Choice(LANGS), default="en",
                            help="Language of the words.")(function)  # fmt: skip
    function = click.option("--engine", type=click.Choice(["full", "reduced"]), default="full",
                            help="reduced: small customers in closed form.")(function)  # fmt: skip
    return input_options(click.argument("file", type=click.Path(path_type=Path))(function))


@command.command("leave")
@_lever_options
@click.option("--month", type=click.FloatRange(0, 120), default=0.0, help="Months from now; 0.")
@click.option("--suspend", is_flag=True, help="We end it: at once, and nothing more is owed.")
def leave(file: Path, group: str, month: float, *, suspend: bool, **options: Any) -> None:  # noqa: ANN401 - click's
    """A customer leaves in a given month; with --suspend, because it is suspended."""
    from quartermaster.exposure.risk_changes import leaving

    given, who = _read(file, group, options)
    _show(given, [leaving(who, month, suspended=suspend)], options)


@command.command("cut")
@_lever_options
@click.option("--by", required=True, help="Share of its usage that goes, such as 50%.")
@click.option("--month", type=click.IntRange(0, 120), default=0, help="Months from now; 0.")
def cut(file: Path, group: str, by: str, month: int, **options: Any) -> None:  # noqa: ANN401 - click's
    """A customer cuts its usage from a given month on."""
    from quartermaster.exposure.risk_changes import cutting

    given, who = _read(file, group, options)
    _show(given, [cutting(who, _share(by, "--by"), month)], options)


@command.command("price")
@_lever_options
@click.option("--change", required=True, help="Of its price, such as -10%.")
@click.option("--elasticity", type=click.FloatRange(-10, 0), default=0.0, show_default=True,
              help="Usage changes by the price ratio to this power.")  # fmt: skip
@click.option("--month", type=click.IntRange(0, 120), default=0, help="Months from now; 0.")
@click.option("--everybody", is_flag=True, help="All customers' prices.")
def price(
    file: Path,
    group: str,
    change: str,
    elasticity: float,
    month: int,
    *,
    everybody: bool,
    **options: Any,  # noqa: ANN401 - click's
) -> None:
    """A price changes from a given month on."""
    from quartermaster.exposure.risk_changes import priced

    given, who = _read(file, group, options)
    factor = fraction(change, "--change")
    _show(given, [priced("" if everybody else who, factor, month, elasticity)], options)


@command.command("commit")
@_lever_options
@click.option("--share", required=True, help="Of its planned revenue, such as 50%.")
@click.option("--until", type=click.IntRange(1, 120), default=24, help="Months; 24.")
@click.option("--discount", default="0", help="Price given up for it, such as 5%.")
def commit(
    file: Path,
    group: str,
    share: str,
    until: int,
    discount: str,
    **options: Any,  # noqa: ANN401 - click's
) -> None:
    """A customer commits to a share of its planned revenue."""
    from quartermaster.exposure.risk_changes import committing

    given, who = _read(file, group, options)
    parts = _share(share, "--share"), until, _share(discount, "--discount")
    horizon = given.assumptions.horizon_months
    _show(given, [committing(given.payers, horizon, who, *parts)], options)


@command.command("diversify")
@_lever_options
@click.option("--share", required=True, help="Of revenue that the largest customer is to be.")
def diversify(file: Path, group: str, share: str, **options: Any) -> None:  # noqa: ANN401 - click's
    """The same total revenue, of which the largest customer is a smaller share."""
    from quartermaster.exposure.risk_changes import diversified

    given, who = _read(file, group, options)
    _show(given, [diversified(given.payers, who, _share(share, "--share"))], options)


@command.command("tornado")
@_lever_options
@click.option("--cost", multiple=True, metavar="LEVER=AMOUNT",
              help="What a lever costs over the horizon.")  # fmt: skip
def tornado(file: Path, group: str, cost: tuple[str, ...], **options: Any) -> None:  # noqa: ANN401 - click's
    """The usual levers on one customer beside each other, the strongest first."""
    import msgspec

    from quartermaster.exposure.risk_changes import usual

    given, who = _read(file, group, options)
    changes = usual(given.payers, given.assumptions, who)
    costs = dict(_cost(text, {change.name for change in changes}) for text in cost)
    priced = [msgspec.structs.replace(one, cost=costs.get(one.name, one.cost)) for one in changes]
    _show(given, priced, options)


def _read(file: Path, group: str, options: dict[str, Any]) -> tuple[Input, str]:
    given = read_input(file, options)
    names = [payer.name for payer in given.payers]
    if group and group not in names:
        raise UsageError(
            f"there is no customer {group!r} in this file",
            hint=f"the largest are {', '.join(names[:3])}",
        )
    return given, group or names[0]


def _share(text: str, option: str) -> float:
    value = fraction(text, option)
    if not 0 <= value <= 1:
        raise UsageError(f"{option} {text} is not a share", hint="write 50% or 0.5")
    return value


def _cost(text: str, names: set[str]) -> tuple[str, float]:
    name, _, amount = text.rpartition("=")
    if name not in names:
        raise UsageError(
            f"--cost {text!r} names no lever", hint=f"levers: {', '.join(sorted(names))}"
        )
    try:
        value = float(amount)
    except ValueError:
        value = math.nan
    if not 0 < value < math.inf:
        raise UsageError(
            f"--cost {text!r} is not an amount above zero",
            hint=f"write {name}=100000, in the currency of the revenue",
        )
    return name, value


def _show(given: Input, changes: "Sequence[Change]", options: dict[str, Any]) -> None:
    from quartermaster.console.what_if_text import text
    from quartermaster.exposure.risk_json import what_if_json
    from quartermaster.exposure.risk_levers import what_if
    from quartermaster.exposure.simulate import Run

    scenarios = options["scenarios"]
    run = Run(
        scenarios=scenarios,
        seed=options["seed"],
        threads=options["threads"],
        # The book without departures once; each world as assumed and at equal hazards.
        progress=ProgressLine(scenarios * (1 + 2 * (1 + len(changes)))),
    )
    found = what_if(given.payers, given.assumptions, run, changes, engine=options["engine"])
    if options["as_json"]:
        document = {**what_if_json(found, given.currency), **data_json(given)}
        click.echo(json.dumps(document, indent=2, ensure_ascii=False))
        return
    click.echo(text(found, given.title, given.currency, options["lang"]))
