"""Customer keys: issued with a secret that is shown once, listed without it, revoked for good."""

from datetime import datetime
from typing import Annotated

import msgspec

from quartermaster.api.operation import ANYBODY, Body, Call, Operation
from quartermaster.api.paging import Page, Paged, page
from quartermaster.api.ports import Published
from quartermaster.book.views import Key
from quartermaster.commands import key as keys
from quartermaster.kernel.clock import US_PER_S, Instant, as_datetime, as_instant
from quartermaster.kernel.errors import NotFoundError

MODELS_MAX = 100
"""Each is compared on every request of the key; a customer of more models gets the key for all."""
TAG = "keys"


class KeyShown(msgspec.Struct, frozen=True):
    """A key without its secret."""

    id: str
    customer: str
    contract: str
    project: str
    models: tuple[str, ...]
    issued_at: datetime
    expires_at: datetime | None
    revoked_at: datetime | None
    live: bool
    data_zone: str = ""
    endpoints: tuple[str, ...] = ()
    networks: tuple[str, ...] = ()
    successor: str | None = None
    """The key that takes its place; `expires_at` says until when it works beside it."""


class NewKey(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What a key is for."""

    contract: str
    project: str = "default"
    models: Annotated[tuple[str, ...], msgspec.Meta(min_length=1, max_length=MODELS_MAX)] = ("*",)
    expires_at: Annotated[datetime, msgspec.Meta(tz=True)] | None = None
    data_zone: str = ""
    """Only deployments in this zone may be asked, such as `EU`; empty is any."""
    endpoints: tuple[str, ...] = ()
    """What it may be used for, such as `chat.completions`; empty is everything."""
    networks: tuple[str, ...] = ()
    """From where it may be used: `203.0.113.0/24`, `2001:db8::/32`; empty is from anywhere."""


class KeyMade(msgspec.Struct, frozen=True):
    """A new key: the secret is shown here, once, and stored nowhere."""

    id: str
    secret: str
    published: Published


class Rotation(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """How long the key goes on beside its successor."""

    overlap_s: Annotated[int, msgspec.Meta(ge=0)] = 86_400


class KeyTurned(msgspec.Struct, frozen=True):
    """The successor: its secret is shown here, once; until `ends_at` both work."""

    id: str
    secret: str
    ends_at: datetime
    published: Published


class Reason(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Why, for the journal."""

    reason: str


class KeyRevoked(msgspec.Struct, frozen=True):
    """The key is stopped, and which gateways know it."""

    id: str
    published: Published


class KeysAsked(Paged, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Which keys."""

    customer: str = ""
    """Only this customer's."""


def list_keys(call: Call) -> Page[KeyShown]:
    """Keys, live or not."""
    asked = call.asked(KeysAsked)
    customer = call.bearer.customer or asked.customer
    found = [
        _shown(key, call.now)
        for key in call.ports.book.view().keys.values()
        if not customer or key.issued.customer == customer
    ]
    return page(found, asked, lambda key: key.id)


def show_key(call: Call) -> KeyShown:
    """One key."""
    return _shown(key_asked(call), call.now)


def post_key(call: Call) -> KeyMade:
    """Issue a key."""
    new = call.given(NewKey)
    issued = keys.issue(
        call.ports.book,
        call.actor,
        contract=new.contract,
        pepper=call.ports.pepper,
        now=call.now,
        project=new.project,
        models=new.models,
        expires_at=None if new.expires_at is None else as_instant(new.expires_at),
        data_zone=new.data_zone,
        endpoints=new.endpoints,
        networks=new.networks,
    )
    return KeyMade(issued.key_id, issued.secret, call.ports.gateways.publish(call.now))


def post_rotation(call: Call) -> KeyTurned:
    """Give a key a successor."""
    key_id = key_asked(call).issued.key_id
    made = keys.rotate(
        call.ports.book,
        call.actor,
        key_id,
        overlap_us=call.given(Rotation).overlap_s * US_PER_S,
        pepper=call.ports.pepper,
        now=call.now,
    )
    assert made.ends_at is not None, "a rotated key ends"
    published = call.ports.gateways.publish(call.now)
    return KeyTurned(made.key_id, made.secret, as_datetime(Instant(made.ends_at)), published)


def post_revocation(call: Call) -> KeyRevoked:
    """Stop a key."""
    key_id = key_asked(call).issued.key_id
    keys.revoke(call.ports.book, call.actor, key_id, call.given(Reason).reason, call.now)
    return KeyRevoked(key_id, call.ports.gateways.publish(call.now))


def key_asked(call: Call) -> Key:
    """The key in the path, where the bearer may know of it.

    Raises:
        NotFoundError: it was never issued, or it is another customer's.
    """
    wanted, customer = call.path["key"], call.bearer.customer
    key = call.ports.book.view().keys.get(wanted)
    # Another customer's key is as unknown as one that was never issued.
    if key is None or (customer and key.issued.customer != customer):
        raise NotFoundError(f"there is no key {wanted!r}", field="key")
    return key


def _shown(key: Key, now: Instant) -> KeyShown:
    issued = key.issued
    return KeyShown(
        id=issued.key_id,
        customer=issued.customer,
        contract=issued.contract,
        project=issued.project,
        models=issued.models,
        issued_at=as_datetime(Instant(key.issued_at)),
        expires_at=None if key.expires_at is None else as_datetime(Instant(key.expires_at)),
        revoked_at=None if key.revoked_at is None else as_datetime(Instant(key.revoked_at)),
        live=key.live(now),
        data_zone=issued.data_zone,
        endpoints=issued.endpoints,
        networks=issued.networks,
        successor=None if key.rotated is None else key.rotated.successor,
    )


OPERATIONS = (
    Operation(
        method="GET",
        path="/keys",
        name="listKeys",
        summary="Customer keys without their secrets; a customer sees its own.",
        tag=TAG,
        roles=ANYBODY,
        handler=list_keys,
        answer=Page[KeyShown],
        query=KeysAsked,
    ),
    Operation(
        method="POST",
        path="/keys",
        name="issueKey",
        summary="Issue a customer key; its secret is in this answer and nowhere else.",
        tag=TAG,
        roles=frozenset({"admin", "customer"}),
        handler=post_key,
        answer=KeyMade,
        body=Body(kind=NewKey),
        status=201,
        writes=True,
    ),
    Operation(
        method="GET",
        path="/keys/{key}",
        name="showKey",
        summary="One key without its secret.",
        tag=TAG,
        roles=ANYBODY,
        handler=show_key,
        answer=KeyShown,
    ),
    Operation(
        method="POST",
        path="/keys/{key}/rotation",
        name="rotateKey",
        summary="Give a key a successor; its secret is in this answer and nowhere else.",
        tag=TAG,
        roles=frozenset({"admin", "customer"}),
        handler=post_rotation,
        answer=KeyTurned,
        body=Body(kind=Rotation),
        status=201,
        writes=True,
    ),
    Operation(
        method="POST",
        path="/keys/{key}/revocation",
        name="revokeKey",
        summary="Stop a key for good; the answer says which gateways know it.",
        tag=TAG,
        roles=frozenset({"admin", "trust", "customer"}),
        handler=post_revocation,
        answer=KeyRevoked,
        body=Body(kind=Reason),
        status=201,
        writes=True,
    ),
)
