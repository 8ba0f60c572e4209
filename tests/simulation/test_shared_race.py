"""A budget that two machines spend is never overrun, also by kills and a server that forgets."""

import asyncio
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from decimal import Decimal
from pathlib import Path

import pytest
from tests.contract.gateway_process import free_port, until
from tests.redis_server import Forwarder, RedisServer, running_redis
from tests.simulation.budget_race import DEADLINE_S, PROCESS, Race

from quartermaster.app.rooms import open_usage
from quartermaster.billing.rate import rate
from quartermaster.commands.budget_shown import states_path
from quartermaster.gateway.status import read_status
from quartermaster.usage.cut import certify, current_cut
from quartermaster.usage.query import hourly

WORKERS_EACH = 2
START_S = 150.0


@pytest.fixture
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    with running_redis(tmp_path_factory.mktemp("redis")) as running:
        yield running


def patiently(condition: Callable[[], bool]) -> None:
    """Wait for processes that start; six of them take their time on a small machine."""
    deadline = time.monotonic() + START_S
    while not condition():
        assert time.monotonic() < deadline, "it did not start in time"
        time.sleep(0.05)


class SharedRace(Race):
    """Two machines with a data folder, a clerk and two workers each; one book, one server.

    Args:
        var: the folder of both data folders.
        seed: of the requests, the answers and the kills.
        amount_minor: of the budget, in cents.
        server: where they share.
        url: how they reach it.
        meanwhile: what happens to the server while requests run.
    """

    def __init__(
        self,
        var: Path,
        seed: int,
        amount_minor: int,
        server: RedisServer,
        url: str,
        meanwhile: Callable[[RedisServer], None] | None = None,
        patience: int = 12,
    ) -> None:
        self.machines = [var / "one", var / "two"]
        super().__init__(self.machines[0], seed, amount_minor, patience=patience)
        self.server, self.url = server, url
        self.meanwhile = meanwhile
        self.ports = [self.port, free_port()]
        self.clerks: list[subprocess.Popen[bytes]] = []
        shutil.copytree(self.var / "secrets", self.machines[1] / "secrets")

    def begin(self) -> None:
        """Start both clerks, then all workers."""
        for machine in range(2):
            self.clerks.append(self._launch(machine, "up", "--role", "clerk"))
        for var in self.machines:
            patiently(lambda var=var: states_path(var).exists())  # type: ignore[misc]
        for number in range(2 * WORKERS_EACH):
            self.start_worker(number)
        for number in range(2 * WORKERS_EACH):
            patiently(lambda number=number: self._serving(number))  # type: ignore[misc]

    def _launch(self, machine: int, *arguments: str) -> subprocess.Popen[bytes]:
        settings = {
            "BOOK": f"sqlite:///{self.var / 'book.sqlite'}",
            "GATEWAY__APP_PREFIX": self.machines[machine].name,
            "GATEWAY__WORKERS": WORKERS_EACH,
            "GATEWAY__PORT": self.ports[machine],
            "GATEWAY__SHARED_LIMITS_URL": self.url,
            "USAGE__SEAL_SECONDS": 0.3,
            "CLERK__SHIP_SECONDS": 0.1,
        }
        environment = {f"QUARTERMASTER_{name}": str(value) for name, value in settings.items()}
        return subprocess.Popen(
            [
                *(sys.executable, "-c", PROCESS.format(planted="")),
                *("--var", str(self.machines[machine]), *arguments),
            ],
            env={**os.environ, **environment},
        )

    def start_worker(self, number: int) -> None:
        """Start a worker, also again; two are on each machine."""
        machine, worker = divmod(number, WORKERS_EACH)
        arguments = ("up", "--role", "gateway", "--worker", str(worker))
        self.workers[number] = self._launch(machine, *arguments)

    def _serving(self, number: int) -> bool:
        assert self.workers[number].poll() is None, "a worker ended"
        machine, worker = divmod(number, WORKERS_EACH)
        var = self.machines[machine]
        path = var / "status" / f"{var.name}-{worker}.json"
        return path.exists() and read_status(path).state == "serving"

    async def _attempt(self, body: bytes) -> tuple[str, float | None]:
        self.port = self.random.choice(self.ports)
        return await super()._attempt(body)

    async def _kill(self, kills: int) -> None:
        await super()._kill(kills)
        if self.meanwhile is not None:
            await asyncio.to_thread(self.meanwhile, self.server)

    def charged(self) -> Decimal:
        """Stop everything, ship what is left; what is charged on both machines."""
        processes = list(self.workers.values())
        for worker in processes:
            worker.send_signal(signal.SIGTERM)
        for worker in processes:
            worker.wait(DEADLINE_S)
        for var in self.machines:
            until(lambda var=var: not any((var / "wal").glob("*/*.sealed")))  # type: ignore[misc]
        for clerk in self.clerks:
            clerk.send_signal(signal.SIGTERM)
            clerk.wait(DEADLINE_S)
        self.upstream.stop()
        view = self.rooms.book.view()
        total = Decimal(0)
        for var in self.machines:
            table = open_usage(var)
            cut = current_cut(table)
            certify(table, cut)
            rated = rate(
                hourly(table, cut),
                [one for versions in view.contracts.values() for one in versions],
                [one for versions in view.price_books.values() for one in versions],
            )
            assert not rated.unpriced
            total += sum((line.amount for line in rated.lines), Decimal(0))
        return total

    def kill_all(self) -> None:
        """Whatever happened."""
        for clerk in self.clerks:
            if clerk.poll() is None:
                clerk.kill()
                clerk.wait()
        super().kill_all()


