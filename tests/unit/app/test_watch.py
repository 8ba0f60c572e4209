"""The watcher: it goes on where another ended, follows workers that come and go, keeps no text."""

import errno
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import msgspec
import pytest
from tests.unit.app.conduct_world import CANARY, Ended, body, support

from quartermaster.app import clerk_conduct, watch
from quartermaster.app.watch import Watcher, conduct_key, days_folder, statuses, watcher
from quartermaster.conduct import facts
from quartermaster.conduct.coincidence import HOURS_MIN, Coincidence, clock
from quartermaster.conduct.observe import Observer
from quartermaster.conduct.records import Meter
from quartermaster.conduct.sketch import hashed_name, settings_of
from quartermaster.gateway.requests import Request
from quartermaster.gateway.tap import Tap, open_tap
from quartermaster.gateway.whence import Whence
from quartermaster.gateway.wire import read_call
from quartermaster.kernel import ring
from quartermaster.kernel.clock import US_PER_HOUR, Instant
from quartermaster.kernel.errors import IntegrityError
from quartermaster.kernel.events import HourlyUsage
from quartermaster.kernel.snapshot import KeyGrant
from quartermaster.kernel.tapped import SAMPLE
from quartermaster.kernel.units import Counts

pytestmark = pytest.mark.skipif(not ring.SHARED_MEMORY.is_dir(), reason="no shared memory here")
NOON = Instant(1_794_744_000_000_000)  # 2026-11-15, 12:00 UTC
DAY = "2026-11-15"
GRANT = KeyGrant("key_1", "", "acme", "acme", "p", "c", 1, "b", 1, "free", watched=True)


@pytest.fixture
def var(tmp_path: Path) -> Iterator[Path]:
    yield tmp_path
    folder = ring.folder_of(tmp_path)
    if folder.exists():
        folder.rmdir()


def tapped(var: Path, worker: str) -> Tap:
    tap = open_tap(var, worker, ring_bytes=4 << 20, reads_per_s=10**6)
    tap.tick(NOON, 0.0)
    return tap


def ask(tap: Tap, bodies: list[bytes]) -> None:
    for at, one in enumerate(bodies):
        taken = tap.take(GRANT, one, NOON)
        if taken is not None:
            taken.hear(b'{"content":"An answer."}')
            taken.end(Ended(str(at), GRANT, read_call(one)), 200)


def kept(var: Path) -> facts.Facts:
    found = facts.read_day(days_folder(var), DAY, "acme")
    assert found is not None
    return found


class Client(NamedTuple):
    peer: str
    agent: bytes = b"curl/8"


def test_networks_and_programs_are_kept_as_hashes_and_link_accounts(var: Path) -> None:
    whence = Whence(b"p" * 32, ())
    tap = open_tap(var, "gateway-0", ring_bytes=4 << 20, reads_per_s=10**6, whence=whence)
    tap.tick(NOON, 0.0)
    watching = watcher(var, "gateway")
    for account, hosts in (("acme", (1, 2)), ("rival", (2, 3))):
        grant = msgspec.structs.replace(GRANT, customer=account)
        for number, host in enumerate(hosts):
            (asked,) = support(1, number, 1)
            client = Client(f"203.0.{host}.9")
            taken = tap.take(grant, asked, NOON, client, Request())
            assert taken is not None
            taken.end(Ended(str(number), grant, read_call(asked)), 200)
    assert watching.look() == 4
    watching.save(NOON)
    # Another watcher goes on with what one has kept, and nothing of it is an address.
    watcher(var, "gateway").save(NOON)
    days = {name: facts.read_day(days_folder(var), DAY, name) for name in ("acme", "rival")}
    acme, rival = (days[name] for name in ("acme", "rival"))
    assert acme is not None
    assert rival is not None
    assert len(acme.networks) == len(rival.networks) == 2
    assert len(acme.networks & rival.networks) == 1
    assert acme.clients == rival.clients
    kept = b"".join(path.read_bytes() for path in days_folder(var).rglob("*.msgpack"))
    assert b"203.0" not in kept
    assert b"curl" not in kept
    meter = clerk_conduct.DayMeter(requests=2)
    traces = clerk_conduct._kept(acme, meter).traces
    assert (traces.networks, traces.clients) == (set(acme.networks), set(acme.clients))
    watching.close()
    tap.close()


