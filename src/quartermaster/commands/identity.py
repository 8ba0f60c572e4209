"""Signing in: one-time links, passwords, sessions, and slowing down whoever guesses."""

import secrets
from hashlib import blake2b

import msgspec
from argon2 import PasswordHasher

from quartermaster.book.users import Account, Attempts
from quartermaster.commands.actor import OPERATOR, Actor, require, require_known
from quartermaster.commands.passwords import (
    HASHER,
    check_password,
    hash_password,
    password_matches,
)
from quartermaster.commands.ports import Book
from quartermaster.kernel.clock import US_PER_S, Instant
from quartermaster.kernel.errors import NotFoundError, RefusedError, UsageError
from quartermaster.kernel.events import UserAdded
from quartermaster.kernel.ids import new_id

# 256 bits: looked up by hash, so guessing must be out of reach.
TOKEN_BYTES = 32
CSRF_BYTES = 32

# A link is printed in a terminal and used at once; a day covers "I will do it tomorrow morning".
LINK_LIFETIME_S = 24 * 3_600
# OWASP's session guidance: 15-30 minutes idle for valuable applications; a working day at most.
SESSION_IDLE_S = 30 * 60
SESSION_LIFETIME_S = 12 * 3_600
# Writing once a minute keeps idleness exact enough.
SESSION_TOUCH_S = 60

# Five typing errors are human; from the sixth on each failure doubles the wait.
FREE_FAILURES = 5
# Guessing stops paying long before; more would let anybody lock out an admin for long.
WAIT_S_MAX = 300

# Fits the header of a phone and every address people use as a name; bounds what a stranger stores.
NAME_CHARS_MAX = 64


class SignedIn(msgspec.Struct, frozen=True):
    """A signed-in user; `csrf` goes into every form of the session."""

    user: str
    name: str
    roles: tuple[str, ...]
    csrf: str
    customer: str = ""
    """Whose account it sees, and no other; empty for the seller's own people."""

    @property
    def actor(self) -> Actor:
        """The user as the author of facts."""
        return Actor(self.user, self.roles, self.customer)


