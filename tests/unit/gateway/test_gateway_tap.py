"""The tap: a uniform sample that nobody foresees, across workers, under a cap, and forgotten."""

from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from quartermaster.conduct import sketch
from quartermaster.gateway.tap import TEXT_S_MAX, Tap
from quartermaster.gateway.wire import ChatCall, read_call
from quartermaster.kernel import ring
from quartermaster.kernel.clock import US_PER_HOUR, Instant
from quartermaster.kernel.events import Endpoint
from quartermaster.kernel.snapshot import KeyGrant
from quartermaster.kernel.tapped import (
    ANSWER_BYTES,
    REQUEST_HEAD_BYTES,
    REQUEST_TAIL_BYTES,
    SAMPLE,
    Content,
    Message,
    Tally,
    decode,
)

pytestmark = pytest.mark.skipif(not ring.SHARED_MEMORY.is_dir(), reason="no shared memory here")
NOON = 1_794_744_000_000_000  # 2026-11-15, 12:00 UTC
BODY = b'{"model":"m","messages":[{"role":"user","content":"Hi"}]}'
GRANT = KeyGrant("key_1", "", "acme", "acme", "p", "c", 1, "b", 1, "free", watched=True)


class Ended(msgspec.Struct):
    """What the tap reads of an exchange."""

    request_id: str
    grant: KeyGrant = GRANT
    call: ChatCall = msgspec.field(default_factory=lambda: read_call(BODY))
    final: bytes = b""
    endpoint: Endpoint = "chat.completions"


class Tapped:
    """A tap with its ring and a reader."""

    def __init__(self, folder: Path, name: str, *, key: bytes, reads_per_s: int = 10**9) -> None:
        self.writer = ring.create(folder, name, 8 << 20)
        reader = ring.attach(folder / f"{name}{ring.SUFFIX}")
        assert reader is not None
        self.reader = reader
        self.tap = Tap(self.writer, reads_per_s=reads_per_s, key=key)
        self.tap.tick(Instant(NOON), 0.0)

    def ask(self, number: int, *, body: bytes = b"{}", answer: bytes = b"") -> bool:
        """Whether this request was drawn."""
        taken = self.tap.take(GRANT, body, NOON)
        if taken is None:
            return False
        taken.hear(answer)
        taken.end(Ended(str(number)), 200)
        return True

    def read(self) -> list[Message]:
        return [decode(frame.payload) for frame in self.reader.frames()]

    def close(self) -> None:
        self.reader.close()
        self.tap.close()


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    found = ring.folder_of(tmp_path)
    yield found
    if found.exists():
        found.rmdir()


def contents(messages: list[Message]) -> list[Content]:
    return [one for one in messages if isinstance(one, Content)]


def test_both_sides_keep_samples_of_one_size() -> None:
    assert SAMPLE == sketch.SAMPLE


def test_the_sample_of_several_workers_is_uniform(folder: Path) -> None:
    """Of a day of 3,000 requests at two workers each has the same chance, early or late."""
    total, hits = 3_000, [0] * 6
    for seed in range(12):
        workers = [Tapped(folder, f"w{at}", key=bytes([seed, at, *[7] * 30])) for at in range(2)]
        for number in range(total):
            workers[number % 3 == 0].ask(number)
        found = contents([one for worker in workers for one in worker.read()])
        sample = sorted(found, key=lambda one: one.priority)[:SAMPLE]
        for one in sample:
            hits[int(one.request_id) * 6 // total] += 1
        for worker in workers:
            worker.close()
    expected = 12 * SAMPLE / 6
    # Each sixth is hypergeometric: a standard deviation of about 20 at 512.
    assert all(abs(count - expected) < 4.5 * 20 for count in hits), hits


def test_reading_grows_with_the_logarithm_of_the_traffic(folder: Path) -> None:
    worker = Tapped(folder, "w", key=bytes(32))
    drawn = sum(worker.ask(number) for number in range(20_000))
    assert SAMPLE < drawn < SAMPLE * 6.5
    worker.tap.tick(Instant(NOON), 10.0)
    (tally,) = [one for one in worker.read() if isinstance(one, Tally)]
    assert (tally.customer, tally.day) == ("acme", "2026-11-15")
    assert (tally.seen, tally.drawn, tally.capped, tally.overwritten) == (20_000, drawn, 0, 0)
    worker.close()


def test_two_keys_draw_differently(folder: Path) -> None:
    drawn = []
    for key in (bytes(32), bytes([1] * 32)):
        worker = Tapped(folder, "w", key=key)
        drawn.append([number for number in range(2_000) if worker.ask(number)])
        worker.close()
    assert drawn[0] != drawn[1]


def test_reading_is_capped_and_what_was_not_read_is_counted(folder: Path) -> None:
    worker = Tapped(folder, "w", key=bytes(32), reads_per_s=100)
    assert sum(worker.ask(number) for number in range(200)) == 100
    worker.tap.tick(Instant(NOON), 0.5)
    assert sum(worker.ask(number) for number in range(100)) == 50
    worker.tap.tick(Instant(NOON), 10.0)
    tally = worker.read()[-1]
    assert isinstance(tally, Tally)
    # Beyond 256 not every request is drawn.
    assert 100 < tally.capped <= 150
    worker.close()


def test_lost_frames_are_counted_by_account(folder: Path) -> None:
    worker = Tapped(folder, "w", key=bytes(32))
    for number in range(SAMPLE):
        worker.ask(number, body=bytes(50_000), answer=bytes(5_000))
    worker.tap.tick(Instant(NOON), TEXT_S_MAX - 1)
    worker.tap.tick(Instant(NOON), 2 * TEXT_S_MAX)
    worker.tap.tick(Instant(NOON), 2 * TEXT_S_MAX + 10)
    tally = worker.read()[-1]
    assert isinstance(tally, Tally)
    assert tally.overwritten == SAMPLE
    worker.close()


def test_long_requests_and_answers_are_cut(folder: Path) -> None:
    worker = Tapped(folder, "w", key=bytes(32))
    body = b"h" * 30_000 + b"t" * 30_000
    worker.ask(1, body=body, answer=b"a" * 9_000)
    (one,) = contents(worker.read())
    assert one.head == b"h" * REQUEST_HEAD_BYTES
    assert one.tail == b"t" * REQUEST_TAIL_BYTES
    assert one.answer == b"a" * ANSWER_BYTES
    assert one.request_bytes == 60_000
    worker.close()


def test_a_new_day_begins_a_new_sample(folder: Path) -> None:
    worker = Tapped(folder, "w", key=bytes(32))
    for number in range(1_000):
        worker.ask(number)
    worker.tap.tick(Instant(NOON + 13 * US_PER_HOUR), 100.0)
    assert all(worker.ask(number) for number in range(SAMPLE))
    worker.tap.tick(Instant(NOON + 13 * US_PER_HOUR), 110.0)
    tallies = [one for one in worker.read() if isinstance(one, Tally)]
    assert [(one.day, one.seen) for one in tallies[-2:]] == [
        ("2026-11-15", 1_000),
        ("2026-11-16", SAMPLE),
    ]
    worker.close()