def race(
    var: Path,
    server: RedisServer,
    *,
    seed: int,
    amount_minor: int,
    requests: int,
    kills: int,
    meanwhile: Callable[[RedisServer], None] | None = None,
    patience: int = 40,
    url: str = "",
) -> Decimal:
    """Run one race; the overrun in major units (negative where money is left)."""
    running = SharedRace(var, seed, amount_minor, server, url or server.url, meanwhile, patience)
    try:
        running.begin()
        ends = running.run(requests, kills)
        charged = running.charged()
    finally:
        running.kill_all()
    budget = Decimal(amount_minor).scaleb(-2)
    print(
        f"\nshared budget race: seed {seed}, 2 machines, {requests} concurrent requests,"
        f" {running.kills} kills: charged {charged} of {budget} USD ({charged / budget:.1%}),"
        f" ends {dict(ends)}"
    )
    assert running.kills == kills
    assert ends["200"] > 20
    return charged - budget


@pytest.mark.long
def test_two_machines_do_not_overrun_a_budget(tmp_path: Path, server: RedisServer) -> None:
    overrun = race(tmp_path, server, seed=5, amount_minor=300, requests=300, kills=2)
    assert -1 < overrun <= 0


def dies(server: RedisServer) -> None:
    """Killed, and started again with nothing."""
    server.kill()
    server.start()


def forgets(server: RedisServer) -> None:
    """Emptied."""
    with server.client() as client:
        client.flushall()


@pytest.mark.long
@pytest.mark.parametrize("meanwhile", [dies, forgets])
def test_no_fault_of_the_server_overruns_a_budget(
    tmp_path: Path, server: RedisServer, meanwhile: Callable[[RedisServer], None]
) -> None:
    overrun = race(
        tmp_path, server, seed=6, amount_minor=600, requests=400, kills=2, meanwhile=meanwhile
    )
    assert overrun <= 0


class Pair:
    """A primary and its replica behind one address."""

    def __init__(self, primary: RedisServer, folder: Path) -> None:
        self._first = primary
        self.servers = [primary, RedisServer(folder)]
        self.forwarder = Forwarder(primary)
        self.failovers = 0
        folder.mkdir()
        self.servers[1].start()
        self.servers[1].follow(primary)

    def dies(self, _: RedisServer) -> None:
        """The primary is killed, its replica takes its place, and it comes back as a replica."""
        old, new = self.servers
        old.kill()
        time.sleep(0.3)
        new.promote()
        self.forwarder.to(new)
        old.start()
        old.follow(new)
        self.servers = [new, old]
        self.failovers += 1

    def is_cut_off(self, _: RedisServer) -> None:
        """Nobody reaches the primary for a while, then its replica, and then it itself again.

        It knows nothing of what was said to the other one meanwhile.
        """
        old, new = self.servers
        self.forwarder.to(None)
        old.freeze()
        time.sleep(1)
        new.promote()
        self.forwarder.to(new)
        time.sleep(6)
        old.thaw()
        self.forwarder.to(old)
        time.sleep(1)
        new.follow(old)
        self.failovers += 1

    def stop(self) -> None:
        """Whatever happened; the first server belongs to somebody else."""
        self.forwarder.stop()
        for server in self.servers:
            server.thaw()
            if server is not self._first:
                server.kill()


@pytest.mark.long
@pytest.mark.parametrize("fault", [Pair.dies, Pair.is_cut_off])
def test_no_failover_to_a_replica_overruns_a_budget(
    tmp_path: Path, server: RedisServer, fault: Callable[[Pair, RedisServer], None]
) -> None:
    pair = Pair(server, tmp_path / "replica")
    try:
        overrun = race(
            tmp_path,
            server,
            seed=7,
            amount_minor=600,
            requests=400,
            kills=2,
            meanwhile=lambda server: fault(pair, server),
            url=pair.forwarder.url,
        )
    finally:
        pair.stop()
    assert pair.failovers >= 1
    assert overrun <= 0
