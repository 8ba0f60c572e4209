"""Limits while a worker and its successor both serve: never more than the whole, then the whole."""

import asyncio
import json
import time
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.unit.gateway.gateway_fakes import Bench, a_grant

from quartermaster.gateway.handover import STALE_S, Handover
from quartermaster.gateway.index import Index, build
from quartermaster.gateway.limits import Permit
from quartermaster.gateway.limits_leased import LeasedLimiter
from quartermaster.gateway.ptu import Ride, enter
from quartermaster.gateway.ptu_leased import lanes_of
from quartermaster.gateway.rate_headers import RateLimitedError
from quartermaster.kernel.clock import US_PER_S, Instant
from quartermaster.kernel.limit import Limits
from quartermaster.kernel.snapshot import Provisioned, Snapshot

LIMITS = Limits(requests_per_minute=10, tokens_per_minute=1_000, concurrent=6)
UNITS = Provisioned("toy", 600, 1, spillover=False)
MINUTE = 60 * US_PER_S


def an_index(limits: Limits = LIMITS) -> Index:
    grant = a_grant(limits=limits, provisioned=(UNITS,))
    return build(Snapshot(7, 0, (grant,), {}, ()), {})


class Half:
    """A worker, as far as limits are concerned."""

    def __init__(self, scene: "Scene", app_id: str, *, shared: bool = False) -> None:
        self.scene = scene
        self.status = scene.folder / f"{app_id}.json"
        bench = Bench(scene.index)
        bench.relay.clock = lambda: Instant(scene.now)
        self.dispatcher = bench.dispatcher
        if shared:
            self.dispatcher.limiter = LeasedLimiter(1, 0)
            self.dispatcher.lanes = lanes_of(self.dispatcher.limiter, 1, 0)
        self.limiter, self.lanes = self.dispatcher.limiter, self.dispatcher.lanes
        self.handover = Handover(self.status, self.dispatcher)
        self.refused_for_good = False

    @property
    def failures(self) -> dict[str, int]:
        return self.dispatcher.relay.tallies.failures

    def admit(self, tokens: int = 0) -> Permit:
        (limited,) = self.scene.index.every_limit()
        return self.limiter.admit((limited,), tokens, self.scene.now)

    def passes(self, tokens: int = 0) -> bool:
        try:
            self.admit(tokens)
        except RateLimitedError as refusal:
            # Whatever an SDK tries again passes after the handover.
            self.refused_for_good = refusal.never
            return False
        return True

    def ride(self, tokens: int) -> bool:
        lane = self.lanes.lane("con_1", UNITS, self.scene.now)
        try:
            runs = enter(lane)
        except RateLimitedError:
            return False
        Ride(lane, tokens)
        return runs

    def look(self) -> None:
        self.handover.look(self.scene.index)


class Scene:
    """Two workers of one number, in one folder."""

    def __init__(self, folder: Path, limits: Limits = LIMITS, *, shared: bool = False) -> None:
        self.folder, self.now, self.index = folder, 1_000 * MINUTE, an_index(limits)
        self.old = Half(self, "gateway-0", shared=shared)
        self.new = Half(self, "gateway-0-b", shared=shared)
        self.tell("serving")

    def tell(self, state: str) -> None:
        """The predecessor's status."""
        told = {**STATUS, "state": state, "at": self.now}
        self.old.status.write_text(json.dumps(told))

    def meet(self) -> None:
        """The successor asks before it listens, and the predecessor looks meanwhile."""

        self.tell("serving")

        async def both() -> None:
            asking = asyncio.create_task(self.new.handover.ask(self.index))
            await asyncio.sleep(0)
            self.old.look()
            await asking

        asyncio.run(both())

    def look(self) -> None:
        self.old.look()
        self.new.look()

    def gone(self) -> None:
        """The predecessor has ended."""
        self.old.handover.end()
        self.old.status.unlink()
        self.new.look()


