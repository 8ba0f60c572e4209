"""`kill -9` of a real gateway worker and of the clerk under load, at random points.

Every response that a client received in full is in the table exactly once; other rows are at most
the requests in flight at the kills, and are marked.
"""

import asyncio
import random
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from tests.simulation.crash_processes import START_S, Victim, free_port, prepare
from tests.simulation.crash_traffic import ModelServer, Traffic

from quartermaster.kernel.events import UsageEvent
from quartermaster.usage.cut import certify, current_cut
from quartermaster.usage.query import recent_events
from quartermaster.usage.ship import ship_sealed
from quartermaster.usage.table import UsageTable

CLIENTS = 12
ROWS_MAX = 1_000_000


@dataclass
class Outcome:
    """What was done and what came of it."""

    kills: Counter[str] = field(default_factory=Counter)
    in_flight_at_kills: int = 0
    received: dict[str, int] = field(default_factory=dict)
    refused: int = 0
    rows: list[UsageEvent] = field(default_factory=list)


async def _until_served(traffic: Traffic, more_than: int) -> None:
    deadline = time.monotonic() + START_S
    while len(traffic.received) <= more_than:
        assert time.monotonic() < deadline, f"not served: {traffic.last_refusal}"
        await asyncio.sleep(0.01)


async def _kill_around(
    victims: list[Victim], traffic: Traffic, kills: int, luck: random.Random, outcome: Outcome
) -> None:
    """Kill one of the two at a random moment under load, again and again."""
    for _ in range(kills):
        await asyncio.sleep(luck.random() * 0.8)
        victim = luck.choice(victims)
        assert all(v.alive for v in victims), "a process died by itself"
        if victim.role == "gateway":
            # Nothing else runs in this loop between the count and the kill, so this is the number
            # of requests that the kill can leave without an answer.
            outcome.in_flight_at_kills += traffic.in_flight
        victim.kill()
        outcome.kills[victim.role] += 1
        await asyncio.sleep(luck.random() * 0.1)
        victim.restart()
        if victim.role == "gateway":
            await _until_served(traffic, len(traffic.received))


async def _scenario(var: Path, seed: int, kills: int) -> Outcome:
    luck = random.Random(seed)
    outcome = Outcome()
    server = ModelServer(seed)
    upstream_port = await server.start()
    var.mkdir()
    traffic = Traffic(prepare(var, upstream_port), free_port(), seed)
    gateway, clerk = Victim("gateway", var, traffic.port), Victim("clerk", var)
    clients = [asyncio.create_task(traffic.client(number)) for number in range(CLIENTS)]
    try:
        await _until_served(traffic, 50)
        await _kill_around([gateway, clerk], traffic, kills, luck, outcome)
        await _until_served(traffic, len(traffic.received) + 50)
        traffic.stopping = True
        await asyncio.gather(*clients)
    finally:
        for task in clients:
            task.cancel()
        code = await asyncio.to_thread(gateway.stop)
        clerk.kill()
        await server.stop()
    assert code == 0, (var / "gateway.log").read_text()
    outcome.received, outcome.refused = traffic.received, traffic.refused
    return outcome


def _run(var: Path, seed: int, kills: int) -> Outcome:
    outcome = asyncio.run(_scenario(var, seed, kills))
    table = UsageTable(var / "usage")
    ship_sealed(var / "wal", table)
    cut = current_cut(table)
    outcome.rows = recent_events(table, cut, limit=ROWS_MAX)
    certificate = certify(table, cut)
    assert certificate.rows == len(outcome.rows)
    assert certificate.quarantined == 0
    return outcome


def _judge(outcome: Outcome) -> None:
    by_id: dict[str, list[UsageEvent]] = {}
    for row in outcome.rows:
        by_id.setdefault(row.opened.request_id, []).append(row)
    doubled = {request for request, rows in by_id.items() if len(rows) > 1}
    assert not doubled, f"metered twice: {doubled}"
    lost = outcome.received.keys() - by_id.keys()
    assert not lost, f"received in full and not metered: {lost}"
    for request, tokens in outcome.received.items():
        (row,) = by_id[request]
        assert row.closed.counts.output == tokens
        assert row.closed.counts.input == 7
        assert row.status in ("closed", "closed_unconfirmed")
    extra = [rows[0] for request, rows in by_id.items() if request not in outcome.received]
    answered = [row for row in extra if row.closed.failure not in ("", "worker_died")]
    extra = [row for row in extra if row not in answered]
    assert len(answered) <= outcome.refused, "rows for refusals that nobody received"
    assert len(extra) <= outcome.in_flight_at_kills, "more extra rows than requests in flight"
    assert {row.status for row in extra} <= {"aborted", "closed_unconfirmed"}
    statuses = Counter(row.status for row in outcome.rows)
    print(
        f"kills {dict(outcome.kills)}, received {len(outcome.received)}, refused "
        f"{outcome.refused}, rows {len(outcome.rows)} {dict(statuses)}, extra {len(extra)} of "
        f"{outcome.in_flight_at_kills} in flight at kills"
    )


def _seed() -> int:
    seed = random.SystemRandom().randrange(1_000_000)
    print(f"seed {seed}")
    return seed


def test_kills_lose_nothing_and_double_nothing(tmp_path: Path) -> None:
    outcome = _run(tmp_path / "var", _seed(), kills=4)
    _judge(outcome)
    assert sum(outcome.kills.values()) == 4


@pytest.mark.long
def test_a_hundred_kills_lose_nothing_and_double_nothing(tmp_path: Path) -> None:
    outcome = _run(tmp_path / "var", _seed(), kills=120)
    _judge(outcome)
    assert sum(outcome.kills.values()) >= 100
