"""Snapshots: what a gateway may know at an instant, and who has acknowledged it."""

import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import msgspec
import pytest

from quartermaster.book.store import Book, open_book
from quartermaster.commands import contract as contracts
from quartermaster.commands import key as keys
from quartermaster.commands import price_book as price_books
from quartermaster.commands import project as projects
from quartermaster.commands.actor import OPERATOR
from quartermaster.commands.customer import add_customer
from quartermaster.commands.deployment import set_deployment
from quartermaster.commands.publish import (
    Acknowledgement,
    acknowledged,
    build_snapshot,
    publish,
    refresh,
)
from quartermaster.kernel.clock import US_PER_HOUR, US_PER_S, Instant
from quartermaster.kernel.contract import Contract, Customer
from quartermaster.kernel.errors import IntegrityError
from quartermaster.kernel.events import DeploymentSet
from quartermaster.kernel.ids import key_hash
from quartermaster.kernel.price import TEXT_AXES, Price, PriceBook
from quartermaster.kernel.snapshot import OUT_OF_CONTACT_S, KeyGrant, decode, write
from quartermaster.kernel.standing_facts import StandingChanged

NOW = Instant(1_000 * US_PER_HOUR)
LATER = Instant(NOW + 100 * US_PER_HOUR)
PEPPER = b"p" * 32
FULL = tuple(Price("m", axis, "0.15") for axis in TEXT_AXES)
CONTRACT = Contract("acme-1", 1, "acme", "list", "USD", "Europe/Berlin", 900 * US_PER_HOUR)


@pytest.fixture
def book(tmp_path: Path) -> Iterator[Book]:
    book = open_book(f"sqlite:///{tmp_path}/book.sqlite")
    add_customer(book, OPERATOR, Customer("acme", "ACME", "acme"), NOW)
    price_books.publish(book, OPERATOR, PriceBook("list", 1, "USD", 0, FULL), NOW)
    contracts.sign(book, OPERATOR, CONTRACT, NOW)
    deploy(book, "embedded", "m")
    yield book
    book.close()


def deploy(book: Book, name: str, model: str, **changes: Any) -> None:
    deployment = DeploymentSet(
        name=name, model=model, url="http://127.0.0.1:8472/v1", upstream_model=model
    )
    set_deployment(book, OPERATOR, msgspec.structs.replace(deployment, **changes), NOW)


def issue(book: Book, **options: Any) -> keys.IssuedKey:
    return keys.issue(book, OPERATOR, contract="acme-1", pepper=PEPPER, now=NOW, **options)


def grants(book: Book, now: Instant = NOW) -> tuple[KeyGrant, ...]:
    return build_snapshot(book.view(), now, 1).keys


def test_a_key_is_resolved_to_everything_the_gateway_needs(book: Book) -> None:
    projects.add(book, OPERATOR, customer="acme", project="chat", name="Chat", now=NOW)
    issued = issue(book, project="chat", models=("m",), expires_at=LATER)
    (grant,) = grants(book)
    assert grant == KeyGrant(
        key_id=issued.key_id,
        key_hash=key_hash(issued.secret.encode(), PEPPER).hex(),
        customer="acme",
        group="acme",
        project="chat",
        contract="acme-1",
        contract_version=1,
        price_book="list",
        price_book_version=1,
        cancelled_stream="bill_delivered",
        models=("m",),
        expires_at=LATER,
        unpriced_models=(),
        unpriced_batch_models=("m",),
    )


def test_versions_in_force_change_with_the_clock_alone(book: Book) -> None:
    issue(book)
    second = msgspec.structs.replace(
        CONTRACT, version=2, valid_from=LATER, end=LATER + US_PER_HOUR, cancelled_stream="free"
    )
    contracts.sign(book, OPERATOR, second, NOW)
    price_books.publish(book, OPERATOR, PriceBook("list", 2, "USD", LATER, FULL), NOW)
    (before,) = grants(book, Instant(LATER - 1))
    (after,) = grants(book, LATER)
    assert (before.contract_version, before.price_book_version) == (1, 1)
    assert (after.contract_version, after.price_book_version) == (2, 2)
    assert after.cancelled_stream == "free"
    assert grants(book, Instant(LATER + US_PER_HOUR)) == ()


