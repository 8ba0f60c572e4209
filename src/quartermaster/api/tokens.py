"""Tokens of this API, users, and who is asking."""

from datetime import datetime
from typing import Annotated

import msgspec

from quartermaster.api.keys import Reason
from quartermaster.api.operation import ANYBODY, STAFF, Body, Call, Operation
from quartermaster.api.paging import Page, Paged, page
from quartermaster.book.views import ApiToken, User
from quartermaster.commands import api_token as tokens
from quartermaster.kernel.clock import US_PER_S, Instant, as_datetime
from quartermaster.kernel.errors import UsageError

TAG = "tokens"
ADMIN = frozenset({"admin"})


class Me(msgspec.Struct, frozen=True):
    """Whoever sent this token, and what it may do now."""

    token: str
    name: str
    user: str | None
    customer: str | None
    roles: tuple[str, ...]


class TokenShown(msgspec.Struct, frozen=True):
    """A token without its secret."""

    id: str
    name: str
    user: str | None
    customer: str | None
    roles: tuple[str, ...]
    made_at: datetime
    made_by: str
    expires_at: datetime
    revoked_at: datetime | None
    live: bool


class NewToken(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A token for yourself with some of your roles, or, made by an admin, for a customer."""

    name: str
    roles: tuple[str, ...] = ()
    customer: str = ""
    days: Annotated[int, msgspec.Meta(ge=1, le=tokens.LIFETIME_DAYS_MAX)] = tokens.LIFETIME_DAYS
    """Until it ends."""


class TokenMade(msgspec.Struct, frozen=True):
    """A new token: the secret is shown here, once, and stored nowhere."""

    id: str
    secret: str
    expires_at: datetime


class TokenRevoked(msgspec.Struct, frozen=True):
    """The token is stopped."""

    id: str


def me(call: Call) -> Me:
    """Who is asking."""
    bearer = call.bearer
    return Me(
        token=bearer.token_id,
        name=bearer.name,
        user=None if bearer.customer else bearer.actor.id,
        customer=bearer.customer or None,
        roles=bearer.roles,
    )


def list_tokens(call: Call) -> Page[TokenShown]:
    """One's own tokens; every token for an admin."""
    found = [
        _shown(token, call.now)
        for token in call.ports.book.view().api_tokens.values()
        if tokens.may_see(call.actor, token)
    ]
    return page(found, call.asked(Paged), lambda token: token.id)


def post_token(call: Call) -> TokenMade:
    """Make a token."""
    new = call.given(NewToken)
    if bool(new.customer) == bool(new.roles):
        raise UsageError(
            "give either roles, for a token of your own, or a customer",
            field="roles",
            hint="a customer's token has no other role",
        )
    book, pepper = call.ports.book, call.ports.pepper
    expires_at = call.now + new.days * tokens.S_PER_DAY * US_PER_S
    if new.customer:
        made = tokens.make_for_customer(
            book,
            call.actor,
            customer=new.customer,
            name=new.name,
            expires_at=expires_at,
            pepper=pepper,
            now=call.now,
        )
    else:
        made = tokens.make_for_user(
            book,
            call.actor,
            user=call.actor.id,
            name=new.name,
            roles=new.roles,
            expires_at=expires_at,
            pepper=pepper,
            now=call.now,
        )
    return TokenMade(made.token_id, made.secret, as_datetime(Instant(made.expires_at)))


def post_revocation(call: Call) -> TokenRevoked:
    """Stop a token."""
    token_id = call.path["token"]
    tokens.revoke(call.ports.book, call.actor, token_id, call.given(Reason).reason, call.now)
    return TokenRevoked(token_id)


def list_users(call: Call) -> Page[User]:
    """Who may sign in."""
    return page(list(call.ports.book.view().users.values()), call.asked(Paged), lambda u: u.id)


def _shown(token: ApiToken, now: Instant) -> TokenShown:
    made = token.made
    return TokenShown(
        id=made.token,
        name=made.name,
        user=made.user or None,
        customer=made.customer or None,
        roles=made.roles,
        made_at=as_datetime(Instant(token.made_at)),
        made_by=token.made_by,
        expires_at=as_datetime(Instant(made.expires_at)),
        revoked_at=None if token.revoked_at is None else as_datetime(Instant(token.revoked_at)),
        live=token.live(now),
    )


OPERATIONS = (
    Operation(
        method="GET",
        path="/me",
        name="showMe",
        summary="Who is asking, and what this token may do.",
        tag=TAG,
        roles=ANYBODY,
        handler=me,
        answer=Me,
    ),
    Operation(
        method="GET",
        path="/users",
        name="listUsers",
        summary="Who may sign in to the console.",
        tag=TAG,
        roles=ADMIN,
        handler=list_users,
        answer=Page[User],
        query=Paged,
    ),
    Operation(
        method="GET",
        path="/tokens",
        name="listTokens",
        summary="Your own tokens without their secrets; every token for an admin.",
        tag=TAG,
        roles=STAFF,
        handler=list_tokens,
        answer=Page[TokenShown],
        query=Paged,
    ),
    Operation(
        method="POST",
        path="/tokens",
        name="makeToken",
        summary="Make a token, never wider than the one that asks; its secret is shown once.",
        tag=TAG,
        roles=STAFF,
        handler=post_token,
        answer=TokenMade,
        body=Body(kind=NewToken),
        status=201,
        writes=True,
    ),
    Operation(
        method="POST",
        path="/tokens/{token}/revocation",
        name="revokeToken",
        summary="Stop a token at once, for good.",
        tag=TAG,
        roles=STAFF,
        handler=post_revocation,
        answer=TokenRevoked,
        body=Body(kind=Reason),
        status=201,
        writes=True,
    ),
)
