"""The same request under the same key is done once, and answered the same, secrets included."""

import sqlite3
from pathlib import Path

import pytest
from tests.unit.api.api_world import NOW, World

from quartermaster.api.once import UNDER_WAY_S, once
from quartermaster.api.operation import PREFIX
from quartermaster.api.routes import OPERATIONS
from quartermaster.api.sealing import seal, unseal
from quartermaster.kernel.clock import US_PER_HOUR, US_PER_S, Instant
from quartermaster.kernel.errors import ConflictError, IntegrityError, UnavailableError

KEY = {"idempotency-key": "2c1e-one"}


def test_a_key_is_issued_once(world: World, tmp_path: Path) -> None:
    admin, body = world.client("admin"), {"contract": "acme-1"}
    first = admin.post(f"{PREFIX}/keys", json=body, headers=KEY)
    again = admin.post(f"{PREFIX}/keys", json=body, headers=KEY)
    assert first.status_code == again.status_code == 201
    assert first.content == again.content
    assert len(world.book.view().keys) == 3
    assert world.gateways.published == 1
    other = admin.post(f"{PREFIX}/keys", json=body, headers={"idempotency-key": "two"})
    assert other.json()["id"] != first.json()["id"]
    secret = first.json()["secret"].encode()
    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert files
    assert not any(secret in path.read_bytes() for path in files)


def test_another_request_under_the_key_is_refused(world: World) -> None:
    admin = world.client("admin")
    admin.post(f"{PREFIX}/keys", json={"contract": "acme-1"}, headers=KEY)
    for path, body in (("/keys", {"contract": "globex-1"}), ("/groups", {"id": "g", "name": "G"})):
        refused = admin.post(PREFIX + path, json=body, headers=KEY)
        assert refused.status_code == 409
        assert refused.json()["error"]["field"] == "Idempotency-Key"


def test_the_key_is_the_tokens_own(world: World) -> None:
    group = {"id": "g", "name": "G"}
    for who in ("admin", "finance"):
        answer = world.client(who).post(f"{PREFIX}/groups", json=group, headers=KEY)
        assert answer.status_code == 201
    other = {"id": "h", "name": "H"}
    assert (
        world.client("viewer").post(f"{PREFIX}/groups", json=other, headers=KEY).status_code == 403
    )


def test_a_refusal_keeps_no_key(world: World) -> None:
    finance = world.client("finance")
    new = {"id": "late-1", "customer": "late", "price_book": "list"}
    assert finance.post(f"{PREFIX}/contracts", json=new, headers=KEY).status_code == 404
    finance.post(f"{PREFIX}/customers", json={"id": "late", "name": "Late"})
    assert finance.post(f"{PREFIX}/contracts", json=new, headers=KEY).status_code == 201


def test_a_key_is_free_after_a_day(world: World) -> None:
    finance, group = world.client("finance"), {"id": "g", "name": "G"}
    finance.post(f"{PREFIX}/groups", json=group, headers=KEY)
    world.now = Instant(NOW + 23 * US_PER_HOUR)
    other = {"id": "h", "name": "H"}
    assert finance.post(f"{PREFIX}/groups", json=other, headers=KEY).status_code == 409


@pytest.mark.parametrize("key", ["", "x" * 129, "ä"])
def test_a_key_that_is_none_is_refused(world: World, key: str) -> None:
    answer = world.client("finance").post(
        f"{PREFIX}/groups",
        json={"id": "g", "name": "G"},
        headers={b"idempotency-key": key.encode("latin-1")},
    )
    assert answer.status_code == 400
    assert world.book.view().groups.keys() == {"acme", "globex"}


def test_every_post_that_writes_honours_it() -> None:
    not_writing = {row.name for row in OPERATIONS if row.method == "POST" and not row.writes}
    computing = {name for name in not_writing if name.endswith(("OfFile", "OfFleet"))}
    assert not_writing - computing == {
        "scoreGuidance", "scoreStatements", "showCapacity", "showDeparture",
        # These write, but doing either twice is doing it once.
        "drainDeployment", "undrainDeployment",
    }  # fmt: skip


def test_a_request_that_is_under_way_is_not_done_twice(world: World) -> None:
    book, done = world.book, []

    def ask(now: int, act: "object") -> tuple[int, bytes]:
        assert callable(act)
        return once(book, token="t", secret="s", key="k", request=b"r", now=Instant(now), act=act)

    def outer() -> tuple[int, bytes]:
        with pytest.raises(ConflictError, match="under way"):
            ask(NOW, outer)
        done.append(1)
        return 201, b"made"

    assert ask(NOW, outer) == (201, b"made")
    assert ask(NOW, outer) == (201, b"made")
    assert len(done) == 1


def test_a_request_that_was_cut_off_may_be_sent_again(world: World) -> None:
    with world.book.writing() as unit:
        from hashlib import sha256

        digest = sha256(b"k").hexdigest()
        unit.answers.begin("t", digest, sha256(b"r").hexdigest(), now=NOW)
    later = Instant(NOW + UNDER_WAY_S * US_PER_S)
    given = {"token": "t", "secret": "s", "key": "k", "request": b"r"}
    with pytest.raises(ConflictError):
        once(world.book, now=NOW, act=lambda: (1, b""), **given)  # type: ignore[arg-type]
    assert once(world.book, now=later, act=lambda: (200, b"x"), **given) == (200, b"x")  # type: ignore[arg-type]


def test_a_failure_gives_the_key_back(world: World) -> None:
    given = {"token": "t", "secret": "s", "key": "k", "request": b"r", "now": NOW}

    def broken() -> tuple[int, bytes]:
        raise UnavailableError("not now")

    with pytest.raises(UnavailableError):
        once(world.book, act=broken, **given)  # type: ignore[arg-type]
    assert once(world.book, act=lambda: (200, b"x"), **given) == (200, b"x")  # type: ignore[arg-type]


@pytest.mark.parametrize("length", [0, 1, 63, 64, 65, 5_000])
def test_a_seal_opens_with_its_own_secret_only(length: int) -> None:
    plain = bytes(number % 251 for number in range(length))
    sealed = seal(plain, "secret")
    assert unseal(sealed, "secret") == plain
    assert seal(plain, "secret") != sealed
    with pytest.raises(IntegrityError):
        unseal(sealed, "another")
    for at in range(0, len(sealed), 97):
        changed = bytearray(sealed)
        changed[at] ^= 1
        with pytest.raises(IntegrityError):
            unseal(bytes(changed), "secret")


def test_the_book_file_can_be_read_without_opening_an_answer(world: World, tmp_path: Path) -> None:
    answer = world.client("admin").post(f"{PREFIX}/keys", json={"contract": "acme-1"}, headers=KEY)
    connection = sqlite3.connect(tmp_path / "book.sqlite")
    ((sealed,),) = connection.execute("SELECT sealed FROM answers").fetchall()
    connection.close()
    assert answer.content not in sealed
    assert unseal(sealed, world.secrets["admin"]) == answer.content
