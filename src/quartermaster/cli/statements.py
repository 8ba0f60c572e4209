"""`quartermaster statements FILE`: how good our own past probabilities were."""

import json
from pathlib import Path

import click

from quartermaster.cli.written import write_file
from quartermaster.console.format import LANGS, Lang
from quartermaster.kernel.errors import UsageError

Options = dict[str, str | None]

SCHEMA = "quartermaster.statements/1"
"""Changes with the meaning of any field."""


@click.command("statements")
@click.argument("file", type=click.Path(path_type=Path), required=False)
@click.option("--json", "as_json_", is_flag=True, help="Print one JSON object.")
@click.option(
    "--svg", type=click.Path(path_type=Path, dir_okay=False), help="Write the reliability diagram."
)
@click.option("--lang", type=click.Choice(LANGS), default="en", help="Language of the words.")
@click.pass_obj
def command(
    options: Options, file: Path | None, *, as_json_: bool, svg: Path | None, lang: Lang
) -> None:
    """Score past statements: Brier, log score and the reliability diagram.

    FILE holds JSON lines as `quartermaster departure --record` writes them, with outcome true or
    false and resolved_on once the event came or its horizon has passed. Without FILE it is what
    the clerk stated of every customer each week, out of the journal.
    """
    if file is None:
        if svg is not None:
            raise UsageError("--svg needs a FILE", hint="the console draws the journal's record")
        _own_record(options, as_json=as_json_, lang=lang)
        return
    import msgspec

    from quartermaster.console.departure_text import record_figure, record_text
    from quartermaster.console.figures import standalone
    from quartermaster.exposure.departure_statements import read_statements, record

    found = record(read_statements(file))
    if svg is not None:
        write_file(svg, standalone(record_figure(found, lang)))
    if as_json_:
        document = {"schema": SCHEMA, **msgspec.to_builtins(found)}
        click.echo(json.dumps(document, indent=2, ensure_ascii=False))
    else:
        click.echo(record_text(found, lang))


def _own_record(options: Options, *, as_json: bool, lang: Lang) -> None:
    from quartermaster.app import open_rooms
    from quartermaster.app.console_warning import RealWarning
    from quartermaster.console.warning_tables import RELIABILITY_SCHEMA, reliability_rows
    from quartermaster.console.warning_tables import as_json as encoded
    from quartermaster.console.warning_terminal import record_text

    rooms = open_rooms(options)
    facts = RealWarning(rooms).reliability(rooms.now())
    if as_json:
        body = encoded(RELIABILITY_SCHEMA, reliability_rows(facts), rooms.now())
        click.echo(json.dumps(json.loads(body), indent=2, ensure_ascii=False))
    else:
        click.echo(record_text(facts, lang))
