"""`quartermaster conduct`: who may be training a rival on the outputs, with reasons."""

from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

import click

from quartermaster.kernel.errors import DataError, UnavailableError, UsageError

if TYPE_CHECKING:
    from quartermaster.conduct.declared import Terms
    from quartermaster.conduct.observe import Observer
    from quartermaster.conduct.registry import Registry
    from quartermaster.conduct.score import Score, Workload
    from quartermaster.conduct.watch import Watched

KEY_BYTES = 32
"""256 bits, as `conduct.observe` asks for."""
PUBLIC_KEY = bytes(KEY_BYTES)
"""For files scored once on this machine, where no sketch is kept: nothing to protect."""
LINK_P = 0.001
"""As much speaks for one unrelated pair in a thousand: candidates for what else they share."""
ALPHA = 0.01
"""An alarm on one ordinary account in a hundred, ever."""

_file = click.argument("file", type=click.Path(path_type=Path))
_json = click.option("--json", "as_json", is_flag=True, help="Print one JSON object a line.")
_key = click.option(
    "--key-file", type=click.Path(path_type=Path), help="The deployment's 32-byte key."
)
_registry = click.option(
    "--registry", type=click.Path(path_type=Path), help="Public corpora, of `registry build`."
)


@click.group("conduct")
def command() -> None:
    """Who may be training a rival on the outputs: evidence, never a verdict."""
    if find_spec("numpy") is None:
        raise UnavailableError(
            "conduct needs numpy, which is not installed",
            hint="pip install 'quartermaster-ai[risk]'",
        )


@command.command("score")
@_file
@_json
@_key
@_registry
def score(file: Path, *, as_json: bool, key_file: Path | None, registry: Path | None) -> None:
    """Score the account-days in FILE by their requests alone, without history.

    FILE holds one JSON object a line, plain or gzipped: {"account": "...", "requests":
    [{"system": "...", "turns": ["..."]}]}. Other fields are ignored, labels included.
    """
    import msgspec

    from quartermaster.conduct.records import read_days
    from quartermaster.conduct.score import score_days

    key = read_key(key_file)
    found = None
    for found in score_days(read_days(file), observer(key, registry), key):
        shown = msgspec.json.encode(found).decode() if as_json else "\n".join(_score_lines(found))
        click.echo(shown)
    if found is None:
        click.echo(f"{file} holds no account-day", err=True)


@command.command("observe")
@_json
@click.pass_obj
def observe(options: dict[str, str | None], *, as_json: bool) -> None:
    """Who watches, what the last day showed, whom it alarmed on, and what cannot be seen."""
    from quartermaster.app import open_rooms
    from quartermaster.cli.conduct_observed import show_state

    show_state(open_rooms(options), as_json=as_json)


@command.command("days")
@click.argument("file", type=click.Path(path_type=Path), required=False)
@_json
@click.option("--account", help="Of this account alone.")
@_key
@_registry
@click.option("--ordinary", type=click.Path(path_type=Path), help="Account-days to rank among.")
@click.option("--uses", type=click.Path(path_type=Path), help="TOML of what contracts permit.")
@click.option(
    "--alpha",
    type=click.FloatRange(0, 1, min_open=True, max_open=True),
    default=ALPHA,
    show_default=True,
    help="Chance that an ordinary account is ever alarmed on.",
)
@click.pass_obj
def days(
    options: dict[str, str | None],
    file: Path | None,
    *,
    as_json: bool,
    account: str | None,
    key_file: Path | None,
    registry: Path | None,
    ordinary: Path | None,
    uses: Path | None,
    alpha: float,
) -> None:
    """Judge each day in FILE against the same account's 28 days before it.

    Without FILE, show what the daily analysis said of this deployment's own customers.

    FILE is as for `score`, each line with a "day" (YYYY-MM-DD), sorted by day. With --ordinary,
    days of tenants that you hold for ordinary, each day gets p-values, and evidence accumulates
    such that an ordinary account is alarmed on with a chance of at most --alpha, ever.
    """
    import msgspec

    from quartermaster.conduct.records import read_days
    from quartermaster.conduct.watch import ordinary_scores, watch_days

    if file is None:
        from quartermaster.app import open_rooms
        from quartermaster.cli.conduct_observed import show_days

        show_days(open_rooms(options), account, as_json=as_json)
        return
    key = read_key(key_file)
    reader = observer(key, registry)
    ranked = ordinary_scores(read_days(ordinary), reader, key) if ordinary else []
    terms = read_terms(uses) if uses else None
    found = (one for one in read_days(file) if account is None or one.account == account)
    judged = False
    for one in watch_days(found, reader, key, ordinary=ranked, terms=terms):
        shown = msgspec.json.encode(one).decode() if as_json else "\n".join(_day_lines(one, alpha))
        click.echo(shown)
        judged = True
    if not judged:
        click.echo("no day has enough of the same account's days before it", err=True)


