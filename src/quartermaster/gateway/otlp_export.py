"""Spans on their way to a collector: a bounded queue, batches, a thread, and what was dropped.

The worker's loop only fills the queue. A thread encodes and sends, one batch at a time.
A collector that is away is asked again, ever more slowly; meanwhile the queue fills, and what does
not fit is dropped and counted: telemetry never makes a customer wait.
"""

import ssl
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from http.client import HTTPConnection, HTTPException, HTTPSConnection
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from quartermaster.gateway.otlp import Ended, Service, export
from quartermaster.kernel.errors import ConfigError
from quartermaster.usage.offload import Offload

# Some 1.5 KB a request in JSON: a body of this many stays under a megabyte.
BATCH_MAX: Final = 512
# A collector's restart takes seconds; at a thousand requests a second this bridges eight of them
# with some 10 MB.
QUEUE_MAX: Final = 8_192
# Collectors are near; one that takes longer is not taking.
TIMEOUT_S: Final = 5.0
# Between two attempts: doubled from the first to the last, so that a collector can come up.
RETRY_FIRST_S: Final = 1.0
RETRY_LAST_S: Final = 60.0
TRACES_PATH: Final = "/v1/traces"
DROPPED: Final = "spans"
# Collectors say these when they may take the same batch later (OTLP specification, "Retryable
# Response Codes"); everything else is for good.
_RETRYABLE: Final = frozenset((429, 502, 503, 504))

Threadsafe = Callable[[Callable[[], None]], object]
Send = Callable[[bytes], "str | None"]
"""Takes a body; returns None, or why it failed for good. Raises `TryAgainError` for the rest."""


class TryAgainError(Exception):
    """The collector did not take the batch, and may take it later."""


class Collector:
    """Sends bodies to a collector, by OTLP over HTTP.

    Args:
        endpoint: `http(s)://host[:port]`, to which `/v1/traces` is added, or a whole address.
        headers: sent with every request, such as the collector's key.

    Raises:
        ConfigError: the endpoint is no such address.
    """

    def __init__(self, endpoint: str, headers: Mapping[str, str]) -> None:
        parts = urlsplit(endpoint)
        try:
            port = parts.port
        except ValueError:
            port = -1
        if parts.scheme not in ("http", "https") or not parts.hostname or port == -1:
            raise ConfigError(
                f"gateway.otlp_endpoint = {endpoint!r} is no http(s) address",
                hint="write it as http://127.0.0.1:4318",
                field="gateway.otlp_endpoint",
            )
        self._host = parts.hostname
        self._port = port
        self._path = parts.path if parts.path not in ("", "/") else TRACES_PATH
        self._headers = {"content-type": "application/json", **headers}
        self._tls = ssl.create_default_context() if parts.scheme == "https" else None

    def send(self, body: bytes) -> str | None:
        """Send one batch; returns None, or why it was refused for good.

        Raises:
            TryAgainError: it may be taken later.
        """
        connection = self._connection()
        try:
            connection.request("POST", self._path, body, self._headers)
            response = connection.getresponse()
            response.read()
        except (OSError, HTTPException) as error:
            raise TryAgainError(f"the collector cannot be reached: {error}") from error
        finally:
            connection.close()
        if response.status in _RETRYABLE:
            raise TryAgainError(f"the collector answered {response.status}")
        return None if response.status < 300 else f"the collector answered {response.status}"

    def _connection(self) -> HTTPConnection:
        if self._tls is None:
            return HTTPConnection(self._host, self._port, timeout=TIMEOUT_S)
        return HTTPSConnection(self._host, self._port, timeout=TIMEOUT_S, context=self._tls)


class Exporter:
    """The queue. Every method runs on the loop's thread.

    Args:
        service: who exports.
        send: takes a body, in the thread.
        offload: the thread.
        threadsafe: brings a callback from the thread to the loop.
    """

    def __init__(
        self, service: Service, send: Send, offload: Offload, threadsafe: Threadsafe
    ) -> None:
        self.dropped = 0
        """Requests whose spans were not sent and never will be."""
        self.problem = ""
        """Why the last attempt failed; empty after one that did not."""
        self._service = service
        self._send = send
        self._offload = offload
        self._threadsafe = threadsafe
        self._queue: deque[Ended] = deque()
        self._sending: list[Ended] = []
        self._retry_s = 0.0
        self._not_before_s = 0.0
        self._now_s = 0.0
        self._away = False

    def take(self, ended: Ended) -> None:
        """Queue one request; the newest is dropped where there is no room."""
        if len(self._queue) >= QUEUE_MAX:
            self.dropped += 1
        else:
            self._queue.append(ended)

    def tick(self, monotonic_s: float) -> None:
        """Once a second: send what has gathered, unless a batch is under way or a failure fresh."""
        self._now_s = monotonic_s
        if not self._sending and monotonic_s >= self._not_before_s:
            self._begin()

    def stop(self) -> None:
        """Send what is left, once, and end the thread; what fails now, and after it, is lost."""
        while self._queue:
            batch = [self._queue.popleft() for _ in range(min(BATCH_MAX, len(self._queue)))]
            self._offload.submit(partial(self._last, batch))
        self._offload.stop()

    def _begin(self) -> None:
        if not self._queue:
            return
        self._sending = [self._queue.popleft() for _ in range(min(BATCH_MAX, len(self._queue)))]
        self._offload.submit(partial(self._run, self._sending))

    def _run(self, batch: Sequence[Ended]) -> None:
        """In the thread."""
        try:
            refused = self._send(export(batch, self._service))
            self._threadsafe(partial(self._done, refused))
        except TryAgainError as error:
            self._threadsafe(partial(self._again, str(error)))
        except Exception as error:  # noqa: BLE001 - told to the loop, which counts it
            self._threadsafe(partial(self._done, f"{type(error).__name__}: {error}"))

    def _last(self, batch: Sequence[Ended]) -> None:
        """In the thread, with nobody left to tell. One that is away is not waited for again."""
        refused: str | None = "away"
        if not self._away:
            try:
                refused = self._send(export(batch, self._service))
            except Exception:  # noqa: BLE001 - the worker ends, and the spans are counted as lost
                self._away = True
        if refused is not None:
            self.dropped += len(batch)

    def _done(self, refused: str | None) -> None:
        if refused is not None:
            self.dropped += len(self._sending)
        self.problem = refused or ""
        self._sending = []
        self._retry_s = 0.0
        if len(self._queue) >= BATCH_MAX:
            self._begin()

    def _again(self, why: str) -> None:
        self.problem = why
        self._queue.extendleft(reversed(self._sending))
        self._sending = []
        self._retry_s = min(max(self._retry_s * 2, RETRY_FIRST_S), RETRY_LAST_S)
        self._not_before_s = self._now_s + self._retry_s


def read_headers(path: Path) -> dict[str, str]:
    """Headers for the collector from a file of `name: value` lines: they are secrets.

    Raises:
        ConfigError: the file cannot be read, or a line is no header.
    """
    try:
        lines = path.read_text("ascii").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(
            f"the collector's headers cannot be read from {path}: {error}",
            hint="write one `name: value` a line",
            field="gateway.otlp_headers_file",
        ) from error
    found: dict[str, str] = {}
    for number, line in enumerate(lines, start=1):
        name, colon, value = (part.strip() for part in line.partition(":"))
        if not line.strip():
            continue
        if not colon or not name.replace("-", "").replace("_", "").isalnum() or not value:
            raise ConfigError(
                f"{path}, line {number}: this is no header",
                hint="write one `name: value` a line",
                field="gateway.otlp_headers_file",
            )
        found[name.lower()] = value
    return found
