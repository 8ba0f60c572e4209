"""Limits: what a key, or a customer group with all its keys, may ask for at once."""

import msgspec

from quartermaster.api.keys import key_asked
from quartermaster.api.operation import ANYBODY, STAFF, Body, Call, Operation
from quartermaster.api.paging import Page, Paged, page
from quartermaster.api.ports import Published
from quartermaster.commands import limit
from quartermaster.commands.limit import Limited
from quartermaster.kernel.limit import Limits, LimitScope

TAG = "limits"
_MAY_SET = frozenset({"admin", "trust"})


class NewLimits(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """All limits together: what is left out is not limited, and an empty object lifts them all."""

    requests_per_minute: int | None = None
    tokens_per_minute: int | None = None
    concurrent: int | None = None
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


def show_key_limits(call: Call) -> Limited:
    """The limits of one key."""
    name = key_asked(call).issued.key_id
    return limit.limits_of(call.ports.book.view(), "key", name)


def show_group_limits(call: Call) -> Limited:
    """The limits that all keys of a group share."""
    return limit.limits_of(call.ports.book.view(), "group", call.path["group"])


def put_key_limits(call: Call) -> LimitsPut:
    """Limit a key."""
    return _put(call, "key")


def put_group_limits(call: Call) -> LimitsPut:
    """Limit a group."""
    return _put(call, "group")


def _put(call: Call, scope: LimitScope) -> LimitsPut:
    new, name, book = call.given(NewLimits), call.path[scope], call.ports.book
    limits = Limits(
        requests_per_minute=new.requests_per_minute,
        tokens_per_minute=new.tokens_per_minute,
        concurrent=new.concurrent,
    )
    limited = Limited(scope, name, limits)
    if limits.named():
        workers = sum(one.state != "stopped" for one in call.ports.gateways.statuses())
        limit.set_limits(
            book, call.actor, limited, call.now, workers=max(workers, 1), reason=new.reason
        )
    elif limit.limits_of(book.view(), scope, name).limits.named():
        limit.remove_limits(book, call.actor, scope, name, call.now, reason=new.reason)
    return LimitsPut(limited, call.ports.gateways.publish(call.now))


OPERATIONS = (
    Operation(
        method="GET",
        path="/limits",
        name="listLimits",
        summary="Keys and customer groups that have limits.",
        tag=TAG,
        roles=STAFF,
        handler=list_limits,
        answer=Page[Limited],
        query=Paged,
    ),
    Operation(
        method="GET",
        path="/keys/{key}/limits",
        name="showKeyLimits",
        summary="The limits of one key; a customer sees its own keys'.",
        tag=TAG,
        roles=ANYBODY,
        handler=show_key_limits,
        answer=Limited,
    ),
    Operation(
        method="PUT",
        path="/keys/{key}/limits",
        name="setKeyLimits",
        summary="Set all limits of a key, or lift them; the same again changes nothing.",
        tag=TAG,
        roles=_MAY_SET,
        handler=put_key_limits,
        answer=LimitsPut,
        body=Body(kind=NewLimits),
    ),
    Operation(
        method="GET",
        path="/groups/{group}/limits",
        name="showGroupLimits",
        summary="The limits that all keys of a customer group share.",
        tag=TAG,
        roles=STAFF,
        handler=show_group_limits,
        answer=Limited,
    ),
    Operation(
        method="PUT",
        path="/groups/{group}/limits",
        name="setGroupLimits",
        summary="Set all limits of a customer group, or lift them; the same again changes nothing.",
        tag=TAG,
        roles=_MAY_SET,
        handler=put_group_limits,
        answer=LimitsPut,
        body=Body(kind=NewLimits),
    ),
)