def test_revoked_expired_and_not_yet_valid_keys_are_not_handed_down(book: Book) -> None:
    revoked = issue(book)
    issue(book, expires_at=LATER)
    keys.revoke(book, OPERATOR, revoked.key_id, "lost", NOW)
    assert len(grants(book)) == 1
    assert grants(book, LATER) == ()
    issue(book)
    assert grants(book, Instant(CONTRACT.valid_from - 1)) == ()


def test_models_with_an_unpriced_axis_are_named(book: Book) -> None:
    issue(book)
    deploy(book, "vision", "m", axes=(*TEXT_AXES, "image"))
    deploy(book, "other", "x")
    (grant,) = grants(book)
    assert grant.unpriced_models == ("m", "x")


def test_a_contract_that_queues_serves_what_has_no_price(book: Book) -> None:
    issue(book)
    deploy(book, "other", "x")
    queueing = msgspec.structs.replace(CONTRACT, version=2, valid_from=NOW, serve_unpriced="queue")
    contracts.sign(book, OPERATOR, queueing, NOW)
    (grant,) = grants(book)
    assert grant.unpriced_models == ()


def test_without_a_price_book_in_force_every_model_is_unpriced(book: Book) -> None:
    future = PriceBook("future", 1, "USD", LATER, FULL)
    price_books.publish(book, OPERATOR, future, NOW)
    contracts.sign(
        book, OPERATOR, msgspec.structs.replace(CONTRACT, id="acme-2", price_book="future"), NOW
    )
    keys.issue(book, OPERATOR, contract="acme-2", pepper=PEPPER, now=NOW)
    (grant,) = grants(book)
    assert (grant.price_book_version, grant.unpriced_models) == (0, ("m",))


def test_only_a_standing_that_is_not_active_is_named(book: Book) -> None:
    for standing in ("suspended", "active", "warned"):
        fact = msgspec.convert(
            {"group": "acme", "standing": standing, "reason": "r", "fact": "StandingChanged"},
            StandingChanged,
        )
        book.append(fact, actor=OPERATOR, now=NOW)
        expected = {} if standing == "active" else {"acme": standing}
        assert build_snapshot(book.view(), NOW, 1).standing == expected


def test_published_versions_grow_also_after_the_book_was_restored(
    book: Book, tmp_path: Path
) -> None:
    path = tmp_path / "snapshot.json"
    assert publish(book, path, NOW).version == 1
    assert publish(book, path, NOW).version == 2
    write(path, msgspec.structs.replace(decode(path.read_bytes()), version=40))
    assert publish(book, path, NOW).version == 41
    assert decode(path.read_bytes()).version == 41


@pytest.mark.parametrize("damage", ['{"version": 90, "keys": 7}', '{"bad', "[]", ""])
def test_a_snapshot_that_nobody_can_read_is_replaced(
    book: Book, tmp_path: Path, damage: str
) -> None:
    path = tmp_path / "snapshot.json"
    first = publish(book, path, NOW)
    path.write_text(damage)
    second = refresh(book, path, NOW)
    assert second is not None
    assert second.version > (90 if "90" in damage else first.version)
    assert decode(path.read_bytes()) == second


def test_competing_publishers_leave_the_newest_knowledge_in_place(
    book: Book, tmp_path: Path
) -> None:
    path = tmp_path / "snapshot.json"

    def change_and_publish(number: int) -> int:
        deploy(book, f"d{number}", "m")
        return publish(book, path, NOW).version

    with ThreadPoolExecutor(4) as pool:
        versions = list(pool.map(change_and_publish, range(12)))
    assert sorted(versions) == list(range(1, 13))
    final = decode(path.read_bytes())
    assert final.version == 12
    assert {d.name for d in final.deployments} == {"embedded", *(f"d{n}" for n in range(12))}