@command.command("link")
@_file
@_json
@_key
@click.option(
    "--ordinary",
    type=click.Path(path_type=Path),
    help="Account-days of tenants that you hold for ordinary: likeness to them explains likeness.",
)
@click.option(
    "--p",
    "p_max",
    type=click.FloatRange(0, 1, min_open=True),
    default=LINK_P,
    show_default=True,
    help="How rare likeness of two unrelated accounts must be to make candidates.",
)
def link(
    file: Path, *, as_json: bool, key_file: Path | None, ordinary: Path | None, p_max: float
) -> None:
    """Which accounts in FILE are one campaign, and how they look together.

    Accounts that are alike and both look like a harvest are candidates, and with --ordinary those
    that have in common what no ordinary tenant has. They are joined only where they share something
    besides text: a payment instrument, key, network, client, or their waking hours, as the field
    "meter" of their requests says. Joined accounts are scored as one.
    """
    import msgspec

    from quartermaster.conduct.linked import linked
    from quartermaster.conduct.records import read_days

    key = read_key(key_file)
    known = read_days(ordinary) if ordinary else ()
    found = linked(read_days(file), observer(key, None), key, p_max=p_max, ordinary=known)
    if as_json:
        click.echo(msgspec.json.encode(found).decode())
        return
    for edge in found.links:
        shared = "; ".join(edge.reasons) or "nothing besides text, so not joined"
        click.echo(f"{edge.left} and {edge.right}: linked as 1 pair in {1 / edge.p:.0f}; {shared}")
    for group in found.groups:
        click.echo(
            f"{len(group.accounts)} accounts, {group.requests} requests together:"
            f" score {group.workload.score:.2f} ({', '.join(group.accounts)})"
        )
        click.echo("\n".join(_workload_lines(group.workload)))


@command.group("registry")
def registry_group() -> None:
    """Public corpora as keyed hashes, to recognise their prompts."""


@registry_group.command("build")
@click.argument("out", type=click.Path(path_type=Path))
@click.option("--train", multiple=True, type=click.Path(path_type=Path), help="Training prompts.")
@click.option("--test", multiple=True, type=click.Path(path_type=Path), help="Benchmark prompts.")
@_key
def build_registry(
    out: Path, *, train: tuple[Path, ...], test: tuple[Path, ...], key_file: Path | None
) -> None:
    """Write a registry to OUT from corpora that you have: text lines, JSON lines, or JSON.

    Prompts of --train files speak for a harvest, those of --test files for an evaluation; an item
    in both counts as a benchmark's. No text is kept. A registry belongs to the key it was built
    with.
    """
    from quartermaster.conduct.corpus_files import read_items
    from quartermaster.conduct.registry import Split, build, save

    if not train and not test:
        raise UsageError("there is nothing to build from", hint="--train FILE or --test FILE")
    key = read_key(key_file)
    reader = observer(key, None)
    kinds: tuple[tuple[Split, tuple[Path, ...]], ...] = (("train", train), ("test", test))
    built = build(
        (
            (path.name, kind, map(reader.corpus_words, read_items(path)))
            for kind, paths in kinds
            for path in paths
        ),
        key,
    )
    save(built, out)
    count = len(built.train), len(built.test)
    click.echo(f"{out.name}: {count[0]} hashes of training, {count[1]} of benchmarks", err=True)


def read_key(path: Path | None) -> bytes:
    """The key in a file, or the public one.

    Raises:
        DataError: the file does not hold 32 bytes.
    """
    if path is None:
        return PUBLIC_KEY
    key = path.read_bytes()
    if len(key) != KEY_BYTES:
        raise DataError(
            f"{path.name} holds {len(key)} bytes where a key has {KEY_BYTES}",
            hint=f"head -c {KEY_BYTES} /dev/urandom > {path.name}",
        )
    return key


def observer(key: bytes, registry: Path | None) -> "Observer":
    """A reader of requests under a key, with public corpora where a registry is given."""
    from quartermaster.conduct.observe import Observer
    from quartermaster.conduct.registry import load

    known: Registry | None = load(registry, key) if registry else None
    return Observer(key, known)


def read_terms(path: Path) -> "dict[str, Terms]":
    """What contracts permit, by account: `[accounts.NAME]` with `permitted_uses`.

    Raises:
        DataError: the file is not of this form.
    """
    import msgspec

    from quartermaster.conduct.declared import Terms
    from quartermaster.kernel.toml import parse_toml

    try:
        tree = parse_toml(path.read_bytes(), path.name)
        return msgspec.convert(tree.get("accounts", {}), dict[str, Terms])
    except msgspec.ValidationError as error:
        raise DataError(
            f"{path.name}: {error}",
            hint='[accounts.acme] with permitted_uses = ["application", "judging"]',
        ) from error


def _score_lines(found: "Score") -> Iterator[str]:
    if found.score is None or found.workload is None:
        yield f"{found.account}: no requests"
        return
    over = "above the line" if found.over_line else "below the line"
    day = f" {found.day}" if found.day else ""
    yield f"{found.account}{day}: score {found.score:.2f}, {over}, {found.requests} requests"
    yield from _workload_lines(found.workload)


def _day_lines(one: "Watched", alpha: float) -> Iterator[str]:
    found = one.found
    yield (
        f"{found.account} {found.day}: score {found.score:.2f},"
        f" {'above' if found.over_line else 'below'} the line, {found.new_requests} of"
        f" {found.requests} requests new ({found.newness:.1f} standard errors)"
    )
    if one.evidence is not None:
        alarm = ", an alarm" if one.evidence.alarms(alpha) else ""
        yield (
            f"  p {one.evidence.p_population:.3g} among ordinary tenants, {one.evidence.p_own:.3g}"
            f" among own days; evidence {one.evidence.value:.3g}{alarm}"
        )
    if found.workload is not None:
        yield from _workload_lines(found.workload)
    yield from (f"  {r.kind} is {r.status}: {r.words}" for r in found.declared)


def _workload_lines(part: "Workload") -> Iterator[str]:
    yield f"  rests on {part.requests} requests ({part.share:.0%}): {part.kind}"
    for finding in part.findings:
        only = " (observation only)" if finding.observe_only else ""
        yield f"  {finding.kind} {finding.strength:.2f}: {finding.words}{only}"
    for reason in part.reasons:
        yield f"  {reason.adds:+.1f} {reason.words}"
