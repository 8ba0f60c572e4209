"""`quartermaster customer standing`: whether a customer group is served, and who decided it."""

from decimal import Decimal
from typing import TYPE_CHECKING, get_args

import click
import msgspec

from quartermaster.cli.handover import hand_over
from quartermaster.kernel.contract import Standing
from quartermaster.kernel.errors import UsageError
from quartermaster.kernel.events import Endpoint
from quartermaster.kernel.limit import AT_ONCE, Throttle

if TYPE_CHECKING:
    from quartermaster.app import Rooms
    from quartermaster.commands.standing import Changed, Held

Options = dict[str, str | None]

_REASON = click.option("--reason", required=True, help="Kept in the journal.")
_CASE = click.option("--case", default="", help="Id of the conduct case that it follows from.")
_JSON = click.option("--json", "as_json", is_flag=True, help="As JSON.")


@click.command("standing")
@click.argument("group", required=False)
@click.argument("standing", required=False, type=click.Choice(get_args(Standing)))
@click.option("--reason", default="", help="Needed to change it; kept in the journal.")
@_CASE
@click.option("--requests-per-minute", type=int, help="throttled: of the slice together.")
@click.option("--tokens-per-minute", type=int, help="throttled: of the slice together.")
@click.option("--concurrent", type=int, help="throttled: open requests of the slice.")
@click.option("--key", "keys", multiple=True, help="throttled: only this key; repeatable.")
@click.option("--model", "models", multiple=True, help="throttled: only this model; repeatable.")
@click.option(
    "--endpoint",
    "endpoints",
    multiple=True,
    type=click.Choice(get_args(Endpoint)),
    help="throttled: only this endpoint; repeatable.",
)
@_JSON
@click.pass_obj
def standing(
    options: Options,
    /,
    group: str | None,
    standing: Standing | None,
    reason: str,
    case: str,
    as_json: bool,
    **throttle: object,
) -> None:
    """Show or change whether a customer GROUP is served.

    Without STANDING it is shown; without GROUP, every group that is not simply active.
    """
    from quartermaster.app import open_rooms
    from quartermaster.app.revenue_share import revenue_share
    from quartermaster.commands import standing as standings

    rooms = open_rooms(options)
    if group is None or standing is None:
        view = rooms.book.view()
        shown = standings.all_held(view) if group is None else [standings.held(view, group)]
        _show(shown, as_json=as_json)
        return
    if not reason:
        raise UsageError("a standing is changed for a reason", field="reason", hint="--reason")
    changed = standings.change(
        rooms.book,
        rooms.actor,
        group,
        standing,
        reason,
        rooms.now(),
        weight=revenue_share(rooms.var, group),
        sign_off_share=rooms.settings.standing.share,
        throttle=_throttle(throttle) if standing == "throttled" else None,
        case=case,
    )
    _say(rooms, changed, as_json=as_json)


@click.command("sign-off")
@click.argument("proposal")
@_JSON
@click.pass_obj
def sign_off(options: Options, proposal: str, as_json: bool) -> None:
    """Put a proposed standing in force, as the second person."""
    from quartermaster.app import open_rooms
    from quartermaster.commands import standing as standings

    rooms = open_rooms(options)
    changed = standings.sign_off(rooms.book, rooms.actor, proposal, rooms.now())
    _say(rooms, changed, as_json=as_json)


@click.command("decline")
@click.argument("proposal")
@_REASON
@click.pass_obj
def decline(options: Options, proposal: str, reason: str) -> None:
    """Drop a proposed standing."""
    from quartermaster.app import open_rooms
    from quartermaster.commands import standing as standings

    rooms = open_rooms(options)
    group = standings.decline(rooms.book, rooms.actor, proposal, reason, rooms.now())
    click.echo(f"{group}: proposal {proposal} is declined")


@click.command("investigate")
@click.argument("group")
@_REASON
@_CASE
@click.option("--end", is_flag=True, help="The investigation is over.")
@click.pass_obj
def investigate(options: Options, group: str, reason: str, case: str, end: bool) -> None:
    """Say that a customer GROUP is under investigation; its standing stays what it is."""
    from quartermaster.app import open_rooms
    from quartermaster.commands import standing as standings

    rooms = open_rooms(options)
    standings.investigate(
        rooms.book, rooms.actor, group, reason, rooms.now(), under=not end, case=case
    )
    click.echo(f"{group}: {'not under investigation any more' if end else 'under investigation'}")
    hand_over(rooms)


COMMANDS = (standing, sign_off, decline, investigate)


def _throttle(given: dict[str, object]) -> Throttle:
    limits = {name: given.pop(name) for name in AT_ONCE}
    return msgspec.convert({**given, "limits": limits}, Throttle)


def _say(rooms: "Rooms", changed: "Changed", *, as_json: bool) -> None:
    if as_json:
        click.echo(msgspec.json.encode(changed))
    if changed.done:
        if not as_json:
            click.echo(f"{changed.group}: {changed.standing} (was {changed.before})")
        hand_over(rooms)
        return
    if not as_json:
        click.echo(changed.proposal)
    click.echo(
        f"{changed.group} is still {changed.standing}: {changed.waits_for} waits for a second "
        f"person ({_share(changed.revenue_share)}); they run\n"
        f"  quartermaster customer sign-off {changed.proposal}",
        err=True,
    )


def _share(share: str) -> str:
    return f"{Decimal(share):.1%} of revenue" if share else "its share of revenue is not known"


def _show(shown: "list[Held]", *, as_json: bool) -> None:
    if as_json:
        click.echo(msgspec.json.encode(shown))
        return
    if not shown:
        click.echo("every group is simply active", err=True)
    for one in shown:
        case = f", case {one.case}" if one.case else ""
        why = f": {one.reason}{case}" if one.reason else ""
        under = "  under investigation" if one.under_investigation else ""
        click.echo(f"{one.group}  {one.standing}{why}{under}")
        if one.throttle is not None:
            click.echo(f"  {slice_words(one.throttle)}")
        if one.waiting is not None:
            fact = one.waiting.fact
            click.echo(f"  {fact.standing} waits for a second person: {fact.proposal}")


def slice_words(throttle: Throttle) -> str:
    """Which requests are throttled, and how."""
    parts = [
        f"{what} {', '.join(names)}"
        for what, names in (
            ("keys", throttle.keys),
            ("models", throttle.models),
            ("endpoints", throttle.endpoints),
        )
        if names
    ]
    limits = [f"{name.replace('_', ' ')} {value}" for name, value in throttle.limits.named()]
    return f"{'; '.join(parts) or 'everything'}: {', '.join(limits) or 'closed'}"