def test_refresh_writes_only_what_is_new(book: Book, tmp_path: Path) -> None:
    path = tmp_path / "snapshot.json"
    issue(book, expires_at=LATER)
    assert refresh(book, path, NOW) is not None
    assert refresh(book, path, Instant(NOW + US_PER_S)) is None
    deploy(book, "other", "m")
    changed = refresh(book, path, NOW)
    assert changed is not None
    assert changed.version == 2
    # The key expires without a fact.
    expired = refresh(book, path, LATER)
    assert expired is not None
    assert expired.keys == ()


class Workers:
    """Status files, and a clock that moves only when somebody sleeps."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.now_us = 10**15
        self.on_sleep: list[tuple[str, int]] = []

    def says(self, app_id: str, version: int, *, ago_s: int = 0) -> None:
        path = self.folder / f"{app_id}.json"
        path.write_text(f'{{"snapshot_version": {version}, "other": [1]}}')
        at_ns = (self.now_us - ago_s * US_PER_S) * 1_000
        os.utime(path, ns=(at_ns, at_ns))

    def clock(self) -> Instant:
        return Instant(self.now_us)

    def sleep(self, seconds: float) -> None:
        self.now_us += int(seconds * US_PER_S)
        if self.on_sleep:
            self.says(*self.on_sleep.pop(0))

    def acknowledged(self, version: int, timeout_s: float) -> Acknowledgement:
        return acknowledged(self.folder, version, timeout_s, clock=self.clock, sleep=self.sleep)


@pytest.fixture
def workers(tmp_path: Path) -> Workers:
    return Workers(tmp_path)


def test_it_waits_until_every_live_worker_serves_the_version(workers: Workers) -> None:
    workers.says("gw-0", 7)
    workers.says("gw-1", 6)
    workers.on_sleep = [("gw-0", 7), ("gw-1", 7)]
    assert workers.acknowledged(7, 5) == Acknowledgement(("gw-0", "gw-1"), (), ())
    assert workers.on_sleep == []


def test_it_names_who_is_late_and_who_is_silent(workers: Workers) -> None:
    workers.says("gw-0", 8)
    workers.says("gw-1", 6)
    workers.says("gw-2", 6, ago_s=OUT_OF_CONTACT_S + 1)
    began = workers.now_us
    assert workers.acknowledged(7, 1) == Acknowledgement(("gw-0",), ("gw-1",), ("gw-2",))
    assert 1 <= (workers.now_us - began) / US_PER_S < 2


def test_nobody_waits_for_the_silent_or_for_nobody(workers: Workers) -> None:
    began = workers.now_us
    assert workers.acknowledged(7, 5) == Acknowledgement((), (), ())
    workers.says("gw-2", 6, ago_s=OUT_OF_CONTACT_S + 1)
    assert workers.acknowledged(7, 5).silent == ("gw-2",)
    assert workers.now_us == began


def test_a_worker_without_a_snapshot_is_late_and_a_stopped_one_does_not_count(
    workers: Workers,
) -> None:
    (workers.folder / "gw-1.json").write_text('{"snapshot_version": 1, "state": "stopped"}')
    (workers.folder / "gw-0.json").write_text('{"snapshot_version": null, "state": "serving"}')
    at_ns = workers.now_us * 1_000
    os.utime(workers.folder / "gw-0.json", ns=(at_ns, at_ns))
    assert workers.acknowledged(7, 1) == Acknowledgement((), ("gw-0",), ())


def test_a_broken_status_file_is_an_error_not_an_acknowledgement(workers: Workers) -> None:
    (workers.folder / "gw-0.json").write_text("{}")
    with pytest.raises(IntegrityError, match=r"gw-0\.json"):
        workers.acknowledged(1, 1)
