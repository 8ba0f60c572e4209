"""`quartermaster case`: cases of suspected training on the outputs, step by step."""

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

import click
import msgspec

from quartermaster.cli.handover import hand_over
from quartermaster.console.format import LANGS, Lang
from quartermaster.kernel.case import Move
from quartermaster.kernel.errors import NotAllowedError, UsageError
from quartermaster.kernel.events import Endpoint

if TYPE_CHECKING:
    from quartermaster.app import Rooms
    from quartermaster.commands.actor import Actor
    from quartermaster.commands.api_token import Bearer
    from quartermaster.conduct.cases import Case
    from quartermaster.kernel.case import CaseEvidence

Options = dict[str, str | None]
TOKEN_FILE_BYTES_MAX = 4_096
"""A token takes 80 bytes; a longer file is another one."""

_JSON = click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
_REASON = click.option("--reason", required=True, help="Kept in the journal; notices quote it.")
_TOKEN = click.option(
    "--token-file",
    type=click.Path(path_type=Path),
    help="API token of whoever steps; without it, the operator of this machine.",
)
_DAYS = click.option("--days", type=click.Path(path_type=Path), help="Account-days, JSON lines.")
_ACCOUNT = click.option(
    "--account", help="Of whom in --days, the group's id by default; whom --reported is of."
)
_REPORTED = click.option("--reported", help="What others reported: who said what, and where.")


@click.group("case")
def command() -> None:
    """Cases: observe, inform, warn, throttle, suspend, investigate, reinstate or terminate."""


@command.command("list")
@click.option("--open", "only_open", is_flag=True, help="Leave out what has ended.")
@click.option("--json", "as_json", is_flag=True, help="One JSON array.")
@click.pass_obj
def list_cases(options: Options, only_open: bool, as_json: bool) -> None:
    """Every case, the newest first."""
    from quartermaster.app import open_rooms
    from quartermaster.cli.case_text import queue_line
    from quartermaster.commands.case_read import all_cases
    from quartermaster.conduct.cases_shown import summary

    rooms = open_rooms(options)
    lines = [summary(case, rooms.now()) for case in all_cases(rooms.book)]
    lines = [line for line in lines if not (only_open and line.ended)]
    if as_json:
        click.echo(msgspec.json.encode(lines))
        return
    if not lines:
        click.echo("no open case" if only_open else "no case yet", err=True)
    for line in lines:
        click.echo(queue_line(line))


@command.command("states")
def states() -> None:
    """The states and what leads from one to the next, as a Mermaid diagram."""
    from quartermaster.conduct.cases_table import diagram

    click.echo(diagram(), nl=False)


@command.command("open")
@click.argument("group")
@_REASON
@click.option(
    "--customer",
    default="",
    help="Of a group of several: the one that notices go to, and that alone answers.",
)
@_DAYS
@_ACCOUNT
@_REPORTED
@_TOKEN
@_JSON
@click.pass_obj
def open_case(
    options: Options,
    group: str,
    reason: str,
    customer: str,
    days: Path | None,
    account: str | None,
    reported: str | None,
    token_file: Path | None,
    as_json: bool,
) -> None:
    """Begin to observe the customer GROUP.

    The evidence is what --days says about it, judged day by day, or what others reported. Without
    either the case begins with nothing, and evidence is added later.
    """
    from quartermaster.app import open_rooms
    from quartermaster.app.case_stake import stake
    from quartermaster.commands import case as cases
    from quartermaster.kernel.case import CaseOpened

    rooms = open_rooms(options)
    evidence = _evidence(rooms, group, days, account, reported)
    opening = CaseOpened(
        group=group,
        reason=reason,
        evidence=evidence,
        stake=stake(rooms, group, evidence),
        addressee=customer,
    )
    case = cases.open_case(rooms.book, _actor(rooms, token_file), opening, rooms.now())
    _show(rooms, case, as_json=as_json)


