"""Two signatures are of two people: tokens that one hand made for two users are one person's."""

from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path

import msgspec
import pytest
from argon2 import PasswordHasher
from click.testing import CliRunner
from tests.unit.commands.test_case_command import RULES, asked
from tests.unit.conduct.case_made_up import HARVEST, SMALL

from quartermaster.app.rooms import Rooms
from quartermaster.book.pepper import load_pepper
from quartermaster.cli.main import cli
from quartermaster.commands import api_token as tokens
from quartermaster.commands import case as cases
from quartermaster.commands import standing as standings
from quartermaster.commands.actor import OPERATOR, Actor
from quartermaster.commands.customer import add_customer
from quartermaster.commands.identity import Identity
from quartermaster.config import Settings
from quartermaster.kernel.case import CaseEvidence, CaseOpened
from quartermaster.kernel.clock import US_PER_HOUR, Instant
from quartermaster.kernel.contract import Customer
from quartermaster.kernel.errors import NotAllowedError

PASSWORD = "a long and quiet sentence"
QUICK = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)
ALICE, BERT = Actor("os:alice", ("admin",)), Actor("os:bert", ("admin",))
LARGE = standings.RevenueShare(Decimal("0.24"), "USD")


class World:
    """A data folder with two users, and an operator who makes tokens for both."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.rooms = Rooms(Settings(var=str(folder)))
        self.book, self.now = self.rooms.book, self.rooms.now()
        self.pepper = load_pepper(self.rooms.var / "secrets" / "key_pepper")
        add_customer(self.book, OPERATOR, Customer("acme", "ACME", "acme"), self.now)
        identity = Identity(self.book, QUICK)
        for name in ("ada", "bob"):
            link = identity.issue_link(("trust",), self.now)
            identity.redeem_link(link, name, PASSWORD, self.now)
        self.users = {one.name: one.id for one in self.book.view().users.values()}

    def signed_in(self, name: str) -> Actor:
        return Actor(self.users[name], ("trust",))

    def token(self, name: str, by: Actor) -> Actor:
        """Whoever sends a token of this user that somebody made."""
        made = tokens.make_for_user(
            self.book, by, user=self.users[name], name="cases", roles=("trust",),
            expires_at=self.now + US_PER_HOUR, pepper=self.pepper, now=self.now,
        )  # fmt: skip
        return self.bearer(made.secret)

    def bearer(self, secret: str) -> Actor:
        bearer = tokens.recognise(self.book.view(), secret, self.pepper, self.now)
        assert bearer is not None
        return bearer.actor

    def informed(self) -> str:
        found = CaseEvidence(findings=(HARVEST,))
        opening = CaseOpened(group="acme", reason="an alarm", evidence=found, stake=SMALL)
        case = cases.open_case(self.book, self.signed_in("ada"), opening, self.now)
        cases.move(self.book, self.signed_in("ada"), case.id, asked("inform"), self.now, RULES)
        return case.id


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    world = World(tmp_path)
    yield world
    world.book.close()


def test_who_makes_two_tokens_does_not_sign_a_suspension_with_both(world: World) -> None:
    case, book, now = world.informed(), world.book, world.now
    ada, bob = (world.token(name, ALICE) for name in ("ada", "bob"))
    suspend = asked("suspend", urgent=True)
    with pytest.raises(NotAllowedError, match="two signed-in users"):
        cases.move(book, ada, case, suspend, now, RULES)
    cases.move(book, world.signed_in("ada"), case, suspend, now, RULES)
    with pytest.raises(NotAllowedError, match="two signed-in users") as refused:
        cases.sign(book, bob, case, 3, now, RULES)
    assert "--sign-in" in refused.value.hint
    done = cases.sign(book, world.signed_in("bob"), case, 3, now, RULES)
    assert done.standing == "suspended"


def test_a_token_that_a_lent_token_made_is_lent_as_well(world: World) -> None:
    first = world.token("bob", ALICE)
    again = world.token("bob", first)
    assert (again.id, again.person) == (world.users["bob"], "os:alice")
    own = world.token("bob", world.signed_in("bob"))
    assert own.person == world.users["bob"]


def test_a_token_of_ones_own_password_signs(world: World) -> None:
    case, now = world.informed(), world.now
    cases.move(
        world.book, world.signed_in("ada"), case, asked("suspend", urgent=True), now, RULES
    )  # fmt: skip

    def made(typed: str) -> str:
        told = CliRunner().invoke(
            cli,
            ["--var", str(world.folder), "user", "token", "make", "--user", "bob", "--role",
             "trust", "--name", "cases", "--sign-in"],
            input=typed + "\n",
        )  # fmt: skip
        return told.stdout.strip() if told.exit_code == 0 else ""

    assert made("not the password") == ""
    bob = world.bearer(made(PASSWORD))
    assert cases.sign(world.book, bob, case, 3, now, RULES).standing == "suspended"


def test_a_standing_is_not_signed_off_by_another_token_of_the_same_maker(world: World) -> None:
    book, now = world.book, world.now

    def proposed(actor: Actor) -> str:
        return standings.change(
            book, actor, "acme", "suspended", "extraction", now,
            weight=LARGE, sign_off_share=Decimal("0.1"),
        ).proposal  # fmt: skip

    def signed(actor: Actor, proposal: str) -> None:
        with pytest.raises(NotAllowedError, match="second person"):
            standings.sign_off(book, actor, proposal, now)

    at_the_machine = proposed(ALICE)
    signed(world.token("bob", ALICE), at_the_machine)
    with_a_token = proposed(world.token("ada", ALICE))
    for actor in (ALICE, world.token("bob", ALICE), world.signed_in("ada")):
        signed(actor, with_a_token)
    assert standings.sign_off(book, BERT, with_a_token, now).done


def test_who_is_at_the_machine_is_not_what_the_environment_says(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = world.rooms.actor.id
    for name in ("LOGNAME", "USER", "LNAME", "USERNAME"):
        monkeypatch.setenv(name, "somebody_else")
    assert Rooms(world.rooms.settings).actor.id == found


def test_a_token_of_an_earlier_version_is_its_makers(world: World) -> None:
    made = tokens.make_for_user(
        world.book, ALICE, user=world.users["bob"], name="old", roles=("trust",),
        expires_at=world.now + US_PER_HOUR, pepper=world.pepper, now=Instant(world.now),
    )  # fmt: skip
    view = world.book.view()
    known = view.api_tokens[made.token_id]
    assert known.made.lent_by == "os:alice"
    old = msgspec.structs.replace(known, made=msgspec.structs.replace(known.made, lent_by=""))
    view.api_tokens[made.token_id] = old
    bearer = tokens.recognise(view, made.secret, world.pepper, world.now)
    assert bearer is not None
    assert bearer.actor.person == "os:alice"
