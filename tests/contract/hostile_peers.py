"""Broken bytes on real sockets: hostile clients and a hostile model server around one gateway.

Each case is one connection. It ends with answers that are HTTP, none of them a 500, and is closed
in time, whatever the two said; the gateway must say nothing on stderr and lose no usage row.
"""

import asyncio
import itertools
import random
from collections import Counter
from pathlib import Path
from typing import NamedTuple

from tests.contract.gateway_process import DEADLINE_S, Gateway
from tests.property.fuzz_cases import answer_bytes, http_bytes, pieces

from quartermaster.gateway.responses import ResponseParser
from quartermaster.kernel.contract import Standing
from quartermaster.kernel.errors import UpstreamError
from quartermaster.kernel.snapshot import Deployment, KeyGrant, Snapshot, write

# A client that says nothing more is waited for this long by the gateway; here it need not be long.
PATIENCE_S = 1
# Silence after which the client hangs up its half, as no ordinary client does.
QUIET_S = 0.2
# What has not ended by now is stuck. Each patience above is a second; the rest is room for a
# machine that stops a process for a minute to do something else.
STUCK_S = 120.0
AT_ONCE = 64
# Of the model server's faults; any other of its own would be one of the gateway.
SERVER_ERRORS = frozenset((502, 503, 504))


class StuckOrBrokenError(Exception):
    """A case that did not end as it must; its seed repeats what both sides said."""


class Ended(NamedTuple):
    """What came of all cases."""

    cases: int
    statuses: Counter[int]
    asked: int
    """How often the model server was asked."""


class HostileGateway(Gateway):
    """One gateway whose model server speaks every dialect badly."""

    def __init__(self, var: Path, upstream_port: int) -> None:
        self.said = var.parent / f"{var.name}.stderr"
        self.stderr = self.said.open("w")
        patience = ("client_timeout_s", "first_byte_timeout_s", "idle_timeout_s")
        super().__init__(var, upstream_port, dict.fromkeys(patience, PATIENCE_S))

    def publish(self, *grants: KeyGrant, standing: dict[str, Standing] | None = None) -> int:
        """One model at servers of every dialect, so that requests take every way."""
        del grants, standing
        root = f"http://127.0.0.1:{self.upstream_port}"
        deployments = (
            Deployment("chat@bad", "talk", f"{root}/v1", "theirs", "secrets/upstream"),
            Deployment(
                "claude@bad", "talk", f"{root}/v1", "t", "secrets/upstream", api="anthropic"
            ),
        )
        write(self.var / "snapshot.json", Snapshot(1, 0, (self.grant(self.key),), {}, deployments))
        return 1


class HostileServer:
    """Answers whatever it is sent with broken answers; keeps half of its connections."""

    def __init__(self, seed: int) -> None:
        self._chances = (random.Random(f"{seed}:answer:{n}") for n in itertools.count())
        self.asked = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection."""
        try:
            while await reader.read(65_536):
                self.asked += 1
                chance = next(self._chances)
                for piece in pieces(chance, answer_bytes(chance)):
                    if not writer.is_closing():
                        writer.write(piece)
                await writer.drain()
                if chance.randrange(2):
                    break
        except (ConnectionError, asyncio.CancelledError):
            pass  # the gateway hung up, or all cases are over
        finally:
            writer.close()


def statuses(data: bytes) -> list[int]:
    """The statuses of the answers in these bytes.

    Raises:
        UpstreamError: they are no HTTP.
    """
    found = []
    parser = ResponseParser()
    rest = data
    while rest:
        # Byte by byte, because the next answer may begin anywhere.
        for at in range(len(rest)):
            parser.feed(rest[at : at + 1])
            if parser.complete:
                rest = rest[at + 1 :]
                break
        else:
            break
        if parser.status >= 200:
            found.append(parser.status)
        parser = ResponseParser()
    if parser.head_done:
        found.append(parser.status)
    return found


async def one_case(gateway: Gateway, case: str) -> list[int]:
    """One connection of a hostile client; the statuses that it read."""
    chance = random.Random(case)
    data = http_bytes(chance).replace(b"KEY", gateway.key.encode())
    seen = bytearray()
    reader, writer = await asyncio.open_connection("127.0.0.1", gateway.port)
    try:
        for piece in pieces(chance, data):
            writer.write(piece)
            if writer.is_closing():
                break
        async with asyncio.timeout(STUCK_S):
            hung_up = False
            while True:
                try:
                    async with asyncio.timeout(None if hung_up else QUIET_S):
                        some = await reader.read(65_536)
                except TimeoutError:
                    hung_up = True
                    writer.write_eof()
                    continue
                if not some:
                    break
                seen += some
    except TimeoutError as error:
        raise StuckOrBrokenError(f"case {case}: no end; so far {bytes(seen)!r}") from error
    except OSError:
        pass  # reset by the gateway, or gone before our half was hung up
    finally:
        writer.close()
    try:
        found = statuses(bytes(seen))
    except UpstreamError as error:
        raise StuckOrBrokenError(f"case {case}: no HTTP: {bytes(seen)!r}") from error
    if any(status >= 500 and status not in SERVER_ERRORS for status in found):
        raise StuckOrBrokenError(f"case {case}: {found}: {bytes(seen)!r}")
    return found


async def _cases(var: Path, cases: int, seed: int) -> Ended:
    hostile = HostileServer(seed)
    server = await asyncio.start_server(hostile.serve, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    gateway = await asyncio.to_thread(HostileGateway, var, port)
    found: Counter[int] = Counter()
    numbers = iter(range(cases))

    async def worker() -> None:
        for number in numbers:
            found.update(await one_case(gateway, f"{seed}:{number}"))

    try:
        async with asyncio.TaskGroup() as group:
            for _ in range(AT_ONCE):
                group.create_task(worker())
        await _idle(gateway)
        rows = await asyncio.to_thread(gateway.stop)
    finally:
        server.close()
        if gateway.process.poll() is None:
            gateway.process.kill()
            gateway.process.communicate()
    # Who leaves while the disk syncs leaves a closed row of which nobody knows whether it arrived.
    if any(row.status == "aborted" for row in rows):
        raise StuckOrBrokenError(f"seed {seed}: a request was opened and not closed")
    if (said := gateway.said.read_text("utf-8")) != "":
        raise StuckOrBrokenError(f"seed {seed}: the gateway said {said[-2_000:]}")
    return Ended(cases, found, hostile.asked)


async def _idle(gateway: Gateway) -> None:
    """Nothing may stay open behind clients that are gone."""
    async with asyncio.timeout(DEADLINE_S):
        while gateway.status.in_flight or gateway.status.connections:
            await asyncio.sleep(0.1)


def run_hostile(var: Path, cases: int, seed: int) -> Ended:
    """Try that many connections.

    Raises:
        StuckOrBrokenError: one of them did not end as it must.
    """
    try:
        return asyncio.run(_cases(var, cases, seed))
    except ExceptionGroup as group:
        raise group.exceptions[0] from None
