"""Customer keys: the secret is shown once and never stored."""

import msgspec

from quartermaster.book.unit import Unit
from quartermaster.book.views import Key, View
from quartermaster.commands.actor import Actor, require_for
from quartermaster.commands.names import require_name
from quartermaster.commands.ports import Book
from quartermaster.commands.project import DEFAULT, require_open
from quartermaster.gateway.addresses import networks as read_networks
from quartermaster.kernel.clock import US_PER_S, Instant
from quartermaster.kernel.errors import ConflictError, NotFoundError, UsageError
from quartermaster.kernel.events import KeyIssued, KeyRevoked, KeyRotated, LimitSet
from quartermaster.kernel.ids import key_hash, new_id, new_key_secret
from quartermaster.kernel.relayed_key import SCOPES
from quartermaster.kernel.routing import require_zone

ANY_MODEL = "*"

NAMES_MAX = 100
"""Of models, endpoints and networks each: they are looked through with requests of the key."""
KEYS_MAX = 1_000
"""Live keys that a customer may have issued itself: each is in every gateway's memory."""
OVERLAP_DAYS_MAX = 90
"""A quarter: a program that is not changed by then is not going to be."""

_US_PER_DAY = 86_400 * US_PER_S
_MAY_ISSUE = ("active", "warned")


class IssuedKey(msgspec.Struct, frozen=True):
    """A new key; `secret` is nowhere else."""

    key_id: str
    secret: str
    ends_at: int | None = None
    """When the key that it takes the place of stops."""


def issue(
    book: Book,
    actor: Actor,
    *,
    contract: str,
    pepper: bytes,
    now: Instant,
    project: str = DEFAULT,
    models: tuple[str, ...] = (ANY_MODEL,),
    expires_at: int | None = None,
    data_zone: str = "",
    endpoints: tuple[str, ...] = (),
    networks: tuple[str, ...] = (),
) -> IssuedKey:
    """Make a key for a contract; it works with the next snapshot.

    Args:
        book: where it is recorded.
        actor: an admin, or the customer itself.
        contract: whose customer it belongs to.
        pepper: from `book.pepper.load_pepper`; the same one for every key.
        now: microseconds UTC.
        project: one of the customer's.
        models: which it may call; `*` is all of them.
        expires_at: microseconds UTC, or None.
        data_zone: only deployments in this zone may be asked; empty is any.
        endpoints: what it may be used for; empty is everything.
        networks: from where, such as `2001:db8::/32`; empty is anywhere.

    Raises:
        NotAllowedError: the actor may not.
        NotFoundError: there is no such contract, or no such project.
        UsageError: the key would never work.
        ConflictError: the project is archived, or a customer asks that is not served in full.
    """
    require_for(actor, actor.customer, "admin")
    _check_names(models, endpoints, data_zone)
    networks = _normal(networks)
    if expires_at is not None and expires_at <= now:
        raise UsageError("the key would be expired already", field="expires_at")
    secret = new_key_secret()
    with book.writing() as unit:
        view = unit.view()
        customer = _customer_of(view, actor, contract)
        require_open(view, customer, project)
        _require_room(view, actor, customer, now)
        fact = KeyIssued(
            key_id=new_id("key"),
            key_hash=key_hash(secret.encode(), pepper).hex(),
            customer=customer,
            contract=contract,
            project=project,
            models=models,
            expires_at=expires_at,
            data_zone=data_zone,
            endpoints=endpoints,
            networks=networks,
        )
        unit.journal.append(fact, actor=actor, now=now, key=f"key:{fact.key_id}")
    return IssuedKey(fact.key_id, secret)


def rotate(
    book: Book, actor: Actor, key_id: str, *, overlap_us: int, pepper: bytes, now: Instant
) -> IssuedKey:
    """Give a key a successor with the same scope, expiry and limits; for a while both work.

    Args:
        book: where it is recorded.
        actor: an admin, or the customer itself.
        key_id: the key that is to go.
        overlap_us: how long it goes on, in microseconds; 0 stops it with the next snapshot.
        pepper: as for `issue`.
        now: microseconds UTC.

    Raises:
        NotAllowedError: the actor may not.
        NotFoundError: there is no such key.
        UsageError: the overlap is too long.
        ConflictError: the key is revoked, expired or has a successor already.
    """
    require_for(actor, actor.customer, "admin")
    if not 0 <= overlap_us <= OVERLAP_DAYS_MAX * _US_PER_DAY:
        raise UsageError(
            "this overlap is out of range", field="overlap", hint=f"0 to {OVERLAP_DAYS_MAX} days"
        )
    secret = new_key_secret()
    with book.writing() as unit:
        view = unit.view()
        key = _own(view, actor, key_id)
        if not key.live(now):
            raise ConflictError(f"key {key_id} has stopped already", hint="issue another one")
        if key.rotated is not None:
            raise ConflictError(
                f"key {key_id} has the successor {key.rotated.successor} already",
                hint="rotate that one",
            )
        fact = msgspec.structs.replace(
            key.issued, key_id=new_id("key"), key_hash=key_hash(secret.encode(), pepper).hex()
        )
        unit.journal.append(fact, actor=actor, now=now, key=f"key:{fact.key_id}")
        rotated = KeyRotated(key_id=key_id, successor=fact.key_id, ends_at=now + overlap_us)
        unit.journal.append(rotated, actor=actor, now=now, key=f"rotate:{key_id}")
        _hand_limits_on(unit, view, actor, key_id, fact.key_id, now)
    return IssuedKey(fact.key_id, secret, rotated.ends_at)