@command.command("add")
@click.argument("case_id", metavar="CASE")
@_DAYS
@_ACCOUNT
@_REPORTED
@_TOKEN
@_JSON
@click.pass_obj
def add(
    options: Options,
    case_id: str,
    days: Path | None,
    account: str | None,
    reported: str | None,
    token_file: Path | None,
    as_json: bool,
) -> None:
    """Add evidence to CASE: from a file of account-days, or a report by others."""
    from quartermaster.app import open_rooms
    from quartermaster.app.case_stake import stake
    from quartermaster.commands import case as cases
    from quartermaster.commands.case_read import read
    from quartermaster.kernel.case import EvidenceAdded

    if days is None and reported is None:
        raise UsageError("add what?", hint="--days FILE or --reported TEXT")
    rooms = open_rooms(options)
    known = read(rooms.book, case_id)
    if days is None and reported is not None:
        held = partial(stake, rooms)
        actor = _actor(rooms, token_file)
        more = cases.reported(reported, account or "")
        case = cases.report(rooms.book, actor, case_id, more, rooms.now(), held)
        _show(rooms, case, as_json=as_json)
        return
    evidence = _evidence(rooms, known.group, days, account, reported, known.evidence)
    event = EvidenceAdded(evidence=evidence, stake=stake(rooms, known.group, evidence))
    case = cases.tell(rooms.book, _actor(rooms, token_file), case_id, event, rooms.now())
    _show(rooms, case, as_json=as_json)


@command.command("show")
@click.argument("case_id", metavar="CASE")
@_JSON
@click.pass_obj
def show(options: Options, case_id: str, as_json: bool) -> None:
    """One CASE: evidence, costs, what may follow, every step."""
    from quartermaster.app import open_rooms
    from quartermaster.commands.case_read import read

    rooms = open_rooms(options)
    _show(rooms, read(rooms.book, case_id), as_json=as_json)


@command.command("step")
@click.argument("case_id", metavar="CASE")
@click.argument("name", metavar="MOVE", type=click.Choice(get_args(Move)))
@_REASON
@click.option("--urgent", is_flag=True, help="Leave out steps; a second person signs.")
@click.option("--requests-per-minute", type=int, help="throttle: of the slice together.")
@click.option("--tokens-per-minute", type=int, help="throttle: of the slice together.")
@click.option("--concurrent", type=int, help="throttle: open requests of the slice.")
@click.option("--key", "keys", multiple=True, help="throttle: this key; repeatable.")
@click.option("--model", "models", multiple=True, help="throttle: this model; repeatable.")
@click.option("--endpoint", "endpoints", multiple=True, type=click.Choice(get_args(Endpoint)),
              help="throttle: this endpoint; repeatable.")  # fmt: skip
@_TOKEN
@_JSON
@click.pass_obj
def step(
    options: Options,
    /,
    case_id: str,
    name: Move,
    reason: str,
    urgent: bool,
    token_file: Path | None,
    as_json: bool,
    **throttle: Any,  # noqa: ANN401 - click hands over what it parsed
) -> None:
    """Make a MOVE of CASE, or propose it where two persons sign.

    What two persons sign is proposed and signed with tokens of signed-in users; access to this
    machine is not enough.
    """
    from quartermaster.app import open_rooms
    from quartermaster.app.case_desk import rules
    from quartermaster.commands import case as cases
    from quartermaster.commands.case_read import read
    from quartermaster.kernel.case import MoveAsked
    from quartermaster.kernel.limit import AT_ONCE, Limits, Throttle

    rooms = open_rooms(options)
    group = read(rooms.book, case_id).group
    limits = Limits(**{name: throttle.pop(name) for name in AT_ONCE})
    slice_ = Throttle(limits=limits, **throttle)
    asked = MoveAsked(
        move=name, reason=reason, throttle=slice_ if name == "throttle" else None, urgent=urgent
    )
    if name != "throttle" and slice_ != Throttle():
        raise UsageError(f"{name} has no slice", hint="keys, models and limits go with throttle")
    case = cases.move(
        rooms.book, _actor(rooms, token_file), case_id, asked, rooms.now(), rules(rooms, group)
    )
    _done(rooms, case, as_json=as_json)


@command.command("sign")
@click.argument("case_id", metavar="CASE")
@click.argument("proposal", type=click.IntRange(1))
@_TOKEN
@_JSON
@click.pass_obj
def sign(
    options: Options, case_id: str, proposal: int, token_file: Path | None, as_json: bool
) -> None:
    """Sign step PROPOSAL of CASE, as the second person."""
    from quartermaster.app import open_rooms
    from quartermaster.app.case_desk import rules
    from quartermaster.commands import case as cases
    from quartermaster.commands.case_read import read

    rooms = open_rooms(options)
    group = read(rooms.book, case_id).group
    actor = _actor(rooms, token_file)
    case = cases.sign(rooms.book, actor, case_id, proposal, rooms.now(), rules(rooms, group))
    _done(rooms, case, as_json=as_json)