def test_request_settings_are_kept_as_one_hash_and_add_to_links(var: Path) -> None:
    tap = tapped(var, "gateway-0")
    watching = watcher(var, "gateway")
    (plain,) = support(1, 1, 1)
    given = [plain.replace(b"{", b'{"temperature": %b, "max_tokens": 900, "n": 1, ' % heat, 1)
             for heat in (b"0.7", b"0.70", b"1")]  # fmt: skip
    ask(tap, [plain, *given])
    watching.look()
    watching.save(NOON)
    watcher(var, "gateway").save(NOON)
    traces = clerk_conduct._kept(kept(var), clerk_conduct.DayMeter(requests=4)).traces
    named = Meter(temperature=0.7, max_tokens=900, n=1)
    same = settings_of(named)
    assert same is not None
    assert hashed_name(same, conduct_key(var)) in traces.settings
    assert len(traces.settings) == 2
    alone = [traces._replace(settings={at}) for at in range(8)]
    coincidence = Coincidence([traces, traces, *alone])
    assert coincidence.weight(traces, traces) > coincidence.weight(traces, alone[0])
    watching.close()
    tap.close()


def test_an_hour_of_the_meter_counts_its_requests_once(var: Path) -> None:
    tap = tapped(var, "gateway-0")
    watching = watcher(var, "gateway")
    ask(tap, support(1, 1, 3))
    watching.look()
    watching.save(NOON)
    for requests, known in ((HOURS_MIN - 1, False), (HOURS_MIN, True)):
        meter = clerk_conduct.DayMeter()
        row = HourlyUsage(
            "acme", "c", 1, "b", "p", "key_1", "toy", "toy", "standard", NOON, requests, Counts(),
        )  # fmt: skip
        meter.take(row, bytes(32))
        assert (clock(clerk_conduct._kept(kept(var), meter).traces) is not None) == known
    watching.close()
    tap.close()


def test_a_file_of_an_earlier_version_has_no_networks(var: Path) -> None:
    tap = tapped(var, "gateway-0")
    watching = watcher(var, "gateway")
    ask(tap, support(1, 1, 3))
    watching.look()
    watching.save(NOON)
    (path,) = days_folder(var).rglob("*.msgpack")
    stored = msgspec.msgpack.decode(path.read_bytes())
    del stored["networks"], stored["clients"], stored["settings"]
    path.write_bytes(msgspec.msgpack.encode(stored))
    assert kept(var).networks == kept(var).settings == frozenset()
    watching.close()
    tap.close()


def test_another_watcher_goes_on_where_one_ended(var: Path) -> None:
    tap = tapped(var, "gateway-0")
    first = watcher(var, "gateway")
    ask(tap, support(1, 1, 30))
    assert first.look() == 30
    first.save(NOON)
    ask(tap, support(1, 2, 30))
    first.close()  # it has not read these
    second = watcher(var, "gateway")
    assert second.look() == 30
    second.save(NOON)
    assert len(kept(var).sample) == 60
    assert kept(var).answers.words.tolist() == [2] * 60
    second.close()
    tap.close()


def test_samples_of_two_workers_and_two_machines_are_put_together(var: Path) -> None:
    taps = [tapped(var, f"gateway-{at}") for at in range(2)]
    one = watcher(var, "gateway")
    for tap in taps:
        ask(tap, support(1, 1, 200))
        tap.tick(NOON, 10.0)
    one.look()
    assert one.attached == ("gateway-0", "gateway-1")
    one.save(NOON)
    assert len(kept(var).sample) == SAMPLE
    assert kept(var).tally.seen == 400
    # A watcher of another machine keeps its own file, in the same folder.
    key = conduct_key(var)
    other = Watcher(ring.folder_of(var), days_folder(var), "other", key, Observer(key))
    ask(taps[0], support(1, 3, 50))
    other.look()
    other.save(NOON)
    assert len(list((days_folder(var) / DAY).glob("acme@*"))) == 2
    assert list(facts.files_of(days_folder(var), DAY)) == ["acme"]
    assert len(kept(var).sample) == SAMPLE
    for watching in (one, other):
        watching.close()
    for tap in taps:
        tap.close()