def revoke(book: Book, actor: Actor, key_id: str, reason: str, now: Instant) -> None:
    """Stop a key with the next snapshot, for good.

    Raises:
        NotAllowedError: the actor may not.
        NotFoundError: there is no such key.
        ConflictError: it is revoked already.
    """
    require_for(actor, actor.customer, "admin", "trust")
    reason = require_name(reason, "reason")
    with book.writing() as unit:
        key = _own(unit.view(), actor, key_id)
        if key.revoked_at is not None:
            raise ConflictError(f"key {key_id} is revoked already")
        unit.journal.append(
            KeyRevoked(key_id=key_id, reason=reason),
            actor=actor,
            now=now,
            key=f"revoke:{key_id}",
        )


def _own(view: View, actor: Actor, key_id: str) -> Key:
    """The key; another customer's is as unknown as one that was never issued."""
    key = view.keys.get(key_id)
    if key is None or (actor.customer and key.issued.customer != actor.customer):
        raise NotFoundError(f"there is no key {key_id!r}", field="key_id")
    return key


def _customer_of(view: View, actor: Actor, contract: str) -> str:
    """Whose contract it is; another customer's is as unknown as one that was never signed."""
    versions = view.contracts.get(contract)
    if versions is None or (actor.customer and versions[-1].customer != actor.customer):
        raise NotFoundError(f"there is no contract {contract!r}", field="contract")
    return versions[-1].customer


def _require_room(view: View, actor: Actor, customer: str, now: Instant) -> None:
    """What a customer may do by itself: not without bound, and not around a throttled slice."""
    if not actor.customer:
        return
    standing = view.standing.get(view.customers[customer].group, "active")
    if standing not in _MAY_ISSUE:
        raise ConflictError(
            f"this account is {standing}: it gets no new keys", hint="contact your account manager"
        )
    live = sum(key.issued.customer == customer and key.live(now) for key in view.keys.values())
    if live >= KEYS_MAX:
        raise ConflictError(f"{KEYS_MAX} keys are live already", hint="revoke some of them")


def _hand_limits_on(
    unit: Unit, view: View, actor: Actor, before: str, after: str, now: Instant
) -> None:
    limits = view.limits.get(("key", before))
    if limits is not None:
        fact = LimitSet(scope="key", name=after, limits=limits, reason=f"as key {before}")
        unit.journal.append(fact, actor=actor, now=now)


def _check_names(models: tuple[str, ...], endpoints: tuple[str, ...], data_zone: str) -> None:
    """Refuse models, endpoints and a zone that cannot be used, by field."""
    if data_zone:
        require_zone(data_zone, "data_zone")
    if not models or not all(models):
        raise UsageError("a key needs at least one model", field="models", hint="or * for all")
    for field, names in (("models", models), ("endpoints", endpoints)):
        if len(names) > NAMES_MAX:
            raise UsageError(f"a key names at most {NAMES_MAX} {field}", field=field)
    for endpoint in endpoints:
        if endpoint not in SCOPES:
            raise UsageError(
                f"there is no endpoint {endpoint!r}",
                field="endpoints",
                hint=f"one of {', '.join(SCOPES)}",
            )


def _normal(texts: tuple[str, ...]) -> tuple[str, ...]:
    """Networks, each written in the one way that is compared.

    Raises:
        UsageError: one is none, or there are too many.
    """
    if len(texts) > NAMES_MAX:
        raise UsageError(f"a key names at most {NAMES_MAX} networks", field="networks")
    try:
        return tuple(str(network) for network in read_networks(texts))
    except ValueError as error:
        raise UsageError(
            str(error), field="networks", hint="write 203.0.113.0/24 or 2001:db8::/32"
        ) from error
