"""Real gateway workers and a real clerk race for one budget, while workers are killed."""

import asyncio
import json
import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from contextlib import suppress
from decimal import Decimal
from pathlib import Path
from typing import Any

from tests.contract.gateway_process import free_port, until

from quartermaster.app.rooms import Rooms
from quartermaster.billing.rate import rate
from quartermaster.book.pepper import load_pepper
from quartermaster.commands import budget as budgets
from quartermaster.commands import contract as contracts
from quartermaster.commands import key as keys
from quartermaster.commands import price_book as price_books
from quartermaster.commands.budget_shown import states_path
from quartermaster.commands.customer import add_customer
from quartermaster.commands.deployment import set_deployment
from quartermaster.commands.publish import publish
from quartermaster.config import Settings
from quartermaster.gateway.status import read_status
from quartermaster.kernel.clock import US_PER_HOUR, Instant
from quartermaster.kernel.contract import Contract, Customer
from quartermaster.kernel.events import DeploymentSet
from quartermaster.kernel.price import Price, PriceBook
from quartermaster.usage.cut import certify, current_cut
from quartermaster.usage.query import hourly

WORKERS = 4
DEADLINE_S = 60.0
SHIP_DEADLINE_S = 180.0
"""A clerk that shares two processors with eight others ships a hundred segments in a minute."""
TRY_AGAIN_S = 0.2
CAP = 512
PRICES = (Price("m", "input", "10.00"), Price("m", "output", "30.00"))

# What runs as a worker or as the clerk: the product, with a bug where one is planted.
PROCESS = """
import sys
from quartermaster.cli.main import run
{planted}
sys.exit(run(sys.argv[1:]))
"""