@command.command("withdraw")
@click.argument("case_id", metavar="CASE")
@_REASON
@_TOKEN
@_JSON
@click.pass_obj
def withdraw(
    options: Options, case_id: str, reason: str, token_file: Path | None, as_json: bool
) -> None:
    """Take the proposed move of CASE back."""
    from quartermaster.app import open_rooms
    from quartermaster.commands import case as cases

    rooms = open_rooms(options)
    actor = _actor(rooms, token_file)
    case = cases.withdraw(rooms.book, actor, case_id, reason, rooms.now())
    _show(rooms, case, as_json=as_json)


@command.command("note")
@click.argument("case_id", metavar="CASE")
@click.argument("text")
@_TOKEN
@click.pass_obj
def note(options: Options, case_id: str, text: str, token_file: Path | None) -> None:
    """Write something down in CASE; the customer does not see it."""
    from quartermaster.app import open_rooms
    from quartermaster.commands import case as cases
    from quartermaster.kernel.case import Noted

    rooms = open_rooms(options)
    cases.tell(rooms.book, _actor(rooms, token_file), case_id, Noted(text), rooms.now())


@command.command("answer")
@click.argument("case_id", metavar="CASE")
@click.argument("text")
@click.option("--share-low", type=click.FloatRange(0, 1), help="Of the requests, at least.")
@click.option("--share-high", type=click.FloatRange(0, 1), help="Of the requests, at most.")
@click.option("--appeal", "appeals", is_flag=True, help="An appeal: another person decides.")
@click.option("--token-file", type=click.Path(path_type=Path), required=True,
              help="The customer's API token.")  # fmt: skip
@_JSON
@click.pass_obj
def answer(
    options: Options,
    case_id: str,
    text: str,
    share_low: float | None,
    share_high: float | None,
    appeals: bool,
    token_file: Path,
    as_json: bool,
) -> None:
    """The customer's answer in CASE, or its appeal."""
    from quartermaster.app import open_rooms
    from quartermaster.app.case_desk import rules
    from quartermaster.commands import case as cases
    from quartermaster.conduct.cases_shown import own
    from quartermaster.kernel.case import Answered, CaseStatement

    rooms = open_rooms(options)
    bearer, now = _bearer(rooms, token_file), rooms.now()
    if appeals:
        case = cases.appeal(
            rooms.book, bearer.actor, bearer.customer, case_id, text, now, rules(rooms)
        )
    else:
        said: CaseStatement | None = None
        if share_low is not None or share_high is not None:
            said = CaseStatement(text=text, said_by=bearer.customer, low=share_low, high=share_high)
        answered = Answered(text=text, statement=said)
        case = cases.answer(rooms.book, bearer.actor, bearer.customer, case_id, answered, now)
    if as_json:
        click.echo(msgspec.json.encode(own(case, now, bearer.customer)))
    else:
        click.echo(f"{case.id}: {'appeal' if appeals else 'answer'} received")


@command.command("decide")
@click.argument("case_id", metavar="CASE")
@click.option("--grant/--refuse", "granted", required=True, help="Granting reinstates at once.")
@_REASON
@_TOKEN
@_JSON
@click.pass_obj
def decide(
    options: Options,
    case_id: str,
    granted: bool,
    reason: str,
    token_file: Path | None,
    as_json: bool,
) -> None:
    """Decide the appeal of CASE; whoever took part in the measure may not."""
    from quartermaster.app import open_rooms
    from quartermaster.app.case_desk import rules
    from quartermaster.commands import case as cases
    from quartermaster.commands.case_read import read
    from quartermaster.kernel.case import AppealDecided

    rooms = open_rooms(options)
    group = read(rooms.book, case_id).group
    decision = AppealDecided(granted=granted, reason=reason)
    actor, held = _actor(rooms, token_file), rules(rooms, group)
    case = cases.decide(rooms.book, actor, case_id, decision, rooms.now(), held)
    _done(rooms, case, as_json=as_json)


