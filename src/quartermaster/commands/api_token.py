"""Tokens for the JSON API: made, revoked, and recognised.

A token is shown once and stored by its keyed hash. It acts for one user and can never do more than
that user may at the moment it is used; or it sees one customer's own account and nothing else.
"""

import hmac

import msgspec

from quartermaster.book.views import ApiToken, View
from quartermaster.commands.actor import Actor, require, require_known
from quartermaster.commands.names import require_name
from quartermaster.commands.ports import Book
from quartermaster.kernel.clock import US_PER_S, Instant
from quartermaster.kernel.errors import ConflictError, NotAllowedError, NotFoundError, UsageError
from quartermaster.kernel.events import ApiTokenMade, ApiTokenRevoked
from quartermaster.kernel.ids import key_hash, new_id, new_key_secret

CUSTOMER = "customer"
"""The one role of a token that is a customer's own."""

LIFETIME_DAYS_MAX = 366
"""A year: a program's token that nobody renews by then is a token that nobody looks after."""
LIFETIME_DAYS = 90
"""Where nobody says otherwise: long enough for a quarter's report, short enough to be noticed."""

# An id and a 256-bit secret take 80 characters; longer text is nobody's token and is not hashed.
TOKEN_CHARS_MAX = 128
_SEPARATOR = "."
_DECOY_HASH = "0" * 64

S_PER_DAY = 86_400


class MadeToken(msgspec.Struct, frozen=True):
    """A new token; `secret` is what a program sends, and it is nowhere else."""

    token_id: str
    secret: str
    expires_at: int


class Bearer(msgspec.Struct, frozen=True):
    """Whoever sent a live token: in whose name it acts, and whose account it is tied to."""

    token_id: str
    name: str
    actor: Actor
    customer: str = ""

    @property
    def roles(self) -> tuple[str, ...]:
        """What it may do now."""
        return self.actor.roles


def make_for_user(
    book: Book,
    actor: Actor,
    *,
    user: str,
    name: str,
    roles: tuple[str, ...],
    expires_at: int,
    pepper: bytes,
    now: Instant,
) -> MadeToken:
    """A token that acts for a user, with some of the user's roles.

    Args:
        book: where it is recorded.
        actor: the user, or the operator at the machine; nobody else acts in another's name.
        user: id of the user.
        name: what it is for, kept in the journal.
        roles: what it may do; roles that the user loses later are lost to it, too.
        expires_at: microseconds UTC, at most `LIFETIME_DAYS_MAX` from now.
        pepper: from `book.pepper.load_pepper`.
        now: microseconds UTC.

    Raises:
        NotAllowedError: another user, or a role that the maker or the user does not have.
        NotFoundError: there is no such user.
        UsageError: a role, the name or the end cannot be used.
    """
    require_known(roles)
    if CUSTOMER in roles:
        raise UsageError(
            "a customer's token belongs to a customer, not to a user",
            field="roles",
            hint="make it for the customer",
        )
    with book.writing() as unit:
        owner = unit.view().users.get(user)
        if owner is None:
            raise NotFoundError(f"there is no user {user!r}", field="user")
        own = actor.id == user
        if not own and (actor.id in unit.view().users or "admin" not in actor.roles):
            raise NotAllowedError(
                "a token acts in the name of its user, so only that user makes it",
                hint="or the operator, on the machine: quartermaster user token make",
            )
        allowed = set(owner.roles) & set(actor.roles) if own else set(owner.roles)
        _require_within(roles, allowed)
        lent_by = actor.lent_by if own else actor.id
        fact, secret = _fact(name, roles, expires_at, pepper, now, user=user, lent_by=lent_by)
        unit.journal.append(fact, actor=actor, now=now, key=f"api_token:{fact.token}")
    return MadeToken(fact.token, secret, expires_at)


