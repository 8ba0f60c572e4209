"""`/metrics` on a port of its own: the whole machine's counters, from any worker that is alive.

The port is apart from the customers' and on loopback by default. Every worker listens on it and
answers from the files of all, so that a scrape is complete whichever of them takes it.
"""

import asyncio
import socket
from pathlib import Path
from typing import Final
from urllib.parse import parse_qs

from quartermaster.gateway.metrics_file import all_metrics
from quartermaster.gateway.metrics_text import CONTENT_TYPE, exposition
from quartermaster.gateway.settings import GatewaySettings
from quartermaster.gateway.status import read_status
from quartermaster.kernel.clock import Clock, Instant
from quartermaster.kernel.errors import IntegrityError, UnavailableError

# A scrape's head has some 300 bytes; nobody sends a body.
HEAD_BYTES_MAX: Final = 8 * 1024
# Scrapers give up after ten seconds; one that sends nothing is not waited for.
TIMEOUT_S: Final = 5.0
BACKLOG: Final = 16
_PATH: Final = "/metrics"


def machine_text(var: Path, now: Instant, *, by_worker: bool) -> str:
    """The exposition of all workers of a data folder.

    Args:
        var: root of the data folder.
        now: microseconds UTC.
        by_worker: counters by worker instead of one sum.

    Raises:
        IntegrityError: a file of a worker cannot be read.
    """
    statuses = [read_status(path) for path in sorted((var / "status").glob("*.json"))]
    return exposition(all_metrics(var), statuses, now, by_worker=by_worker)


async def listen(
    settings: GatewaySettings, var: Path, clock: Clock, *, successor: bool = False
) -> asyncio.Server | None:
    """Listen where the settings say so; None where they do not.

    Args:
        settings: host and port.
        var: root of the data folder.
        clock: microseconds UTC.
        successor: whether a worker that hands over to this one still listens.

    Raises:
        UnavailableError: the port is taken.
    """
    if not settings.metrics_port:
        return None

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            async with asyncio.timeout(TIMEOUT_S):
                head = await reader.readuntil(b"\r\n\r\n")
                status, kind, body = await asyncio.to_thread(respond, head, var, clock())
                writer.write(_response(status, kind, body, head.startswith(b"HEAD ")))
                await writer.drain()
        except (OSError, TimeoutError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            # Who does not speak HTTP, or not in time, is hung up on.
            pass
        finally:
            writer.close()

    host, port = settings.metrics_host, settings.metrics_port
    try:
        if settings.workers == 1 and not successor:
            # A port is shared by workers of one installation, never with another one's.
            _require_alone(host, port)
        return await asyncio.start_server(
            answer, host, port, limit=HEAD_BYTES_MAX, backlog=BACKLOG, reuse_port=True
        )
    except OSError as error:
        raise UnavailableError(
            f"the gateway cannot listen on {host}:{port} for metrics: {error.strerror}",
            hint="set gateway.metrics_port to a free port, or to 0 for none",
        ) from error


def _require_alone(host: str, port: int) -> None:
    """Raise OSError where somebody else listens."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        probe.bind((host, port))


def respond(head: bytes, var: Path, now: Instant) -> tuple[int, str, bytes]:
    """Status, content type and body for a request's head."""
    method, _, rest = head.partition(b"\r\n")[0].decode("latin-1").partition(" ")
    target = rest.rpartition(" ")[0]
    path, _, query = target.partition("?")
    if path != _PATH:
        return 404, "text/plain", b"metrics are at /metrics\n"
    if method not in ("GET", "HEAD"):
        return 405, "text/plain", b"use GET\n"
    by_worker = parse_qs(query).get("by") == ["worker"]
    try:
        text = machine_text(var, now, by_worker=by_worker)
    except (IntegrityError, OSError) as error:
        return 500, "text/plain", f"{error}\n".encode()
    return 200, CONTENT_TYPE, text.encode()


_REASONS: Final = {200: "OK", 404: "Not Found", 405: "Method Not Allowed", 500: "Internal Error"}


def _response(status: int, kind: str, body: bytes, only_head: bool) -> bytes:
    head = (
        f"HTTP/1.1 {status} {_REASONS[status]}\r\ncontent-type: {kind}\r\n"
        f"content-length: {len(body)}\r\nconnection: close\r\n\r\n"
    ).encode()
    return head if only_head else head + body
