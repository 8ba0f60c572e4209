"""Limits: how much a key, a project, or a whole customer group, may ask for at once."""

import msgspec

from quartermaster.book.views import View
from quartermaster.commands.actor import Actor, require
from quartermaster.commands.names import require_name
from quartermaster.commands.ports import Book
from quartermaster.commands.scope import ended, require_known
from quartermaster.kernel.clock import Instant
from quartermaster.kernel.errors import ConflictError, NotFoundError, UsageError
from quartermaster.kernel.events import LimitSet
from quartermaster.kernel.limit import AT_ONCE, LIMIT_MAX, Limits, LimitScope


class Limited(msgspec.Struct, frozen=True):
    """Who has which limits."""

    scope: LimitScope
    name: str
    limits: Limits


def set_limits(
    book: Book,
    actor: Actor,
    limited: Limited,
    now: Instant,
    *,
    workers: int = 1,
    reason: str = "",
) -> Limited:
    """Give a key, a project or a group limits, in place of all it had.

    They hold with the next snapshot. Setting what is set already changes nothing.

    Args:
        book: where it is recorded.
        actor: who sets it.
        limited: whose limits, and which.
        now: microseconds UTC.
        workers: gateway processes that share the limits; each needs at least one of everything.
        reason: kept in the journal.

    Raises:
        NotAllowedError: the actor may not.
        UsageError: no limit, or one that cannot be shared by the workers.
        NotFoundError: there is no such key, project or group.
        ConflictError: the key is revoked, or the project archived.
    """
    require(actor, "admin", "trust")
    if not limited.limits.named():
        raise UsageError(
            "no limit given",
            field="limits",
            hint="give requests a minute, tokens a minute, concurrent requests, output tokens, body"
            " bytes or stream seconds; or remove them",
        )
    for name, value in limited.limits.named():
        if not 1 <= value <= LIMIT_MAX:
            raise UsageError(
                f"{name} = {value} is no limit",
                field=name,
                hint=f"give a whole number from 1 to {LIMIT_MAX}; to stop somebody, revoke the key",
            )
        if name in AT_ONCE and value < workers:
            raise UsageError(
                f"{name} = {value} cannot be shared by {workers} gateway workers",
                field=name,
                hint=f"give at least {workers}, or run fewer workers (gateway.workers)",
            )
    _record(book, actor, limited, now, reason)
    return limited


def remove_limits(
    book: Book, actor: Actor, scope: LimitScope, name: str, now: Instant, *, reason: str = ""
) -> None:
    """Lift the limits of a key, a project or a group with the next snapshot.

    Raises:
        NotAllowedError: the actor may not.
        NotFoundError: there is no such key, project or group, or it has no limits.
    """
    require(actor, "admin", "trust")
    _record(book, actor, Limited(scope, name, Limits()), now, reason)


def limits_of(view: View, scope: LimitScope, name: str) -> Limited:
    """The limits of a key, a project or a group; none where it has none.

    Raises:
        NotFoundError: there is no such key, project or group.
    """
    require_known(view, scope, name)
    return Limited(scope, name, view.limits.get((scope, name), Limits()))


def all_limits(view: View) -> list[Limited]:
    """Everybody who has limits, in a fixed order."""
    return [Limited(*who, limits) for who, limits in sorted(view.limits.items(), key=_who)]


def _who(item: tuple[tuple[LimitScope, str], Limits]) -> tuple[LimitScope, str]:
    return item[0]


def _record(book: Book, actor: Actor, limited: Limited, now: Instant, reason: str) -> None:
    if reason:
        reason = require_name(reason, "reason")
    with book.writing() as unit:
        view = unit.view()
        has = limits_of(view, limited.scope, limited.name).limits
        lifts = not limited.limits.named()
        if lifts and not has.named():
            raise NotFoundError(f"{limited.scope} {limited.name} has no limits", field="name")
        over = ended(view, limited.scope, limited.name)
        if over and not lifts:
            raise ConflictError(over, field="name")
        if has != limited.limits:
            fact = LimitSet(
                scope=limited.scope, name=limited.name, limits=limited.limits, reason=reason
            )
            unit.journal.append(fact, actor=actor, now=now)
