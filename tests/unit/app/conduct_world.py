"""Tenants with a past, one of whom begins to harvest: through tap, ring, watcher and clerk."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import msgspec
from msgspec.structs import replace
from tests.unit.usage import sealed_logs, usage_facts

from quartermaster.app import clerk, clerk_conduct
from quartermaster.app.first_start import prepare
from quartermaster.app.rooms import Rooms
from quartermaster.app.watch import Watcher, key_path, watcher
from quartermaster.commands import contract as contracts
from quartermaster.commands.actor import CLERK
from quartermaster.commands.customer import add_customer, add_group
from quartermaster.conduct.settings import ConductSettings
from quartermaster.config import Settings
from quartermaster.gateway.tap import Tap
from quartermaster.gateway.wire import ChatCall, read_call
from quartermaster.kernel import ring
from quartermaster.kernel.case import CaseDay
from quartermaster.kernel.clock import US_PER_HOUR, Instant, as_datetime
from quartermaster.kernel.contract import Contract, Customer, Group
from quartermaster.kernel.events import Closed, ConductObserved, Endpoint, Opened
from quartermaster.kernel.snapshot import KeyGrant

DAY_US = 24 * US_PER_HOUR
KEY = bytes(range(32))
START = 1_794_700_800_000_000  # 2026-11-15, midnight UTC
LOG = "gateway-0"
MODEL = "toy"
CANARY = "zanzibar-quokka"
"""In every prompt and answer: whatever holds it on disk has kept text."""
ALPHA = 0.05
THINGS = ("cat", "bus", "map", "oak", "pen", "cup", "hat", "jar", "key", "lid")


def support(tenant: int, day: int, count: int) -> list[bytes]:
    """A product's assistant: a system prompt of its own, and customers' questions."""
    out = []
    for at in range(count):
        thing = THINGS[(7 * tenant + 3 * day + at) % len(THINGS)]
        asked = f"Where is my order {at * day + tenant} of the {thing}? {CANARY}"
        out.append(body(asked, f"You are the assistant of shop {tenant}. Answer in one sentence."))
    return out


def harvest(day: int, count: int) -> list[bytes]:
    """Prompts that ask for varied tasks to train on."""
    return [
        body(
            f"Come up with 20 diverse and creative task instructions about a {thing},"
            f" number {day * count + at}. {CANARY}"
        )
        for at in range(count)
        for thing in [THINGS[at % len(THINGS)]]
    ]


def body(asked: str, system: str = "") -> bytes:
    """A chat request."""
    messages = [{"role": "system", "content": system}] if system else []
    return json.dumps(
        {"model": MODEL, "messages": [*messages, {"role": "user", "content": asked}]}
    ).encode()


class Ended(msgspec.Struct):
    """What the tap reads of an exchange."""

    request_id: str
    grant: KeyGrant
    call: ChatCall
    final: bytes = b""
    endpoint: Endpoint = "chat.completions"


class ClockedRooms(Rooms):
    """Rooms whose clock the test sets."""

    instant = Instant(START)

    def now(self) -> Instant:
        return self.instant


class World:
    """A data folder with tenants, and the processes' parts in this one.

    Args:
        var: the data folder.
        consenting: names of tenants whose contract permits the tap.
        others: names of those whose contract does not.
        start: midnight of day 0.
        log: under which worker's name it was metered.
    """

    def __init__(
        self,
        var: Path,
        consenting: Sequence[str],
        others: Sequence[str] = (),
        *,
        start: int = START,
        log: str = LOG,
    ) -> None:
        self.start, self.log = start, log
        settings = Settings(var=str(var), conduct=ConductSettings(alpha=ALPHA))
        # Sketches are estimates, and which depends on the key: another key, another test.
        key = key_path(var)
        key.parent.mkdir(mode=0o700, parents=True)
        key.write_bytes(KEY)
        key.chmod(0o600)
        self.rooms = ClockedRooms(settings)
        self.rooms.instant = Instant(start)
        prepare(self.rooms)
        self.consenting = frozenset(consenting)
        for name in (*consenting, *others):
            self._sign(name)
        self.watching: Watcher = watcher(self.rooms.var, "gateway")
        self.writer = ring.create(ring.folder_of(self.rooms.var), log, 4 << 20)
        self.tap = Tap(self.writer, reads_per_s=1_000_000, key=bytes(32))
        self._requests = 0

    def close(self) -> None:
        """Take the ring away."""
        self.watching.close()
        self.tap.close()
        ring.folder_of(self.rooms.var).rmdir()

    def live(self, day: int, bodies: Mapping[str, Sequence[bytes]]) -> ConductObserved:
        """A day's traffic, and the clerk's look at it after midnight; nothing else ran before."""
        self.metered(day, bodies)
        (seen,) = clerk_conduct.catch_up(self.rooms)
        return seen

    def day_of(self, day: int) -> str:
        """The date of a day."""
        return as_datetime(Instant(self.start + day * DAY_US)).date().isoformat()

    def metered(self, day: int, bodies: Mapping[str, Sequence[bytes]]) -> None:
        """A day's traffic, watched and shipped; it is over, and nobody has judged it."""
        noon = self.start + day * DAY_US + DAY_US // 2
        requests: list[tuple[Opened, Closed]] = []
        self.tap.tick(Instant(noon), day * 86_400.0)
        for name, asked in bodies.items():
            requests += [self._one(name, one, noon) for one in asked]
        self.tap.tick(Instant(noon), day * 86_400.0 + 10)
        self.watching.look()
        self.watching.save(Instant(noon))
        self.tap.tick(Instant(noon), day * 86_400.0 + 20)
        sealed_logs.write_segment(self.rooms.var / "wal" / self.log, requests)
        clerk.ship(self.rooms)
        self.rooms.instant = Instant(self.start + (day + 1) * DAY_US + US_PER_HOUR)

    def judged_before(self, day: int, scores: Mapping[str, float]) -> None:
        """A day that was judged long ago, of which only the journal knows."""
        on = self.day_of(day)
        days = tuple(
            CaseDay(account=name, day=on, requests=20, score=score)
            for name, score in sorted(scores.items())
        )
        key = f"{clerk_conduct.OBSERVED}{on}"
        fact = ConductObserved(on=on, days=days)
        self.rooms.book.append(fact, actor=CLERK, now=self.rooms.now(), key=key)

    def _one(self, name: str, asked: bytes, at: int) -> tuple[Opened, Closed]:
        self._requests += 1
        opened = replace(
            usage_facts.opened(self._requests, at=at, customer=name),
            contract=name,
            price_book="starter",
        )
        if name in self.consenting:
            grant = KeyGrant(
                "key_1", "", name, name, "default", name, 1, "starter", 1, "bill_delivered",
                watched=True,
            )  # fmt: skip
            taken = self.tap.take(grant, asked, at)
            if taken is not None:
                taken.hear(json.dumps({"content": f"An answer of {CANARY}."}).encode())
                taken.end(Ended(opened.request_id, grant, read_call(asked)), 200)
        return opened, usage_facts.closed(at=at + 5)

    def _sign(self, name: str) -> None:
        rooms = self.rooms
        add_group(rooms.book, rooms.actor, Group(name, name), rooms.now())
        add_customer(rooms.book, rooms.actor, Customer(name, name, name), rooms.now())
        contract = Contract(
            id=name,
            version=1,
            customer=name,
            price_book="starter",
            currency="USD",
            time_zone="UTC",
            valid_from=self.start,
            watch_content=name in self.consenting,
        )
        contracts.sign(rooms.book, rooms.actor, contract, rooms.now())
