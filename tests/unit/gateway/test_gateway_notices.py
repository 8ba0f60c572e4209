"""What a worker takes of what other machines changed, also after a restart, and how fast."""

import asyncio
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.redis_server import RedisServer, running_redis

from quartermaster.app.standing_store import StandingStore
from quartermaster.gateway.limits_leased import LeasedLimiter
from quartermaster.gateway.limits_link import LimitLink
from quartermaster.gateway.limits_store import RedisStore
from quartermaster.gateway.notices import FOLDER, Notices
from quartermaster.gateway.settings import GatewaySettings
from quartermaster.gateway.snapshots import SnapshotFollower
from quartermaster.kernel import notice
from quartermaster.kernel.clock import system_clock
from quartermaster.kernel.contract import Standing
from quartermaster.kernel.errors import UnavailableError
from quartermaster.kernel.ids import PEPPER_BYTES
from quartermaster.kernel.notice import Notice, Obeyed
from quartermaster.kernel.shared_store import NOTICE
from quartermaster.kernel.snapshot import KeyGrant, Snapshot, write

PEPPER = b"p" * PEPPER_BYTES
HASH = "ab" * 32
GRANT = KeyGrant("key_1", HASH, "c", "acme", "p", "con", 1, "list", 1, "free")


def signed(version: int, **standing: Standing) -> str:
    """A notice as another machine writes it."""
    return notice.sign(Notice(version, standing, {}, (), ()), PEPPER)


def followed(var: Path, version: int = 1) -> SnapshotFollower:
    """A worker's follower, which starts with a snapshot without any standing."""
    write(var / "snapshot.json", Snapshot(version, 0, (GRANT,)))
    return SnapshotFollower(var / "snapshot.json", var, notices=Notices(var, "w-0", PEPPER))


def barred(follower: SnapshotFollower) -> str:
    """What bars the key now."""
    index = follower.poll()
    assert index is not None
    return index.by_key_id["key_1"].barred


def test_a_notice_holds_until_the_snapshot_says_it(tmp_path: Path) -> None:
    follower = followed(tmp_path)
    notices = follower.notices
    assert notices is not None
    assert barred(follower) == ""
    assert notices.told(signed(5, acme="suspended"))
    assert barred(follower) == "suspended"
    assert follower.poll() is None
    # Something else that this machine published before it knew.
    write(tmp_path / "snapshot.json", Snapshot(3, 0, (GRANT,)))
    index = follower.poll()
    assert index is not None
    assert (index.version, index.by_key_id["key_1"].barred) == (5, "suspended")
    write(tmp_path / "snapshot.json", Snapshot(6, 0, (GRANT,)))
    assert barred(follower) == ""


def test_what_the_snapshot_says_already_is_not_worked_out_again(tmp_path: Path) -> None:
    follower = followed(tmp_path, version=5)
    assert barred(follower) == ""
    assert follower.notices is not None
    assert follower.notices.told(signed(5))
    assert follower.poll() is None


def test_an_old_or_a_forged_notice_changes_nothing(tmp_path: Path) -> None:
    notices = Notices(tmp_path, "w-0", PEPPER)
    assert notices.told(signed(5, acme="suspended"))
    newest = notices.newest
    assert not notices.told(signed(4, acme="active"))
    assert not notices.told(signed(5, acme="active"))
    assert notices.refused == 0
    forged = signed(9, acme="suspended").replace("suspended", "active")
    assert not notices.told(forged)
    assert notices.refused == 1
    assert notices.newest is newest
    assert notices.known != forged[:64]


def test_after_a_restart_nothing_older_is_taken(tmp_path: Path) -> None:
    before = Notices(tmp_path, "w-0", PEPPER)
    before.told(signed(5, acme="suspended"))
    before.save()
    before.save()
    (tmp_path / FOLDER / "w-3").write_bytes(b"\xff not ours")
    (tmp_path / FOLDER / "w-4").write_text(signed(9).replace("9", "8"))
    follower = followed(tmp_path)
    # Also by another worker of the machine.
    follower.notices = Notices(tmp_path, "w-1", PEPPER)
    assert barred(follower) == "suspended"
    assert not follower.notices.told(signed(4, acme="active"))
    assert follower.poll() is None


