"""Tokens for the JSON API: never wider than whoever they act for, and gone at once when revoked."""

from pathlib import Path

import pytest
from click.testing import CliRunner

from quartermaster.book.store import Book, open_book
from quartermaster.cli.main import cli
from quartermaster.commands import api_token as tokens
from quartermaster.commands.actor import OPERATOR, Actor
from quartermaster.commands.customer import add_customer
from quartermaster.kernel.clock import US_PER_S, Instant
from quartermaster.kernel.contract import Customer
from quartermaster.kernel.errors import (
    ConflictError,
    NotAllowedError,
    NotFoundError,
    QuartermasterError,
    UsageError,
)
from quartermaster.kernel.events import RolesChanged, UserAdded

PEPPER = b"p" * 32
NOW = Instant(1_790_000_000 * US_PER_S)
HOUR = 3_600 * US_PER_S
ADA = Actor("usr_ada", ("viewer", "finance"))
ROOT = Actor("usr_root", ("admin",))


@pytest.fixture
def book(tmp_path: Path) -> Book:
    book = open_book(f"sqlite:///{tmp_path / 'book.sqlite'}")
    for actor, name in ((ADA, "Ada"), (ROOT, "Root")):
        fact = UserAdded(user=actor.id, name=name, roles=actor.roles)
        book.append(fact, actor=OPERATOR, now=NOW)
    add_customer(book, OPERATOR, Customer("acme", "Acme", "acme"), NOW)
    return book


def make(book: Book, actor: Actor = ADA, **given: object) -> tokens.MadeToken:
    asked = {
        "user": "usr_ada",
        "name": "nightly report",
        "roles": ("viewer",),
        "expires_at": NOW + HOUR,
        "pepper": PEPPER,
        "now": NOW,
    }
    return tokens.make_for_user(book, actor, **(asked | given))  # type: ignore[arg-type]


def bearer(book: Book, secret: str, now: int = NOW) -> tokens.Bearer | None:
    return tokens.recognise(book.view(), secret, PEPPER, Instant(now))


def test_a_token_acts_for_its_user_with_the_roles_it_was_given(book: Book) -> None:
    made = make(book)
    found = bearer(book, made.secret)
    assert found == tokens.Bearer(made.token_id, "nightly report", Actor("usr_ada", ("viewer",)))


def test_the_book_holds_no_secret(book: Book) -> None:
    made = make(book)
    random_part = made.secret.rpartition(".")[2].encode()
    assert not any(random_part in entry.fact for entry in book.entries())


@pytest.mark.parametrize(
    "wrong",
    [
        lambda s: "",
        lambda s: s[:-1],
        lambda s: s + "x",
        lambda s: s.rpartition(".")[2],
        lambda s: s.swapcase(),
        lambda s: "tok_unknown." + s.rpartition(".")[2],
        lambda s: "é" * 20,
        lambda s: "x" * 10_000,
    ],
)
def test_another_text_is_nobody(book: Book, wrong: "object") -> None:
    made = make(book)
    assert callable(wrong)
    assert bearer(book, wrong(made.secret)) is None


def test_another_pepper_opens_nothing(book: Book) -> None:
    made = make(book)
    assert tokens.recognise(book.view(), made.secret, b"q" * 32, NOW) is None


def test_it_ends_when_it_expires(book: Book) -> None:
    made = make(book)
    assert bearer(book, made.secret, NOW + HOUR - 1) is not None
    assert bearer(book, made.secret, NOW + HOUR) is None


def test_a_revoked_token_is_nobody_at_once(book: Book) -> None:
    made = make(book)
    tokens.revoke(book, ADA, made.token_id, "left on a laptop", NOW)
    assert bearer(book, made.secret) is None
    with pytest.raises(ConflictError):
        tokens.revoke(book, ADA, made.token_id, "again", NOW)


def test_roles_that_the_user_loses_are_lost_to_the_token(book: Book) -> None:
    made = make(book, roles=("viewer", "finance"))
    book.append(RolesChanged(user="usr_ada", roles=("viewer",)), actor=ROOT, now=NOW)
    found = bearer(book, made.secret)
    assert found is not None
    assert found.roles == ("viewer",)
    book.append(RolesChanged(user="usr_ada", roles=("trust",)), actor=ROOT, now=NOW)
    assert bearer(book, made.secret) is None


