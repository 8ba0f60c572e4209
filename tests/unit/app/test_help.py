"""What `--help` says: every command and every option has words of its own."""

from collections.abc import Iterator

import click

from quartermaster.cli.main import cli


def walk(command: click.Command, words: str) -> Iterator[tuple[str, click.Command]]:
    """A command and all below it, by what is typed."""
    yield words, command
    if isinstance(command, click.Group):
        context = click.Context(command)
        for name in command.list_commands(context):
            below = command.get_command(context, name)
            assert below is not None, f"{words} {name} is listed and not there"
            yield from walk(below, f"{words} {name}")


def test_every_command_and_option_says_what_it_is() -> None:
    commands = dict(walk(cli, "quartermaster"))
    assert len(commands) > 100
    silent = [words for words, command in commands.items() if not command.get_short_help_str()]
    silent += [
        f"{words} {option.opts[0]}"
        for words, command in commands.items()
        for option in command.params
        if isinstance(option, click.Option) and not option.help and not option.hidden
    ]
    assert silent == []
