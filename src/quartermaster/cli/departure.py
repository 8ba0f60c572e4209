"""`quartermaster departure CASE...`: how likely a customer leaves, and each step to that figure."""

import json
from pathlib import Path

import click

from quartermaster.console.format import LANGS, Lang
from quartermaster.kernel.errors import UsageError


@click.command("departure")
@click.argument("cases", nargs=-1, type=click.Path(path_type=Path))
@click.option("--json", "as_json_", is_flag=True, help="Print one JSON object.")
@click.option("--lang", type=click.Choice(LANGS), default="en", help="Language of the words.")
@click.option("--as-of", metavar="DAY", help="State on this day; by default on the last known one.")
@click.option(
    "--record",
    "record_file",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Add the statements to this file of JSON lines, to be scored later.",
)
@click.option("--kinds", is_flag=True, help="List the kinds of evidence and their ratios.")
def command(
    cases: tuple[Path, ...],
    *,
    as_json_: bool,
    lang: Lang,
    as_of: str | None,
    record_file: Path | None,
    kinds: bool,
) -> None:
    """How likely the customer of each CASE leaves within its horizon, with the evidence ledger.

    A CASE is a TOML file of dated, sourced facts. Where outcomes are known, the statements are
    scored.
    """
    if kinds:
        _show_kinds(lang, as_json_=as_json_)
        return
    if not cases:
        raise UsageError("no case", hint="name at least one file, or list --kinds")
    # scipy comes with these, and only from here on.
    from quartermaster.console.departure_text import opinion_text, record_text
    from quartermaster.exposure.departure import read_opinion
    from quartermaster.exposure.departure_statements import append_statements
    from quartermaster.exposure.replay import as_json, replay

    found = replay([read_opinion(path, as_of) for path in cases])
    if record_file is not None:
        added = append_statements(record_file, found.statements)
        click.echo(f"recorded {added} of {len(found.statements)} in {record_file}", err=True)
    if as_json_:
        click.echo(json.dumps(as_json(found), indent=2, ensure_ascii=False))
        return
    parts = [opinion_text(one, lang) for one in found.opinions]
    if found.record.scores is not None and len(parts) > 1:
        parts.append(record_text(found.record, lang))
    click.echo("\n\n".join(parts))


def _show_kinds(lang: Lang, *, as_json_: bool) -> None:
    import msgspec

    from quartermaster.console.departure_text import kinds_text
    from quartermaster.exposure.evidence_kinds import KINDS

    if as_json_:
        click.echo(json.dumps(msgspec.to_builtins(KINDS), indent=2, ensure_ascii=False))
    else:
        click.echo(kinds_text(lang))