class Identity:
    """Who is at the console."""

    def __init__(self, book: Book, hasher: PasswordHasher = HASHER) -> None:
        self._book = book
        self._hasher = hasher
        # Checked when a name is unknown, so that both answers take the same time.
        self._decoy = hash_password(secrets.token_urlsafe(TOKEN_BYTES), hasher)

    def has_users(self) -> bool:
        """Whether anybody can sign in."""
        with self._book.reading() as unit:
            return unit.users.count() > 0

    def issue_link(
        self,
        roles: tuple[str, ...],
        now: Instant,
        *,
        lifetime_s: int = LINK_LIFETIME_S,
        actor: Actor = OPERATOR,
        customer: str = "",
    ) -> str:
        """A token that creates one user with these roles, once.

        A face passes the signed-in user as `actor`; without one it is the operator's first link.
        A link for `customer` makes a user of that customer, who sees its account and no other.

        Raises:
            NotAllowedError: the actor is no admin.
            UsageError: an unknown role, or the role of a customer without saying whose.
            NotFoundError: there is no such customer.
        """
        require(actor, "admin")
        require_known(roles)
        if ("customer" in roles) != bool(customer) or (customer and len(roles) > 1):
            raise UsageError(
                "a customer's user has the role customer alone, and one customer",
                field="customer",
            )
        token = secrets.token_urlsafe(TOKEN_BYTES)
        with self._book.writing() as unit:
            if customer and customer not in unit.view().customers:
                raise NotFoundError(f"there is no customer {customer!r}", field="customer")
            unit.users.add_link(
                token,
                roles,
                by=actor.id,
                expires_at=now + lifetime_s * US_PER_S,
                customer=customer,
            )
        return token

    def redeem_link(self, token: str, name: str, password: str, now: Instant) -> str:
        """Create the link's user and sign them in; returns the session token.

        Raises:
            NotFoundError: the link is unknown, spent or expired.
            UsageError: the name or password cannot be used; the link stays valid.
            ConflictError: the name is taken; the link stays valid.
        """
        with self._book.reading() as unit:
            if unit.users.link_roles(token, now=now) is None:
                raise _no_link()
        name = name.strip()
        if not 0 < len(name) <= NAME_CHARS_MAX or not name.isprintable():
            raise UsageError(
                "this name cannot be used", field="name", hint=f"1-{NAME_CHARS_MAX} characters"
            )
        check_password(password)
        password_hash = hash_password(password, self._hasher)
        session_token = secrets.token_urlsafe(TOKEN_BYTES)
        with self._book.writing() as unit:
            roles = unit.users.use_link(token, now=now)
            if roles is None:
                raise _no_link()
            account = Account(new_id("usr"), name, password_hash, roles)
            unit.users.add(account, now=now)
            customer = unit.users.link_customer(token)
            unit.journal.append(
                UserAdded(user=account.id, name=name, roles=roles, customer=customer),
                actor=Actor(account.id, roles),
                now=now,
                key=f"user:{account.id}",
            )
            unit.users.open_session(session_token, account.id, now=now)
        return session_token

    def sign_in(self, name: str, password: str, now: Instant) -> str | None:
        """A session token, or None when name and password do not belong together.

        Raises:
            RefusedError: too many failures for this name; the message says how long to wait.
        """
        # A longer name is nobody's, however long: what is counted stays small.
        name = name[: NAME_CHARS_MAX + 1]
        with self._book.writing() as unit:
            wait_s = remaining_wait_s(unit.users.attempts(name), now)
            if wait_s > 0:
                raise RefusedError(
                    f"too many attempts; wait {wait_s} s",
                    code="too_many_attempts",
                    http_status=429,
                )
            # Counted before the check: a hundred parallel guesses are a hundred failures.
            unit.users.count_attempt(name, now=now)
            account = unit.users.named(name)
        stored = self._decoy if account is None else account.password_hash
        matches = password_matches(stored, password, self._hasher)
        if account is None or not matches:
            return None
        token = secrets.token_urlsafe(TOKEN_BYTES)
        with self._book.writing() as unit:
            unit.users.forget_attempts(name)
            unit.users.drop_sessions(
                created_before=now - SESSION_LIFETIME_S * US_PER_S,
                seen_before=now - SESSION_IDLE_S * US_PER_S,
            )
            unit.users.open_session(token, account.id, now=now)
        return token

    def session(self, token: str, now: Instant, *, active: bool = True) -> SignedIn | None:
        """Who holds this session token, or None when it is unknown, idle too long or too old.

        Args:
            token: from the cookie.
            now: microseconds UTC.
            active: False for what a page asks by itself, so that an open page nobody looks at
                ends its session.
        """
        with self._book.reading() as unit:
            session = unit.users.session(token)
        if session is None:
            return None
        idle_us = now - session.seen_at
        age_us = now - session.created_at
        if idle_us >= SESSION_IDLE_S * US_PER_S or age_us >= SESSION_LIFETIME_S * US_PER_S:
            return None
        if active and idle_us >= SESSION_TOUCH_S * US_PER_S:
            with self._book.writing() as unit:
                unit.users.touch_session(token, now=now)
        account = session.account
        customer = ""
        if "customer" in account.roles:
            customer = self._book.view().users[account.id].customer
        return SignedIn(account.id, account.name, account.roles, csrf_token(token), customer)

    def sign_out(self, token: str) -> None:
        """End the session; an unknown token is no error."""
        with self._book.writing() as unit:
            unit.users.close_session(token)


def csrf_token(session_token: str) -> str:
    """The form token of a session: derived, so nothing more is stored."""
    return blake2b(b"csrf", key=session_token.encode()[:64], digest_size=CSRF_BYTES).hexdigest()


def remaining_wait_s(attempts: Attempts, now: int) -> int:
    """Seconds until a name may be tried again, rounded up."""
    over = attempts.failures - FREE_FAILURES
    if over < 0:
        return 0
    # The exponent is capped first: two to the power of a flood is a large number.
    wait_s = min(1 << min(over, WAIT_S_MAX.bit_length()), WAIT_S_MAX)
    left_us = attempts.last_at + wait_s * US_PER_S - now
    # A clock that was set back must not lengthen the wait.
    return min(max(0, -(-left_us // US_PER_S)), wait_s)


def _no_link() -> NotFoundError:
    return NotFoundError(
        "this link is unknown, already used or expired",
        hint="an admin makes a new one with: quartermaster user invite",
    )
