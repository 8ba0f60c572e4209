"""What the pages of budgets, limits and standing share: names, refusals, acknowledgements."""

from typing import Final

import msgspec

from quartermaster.book.views import View
from quartermaster.commands.actor import AT_THE_MACHINE
from quartermaster.commands.publish import Acknowledgement
from quartermaster.commands.scope import customer_of
from quartermaster.console.format import number
from quartermaster.console.language import Words
from quartermaster.kernel.errors import CallerError, NotAllowedError
from quartermaster.kernel.limit import LimitScope

ROWS_MAX: Final = 200
"""Rows of a table: more are not read by people; all of them are in the CSV and the JSON."""


class Acknowledged(msgspec.Struct, frozen=True):
    """Who serves what was published, in words."""

    sentence: str
    workers: tuple[tuple[str, str, str], ...]
    """Each worker, what it does in words, and its kind: `fine` or `risk`."""


def acknowledged(version: int, seen: Acknowledgement, words: Words) -> Acknowledged:
    """Which gateway workers obey a change that was just made."""
    kinds = (
        ("serving", seen.acknowledged, "fine"),
        ("partly", seen.partly, "fine"),
        ("late", seen.late, "risk"),
        ("silent", seen.silent, "risk"),
    )
    workers = tuple(
        (name, words(f"published.{kind}"), css) for kind, names, css in kinds for name in names
    )
    waits = seen.late or seen.silent or seen.partly
    key = "waits" if waits else "all" if workers else "none"
    if seen.unreached:
        key = "unreached"
    return Acknowledged(
        words(f"published.{key}", version=number(version, words.lang), count=len(workers)), workers
    )


def owner_name(view: View, scope: LimitScope, name: str, words: Words) -> str:
    """Whose limits or budget it is, as people call it."""
    if scope == "group":
        known = view.groups.get(name)
        return name if known is None else known.name
    customer_id = customer_of(view, scope, name)
    customer = view.customers.get(customer_id)
    shown = customer_id if customer is None else customer.name
    if scope == "key":
        return words("owner.key", id=name, customer=shown)
    project_id = name.partition("/")[2]
    project = view.projects.get((customer_id, project_id))
    return f"{shown} / {project_id if project is None else project.added.name}"


def person_name(view: View, actor: str, words: Words) -> str:
    """Who did something: a user by name, the command line and the clerk in words."""
    if words.has(f"person.{actor}"):
        return words(f"person.{actor}")
    user = view.users.get(actor)
    if user is None and actor.startswith(AT_THE_MACHINE):
        return words("person.os", name=actor.removeprefix(AT_THE_MACHINE))
    return actor if user is None else user.name


def why(error: CallerError, words: Words) -> str:
    """Why something was not done; what nobody has words for is quoted as it was said."""
    if isinstance(error, NotAllowedError):
        return words("refused.role" if "the role" in error.message else "refused.same_person")
    key = f"refused.{error.field}"
    if error.field and words.has(key):
        return words(key)
    return f"{error.message}. {error.hint}".strip()