def test_a_disk_that_takes_nothing_is_said(tmp_path: Path) -> None:
    notices = Notices(tmp_path, "w-0", PEPPER)
    notices.told(signed(5, acme="suspended"))
    (tmp_path / "shared").write_text("no folder")
    with pytest.raises(UnavailableError, match="cannot be written"):
        notices.save()


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    with running_redis(tmp_path_factory.mktemp("redis")) as running:
        yield running


class Listener:
    """A worker's link and follower, as a worker connects them."""

    def __init__(self, server: RedisServer, var: Path, name: str) -> None:
        store = RedisStore(GatewaySettings(shared_limits_url=server.url), var)
        self.follower = followed(var)
        notices = self.follower.notices
        assert notices is not None
        self.link = LimitLink(store, LeasedLimiter(1, 0), name, system_clock, notices)
        self.link.when_told = self.poll
        self.barred: list[tuple[float, str]] = []
        self.poll()

    def poll(self) -> None:
        index = self.follower.poll()
        if index is not None:
            self.barred.append((time.monotonic(), index.by_key_id["key_1"].barred))
            self.link.obeys(index.version, self.follower.version)


def test_workers_of_other_machines_obey_and_say_so(server: RedisServer, tmp_path: Path) -> None:
    names = ["one-0.aa", "two-0.bb"]
    folders = [tmp_path / name for name in names]
    snapshot = Snapshot(5, 0, (GRANT,), {"acme": "suspended"})

    async def run() -> None:
        listeners = [Listener(server, *both) for both in zip(folders, names, strict=True)]
        tasks = [asyncio.create_task(one.link.run()) for one in listeners]
        with server.client() as client:
            store = StandingStore(client, PEPPER)
            while set(store.serving(1, ()).acknowledged) != set(names):
                await asyncio.sleep(0.01)
            client.set(NOTICE, signed(4).replace("4", "9"))
            while not all(
                one.follower.notices and one.follower.notices.refused for one in listeners
            ):
                await asyncio.sleep(0.01)
            assert store.serving(5, ()).late == tuple(names)
            began = time.monotonic()
            # What nobody signed is in nobody's way.
            store.tell(snapshot)
            while store.serving(5, ()).late:
                assert time.monotonic() < began + 20
                await asyncio.sleep(0.01)
            print(f"obeyed elsewhere, and said so, after {time.monotonic() - began:.3f} s")
            # Its own snapshot is still an old one: whether that matters, the publisher knows.
            assert store.serving(5, names[:1]).partly == (names[1],)
            assert store.serving(5, names[:1], all_said=True).acknowledged == (names[1],)
            for one in listeners:
                at, barred = one.barred[-1]
                assert barred == "suspended"
                assert at - began < 5, "what is promised is timed in tests/simulation"
            # Later ones only, also in the store.
            store.tell(Snapshot(4, 0, (GRANT,)))
            assert store.notice() == notice.notice_of(snapshot)
            assert store.highest() == 5
            # Nobody waits for a worker that has ended.
            tasks[0].cancel()
            await asyncio.gather(tasks[0], return_exceptions=True)
            assert store.serving(6, ()).late == (names[1],)
            tasks[1].cancel()
            await asyncio.gather(tasks[1], return_exceptions=True)

    asyncio.run(run())
    # It is on disk for whoever starts without the store.
    assert barred(followed(folders[1])) == "suspended"


def test_a_worker_that_fell_silent_is_named(server: RedisServer) -> None:
    now = system_clock()
    with server.client() as client:
        client.flushall()
        store = StandingStore(client, PEPPER)
        for name, ago_s in (("a.1", 0), ("b.1", 10), ("b.2", 0), ("c.1", 10), ("d.1", 70)):
            at = now - ago_s * 1_000_000
            client.zadd("{quartermaster}:workers", {name: at})
            said = notice.sign_obeyed(name, Obeyed(4, 4), PEPPER)
            client.hset("{quartermaster}:obeyed", name, f"{at} {said}")
        seen = store.serving(5, ())
    assert seen.late == ("a.1", "b.2")
    assert seen.silent == ("c.1",), "b has another life, and d has been gone for long"
