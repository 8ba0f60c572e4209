"""Limits: what a key, or a project or a customer group with all its keys, may ask for at once."""

import msgspec

from quartermaster.api.operation import STAFF, Body, Call, Operation
from quartermaster.api.paging import Page, Paged, page
from quartermaster.api.ports import Published
from quartermaster.api.scope import SCOPES, Scoped
from quartermaster.commands import limit
from quartermaster.commands.limit import Limited
from quartermaster.kernel.limit import Limits

TAG = "limits"
_MAY_SET = frozenset({"admin", "trust"})


class NewLimits(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """All limits together: what is left out is not limited, and an empty object lifts them all."""

    requests_per_minute: int | None = None
    tokens_per_minute: int | None = None
    concurrent: int | None = None
    output_tokens: int | None = None
    body_bytes: int | None = None
    stream_seconds: int | None = None
    reason: str = ""
    """Kept in the journal."""


class LimitsPut(msgspec.Struct, frozen=True):
    """The limits as they are set, and which gateways know them."""

    limited: Limited
    published: Published


def list_limits(call: Call) -> Page[Limited]:
    """Everybody who has limits."""
    found = limit.all_limits(call.ports.book.view())
    return page(found, call.asked(Paged), lambda one: f"{one.scope}:{one.name}")


def show_limits(call: Call, of: Scoped) -> Limited:
    """The limits of one; a group's are shared by all its keys."""
    return limit.limits_of(call.ports.book.view(), of.scope, of.name(call))


def put_limits(call: Call, of: Scoped) -> LimitsPut:
    """Set or lift the limits of one."""
    new, name, book = call.given(NewLimits), of.name(call), call.ports.book
    limits = Limits(
        requests_per_minute=new.requests_per_minute,
        tokens_per_minute=new.tokens_per_minute,
        concurrent=new.concurrent,
        output_tokens=new.output_tokens,
        body_bytes=new.body_bytes,
        stream_seconds=new.stream_seconds,
    )
    limited = Limited(of.scope, name, limits)
    if limits.named():
        workers = call.ports.gateways.workers()
        limit.set_limits(book, call.actor, limited, call.now, workers=workers, reason=new.reason)
    elif limit.limits_of(book.view(), of.scope, name).limits.named():
        limit.remove_limits(book, call.actor, of.scope, name, call.now, reason=new.reason)
    return LimitsPut(limited, call.ports.gateways.publish(call.now))


OPERATIONS = (
    Operation(
        method="GET",
        path="/limits",
        name="listLimits",
        summary="Keys, projects and customer groups that have limits.",
        tag=TAG,
        roles=STAFF,
        handler=list_limits,
        answer=Page[Limited],
        query=Paged,
    ),
    *(
        Operation(
            method="GET",
            path=f"{of.path}/limits",
            name=f"show{of.word}Limits",
            summary=f"The limits of {of.said}; a customer sees its own keys' and projects'.",
            tag=TAG,
            roles=of.readers,
            handler=of.bound(show_limits),
            answer=Limited,
        )
        for of in SCOPES
    ),
    *(
        Operation(
            method="PUT",
            path=f"{of.path}/limits",
            name=f"set{of.word}Limits",
            summary=f"Set all limits of {of.said}, or lift them; the same again changes nothing.",
            tag=TAG,
            roles=_MAY_SET,
            handler=of.bound(put_limits),
            answer=LimitsPut,
            body=Body(kind=NewLimits),
        )
        for of in SCOPES
    ),
)