class OverReporting:
    """A model server that answers late, breaks off, and claims up to three times of what it may.

    Args:
        seed: of every answer.
    """

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)
        self.answered = 0
        self.uncapped = 0
        self.port = 0
        self._loop = asyncio.new_event_loop()
        self._ready = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def start(self) -> None:
        """Serve in a thread."""
        self._thread.start()
        assert self._ready.wait(DEADLINE_S)

    def stop(self) -> None:
        """Serve nobody any more."""
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(DEADLINE_S)

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        server = self._loop.run_until_complete(
            asyncio.start_server(self._serve, "127.0.0.1", 0, backlog=2_048)
        )
        self.port = server.sockets[0].getsockname()[1]
        self._ready.set()
        self._loop.run_forever()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(ConnectionError, asyncio.IncompleteReadError):
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).lower()
                length = int(head.partition(b"content-length:")[2].partition(b"\r\n")[0])
                asked = json.loads(await reader.readexactly(length))
                await asyncio.sleep(self._random.uniform(0, 0.1))
                writer.write(self._answer(asked))
                await writer.drain()
        writer.close()

    def _answer(self, asked: dict[str, Any]) -> bytes:
        self.answered += 1
        cap = asked.get("max_tokens")
        if cap is None:
            self.uncapped += 1
            cap = CAP
        most = cap * asked.get("n", 1)
        usage = {
            "prompt_tokens": self._random.randrange(20, 4_000),
            "completion_tokens": self._random.randrange(3 * most),
        }
        choice = {"index": 0, "finish_reason": "stop", "message": {"content": "Hi"}}
        if not asked.get("stream"):
            body = json.dumps({"id": "c", "choices": [choice], "usage": usage}).encode()
            head = (
                b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n"
            )
            return head % len(body) + body
        delta: dict[str, Any] = {
            "choices": [{"index": 0, "delta": {"content": "Hi"}, "finish_reason": None}]
        }
        last: dict[str, Any] = {"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]}
        frames = [delta] * self._random.randrange(1, 20)
        if self._random.random() < 0.8:
            frames += [last, {"choices": [], "usage": usage}]
        body = b"".join(b"data: %b\n\n" % json.dumps({"id": "c", **one}).encode() for one in frames)
        done = b"data: [DONE]\n\n" if len(frames) > 1 and frames[-1] is not delta else b""
        return (
            b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ncontent-length: %d\r\n\r\n"
            % len(body + done)
            + body
            + done
        )


class Race:
    """One budget, its gateway workers and the clerk.

    Args:
        var: the data folder.
        seed: of the requests, the answers and the kills.
        amount_minor: of the budget, in cents.
        planted: source of a bug that every process gets.
        patience: how often a client tries again.
    """

    def __init__(
        self, var: Path, seed: int, amount_minor: int, planted: str = "", patience: int = 12
    ) -> None:
        self.var = var
        self.random = random.Random(seed)
        self.amount_minor = amount_minor
        self.planted = planted
        self.port = free_port()
        self.upstream = OverReporting(seed)
        self.upstream.start()
        self.rooms = Rooms(Settings(var=str(var)))
        self.workers: dict[int, subprocess.Popen[bytes]] = {}
        self.clerk: subprocess.Popen[bytes] | None = None
        self.kills = 0
        self.patience = patience
        self.key = self._agree()

    def begin(self) -> None:
        """Start the clerk and all workers."""
        self.clerk = self._start("up", "--role", "clerk")
        for number in range(WORKERS):
            self.start_worker(number)
        for number in range(WORKERS):
            until(lambda number=number: self._serving(number))  # type: ignore[misc]
        until(lambda: states_path(self.var).exists())

    def _agree(self) -> str:
        book, actor, now = self.rooms.book, self.rooms.actor, self.rooms.now()
        hour = Instant(now - now % US_PER_HOUR)
        add_customer(book, actor, Customer("acme", "ACME", "acme"), now)
        price_books.publish(book, actor, PriceBook("list", 1, "USD", hour, PRICES), now)
        contracts.sign(book, actor, Contract("c", 1, "acme", "list", "USD", "UTC", hour), now)
        url = f"http://127.0.0.1:{self.upstream.port}/v1"
        axes = ("input", "output")
        deployment = DeploymentSet(name="m-mock", model="m", url=url, upstream_model="m", axes=axes)
        set_deployment(book, actor, deployment, now)
        pepper = load_pepper(self.var / "secrets" / "key_pepper")
        issued = keys.issue(book, actor, contract="c", pepper=pepper, now=now)
        terms = budgets.Terms(amount_minor=self.amount_minor, output_tokens=CAP)
        budgets.set_budget(book, actor, "group", "acme", terms, now)
        publish(book, self.var / "snapshot.json", now)
        return issued.secret

    def _start(self, *arguments: str) -> subprocess.Popen[bytes]:
        settings = {
            "GATEWAY__WORKERS": WORKERS,
            "GATEWAY__PORT": self.port,
            "USAGE__SEAL_SECONDS": 0.3,
            "CLERK__SHIP_SECONDS": 0.1,
        }
        environment = {f"QUARTERMASTER_{name}": str(value) for name, value in settings.items()}
        script = PROCESS.format(planted=self.planted)
        return subprocess.Popen(
            [sys.executable, "-c", script, "--var", str(self.var), *arguments],
            env={**os.environ, **environment},
        )

    def start_worker(self, number: int) -> None:
        """Start a worker, also again."""
        self.workers[number] = self._start("up", "--role", "gateway", "--worker", str(number))

    def _serving(self, number: int) -> bool:
        assert self.workers[number].poll() is None, "a worker ended"
        path = self.var / "status" / f"gateway-{number}.json"
        return path.exists() and read_status(path).state == "serving"

    # -- traffic -----------------------------------------------------------------------------------

    def body(self) -> bytes:
        """Any request: no cap, several answers, images, streams."""
        text = "word " * self.random.randrange(1, 200)
        content: Any = text
        if self.random.random() < 0.1:
            image = {"type": "image_url", "image_url": {"url": "https://x.io/a.png"}}
            content = [{"type": "text", "text": text}, image]
        asked: dict[str, Any] = {"model": "m", "messages": [{"role": "user", "content": content}]}
        if self.random.random() < 0.5:
            asked["max_tokens"] = self.random.randrange(1, 900)
        if self.random.random() < 0.3:
            asked["n"] = self.random.randrange(2, 5)
        if self.random.random() < 0.4:
            asked["stream"] = True
        return json.dumps(asked).encode()

    def run(self, requests: int, kills: int) -> Counter[str]:
        """All requests at once, while workers die; how each ended."""
        return asyncio.run(self._run(requests, kills))

    async def _run(self, requests: int, kills: int) -> Counter[str]:
        clients = [asyncio.create_task(self._client(self.body())) for _ in range(requests)]
        killer = asyncio.create_task(self._kill(kills))
        ends = Counter(await asyncio.gather(*clients))
        await killer
        return ends

    async def _client(self, body: bytes) -> str:
        """One client, as patient as an SDK, also where its worker dies; how it ended."""
        for _ in range(self.patience):
            end, wait_s = await self._attempt(body)
            if wait_s is None:
                return end
            await asyncio.sleep(wait_s)
        return "patience lost"

    async def _attempt(self, body: bytes) -> tuple[str, float | None]:
        try:
            reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        except OSError:
            return "refused connection", TRY_AGAIN_S
        try:
            writer.write(
                b"POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\nconnection: close\r\n"
                b"authorization: Bearer %b\r\ncontent-length: %d\r\n\r\n%b"
                % (self.key.encode(), len(body), body)
            )
            answer = await reader.read()
        except ConnectionError:
            return "killed", TRY_AGAIN_S
        finally:
            writer.close()
        head = answer.partition(b"\r\n\r\n")[0].lower()
        if not head:
            return "killed", TRY_AGAIN_S
        wait = head.partition(b"retry-after-ms: ")[2].partition(b"\r\n")[0]
        return head.split(b" ")[1].decode(), int(wait) / 1_000 if wait else None

    async def _kill(self, kills: int) -> None:
        for _ in range(kills):
            await asyncio.sleep(self.random.uniform(0.1, 0.6))
            number = self.random.randrange(WORKERS)
            self.workers[number].kill()
            self.workers[number].wait()
            self.kills += 1
            await asyncio.sleep(self.random.uniform(0, 0.3))
            self.start_worker(number)

    # -- the end -----------------------------------------------------------------------------------

    def settle(self) -> tuple[Decimal, int]:
        """Stop everything, ship what is left; what is charged, in major units, and rows cut."""
        for worker in self.workers.values():
            worker.send_signal(signal.SIGTERM)
        for worker in self.workers.values():
            worker.wait(DEADLINE_S)
        assert self.clerk is not None, "it has begun"
        deadline = time.monotonic() + SHIP_DEADLINE_S
        while any((self.var / "wal").glob("*/*.sealed")):
            assert self.clerk.poll() is None, "the clerk ended"
            assert time.monotonic() < deadline, "the logs were not shipped in time"
            time.sleep(0.05)
        self.clerk.send_signal(signal.SIGTERM)
        self.clerk.wait(DEADLINE_S)
        self.upstream.stop()
        table, view = self.rooms.usage, self.rooms.book.view()
        cut = current_cut(table)
        certify(table, cut)
        rated = rate(
            hourly(table, cut),
            [one for versions in view.contracts.values() for one in versions],
            [one for versions in view.price_books.values() for one in versions],
        )
        assert not rated.unpriced
        return sum((line.amount for line in rated.lines), Decimal(0)), len(rated.lines)

    def kill_all(self) -> None:
        """Whatever happened."""
        for process in (*self.workers.values(), self.clerk):
            if process is not None and process.poll() is None:
                process.kill()
                process.wait()
        self.rooms.book.close()


def race(
    var: Path,
    *,
    seed: int,
    amount_minor: int,
    requests: int,
    kills: int,
    planted: str = "",
    patience: int = 12,
) -> tuple[Decimal, Counter[str]]:
    """Run one race; the overrun in major units (negative where money is left), and the ends."""
    began = time.monotonic()
    running = Race(var, seed, amount_minor, planted, patience)
    try:
        running.begin()
        ends = running.run(requests, kills)
        charged, _ = running.settle()
    finally:
        running.kill_all()
    budget = Decimal(amount_minor).scaleb(-2)
    print(
        f"\nbudget race: seed {seed}, {WORKERS} workers, {requests} concurrent requests, "
        f"{running.kills} kills: charged {charged} of {budget} USD "
        f"({charged / budget:.1%}), {running.upstream.answered} answers, "
        f"{running.upstream.uncapped} without a cap, ends {dict(ends)}, "
        f"{time.monotonic() - began:.1f} s"
    )
    assert running.kills == kills
    assert running.upstream.uncapped == 0
    return charged - budget, ends