STATUS = {
    "app_id": "gateway-0",
    "worker": 0,
    "pid": 1,
    "host": "h",
    "port": 1,
    "started_at": 0,
    "snapshot_version": 1,
    "snapshot_error": "",
    "out_of_contact": False,
    "wal_writable": True,
    "connections": 0,
    "upstream_connections": 0,
    "in_flight": 0,
    "requests": 0,
    "requests_per_s": 0,
    "refusals": {},
    "failures": {},
}


@pytest.fixture
def scene(tmp_path: Path) -> Scene:
    return Scene(tmp_path)


def test_both_together_let_pass_what_one_would(scene: Scene) -> None:
    for _ in range(4):
        scene.old.admit().end()
    scene.meet()
    passed = [half.passes() for _ in range(10) for half in (scene.old, scene.new)]
    assert sum(passed) == 10 - 4
    assert scene.old.passes() is scene.new.passes() is False


def test_after_the_handover_the_successor_has_what_is_left(scene: Scene) -> None:
    """Of everything that was taken, nothing is forgotten and nothing counts twice."""
    scene.old.admit(300).end()
    scene.meet()
    scene.old.admit(200).end()
    scene.new.admit(100).end()
    scene.old.handover.close()
    scene.new.look()
    assert not scene.old.passes()
    reading = scene.new.admit(0).tokens
    assert reading is not None
    assert (reading.limit, reading.remaining) == (1_000, 400)
    scene.gone()
    assert not scene.new.passes(401)
    assert scene.new.passes(400)


def test_what_is_open_over_there_counts_until_it_ends(tmp_path: Path) -> None:
    scene = Scene(tmp_path, Limits(concurrent=6))
    running = [scene.old.admit() for _ in range(5)]
    scene.meet()
    # Five of six are open there, so half of six is not to be had here.
    assert [scene.new.passes() for _ in range(3)] == [True, False, False]
    scene.old.handover.close()
    scene.look()
    assert not scene.new.passes()
    for permit in running[:2]:
        permit.end()
    scene.look()
    assert [scene.new.passes() for _ in range(3)] == [True, True, False]
    scene.gone()
    assert [scene.new.passes() for _ in range(4)] == [True, True, True, False]


def test_what_was_estimated_too_low_over_there_is_taken_here(scene: Scene) -> None:
    running = scene.old.admit(100)
    scene.meet()
    scene.old.handover.close()
    scene.look()
    running.metered(700, scene.now)
    scene.look()
    scene.look()  # once is enough
    assert not scene.new.passes(301)
    assert scene.new.passes(300)


def test_a_large_request_is_told_to_come_back_not_that_it_never_passes(scene: Scene) -> None:
    scene.meet()
    assert not scene.old.passes(900)
    assert not scene.new.passes(900)
    assert scene.old.refused_for_good is scene.new.refused_for_good is False
    scene.old.handover.close()
    scene.look()
    assert not scene.old.passes(900)
    assert scene.new.passes(900)


def test_provisioned_units_are_shared_too(scene: Scene) -> None:
    assert scene.old.ride(300)
    scene.meet()
    assert scene.old.ride(150)
    assert scene.new.ride(150)
    # Each of the halves is full; alone, each would have been half empty.
    assert scene.old.ride(1) is scene.new.ride(1) is False
    scene.old.handover.close()
    scene.look()
    assert not scene.new.ride(1)
    scene.now += MINUTE // 2
    assert not scene.old.ride(1)
    assert scene.new.ride(1)
    (lane,) = scene.new.lanes.status(scene.now)
    assert lane.input_tokens_per_minute == 600


def test_what_a_store_shares_is_not_parted_again(tmp_path: Path) -> None:
    scene = Scene(tmp_path, shared=True)
    assert scene.old.ride(600)
    scene.meet()
    # Each leases for itself, as two workers of two machines do.
    assert scene.new.ride(1)
    assert scene.new.passes()
    assert not any(account.parted for account in scene.new.limiter.accounts.values())
    (lane,) = scene.new.lanes.status(scene.now)
    assert lane.input_tokens_per_minute == UNITS.input_tokens_per_minute


