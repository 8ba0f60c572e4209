"""`quartermaster what-if`: what a departure, a cut, a price or a commitment would change."""

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from quartermaster.cli.risk import assumed_lines
from quartermaster.cli.risk_input import (
    Input,
    ProgressLine,
    data_json,
    fraction,
    input_options,
    read_input,
    short,
)
from quartermaster.exposure.risk_assumptions import CustomerTerms
from quartermaster.kernel.errors import UsageError

if TYPE_CHECKING:
    from quartermaster.exposure.risk_levers import Change, Effect, WhatIf

Command = Callable[..., None]

TORNADO_COMMITMENTS = ((0.5, 24), (0.8, 12))
"""Half for two years and four fifths for one: what a customer of that size is asked for."""


@click.group("what-if")
def command() -> None:
    """What one change would do to revenue at risk, in the same scenarios as without it.

    Both worlds draw the same random numbers, so that the difference is the change.
    """


def _lever_options(function: Command) -> Command:
    function = click.option("--group", default="", help="Whose; the largest customer's.")(function)
    return input_options(click.argument("file", type=click.Path(path_type=Path))(function))


@command.command("leave")
@_lever_options
@click.option("--month", type=click.FloatRange(0, 120), default=0.0, help="Months from now; 0.")
@click.option("--suspend", is_flag=True, help="We end it: at once, and nothing more is owed.")
def leave(file: Path, group: str, month: float, *, suspend: bool, **options: Any) -> None:  # noqa: ANN401 - click's
    """A customer leaves in a given month; with --suspend, because it is suspended."""
    from quartermaster.exposure.risk_book import Lever
    from quartermaster.exposure.risk_levers import Change

    given, who = _read(file, group, options)
    lever = Lever(group=who, leaves_in_month=month, voids_commitment=suspend, from_month=int(month))
    verb = "is suspended" if suspend else "gives notice"
    _show(
        given,
        [Change(name="leave", words=f"{who} {verb} in month {month:g}", lever=lever)],
        options,
    )


@command.command("cut")
@_lever_options
@click.option("--by", required=True, help="Share of its usage that goes, such as 50%.")
@click.option("--month", type=click.IntRange(0, 120), default=0, help="Months from now; 0.")
def cut(file: Path, group: str, by: str, month: int, **options: Any) -> None:  # noqa: ANN401 - click's
    """A customer cuts its usage from a given month on."""
    from quartermaster.exposure.risk_book import Lever
    from quartermaster.exposure.risk_levers import Change

    given, who = _read(file, group, options)
    share = _share(by, "--by")
    lever = Lever(group=who, usage_factor=1 - share, from_month=month)
    words = f"{who} cuts its usage by {share:.0%} from month {month}"
    _show(given, [Change(name="cut", words=words, lever=lever)], options)


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
    from quartermaster.exposure.risk_book import Lever
    from quartermaster.exposure.risk_levers import Change

    given, who = _read(file, group, options)
    factor = 1 + fraction(change, "--change")
    if factor <= 0:
        raise UsageError(f"--change {change} leaves no price")
    lever = Lever(
        group="" if everybody else who,
        price_factor=factor,
        from_month=month,
        elasticity=elasticity,
    )
    whose = "all prices" if everybody else f"the price of {who}"
    words = f"{whose} change by {factor - 1:+.0%} from month {month}, elasticity {elasticity:g}"
    _show(given, [Change(name="price", words=words, lever=lever)], options)


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
    given, who = _read(file, group, options)
    change = _commitment(
        given, who, _share(share, "--share"), until, _share(discount, "--discount")
    )
    _show(given, [change], options)


@command.command("diversify")
@_lever_options
@click.option("--share", required=True, help="Of revenue that the largest customer is to be.")
def diversify(file: Path, group: str, share: str, **options: Any) -> None:  # noqa: ANN401 - click's
    """The same total revenue, of which the largest customer is a smaller share."""
    from quartermaster.exposure.risk_levers import Change

    given, who = _read(file, group, options)
    if who != given.payers[0].name:
        raise UsageError("diversify is about the largest customer", hint="leave --group out")
    target = _share(share, "--share")
    words = f"{who} is {target:.0%} of the same revenue"
    _show(given, [Change(name="diversify", words=words, diversified_share=target)], options)


@command.command("tornado")
@_lever_options
@click.option("--cost", multiple=True, metavar="LEVER=AMOUNT",
              help="What a lever costs over the horizon.")  # fmt: skip
def tornado(file: Path, group: str, cost: tuple[str, ...], **options: Any) -> None:  # noqa: ANN401 - click's
    """The usual levers on one customer beside each other, the strongest first."""
    given, who = _read(file, group, options)
    changes = _usual(given, who)
    costs = dict(_cost(text, {change.name for change in changes}) for text in cost)
    import msgspec

    priced = [msgspec.structs.replace(one, cost=costs.get(one.name, one.cost)) for one in changes]
    _show(given, priced, options)