@pytest.mark.parametrize(
    ("actor", "given", "error"),
    [
        (ADA, {"roles": ("admin",)}, NotAllowedError),
        (Actor("usr_ada", ("viewer",)), {"roles": ("finance",)}, NotAllowedError),
        (ROOT, {"roles": ("viewer",)}, NotAllowedError),
        (Actor("usr_gone", ("finance",)), {}, NotAllowedError),
        (ADA, {"user": "usr_nobody"}, NotFoundError),
        (ADA, {"roles": ()}, UsageError),
        (ADA, {"roles": ("customer",)}, UsageError),
        (ADA, {"roles": ("king",)}, UsageError),
        (ADA, {"expires_at": NOW}, UsageError),
        (ADA, {"expires_at": NOW + 367 * 24 * HOUR}, UsageError),
        (ADA, {"name": "  "}, UsageError),
    ],
)
def test_a_token_that_would_be_wider_or_endless_is_refused(
    book: Book, actor: Actor, given: dict[str, object], error: type[QuartermasterError]
) -> None:
    with pytest.raises(error):
        make(book, actor, **given)
    assert book.view().api_tokens == {}


def test_the_operator_makes_one_for_a_user_within_the_users_roles(book: Book) -> None:
    made = make(book, Actor("os:root", ("admin",)), roles=("finance",))
    found = bearer(book, made.secret)
    assert found is not None
    assert found.actor == Actor("usr_ada", ("finance",), lent_by="os:root")
    with pytest.raises(NotAllowedError):
        make(book, Actor("os:root", ("admin",)), roles=("trust",))


def test_a_customers_token_sees_that_customer_only(book: Book) -> None:
    made = tokens.make_for_customer(
        book, ROOT, customer="acme", name="their own", expires_at=NOW + HOUR, pepper=PEPPER, now=NOW
    )
    found = bearer(book, made.secret)
    assert found is not None
    assert (found.customer, found.roles) == ("acme", ("customer",))
    with pytest.raises(NotAllowedError):
        tokens.make_for_customer(
            book, ADA, customer="acme", name="x", expires_at=NOW + HOUR, pepper=PEPPER, now=NOW
        )
    with pytest.raises(NotFoundError):
        tokens.make_for_customer(
            book, ROOT, customer="none", name="x", expires_at=NOW + HOUR, pepper=PEPPER, now=NOW
        )


def test_only_its_user_and_admins_revoke_it(book: Book) -> None:
    made = make(book)
    with pytest.raises(NotFoundError):
        tokens.revoke(book, Actor("usr_bob", ("finance",)), made.token_id, "mine now", NOW)
    tokens.revoke(book, ROOT, made.token_id, "leaver", NOW)
    assert bearer(book, made.secret) is None


def test_the_command_line_makes_lists_and_revokes(tmp_path: Path) -> None:
    def run(*arguments: str) -> tuple[int, str]:
        result = CliRunner().invoke(cli, ["--var", str(tmp_path), "user", "token", *arguments],
                                    standalone_mode=False)  # fmt: skip
        if isinstance(result.exception, QuartermasterError):
            return result.exception.exit_code, result.exception.message
        assert result.exception is None, result.exception
        return 0, result.stdout

    book = open_book(f"sqlite:///{tmp_path / 'book.sqlite'}")
    book.append(UserAdded(user="usr_1", name="Ada", roles=("viewer",)), actor=OPERATOR, now=NOW)
    code, secret = run("make", "--user", "Ada", "--role", "viewer", "--name", "report")
    assert code == 0
    token_id = secret.strip().rpartition(".")[0]
    assert token_id in run("list")[1]
    assert '"live":true' in run("list", "--json")[1]
    assert run("make", "--user", "Ada", "--role", "admin", "--name", "x")[0] == 1
    assert run("make", "--user", "Eve", "--role", "admin", "--name", "x")[0] == 1
    assert run("make", "--name", "x")[0] == 2
    assert run("revoke", token_id, "--reason", "done") == (0, "")
    assert '"live":false' in run("list", "--json")[1]