def test_a_successor_that_dies_leaves_everything_to_its_predecessor(scene: Scene) -> None:
    scene.meet()
    assert not scene.old.passes(900)
    aged(scene.folder / "gateway-0.next")
    scene.old.look()
    assert scene.old.passes(900)
    assert not (scene.folder / "gateway-0.handed").exists()
    # The next one is asked by again, and has half of what there is now.
    scene.new = Half(scene, "gateway-0-b")
    scene.meet()
    assert not scene.new.passes(451)


@pytest.mark.parametrize("answered", [True, False])
def test_a_predecessor_that_dies_leaves_everything_to_its_successor(
    scene: Scene, answered: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also one that never understood what it was asked."""
    if answered:
        scene.meet()
    else:
        monkeypatch.setattr("quartermaster.gateway.handover.ANSWER_S", 0.04)
        asyncio.run(scene.new.handover.ask(scene.index))
    assert not scene.new.passes(900)
    aged(*scene.folder.glob("*.handed"), scene.old.status)
    scene.new.look()
    assert scene.new.passes(900)
    assert not (scene.folder / "gateway-0.next").exists()


def test_nobody_waits_for_a_predecessor_that_is_not_there(scene: Scene) -> None:
    """Its file is old, or says that it has stopped; files of others' handovers say nothing."""
    (scene.folder / "gateway-0.handed").write_text("{")
    for state in ("serving", "stopped"):
        scene.tell(state)
        if state == "serving":
            aged(scene.old.status)
        begun = time.monotonic()
        asyncio.run(scene.new.handover.ask(scene.index))
        assert time.monotonic() - begun < 0.5
        scene.new.look()
    assert scene.new.passes(900)


def test_a_full_disk_is_counted_and_stops_nobody(scene: Scene) -> None:
    (scene.folder / "gateway-0.handed.new").mkdir()
    asked = {"by": "gateway-0-b:1:2", "at": scene.now}
    (scene.folder / "gateway-0.next").write_text(json.dumps(asked))
    scene.old.look()
    assert scene.old.failures == {"handover_unwritable": 1}
    assert scene.old.passes()


def aged(*paths: Path) -> None:
    """As if nobody had renewed them for a while."""
    for path in paths:
        told = json.loads(path.read_bytes())
        told["at"] -= (STALE_S + 1) * US_PER_S
        path.write_text(json.dumps(told))


@settings(max_examples=30, deadline=None)
@given(
    st.lists(
        st.tuples(
            st.sampled_from(("old", "new")),
            st.integers(1, 400),
            st.integers(0, 4),
            st.booleans(),
        ),
        max_size=25,
    ),
    st.integers(0, 8),
    st.integers(0, 20),
)
def test_whatever_the_order_no_more_passes_than_with_one_worker(
    tmp_path_factory: pytest.TempPathFactory,
    asked: list[tuple[str, int, int, bool]],
    meets_at: int,
    closes_at: int,
) -> None:
    """In any time `t` at most the limit times one plus `t` in minutes, estimates corrected."""
    scene = Scene(tmp_path_factory.mktemp("halves"))
    begun, took = scene.now, 0
    for at, (who, tokens, seconds, ends) in enumerate(asked):
        if at == meets_at:
            scene.meet()
        if at == closes_at and at > meets_at:
            scene.old.handover.close()
        half = scene.new if who == "new" and at >= meets_at else scene.old
        for _ in range(seconds):
            scene.now += US_PER_S
            if at >= meets_at:
                scene.look()
        try:
            permit = half.admit(tokens)
        except RateLimitedError:
            continue
        took += tokens
        if ends:
            permit.end()
        elapsed_us = scene.now - begun
        assert took * MINUTE <= 1_000 * (MINUTE + elapsed_us) + MINUTE
        opened = sum(
            account.open
            for one in (scene.old, scene.new)
            for account in one.limiter.accounts.values()
        )
        assert opened <= 6