def _usual(given: Input, who: str) -> "list[Change]":
    """Levers of the tornado: commitment, slower ramp, notice, hazard, share, backfill."""
    import msgspec

    from quartermaster.exposure.risk_levers import Change

    terms, departure = given.assumptions.terms(who), given.assumptions.departure
    first = who == given.payers[0].name
    rates = given.assumptions.hazard_per_year
    hazard = terms.hazard_per_year
    if hazard is None:
        hazard = rates.top if first else rates.rest
    ramp = departure.ramp_months if terms.ramp_months is None else terms.ramp_months
    notice = departure.notice_months if terms.notice_months is None else terms.notice_months

    def changed(name: str, words: str, **fields: float) -> Change:
        new: CustomerTerms = msgspec.structs.replace(terms, **fields)
        return Change(name=name, words=f"{who}: {words}", terms=new)

    commitments = [
        _commitment(given, who, share, months, 0.0) for share, months in TORNADO_COMMITMENTS
    ]
    found = [
        *commitments,
        changed(
            "ramp", f"usage falls over {ramp + 6:g} months, not {ramp:g}", ramp_months=ramp + 6
        ),
        changed("notice", f"{notice + 6:g} months' notice", notice_months=notice + 6),
        changed("hazard", f"leaves at {hazard / 2:.3g} a year", hazard_per_year=hazard / 2),
        Change(name="backfill", words="half of freed usage is sold again", backfill_share=0.5),
    ]
    if first:
        payers = given.payers
        half = float(payers[0].per_month / sum(payer.per_month for payer in payers)) / 2
        words = f"{who} is {half:.1%} of the same revenue"
        found.append(Change(name="diversify", words=words, diversified_share=half))
    return found


def _commitment(given: Input, who: str, share: float, months: int, discount: float) -> "Change":
    from quartermaster.exposure.risk_book import Lever
    from quartermaster.exposure.risk_levers import Change

    lever = Lever(
        group=who, commitment_share=share, commitment_months=months, price_factor=1 - discount
    )
    words = f"{who} commits to {share:.0%} of plan for {months} months"
    cost = None
    if discount:
        words += f" at a discount of {discount:.0%}"
        monthly = next(float(one.per_month) for one in given.payers if one.name == who)
        cost = discount * monthly * given.assumptions.horizon_months
    return Change(name=f"commit-{share:.0%}-{months}", words=words, lever=lever, cost=cost)


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
    value = fraction(amount, "--cost")
    if value <= 0:
        raise UsageError(f"--cost {text!r} is not above zero")
    return name, value


def _show(given: Input, changes: "Sequence[Change]", options: dict[str, Any]) -> None:
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
    found = what_if(given.payers, given.assumptions, run, changes)
    if options["as_json"]:
        document = {**what_if_json(found, given.currency), **data_json(given)}
        click.echo(json.dumps(document, indent=2, ensure_ascii=False))
        return
    lines = _lines(found, given.currency)
    click.echo("\n".join([given.title, "", *lines, "", *assumed_lines(given.assumptions)]))


def _lines(found: "WhatIf", currency: str) -> list[str]:
    months, quantile = found.assumptions.horizon_months, found.assumptions.quantile
    rest = found.assumptions.hazard_per_year.rest
    hazard, equal = found.top_hazard_per_year, found.equal_hazard_per_year
    lines = [
        f"Loss over {months} months against what the book as it stands would bring if nobody left;",
        f"shortfall beyond quantile {quantile:g}. {found.top} leaves at {hazard:.3g} a year,",
        f"the others at {rest:.3g}; in brackets its share, and that at {equal:.3g} for everybody.",
        "",
        *_effect_lines(found.base, currency, base=True),
    ]
    for effect in found.effects:
        lines += _effect_lines(effect, currency)
    last = (
        f"{found.scenarios} scenarios, seed {found.seed}, the same random numbers in every world."
    )
    return [*lines, "", last]


def _effect_lines(effect: "Effect", currency: str, *, base: bool = False) -> list[str]:
    def amount(value: float) -> str:
        return short(value, currency)

    shortfall, expected = effect.expected_shortfall.value, effect.expected_loss.value
    share, equal = effect.top_shortfall_share, effect.top_shortfall_share_at_equal_hazard
    shares = f"({share:.0%}; equal {equal:.0%})"
    lines = [
        effect.change.words,
        f"  shortfall {amount(shortfall)} {shares}, expected loss {amount(expected)}",
    ]
    if base:
        return lines
    moved, mean = effect.shortfall_difference, effect.expected_loss_difference
    tail = f"shortfall {amount(moved.value)} ± {amount(moved.standard_error)}"
    middle = f"expected loss {amount(mean.value)} ± {amount(mean.standard_error)}"
    lines.append(f"  change: {tail}, {middle}")
    if effect.shortfall_cut_per_cost is not None:
        cost = short(effect.change.cost or 0.0, currency)
        lines.append(f"  costs {cost}: {effect.shortfall_cut_per_cost:.2f} of shortfall for each 1")
    return lines
