"""`quartermaster sec-losses FOLDER`: how often filers lose a customer of 10 % or more."""

import json
from pathlib import Path

import click

from quartermaster.console.format import LANGS, Lang


@click.command("sec-losses")
@click.argument("folder", type=click.Path(path_type=Path))
@click.option("--json", "as_json_", is_flag=True, help="Print one JSON object.")
@click.option("--lang", type=click.Choice(LANGS), default="en", help="Language of the words.")
def command(folder: Path, *, as_json_: bool, lang: Lang) -> None:
    """Count how often customers of 10 % or more are lost, in the SEC's files in FOLDER.

    FOLDER holds unpacked "Financial Statement Data Sets" or "Financial Statement and Notes" data
    of sec.gov, in itself or in one folder for each archive. The result is a base rate for the
    prior of `quartermaster departure`.
    """
    import msgspec

    from quartermaster.console.departure_text import losses_text
    from quartermaster.exposure.sec_facts import read_sec
    from quartermaster.exposure.sec_losses import SCHEMA, losses

    found = losses(read_sec(folder))
    if as_json_:
        document = {"schema": SCHEMA, **msgspec.to_builtins(found)}
        click.echo(json.dumps(document, indent=2, ensure_ascii=False))
    else:
        click.echo(losses_text(found, lang))
