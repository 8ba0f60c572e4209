"""A planted harvest against real processes: gateway, watcher and clerk find it, keep no text."""

import json
import os
import random
import signal
import socket
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from tests.unit.app.conduct_world import CANARY, DAY_US, MODEL, World, harvest, support

from quartermaster.app import clerk, clerk_conduct, clerk_warning
from quartermaster.app.first_start import pepper_path
from quartermaster.book.pepper import load_pepper
from quartermaster.commands import key as keys
from quartermaster.kernel import ring
from quartermaster.kernel.clock import US_PER_HOUR, Instant, system_clock

pytestmark = [
    pytest.mark.long,
    pytest.mark.skipif(not ring.SHARED_MEMORY.is_dir(), reason="no shared memory here"),
]
TENANTS = [f"shop-{number:02}" for number in range(20)]
JUDGED_DAYS, LIVED_DAYS, CLEAN_DAYS = 16, 6, 3
DEADLINE_S = 90.0


def lived(var: Path) -> World:
    """Days up to yesterday, in this process: three ordinary ones, three of the harvest."""
    today = system_clock() // DAY_US * DAY_US
    world = World(
        var, [*TENANTS, "rival"], ["quiet"], start=today - LIVED_DAYS * DAY_US, log="past-0"
    )
    draw = random.Random(5)
    for day in range(-JUDGED_DAYS, 0):
        world.judged_before(day, {name: draw.uniform(-2, 1) for name in (*TENANTS, "rival")})
    for day in range(LIVED_DAYS):
        bodies = {name: support(at, day, 20) for at, name in enumerate(TENANTS)}
        bodies["rival"] = support(30, day, 20)
        if day >= CLEAN_DAYS:
            bodies["rival"] = support(30, day, 14) + harvest(day, 8)
        bodies["quiet"] = support(31, day, 5)
        world.live(day, bodies)
    world.close()
    return world


def issued(world: World, name: str) -> str:
    rooms = world.rooms
    pepper = load_pepper(pepper_path(rooms.var))
    return keys.issue(rooms.book, rooms.actor, contract=name, pepper=pepper, now=rooms.now()).secret


@contextmanager
def running(var: Path) -> Iterator[int]:
    """`quartermaster up` with the toy model; the gateway's port."""
    ports, holders = {}, []
    for section in ("GATEWAY", "CONSOLE", "MODEL"):
        holder = socket.socket()
        holder.bind(("127.0.0.1", 0))
        holders.append(holder)
        ports[section] = holder.getsockname()[1]
    for holder in holders:
        holder.close()
    environ = {k: v for k, v in os.environ.items() if not k.startswith("QUARTERMASTER_")}
    environ |= {f"QUARTERMASTER_{name}__PORT": str(port) for name, port in ports.items()}
    environ |= {
        "QUARTERMASTER_MODEL__ENGINE": "toy",
        "QUARTERMASTER_USAGE__SEAL_SECONDS": "0.2",
        "QUARTERMASTER_CLERK__SHIP_SECONDS": "0.1",
        "PYTHONPATH": os.pathsep.join(sys.path),
    }
    command = [sys.executable, "-m", "quartermaster", "--var", str(var), "up", "--empty"]
    with subprocess.Popen(
        command, env=environ, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stderr is not None
        try:
            said = []
            for line in process.stderr:
                said.append(line)
                if line.startswith("running"):
                    break
            else:
                raise AssertionError("".join(said))
            yield ports["GATEWAY"]
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(DEADLINE_S)


def ask(port: int, key: str, body: bytes, *, stream: bool) -> None:
    fields = {**json.loads(body), "stream": stream, "max_tokens": 20}
    headers = {"authorization": f"Bearer {key}", "content-type": "application/json"}
    url = f"http://127.0.0.1:{port}/v1/chat/completions"
    asked = urllib.request.Request(url, json.dumps(fields).encode(), headers)
    with urllib.request.urlopen(asked, timeout=DEADLINE_S) as reply:
        assert reply.status == 200
        assert reply.read()


def test_the_harvest_is_found_through_real_processes(tmp_path: Path) -> None:
    world = lived(tmp_path / "var")
    assert clerk_warning.alarmed(world.rooms) == []
    asking = {
        "rival": support(30, LIVED_DAYS, 14) + harvest(LIVED_DAYS, 8),
        "shop-03": support(3, LIVED_DAYS, 20),
        "shop-07": support(7, LIVED_DAYS, 20),
        "quiet": support(31, LIVED_DAYS, 5),
    }
    secrets = {name: issued(world, name) for name in asking}
    with running(world.rooms.var) as port:
        for name, bodies in asking.items():
            for at, body in enumerate(bodies):
                ask(port, secrets[name], body, stream=at % 2 == 1)
    assert json.loads(asking["rival"][0])["model"] == MODEL
    # After midnight; the clerk that ends with `up` has shipped everything.
    world.rooms.instant = Instant(world.start + (LIVED_DAYS + 1) * DAY_US + US_PER_HOUR)
    clerk.ship(world.rooms)
    (today,) = clerk_conduct.catch_up(world.rooms)
    days = {one.account: one for one in today.days}
    assert sorted(days) == ["rival", "shop-03", "shop-07"]
    assert (days["rival"].requests, days["rival"].sampled_fraction) == (22, 1.0)
    assert today.blind["quiet"][0] == "no_consent"
    assert "first" not in days, "the first customer's contract permits nothing"
    (alarm,) = clerk_warning.alarmed(world.rooms)
    assert (alarm.account, alarm.on) == ("rival", today.on)
    assert alarm.evidence.actionable[0].kind == "meta_generation"
    last = alarm.evidence.strata[-1]
    assert last.hits >= 8
    assert last.parts["output_tokens"].hit > 0
    for path in (*world.rooms.var.rglob("*"), *ring.folder_of(world.rooms.var).glob("*")):
        assert not path.is_file() or CANARY.encode() not in path.read_bytes(), path
    world.rooms.book.verify()