def test_a_worker_that_comes_back_is_followed_and_both_its_lives_count(var: Path) -> None:
    watching = watcher(var, "gateway")
    for _ in range(2):
        tap = tapped(var, "gateway-0")
        ask(tap, support(1, 1, 10))
        tap.tick(NOON, 10.0)
        assert watching.look() == 10
        tap.close()
    watching.look()
    assert watching.attached == ()
    watching.save(NOON)
    assert kept(var).tally.seen == 20
    assert (watching.missed, watching.damaged) == (0, 0)
    watching.close()


def test_a_day_that_is_over_leaves_the_memory_and_comes_back_if_it_must(var: Path) -> None:
    tap = tapped(var, "gateway-0")
    watching = watcher(var, "gateway")
    ask(tap, support(1, 1, 10))
    watching.look()
    watching.save(Instant(NOON + 48 * US_PER_HOUR))
    ask(tap, support(1, 2, 10))
    watching.look()
    watching.save(Instant(NOON + 48 * US_PER_HOUR))
    assert len(kept(var).sample) == 20
    watching.close()
    tap.close()


def test_requests_without_text_are_counted(var: Path) -> None:
    tap = tapped(var, "gateway-0")
    watching = watcher(var, "gateway")
    silent = b'{"model":"toy","messages":[{"role":"user","content":[{"type":"image_url"}]}]}'
    ask(tap, [silent, body(f"Hello {CANARY}")])
    watching.look()
    watching.save(NOON)
    assert (len(kept(var).sample), kept(var).unreadable) == (1, 1)
    watching.close()
    tap.close()


def test_a_damaged_file_of_a_day_is_laid_aside(var: Path) -> None:
    """The watcher begins anew, and another one's file of the same day is read."""
    path = facts.path_of(days_folder(var), DAY, "gateway", "acme")
    path.parent.mkdir(parents=True)
    path.write_bytes(b"torn")
    tap = tapped(var, "gateway-0")
    watching = watcher(var, "gateway")
    ask(tap, [body("Hello")])
    watching.look()
    watching.save(NOON)
    assert len(kept(var).sample) == 1
    assert facts.laid_aside(days_folder(var), DAY)["acme"] == 1
    stored = msgspec.msgpack.decode(path.read_bytes(), type=facts.DayFile)
    for field in ("facts", "marks", "edges", "answer_words", "answer_marks", "priorities"):
        broken = msgspec.structs.replace(stored, **{field: getattr(stored, field)[:-1]})
        other = facts.path_of(days_folder(var), DAY, field, "acme")
        other.write_bytes(msgspec.msgpack.encode(broken))
        assert len(kept(var).sample) == 1
        assert not other.exists(), field
    assert facts.laid_aside(days_folder(var), DAY)["acme"] == 7
    watching.close()
    tap.close()


def test_a_day_that_could_not_be_read_is_not_written_over(
    var: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A watcher that ends stores what it holds, and held a day that began anew."""
    tap = tapped(var, "gateway-0")
    for refused in (False, True):
        watching = watcher(var, "gateway")
        ask(tap, support(1, int(refused), 10))
        if refused:

            def busy(_: Path) -> None:
                raise OSError(errno.EMFILE, "Too many open files")

            with monkeypatch.context() as patched:
                patched.setattr(watch, "load", busy)
                with pytest.raises(OSError, match="Too many"):
                    watching.look()
        watching.look()
        watching.save(NOON)
        watching.close()
    assert len(kept(var).sample) > 10
    tap.close()


def test_a_watcher_s_damaged_word_is_named(var: Path) -> None:
    (var / "conduct").mkdir(parents=True, exist_ok=True)
    (var / "conduct" / "watch-gateway.json").write_bytes(b"torn")
    with pytest.raises(IntegrityError, match="watch-gateway"):
        statuses(var)
