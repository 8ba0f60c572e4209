"""Whose limits or budget a command is about: `--key`, `--project` or `--group`."""

from collections.abc import Callable, Mapping
from typing import Any, TypeVar

import click

from quartermaster.kernel.errors import UsageError
from quartermaster.kernel.limit import LimitScope

F = TypeVar("F", bound=Callable[..., Any])

_OPTIONS = (
    click.option("--group", help="Id of a customer group: of all its keys together."),
    click.option("--project", help="CUSTOMER/PROJECT: of all its keys together."),
    click.option("--key", help="Id of one key."),
)


def whose(call: F) -> F:
    """Give a command the three options; it takes them as keywords and asks `who`."""
    for option in _OPTIONS:
        call = option(call)
    return call


def is_asked(given: Mapping[str, str | None]) -> bool:
    """Whether any of the three options was given."""
    return any(name is not None for name in given.values())


def who(given: Mapping[str, str | None], what: str) -> tuple[LimitScope, str]:
    """Whose it is.

    Args:
        given: the three options.
        what: what is asked for, in the words of the refusal: `limits`.

    Raises:
        UsageError: none of the options is given, or several.
    """
    scopes: tuple[LimitScope, ...] = ("key", "project", "group")
    found = [(scope, name) for scope in scopes if (name := given[scope]) is not None]
    if len(found) != 1:
        raise UsageError(
            f"whose {what}?", field="key", hint="give one of --key, --project and --group"
        )
    return found[0]
