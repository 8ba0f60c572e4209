"""`quartermaster config`: what is set, and where it came from."""

import click
import msgspec


@click.group("config")
def command() -> None:
    """Show and check the settings."""


@command.command("show")
@click.option("--json", "as_json", is_flag=True, help="One JSON object.")
@click.option(
    "--origin", is_flag=True, help="Name where each value that is not a default came from."
)
@click.pass_obj
def show(options: dict[str, str | None], as_json: bool, origin: bool) -> None:
    """Every setting with its value in force."""
    from quartermaster.config import load

    settings, origins = load(options["config_file"], options["var"])
    values = msgspec.to_builtins(settings)
    if as_json:
        shown = {"settings": values, "origin": origins} if origin else values
        click.echo(msgspec.json.format(msgspec.json.encode(shown), indent=2).decode())
        return
    for key, value in _flat(values):
        source = f"  # {origins.get(key, 'default')}" if origin else ""
        click.echo(f"{key} = {msgspec.json.encode(value).decode()}{source}")


@command.command("check")
@click.pass_obj
def check(options: dict[str, str | None]) -> None:
    """Exit 0 when every setting can be used, 4 when one cannot."""
    from quartermaster.config import load

    load(options["config_file"], options["var"])
    click.echo("settings are valid", err=True)


def _flat(values: dict[str, object], prefix: str = "") -> list[tuple[str, object]]:
    rows: list[tuple[str, object]] = []
    for key, value in values.items():
        if isinstance(value, dict):
            rows += _flat(value, f"{prefix}{key}.")
        else:
            rows.append((prefix + key, value))
    return rows
