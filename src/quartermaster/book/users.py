"""Who may sign in: users, sessions, one-time links and counted failures.

Tokens are 256-bit random and stored by SHA-256 only; passwords by argon2 (hashed by the caller, so
that no transaction waits for it).
"""

import hashlib

import msgspec
from sqlalchemy import Connection, delete, func, insert, select, update

from quartermaster.book import tables
from quartermaster.kernel.clock import US_PER_S
from quartermaster.kernel.errors import ConflictError

# Forgetting the failures of names that nobody tried for an hour bounds the table under a flood of
# invented names; the longest wait after a failure is far shorter.
ATTEMPTS_KEPT_S = 3_600


class Account(msgspec.Struct, frozen=True):
    """A user as stored."""

    id: str
    name: str
    password_hash: str
    roles: tuple[str, ...]


class Session(msgspec.Struct, frozen=True):
    """A signed-in browser."""

    account: Account
    created_at: int
    seen_at: int


class Attempts(msgspec.Struct, frozen=True):
    """Sign-ins of one name since the last success; `last_at` is microseconds UTC."""

    failures: int = 0
    last_at: int = 0


def token_hash(token: str) -> str:
    """How a random token is stored; it needs no slow hash, as it cannot be guessed."""
    return hashlib.sha256(token.encode()).hexdigest()


def folded(name: str) -> str:
    """The form under which names are compared: `Ada` and `ada` are one user."""
    return name.strip().casefold()


class Users:
    """Users and their sessions, seen through one transaction."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def count(self) -> int:
        """How many users there are."""
        counted = select(func.count()).select_from(tables.users)
        return int(self._connection.execute(counted).scalar_one())

    def add(self, account: Account, *, now: int) -> None:
        """Store a new user.

        Raises:
            ConflictError: the name is taken.
        """
        if self.named(account.name) is not None:
            raise ConflictError(
                f"there is already a user {account.name!r}", hint="choose another name"
            )
        self._connection.execute(
            insert(tables.users).values(
                id=account.id,
                name=account.name.strip(),
                folded_name=folded(account.name),
                password_hash=account.password_hash,
                roles=_roles_text(account.roles),
                created_at=now,
            )
        )

    def named(self, name: str) -> Account | None:
        """The user of that name, whatever its capitals."""
        row = self._connection.execute(
            select(tables.users).where(tables.users.c.folded_name == folded(name))
        ).first()
        if row is None:
            return None
        return Account(row.id, row.name, row.password_hash, _roles(row.roles))

    def open_session(self, token: str, user: str, *, now: int) -> None:
        """Remember a signed-in browser."""
        self._connection.execute(
            insert(tables.sessions).values(
                token_hash=token_hash(token), user=user, created_at=now, seen_at=now
            )
        )

    def session(self, token: str) -> Session | None:
        """The session of a token, expired or not."""
        row = self._connection.execute(
            select(tables.sessions, tables.users)
            .join(tables.users)
            .where(tables.sessions.c.token_hash == token_hash(token))
        ).first()
        if row is None:
            return None
        columns = row._mapping
        account = Account(
            columns[tables.users.c.id],
            columns[tables.users.c.name],
            columns[tables.users.c.password_hash],
            _roles(columns[tables.users.c.roles]),
        )
        return Session(
            account, columns[tables.sessions.c.created_at], columns[tables.sessions.c.seen_at]
        )

    def touch_session(self, token: str, *, now: int) -> None:
        """The browser was seen."""
        self._connection.execute(
            update(tables.sessions)
            .where(tables.sessions.c.token_hash == token_hash(token))
            .values(seen_at=now)
        )

    def close_session(self, token: str) -> None:
        """Forget one browser."""
        self._connection.execute(
            delete(tables.sessions).where(tables.sessions.c.token_hash == token_hash(token))
        )

    def drop_sessions(self, *, created_before: int, seen_before: int) -> None:
        """Forget every browser that is too old or too long idle."""
        self._connection.execute(
            delete(tables.sessions).where(
                (tables.sessions.c.created_at < created_before)
                | (tables.sessions.c.seen_at < seen_before)
            )
        )

    def add_link(
        self, token: str, roles: tuple[str, ...], *, by: str, expires_at: int, customer: str = ""
    ) -> None:
        """Remember a one-time link; `customer` is whose account its user will see."""
        self._connection.execute(
            insert(tables.links).values(
                token_hash=token_hash(token),
                roles=_roles_text(roles),
                issued_by=by,
                expires_at=expires_at,
                customer=customer,
            )
        )

    def link_customer(self, token: str) -> str:
        """Whose account the user of a link will see; empty for the seller's own people."""
        links = tables.links
        found = select(links.c.customer).where(links.c.token_hash == token_hash(token))
        return str(self._connection.execute(found).scalar() or "")

    def link_roles(self, token: str, *, now: int) -> tuple[str, ...] | None:
        """What an unused, unexpired link would grant."""
        row = self._connection.execute(
            select(tables.links).where(
                tables.links.c.token_hash == token_hash(token),
                tables.links.c.used_at.is_(None),
                tables.links.c.expires_at > now,
            )
        ).first()
        return None if row is None else _roles(row.roles)

    def use_link(self, token: str, *, now: int) -> tuple[str, ...] | None:
        """Spend a link and return its roles; None when it is unknown, spent or expired."""
        roles = self.link_roles(token, now=now)
        if roles is not None:
            self._connection.execute(
                update(tables.links)
                .where(tables.links.c.token_hash == token_hash(token))
                .values(used_at=now)
            )
        return roles

    def attempts(self, name: str) -> Attempts:
        """How often this name has failed to sign in."""
        row = self._connection.execute(
            select(tables.sign_in_attempts).where(
                tables.sign_in_attempts.c.folded_name == folded(name)
            )
        ).first()
        return Attempts() if row is None else Attempts(row.failures, row.last_at)

    def count_attempt(self, name: str, *, now: int) -> None:
        """Count a sign-in as failed until it has succeeded."""
        failures = self.attempts(name).failures + 1
        self.forget_attempts(name)
        old = now - ATTEMPTS_KEPT_S * US_PER_S
        attempts = tables.sign_in_attempts
        self._connection.execute(delete(attempts).where(attempts.c.last_at < old))
        self._connection.execute(
            insert(attempts).values(folded_name=folded(name), failures=failures, last_at=now)
        )

    def forget_attempts(self, name: str) -> None:
        """The name has signed in."""
        attempts = tables.sign_in_attempts
        self._connection.execute(delete(attempts).where(attempts.c.folded_name == folded(name)))


def _roles_text(roles: tuple[str, ...]) -> str:
    return msgspec.json.encode(roles).decode()


def _roles(text: str) -> tuple[str, ...]:
    return msgspec.json.decode(text, type=tuple[str, ...])
