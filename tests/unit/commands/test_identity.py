"""Signing in through the real book."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from argon2 import PasswordHasher

from quartermaster.book.store import Book, open_book
from quartermaster.book.users import Attempts
from quartermaster.commands.actor import Actor
from quartermaster.commands.identity import (
    FREE_FAILURES,
    LINK_LIFETIME_S,
    SESSION_IDLE_S,
    SESSION_LIFETIME_S,
    WAIT_S_MAX,
    Identity,
    remaining_wait_s,
)
from quartermaster.kernel.clock import US_PER_S, Instant
from quartermaster.kernel.errors import (
    ConflictError,
    NotAllowedError,
    NotFoundError,
    RefusedError,
    UsageError,
)
from quartermaster.kernel.events import UserAdded

NOW = Instant(1_800_000_000 * US_PER_S)
PASSWORD = "four unrelated words"


def later(seconds: int) -> Instant:
    return Instant(NOW + seconds * US_PER_S)


@pytest.fixture
def book(tmp_path: Path) -> Iterator[Book]:
    book = open_book(f"sqlite:///{tmp_path}/book.sqlite")
    yield book
    book.close()


@pytest.fixture
def identity(book: Book) -> Identity:
    # The cheapest parameters argon2 accepts: what is tested here is not their cost.
    return Identity(book, PasswordHasher(time_cost=1, memory_cost=8, parallelism=1))


def first_admin(identity: Identity) -> str:
    return identity.redeem_link(identity.issue_link(("admin",), NOW), "Ada", PASSWORD, NOW)


def test_one_time_link_creates_the_first_admin_and_signs_in(identity: Identity, book: Book) -> None:
    assert not identity.has_users()
    token = first_admin(identity)
    assert identity.has_users()
    signed_in = identity.session(token, NOW)
    assert signed_in is not None
    assert (signed_in.name, signed_in.roles) == ("Ada", ("admin",))
    fact = book.facts()[-1]
    assert isinstance(fact.fact, UserAdded)
    assert fact.actor == signed_in.user == signed_in.actor.id


def test_a_link_works_once_and_not_for_ever(identity: Identity) -> None:
    link = identity.issue_link(("viewer",), NOW)
    identity.redeem_link(link, "Ada", PASSWORD, NOW)
    with pytest.raises(NotFoundError):
        identity.redeem_link(link, "Eve", PASSWORD, NOW)
    old = identity.issue_link(("viewer",), NOW)
    with pytest.raises(NotFoundError):
        identity.redeem_link(old, "Eve", PASSWORD, later(LINK_LIFETIME_S))


def test_a_refused_name_or_password_does_not_spend_the_link(identity: Identity) -> None:
    first_admin(identity)
    link = identity.issue_link(("viewer",), NOW)
    with pytest.raises(UsageError, match="shorter"):
        identity.redeem_link(link, "Bob", "short", NOW)
    with pytest.raises(ConflictError, match="already a user"):
        identity.redeem_link(link, " aDA ", PASSWORD, NOW)
    assert identity.redeem_link(link, "Bob", PASSWORD, NOW)


def test_only_an_admin_issues_links_and_only_for_known_roles(identity: Identity) -> None:
    with pytest.raises(NotAllowedError):
        identity.issue_link(("admin",), NOW, actor=Actor("usr_1", ("viewer", "finance")))
    with pytest.raises(UsageError, match="unknown role"):
        identity.issue_link(("root",), NOW)


def test_sign_in_accepts_the_password_and_nothing_else(identity: Identity) -> None:
    first_admin(identity)
    assert identity.sign_in("Ada", "four unrelated word", NOW) is None
    assert identity.sign_in("Bob", PASSWORD, NOW) is None
    token = identity.sign_in("ADA", PASSWORD, NOW)
    assert token is not None
    assert identity.session(token, NOW) is not None


class CountingHasher(PasswordHasher):
    """Counts the checks it makes."""

    checks = 0

    def verify(self, *arguments: Any, **options: Any) -> Any:
        self.checks += 1
        return super().verify(*arguments, **options)


def test_an_unknown_name_costs_as_many_password_checks_as_a_known_one(book: Book) -> None:
    hasher = CountingHasher(time_cost=1, memory_cost=8, parallelism=1)
    identity = Identity(book, hasher)
    first_admin(identity)
    for name in ("Ada", "nobody"):
        before = hasher.checks
        assert identity.sign_in(name, "a wrong password", NOW) is None
        assert hasher.checks == before + 1


def test_sessions_have_their_own_csrf_token_and_end_on_sign_out(identity: Identity) -> None:
    first = first_admin(identity)
    second = identity.sign_in("Ada", PASSWORD, NOW)
    assert second is not None
    one, two = identity.session(first, NOW), identity.session(second, NOW)
    assert one is not None
    assert two is not None
    assert one.csrf != two.csrf
    identity.sign_out(first)
    assert identity.session(first, NOW) is None
    assert identity.session(second, NOW) is not None
    assert identity.session("", NOW) is None


def test_a_session_ends_when_idle_and_at_the_end_of_the_day(identity: Identity) -> None:
    idle = first_admin(identity)
    assert identity.session(idle, later(SESSION_IDLE_S)) is None
    busy = identity.sign_in("Ada", PASSWORD, NOW)
    assert busy is not None
    for seconds in range(0, SESSION_LIFETIME_S, SESSION_IDLE_S - 60):
        assert identity.session(busy, later(seconds)) is not None
    assert identity.session(busy, later(SESSION_LIFETIME_S)) is None


def test_what_a_page_asks_by_itself_does_not_keep_a_session_alive(identity: Identity) -> None:
    token = first_admin(identity)
    for seconds in range(0, SESSION_IDLE_S, 60):
        assert identity.session(token, later(seconds), active=False) is not None
    assert identity.session(token, later(SESSION_IDLE_S), active=False) is None


@pytest.mark.parametrize("name", ["Ada", "nobody"])
def test_guessing_is_slowed_down_for_known_and_unknown_names(identity: Identity, name: str) -> None:
    first_admin(identity)
    for _ in range(FREE_FAILURES):
        assert identity.sign_in(name, "a wrong password", NOW) is None
    with pytest.raises(RefusedError, match="wait") as refused:
        identity.sign_in(name, PASSWORD, NOW)
    assert refused.value.http_status == 429
    signed_in = identity.sign_in(name, PASSWORD, later(1)) is not None
    assert signed_in == (name == "Ada")


def test_the_right_password_after_the_wait_clears_the_count(identity: Identity) -> None:
    first_admin(identity)
    for _ in range(FREE_FAILURES):
        identity.sign_in("Ada", "a wrong password", NOW)
    assert identity.sign_in("Ada", PASSWORD, later(WAIT_S_MAX)) is not None
    assert identity.sign_in("Ada", "a wrong password", later(WAIT_S_MAX)) is None


def test_the_wait_doubles_and_is_capped() -> None:
    waits = [remaining_wait_s(Attempts(failures, NOW), NOW) for failures in range(4, 16)]
    assert waits == [0, 1, 2, 4, 8, 16, 32, 64, 128, 256, WAIT_S_MAX, WAIT_S_MAX]
    assert remaining_wait_s(Attempts(10**6, NOW), NOW) == WAIT_S_MAX
    assert remaining_wait_s(Attempts(6, NOW), later(2)) == 0
    assert remaining_wait_s(Attempts(6, later(3_600)), NOW) == 2


def test_no_secret_is_in_the_database_file(identity: Identity, tmp_path: Path) -> None:
    link = identity.issue_link(("admin",), NOW)
    token = identity.redeem_link(link, "Ada", PASSWORD, NOW)
    stored = b"".join(path.read_bytes() for path in tmp_path.iterdir())
    for secret in (link, token, PASSWORD):
        assert secret.encode() not in stored
    assert b"$argon2id$" in stored


def test_a_flood_of_long_names_is_counted_as_one(identity: Identity, book: Book) -> None:
    first_admin(identity)
    for number in range(FREE_FAILURES):
        assert identity.sign_in("x" * 10_000 + str(number), PASSWORD, NOW) is None
    with pytest.raises(RefusedError):
        identity.sign_in("x" * 200, PASSWORD, NOW)