@command.command("file")
@click.argument("case_id", metavar="CASE")
@click.option("--html", type=click.Path(path_type=Path), help="Write it as one page.")
@click.option("--pdf", type=click.Path(path_type=Path), help="Write it; needs Chromium.")
@click.option("--lang", type=click.Choice(LANGS), default="en", help="Language of the words.")
@click.option("--content", type=click.Path(path_type=Path),
              help="Account-days with the text: new requests are shown redacted.")  # fmt: skip
@click.option("--account", help="Of whom in --content; the group's id by default.")
@_TOKEN
@_JSON
@click.pass_obj
def case_file(
    options: Options,
    case_id: str,
    html: Path | None,
    pdf: Path | None,
    lang: Lang,
    content: Path | None,
    account: str | None,
    token_file: Path | None,
    as_json: bool,
) -> None:
    """The case file of CASE for an investigator or a lawyer; the journal remembers its hash."""
    from quartermaster.app import case_files as files
    from quartermaster.app import open_rooms
    from quartermaster.cli.pdf import write_pdf
    from quartermaster.cli.written import write_file
    from quartermaster.conduct.case_file import encoded
    from quartermaster.console.board_page import page_of
    from quartermaster.console.board_text import text
    from quartermaster.console.case_report import view_of

    rooms = open_rooms(options)
    now, actor = rooms.now(), _actor(rooms, token_file)
    whose = account or files.case_file(rooms, case_id, now).case.summary.group
    asked = None if content is None else files.exemplars_of(content, whose)
    file = files.case_file(rooms, case_id, now, exemplars=asked, account=whose)
    digest = files.recorded(rooms, actor, file, now)
    view = view_of(file, lang)
    page = page_of(view) if html or pdf else ""
    if html is not None:
        write_file(html, page)
    if pdf is not None:
        write_pdf(page, pdf)
    click.echo(encoded(file) if as_json else text(view))
    click.echo(f"SHA-256 {digest}", err=True)


def _evidence(
    rooms: "Rooms",
    group: str,
    days: Path | None,
    account: str | None,
    reported: str | None,
    known: "CaseEvidence | None" = None,
) -> "CaseEvidence":
    """From a file, with what was reported; what is known stays where the file says nothing."""
    from quartermaster.commands.case import reported as report
    from quartermaster.conduct.evidence import together
    from quartermaster.kernel.case import CaseEvidence

    found = known or CaseEvidence()
    if days is not None:
        from quartermaster.app.case_days import evidence_of_file
        from quartermaster.app.case_desk import prices_of
        from quartermaster.cli.conduct import PUBLIC_KEY

        kept = [one for one in found.findings if one.kind == "reported"]
        prices = prices_of(rooms, group)
        read = evidence_of_file(days, account or group, prices=prices, key=PUBLIC_KEY)
        found = read.evidence
        found = msgspec.structs.replace(found, findings=(*found.findings, *kept))
    if reported is not None:
        found = together(found, report(reported, account or ""))
    return found


def _actor(rooms: "Rooms", token_file: Path | None) -> "Actor":
    return rooms.actor if token_file is None else _bearer(rooms, token_file).actor


def _bearer(rooms: "Rooms", token_file: Path) -> "Bearer":
    from quartermaster.book.pepper import load_pepper
    from quartermaster.commands.api_token import recognise

    data = token_file.read_bytes()[:TOKEN_FILE_BYTES_MAX]
    pepper = load_pepper(rooms.var / "secrets" / "key_pepper")
    secret = data.decode("ascii", "replace").strip()
    bearer = recognise(rooms.book.view(), secret, pepper, rooms.now())
    if bearer is None:
        raise NotAllowedError(
            f"{token_file.name} holds no token that works",
            hint="quartermaster user token make",
        )
    return bearer


def _done(rooms: "Rooms", case: "Case", *, as_json: bool) -> None:
    _show(rooms, case, as_json=as_json)
    hand_over(rooms)


def _show(rooms: "Rooms", case: "Case", *, as_json: bool) -> None:
    from quartermaster.cli.case_text import case_lines
    from quartermaster.conduct.cases_shown import shown

    found = shown(case, rooms.now(), float(rooms.settings.standing.share))
    click.echo(msgspec.json.encode(found) if as_json else "\n".join(case_lines(found)))
