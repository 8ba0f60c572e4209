"""`quartermaster budget`: how much money a key, a project or a customer group may spend."""

from typing import TYPE_CHECKING, Any

import click
import msgspec

from quartermaster.cli.handover import hand_over
from quartermaster.cli.scope import who, whose
from quartermaster.kernel.budget import THRESHOLDS_DEFAULT
from quartermaster.kernel.errors import UsageError

if TYPE_CHECKING:
    from quartermaster.app import Rooms
    from quartermaster.commands.budget import Budgeting
    from quartermaster.commands.budget_shown import ShownBudget

Options = dict[str, str | None]

_REASON = click.option("--reason", default="", help="Kept in the journal.")
_JSON = click.option("--json", "as_json", is_flag=True, help="One JSON document.")


@click.group("budget")
def command() -> None:
    """Money that may be spent: hard, a month or once, or paid beforehand."""


@command.command("set")
@whose
@click.option("--amount", help='Of every period, in the currency: "500.00".')
@click.option("--prepaid", is_flag=True, help="Drawn down by use; filled by `budget top-up`.")
@click.option(
    "--period", type=click.Choice(["month", "none"]), default="month", help="None is spent once."
)
@click.option("--currency", default="", help="Default: the contract's.")
@click.option("--time-zone", default="", help="In which a month begins; default: the contract's.")
@click.option(
    "--alert-at",
    "thresholds",
    type=int,
    multiple=True,
    help=f"Per cent at which alerts are sent; default {', '.join(map(str, THRESHOLDS_DEFAULT))}.",
)
@click.option("--output-tokens", type=int, help="Of an answer whose request states no limit.")
@_REASON
@click.pass_obj
def set_(
    options: Options,
    /,
    amount: str | None,
    prepaid: bool,
    period: Any,  # noqa: ANN401 - one of the choices
    currency: str,
    time_zone: str,
    thresholds: tuple[int, ...],
    output_tokens: int | None,
    reason: str,
    **given: str | None,
) -> None:
    """Set the budget of a key, a project or a group, in place of the one it had."""
    from quartermaster.app import open_rooms
    from quartermaster.commands import budget as budgets

    scope, name = who(given, "budget")
    if (amount is None) != prepaid:
        raise UsageError("give either --amount or --prepaid", field="amount")
    rooms = open_rooms(options)
    currency = currency or budgets.currency_of(rooms.book.view(), scope, name)
    terms = budgets.Terms(
        amount_minor=0 if amount is None else budgets.minor_of(amount, currency),
        currency=currency,
        time_zone=time_zone,
        period=period,
        prepaid=prepaid,
        thresholds=thresholds or None,
        output_tokens=output_tokens,
    )
    found = budgets.set_budget(
        rooms.book, rooms.actor, scope, name, terms, rooms.now(), reason=reason
    )
    click.echo(_line(rooms, found))
    hand_over(rooms)


@command.command("top-up")
@whose
@click.option("--amount", required=True, help='Money that was paid: "1000.00".')
@click.option("--payment", required=True, help="What it is called elsewhere; it counts once.")
@click.pass_obj
def top_up(options: Options, /, amount: str, payment: str, **given: str | None) -> None:
    """Record a payment into a prepaid budget; it can be spent within a second."""
    from quartermaster.app import open_rooms
    from quartermaster.commands import budget as budgets

    scope, name = who(given, "budget")
    rooms = open_rooms(options)
    has = budgets.budget_of(rooms.book.view(), scope, name)
    found = budgets.top_up(
        rooms.book,
        rooms.actor,
        scope,
        name,
        budgets.minor_of(amount, has.budget.currency),
        rooms.now(),
        payment=payment,
    )
    click.echo(_line(rooms, found))


@command.command("show")
@whose
@_JSON
@click.pass_obj
def show(options: Options, /, as_json: bool, **given: str | None) -> None:
    """A budget, and what of it is spent, leased and left."""
    from quartermaster.app import open_rooms
    from quartermaster.commands import budget as budgets

    rooms = open_rooms(options)
    found = budgets.budget_of(rooms.book.view(), *who(given, "budget"))
    _print(rooms, [found], as_json=as_json)


@command.command("list")
@_JSON
@click.pass_obj
def list_(options: Options, as_json: bool) -> None:
    """Everybody's budgets."""
    from quartermaster.app import open_rooms
    from quartermaster.commands import budget as budgets

    rooms = open_rooms(options)
    _print(rooms, budgets.all_budgets(rooms.book.view()), as_json=as_json)


@command.command("pause")
@whose
@_REASON
@click.pass_obj
def pause(options: Options, /, reason: str, **given: str | None) -> None:
    """Let nothing be spent: keys are refused, terms and what was spent stay."""
    _pause(options, given, reason, paused=True)


@command.command("resume")
@whose
@_REASON
@click.pass_obj
def resume(options: Options, /, reason: str, **given: str | None) -> None:
    """Let it be spent again."""
    _pause(options, given, reason, paused=False)


def _pause(options: Options, given: dict[str, str | None], reason: str, *, paused: bool) -> None:
    from quartermaster.app import open_rooms
    from quartermaster.commands import budget as budgets

    rooms, (scope, name) = open_rooms(options), who(given, "budget")
    found = budgets.pause_budget(
        rooms.book, rooms.actor, scope, name, rooms.now(), paused=paused, reason=reason
    )
    click.echo(_line(rooms, found))
    hand_over(rooms)


@command.command("remove")
@whose
@_REASON
@click.pass_obj
def remove(options: Options, /, reason: str, **given: str | None) -> None:
    """Lift the budget of a key, a project or a group."""
    from quartermaster.app import open_rooms
    from quartermaster.commands import budget as budgets

    rooms = open_rooms(options)
    scope, name = who(given, "budget")
    budgets.remove_budget(rooms.book, rooms.actor, scope, name, rooms.now(), reason=reason)
    hand_over(rooms)


def _print(rooms: "Rooms", found: "list[Budgeting]", *, as_json: bool) -> None:
    from quartermaster.commands.budget_shown import read_states, shown

    states, now = read_states(rooms.var), rooms.now()
    every = [shown(one, states, now) for one in found]
    if as_json:
        click.echo(msgspec.json.encode(every))
        return
    if not every:
        click.echo("no budget yet", err=True)
    for one in every:
        click.echo(_said(one))


def _line(rooms: "Rooms", found: "Budgeting") -> str:
    from quartermaster.commands.budget_shown import read_states, shown

    return _said(shown(found, read_states(rooms.var), rooms.now()))


def _said(one: "ShownBudget") -> str:
    how = "paid" if one.prepaid else f"in {one.period}" if one.period else "once"
    paused = ", paused" if one.paused else ""
    line = f"{one.scope} {one.name}: {one.amount} {one.currency} {how}{paused}"
    if one.spent is None:
        return line
    return f"{line}, spent {one.spent}, leased {one.leased}, left {one.left}"