def make_for_customer(
    book: Book,
    actor: Actor,
    *,
    customer: str,
    name: str,
    expires_at: int,
    pepper: bytes,
    now: Instant,
) -> MadeToken:
    """A token that sees one customer's usage, keys and invoices, for that customer's programs.

    Raises:
        NotAllowedError: the actor is no admin.
        NotFoundError: there is no such customer.
        UsageError: the name or the end cannot be used.
    """
    require(actor, "admin")
    with book.writing() as unit:
        if customer not in unit.view().customers:
            raise NotFoundError(f"there is no customer {customer!r}", field="customer")
        fact, secret = _fact(name, (CUSTOMER,), expires_at, pepper, now, customer=customer)
        unit.journal.append(fact, actor=actor, now=now, key=f"api_token:{fact.token}")
    return MadeToken(fact.token, secret, expires_at)


def revoke(book: Book, actor: Actor, token_id: str, reason: str, now: Instant) -> None:
    """Stop a token at once, for good.

    Raises:
        NotAllowedError: it acts for somebody else, and the actor is no admin.
        NotFoundError: there is no such token.
        ConflictError: it is revoked already.
    """
    reason = require_name(reason, "reason")
    with book.writing() as unit:
        token = unit.view().api_tokens.get(token_id)
        if token is None or not may_see(actor, token):
            raise NotFoundError(
                f"there is no token {token_id!r}",
                hint="quartermaster user token list",
                field="token",
            )
        if token.revoked_at is not None:
            raise ConflictError(f"token {token_id} is revoked already")
        unit.journal.append(
            ApiTokenRevoked(token=token_id, reason=reason),
            actor=actor,
            now=now,
            key=f"api_token_revoked:{token_id}",
        )


def may_see(actor: Actor, token: ApiToken) -> bool:
    """Whether somebody may list and revoke a token: its own user, and admins."""
    return "admin" in actor.roles or (bool(token.made.user) and token.made.user == actor.id)


def recognise(view: View, secret: str, pepper: bytes, now: Instant) -> Bearer | None:
    """Who sent this token, or None when it is unknown, revoked, expired or without a role left."""
    if len(secret) > TOKEN_CHARS_MAX:
        return None
    token_id, _, _ = secret.rpartition(_SEPARATOR)
    found = view.api_tokens.get(token_id)
    known = _DECOY_HASH if found is None else found.made.token_hash
    # Compared also where nothing is known, so that both answers take the same time.
    matches = hmac.compare_digest(_hash(secret, pepper), known)
    if found is None or not matches or not found.live(now):
        return None
    made = found.made
    if made.customer:
        actor = Actor(f"{CUSTOMER}:{made.customer}", made.roles, made.customer)
        return Bearer(token_id, made.name, actor, made.customer)
    owner = view.users.get(made.user)
    roles = tuple(role for role in made.roles if owner is not None and role in owner.roles)
    # Facts of earlier versions do not say it; the journal's actor of the token does.
    lent_by = made.lent_by or (found.made_by if found.made_by != made.user else "")
    actor = Actor(made.user, roles, lent_by=lent_by)
    return Bearer(token_id, made.name, actor) if roles else None


def _fact(
    name: str,
    roles: tuple[str, ...],
    expires_at: int,
    pepper: bytes,
    now: Instant,
    *,
    user: str = "",
    customer: str = "",
    lent_by: str = "",
) -> tuple[ApiTokenMade, str]:
    """The fact and the secret that it holds the hash of."""
    if not now < expires_at <= now + LIFETIME_DAYS_MAX * S_PER_DAY * US_PER_S:
        raise UsageError(
            "a token ends in the future, and within a year",
            field="expires_at",
            hint=f"at most {LIFETIME_DAYS_MAX} days from now",
        )
    token_id = new_id("tok")
    secret = f"{token_id}{_SEPARATOR}{new_key_secret()}"
    fact = ApiTokenMade(
        token=token_id,
        token_hash=_hash(secret, pepper),
        name=require_name(name, "name"),
        roles=tuple(sorted(set(roles))),
        expires_at=expires_at,
        user=user,
        customer=customer,
        lent_by=lent_by,
    )
    return fact, secret


def _hash(secret: str, pepper: bytes) -> str:
    return key_hash(secret.encode(), pepper).hex()


def _require_within(roles: tuple[str, ...], allowed: set[str]) -> None:
    wider = sorted(set(roles) - allowed)
    if wider:
        raise NotAllowedError(
            f"a token cannot have the role {wider[0]} that its maker does not have",
            hint=f"choose among {', '.join(sorted(allowed)) or 'none'}",
            field="roles",
        )
