"""Lines of batches on their way through the gateway, which meters them as every other request."""

import http.client
import socket
import threading
import time
from collections.abc import Callable
from typing import Final, Literal, NamedTuple

import msgspec

from quartermaster.app import own_gateway
from quartermaster.gateway.settings import GatewaySettings
from quartermaster.kernel.batch_run import PATH_PREFIX, BatchRun, sign
from quartermaster.kernel.clock import US_PER_S, Clock

ANSWER_TIMEOUT_S: Final = 900.0
"""Longer than the gateway waits for a model server by default: it is to give up first, because an
answer that nobody waits for is metered and lost."""
CREDENTIAL_S: Final = 60
"""It is checked when the request arrives, milliseconds after it was signed."""
IDLE_S: Final = 30.0
"""The gateway closes idle connections after 75 s; leaving first avoids the race."""
RETRY_AFTER_S_MAX: Final = 600.0
"""A longer wait is not believed: the window of a batch is a day."""

Sent = Literal["answered", "not_sent", "lost"]


class Outgoing(NamedTuple):
    """One line to be sent."""

    batch_id: str
    number: int
    attempt: int
    key_id: str
    request_id: str
    endpoint: str
    custom_id: str
    body: bytes


class Answered(NamedTuple):
    """What came of it. `lost`: it may have been metered, and the answer is not known."""

    line: Outgoing
    sent: Sent
    status: int = 0
    body: bytes = b""
    retry_after_s: float | None = None


Send = Callable[[Outgoing], Answered]


class GatewaySender:
    """Sends lines; each thread keeps a connection.

    Args:
        gateway: where it listens.
        pepper: signs what is sent.
        clock: microseconds UTC.
    """

    def __init__(self, gateway: GatewaySettings, pepper: bytes, clock: Clock) -> None:
        self._gateway, self._pepper, self._clock = gateway, pepper, clock
        self._mine = threading.local()
        self._connections: list[http.client.HTTPConnection] = []

    def send(self, line: Outgoing) -> Answered:
        """Send one line and wait for its answer."""
        connection = self._connection()
        try:
            if connection.sock is None:
                connection.connect()
        except OSError:
            connection.close()
            return Answered(line, "not_sent")
        try:
            connection.request("POST", _path(line.endpoint), line.body, self._headers(line))
            response = connection.getresponse()
            body = response.read()
        except (OSError, http.client.HTTPException):
            connection.close()
            return Answered(line, "lost")
        self._mine.used_s = time.monotonic()
        return Answered(line, "answered", response.status, body, _retry_after_s(response))

    def hang_up(self) -> None:
        """End what is on its way; the threads that wait for it go on at once."""
        for connection in list(self._connections):
            waiting = connection.sock
            if waiting is None:
                continue
            try:
                waiting.shutdown(socket.SHUT_RDWR)
            except OSError:
                continue  # the gateway has closed it already

    def _connection(self) -> http.client.HTTPConnection:
        known: http.client.HTTPConnection | None = getattr(self._mine, "connection", None)
        if known is None:
            known = own_gateway.connect(self._gateway, timeout_s=ANSWER_TIMEOUT_S)
            self._mine.connection = known
            self._connections.append(known)
        elif time.monotonic() - getattr(self._mine, "used_s", 0.0) > IDLE_S:
            known.close()
        return known

    def _headers(self, line: Outgoing) -> dict[str, str]:
        expires_at = self._clock() + CREDENTIAL_S * US_PER_S
        run = BatchRun(line.key_id, line.request_id, line.attempt, expires_at)
        return {
            "authorization": f"Bearer {sign(run, self._pepper)}",
            "content-type": "application/json",
        }


def _path(endpoint: str) -> str:
    return PATH_PREFIX + endpoint.removeprefix("/v1/")


def _retry_after_s(response: http.client.HTTPResponse) -> float | None:
    """Seconds to wait, as the gateway or a model server asks; dates are for caches."""
    for name, unit in (("retry-after-ms", 1_000), ("retry-after", 1)):
        try:
            value = msgspec.convert(response.headers.get(name, ""), float, strict=False)
        except msgspec.ValidationError:
            continue
        if 0 <= value <= RETRY_AFTER_S_MAX * unit:
            return value / unit
    return None
