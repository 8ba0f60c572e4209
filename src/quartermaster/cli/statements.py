"""`quartermaster statements FILE`: how good our own past probabilities were."""

import json
from pathlib import Path

import click

from quartermaster.console.format import LANGS, Lang
from quartermaster.kernel.errors import UsageError

SCHEMA = "quartermaster.statements/1"
"""Changes with the meaning of any field."""


@click.command("statements")
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--json", "as_json_", is_flag=True, help="Print one JSON object.")
@click.option(
    "--svg", type=click.Path(path_type=Path, dir_okay=False), help="Write the reliability diagram."
)
@click.option("--lang", type=click.Choice(LANGS), default="en", help="Language of the words.")
def command(file: Path, *, as_json_: bool, svg: Path | None, lang: Lang) -> None:
    """Score the statements in FILE: Brier, log score and the reliability diagram.

    FILE holds JSON lines as `quartermaster departure --record` writes them, with outcome true or
    false and resolved_on once the event came or its horizon has passed.
    """
    import msgspec

    from quartermaster.console.departure_text import record_figure, record_text
    from quartermaster.console.figures import standalone
    from quartermaster.exposure.departure_statements import read_statements, record

    found = record(read_statements(file))
    if svg is not None:
        _write(svg, standalone(record_figure(found, lang)))
    if as_json_:
        document = {"schema": SCHEMA, **msgspec.to_builtins(found)}
        click.echo(json.dumps(document, indent=2, ensure_ascii=False))
    else:
        click.echo(record_text(found, lang))


def _write(path: Path, content: str) -> None:
    try:
        path.write_text(content, encoding="utf-8")
    except OSError as error:
        raise UsageError(f"{path} cannot be written: {error.strerror}") from error
    click.echo(f"wrote {path}", err=True)
