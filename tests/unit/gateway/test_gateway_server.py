"""The client connection's protocol, on a transport that only remembers."""

import asyncio
from typing import Any, cast

import pytest
from tests.unit.gateway.gateway_fakes import (
    HELLO,
    HELLO_STREAM,
    STREAM_HEAD,
    Bench,
    chat_request,
    chunked,
    delta,
    plain_response,
    raw_request,
)

from quartermaster.gateway.dispatch import Dispatcher
from quartermaster.gateway.relay_control import ControlExchange
from quartermaster.gateway.server import (
    BODY_BYTES_PER_S_MIN,
    LINGER_BYTES_MAX,
    LINGER_S,
    ClientConnection,
)
from quartermaster.gateway.settings import GatewaySettings

GET = raw_request("GET", "/healthz")
TIMEOUT_S = 10


class FakeTransport(asyncio.Transport):
    """Remembers what a protocol does with it."""

    def __init__(self) -> None:
        super().__init__()
        self.data = b""
        self.calls: list[str] = []
        self.buffered = 0

    def write(self, data: Any) -> None:
        """Bytes for the peer."""
        self.data += data

    def get_write_buffer_size(self) -> int:
        """Bytes that the peer has not taken."""
        return self.buffered

    def can_write_eof(self) -> bool:
        """As TCP can."""
        return True

    def write_eof(self) -> None:
        """Half closed."""
        self.calls.append("eof")

    def close(self) -> None:
        """Closed after the buffer is flushed."""
        self.calls.append("close")

    def abort(self) -> None:
        """Closed at once."""
        self.calls.append("abort")

    def is_closing(self) -> bool:
        """Closed, or about to be."""
        return "close" in self.calls or "abort" in self.calls

    def pause_reading(self) -> None:
        """Backlog."""
        self.calls.append("pause")

    def resume_reading(self) -> None:
        """No backlog."""
        self.calls.append("resume")


class Site:
    """A worker with one connection."""

    def __init__(self) -> None:
        self.bench = Bench(settings=GatewaySettings(client_timeout_s=TIMEOUT_S))
        self.dispatcher: Dispatcher = self.bench.dispatcher
        self.connections: set[ClientConnection] = set()
        self.connections_max = 2
        self.transport = FakeTransport()
        self.connection = ClientConnection(self)
        self.connection.connection_made(self.transport)

    def feed(self, data: bytes) -> None:
        """Bytes from the client."""
        self.connection.data_received(data)

    def answer(self, data: bytes) -> None:
        """Send the open requests upstream and let the upstream say this to the last one."""
        self.bench.turn()
        exchange = self.bench.dialled[-1][0]
        exchange.sent(self.bench.upstream)
        self.bench.parser.reset()
        self.bench.answer(exchange, data)

    def tick(self, now_s: float) -> None:
        """The worker's clock."""
        self.bench.relay.tick(now_s)
        self.connection.tick()

    @property
    def replies(self) -> int:
        """How many responses were written."""
        return self.transport.data.count(b"HTTP/1.1 200 OK")


def test_what_is_pipelined_waits_unread_until_the_first_is_answered() -> None:
    site = Site()
    site.feed(chat_request(HELLO))
    site.feed(GET[:10])
    site.feed(GET[10:])
    assert site.transport.calls == ["pause"]
    assert site.replies == 0
    site.answer(plain_response(b"{}"))
    site.bench.wal.sync()
    assert site.replies == 2
    assert site.transport.calls == ["pause", "resume"]
    assert site.transport.data.endswith(b'"snapshot_version":null}')


@pytest.mark.parametrize(
    ("path", "status"),
    [("/healthz", "200"), ("/v1/models", "200"), ("/nowhere", "404"), ("/v1/files", "405")],
)
def test_a_head_is_answered_without_a_body(path: str, status: str) -> None:
    """A body would be read as the beginning of the next answer."""
    site = Site()
    site.feed(raw_request("HEAD", path) + GET)
    first, _, rest = site.transport.data.partition(b"\r\n\r\n")
    assert first.startswith(b"HTTP/1.1 %b " % status.encode())
    assert int(first.partition(b"content-length: ")[2].partition(b"\r\n")[0]) > 0
    assert rest.startswith(b"HTTP/1.1 200 OK\r\n")


def test_two_chats_in_one_read_run_one_after_the_other() -> None:
    site = Site()
    site.feed(chat_request(HELLO) * 2)
    assert len(site.bench.wal.open) == 1
    site.answer(plain_response(b"{}"))
    site.bench.wal.sync()
    assert len(site.bench.wal.open) == 2
    site.answer(plain_response(b"{}"))
    site.bench.wal.sync()
    assert site.replies == 2


def test_nothing_after_connection_close_is_served() -> None:
    site = Site()
    site.feed(raw_request("GET", "/healthz", connection="close") + GET)
    assert site.replies == 1
    assert site.transport.calls == ["close"]


def test_a_refusal_lingers_so_that_it_can_be_read() -> None:
    site = Site()
    site.feed(b"nonsense\r\n\r\n")
    assert site.transport.data.startswith(b"HTTP/1.1 400 ")
    assert b"connection: close\r\n" in site.transport.data
    assert site.transport.calls == ["eof"]
    site.feed(b"x" * LINGER_BYTES_MAX)
    assert site.transport.calls == ["eof"]
    site.feed(b"x")
    assert site.transport.calls == ["eof", "abort"]


def test_a_lingering_connection_is_closed_after_a_moment() -> None:
    site = Site()
    site.feed(b"nonsense\r\n\r\n")
    site.tick(LINGER_S)
    assert site.transport.calls == ["eof"]
    site.tick(LINGER_S + 1)
    assert site.transport.calls == ["eof", "abort"]


def test_an_idle_connection_is_closed_without_a_word() -> None:
    site = Site()
    site.feed(GET)
    site.tick(TIMEOUT_S)
    assert site.transport.calls == []
    site.tick(TIMEOUT_S + 1)
    assert site.transport.calls == ["close"]
    assert site.replies == 1


def test_half_a_head_is_told_that_time_is_up_however_it_drips() -> None:
    site = Site()
    for second in range(TIMEOUT_S + 1):
        site.tick(float(second))
        site.feed(GET[second : second + 1])
    site.tick(TIMEOUT_S + 1)
    assert site.transport.data.startswith(b"HTTP/1.1 408 ")
    assert site.transport.calls == ["eof"]


def test_a_body_may_take_its_time_while_it_moves() -> None:
    site = Site()
    part = b" " * (BODY_BYTES_PER_S_MIN * TIMEOUT_S)
    request = raw_request("POST", "/v1/chat/completions", part * 9)
    site.feed(request[: request.index(b"\r\n\r\n") + 4])
    for look in range(1, 9):
        site.tick(look * TIMEOUT_S)
        site.feed(part)
    assert site.transport.data == b""
    # However much came: who says nothing for that long is late.
    site.tick(9 * TIMEOUT_S + 1)
    assert site.transport.data.startswith(b"HTTP/1.1 408 ")


@pytest.mark.parametrize("path", ["/v1/chat/completions", "/v1/messages"])
def test_a_body_that_drips_in_is_told_that_time_is_up(path: str) -> None:
    """A byte before each time-out kept the connection for as long as somebody liked."""
    site = Site()
    request = raw_request("POST", path, b" " * 1_000)
    body_at = request.index(b"\r\n\r\n") + 4
    site.feed(request[:body_at])
    for second in range(1, TIMEOUT_S + 1):
        site.tick(second)
        site.feed(b" ")
    assert site.transport.data == b""
    site.tick(TIMEOUT_S + 1)
    assert site.transport.data.startswith(b"HTTP/1.1 408 ")
    assert site.transport.data.endswith(b'"type":"error"}') is (path == "/v1/messages")
    assert site.transport.calls == ["eof"]
    assert site.bench.tallies.refusals == {"request_timeout": 1}


def test_a_file_that_the_api_takes_slowly_is_no_client_s_fault() -> None:
    site = Site()
    site.feed(raw_request("POST", "/v1/files", b" " * 1_000)[:-500])
    site.connection.upload = cast(ControlExchange, object())  # watches its client itself
    site.tick(2 * TIMEOUT_S)
    assert (site.transport.data, site.transport.calls) == (b"", [])


def test_the_second_body_of_a_connection_has_its_own_time() -> None:
    site = Site()
    request = chat_request(HELLO)
    body_at = request.index(b"\r\n\r\n") + 4
    for begins in (0, 5 * TIMEOUT_S):
        site.tick(begins)
        site.feed(request[:body_at])
        site.tick(begins + TIMEOUT_S)
        site.feed(request[body_at:])
        site.answer(plain_response(b"{}"))
        site.bench.wal.sync()
    assert site.replies == 2


def test_a_running_request_is_not_an_idle_connection() -> None:
    site = Site()
    site.feed(chat_request(HELLO))
    site.tick(5.0 * TIMEOUT_S)
    assert site.transport.calls == []
    assert site.connection.busy


def test_a_full_client_buffer_pauses_the_upstream() -> None:
    site = Site()
    site.feed(chat_request(HELLO_STREAM))
    site.answer(STREAM_HEAD + chunked(delta("x")))
    site.connection.pause_writing()
    site.connection.resume_writing()
    assert site.bench.upstream.calls == ["pause", "resume"]


def test_who_does_not_read_its_answers_gets_no_more_of_them() -> None:
    site = Site()
    site.feed(GET)
    site.connection.pause_writing()
    site.feed(GET * 3)
    site.feed(GET)
    assert site.replies == 1
    assert site.transport.calls == ["pause"]
    site.connection.resume_writing()
    assert site.replies == 5
    assert site.transport.calls == ["pause", "resume"]


def test_a_chat_waits_until_the_answer_before_it_was_taken() -> None:
    site = Site()
    site.feed(chat_request(HELLO) * 2)
    site.connection.pause_writing()
    site.answer(plain_response(b"{}"))
    site.bench.wal.sync()
    assert len(site.bench.wal.open) == 1
    site.connection.resume_writing()
    assert len(site.bench.wal.open) == 2


def test_answers_wait_for_a_slow_client_but_not_for_one_that_takes_nothing() -> None:
    site = Site()
    site.feed(chat_request(HELLO, connection="close"))
    site.tick(5.0 * TIMEOUT_S)
    site.answer(plain_response(b"{}"))
    site.transport.buffered = 100
    site.bench.wal.sync()
    for look, buffered in ((6, 100), (7, 99), (8, 1)):
        site.transport.buffered = buffered
        site.tick(look * (TIMEOUT_S + 1.0))
        assert site.transport.calls == ["close"]
    site.tick(9 * (TIMEOUT_S + 1.0))
    assert site.transport.calls == ["close", "abort"]
    site.connection.connection_lost(None)
    site.bench.turn()
    assert site.bench.wal.confirmed == []
    assert site.bench.relay.idle


def test_one_connection_too_many_is_hung_up_on() -> None:
    site = Site()
    transports = [FakeTransport(), FakeTransport()]
    for transport in transports:
        ClientConnection(site).connection_made(transport)
    assert [transport.calls for transport in transports] == [[], ["abort"]]
    assert len(site.connections) == 2
    assert site.bench.tallies.refusals == {"too_many_connections": 1}


def test_delivery_depends_on_how_the_connection_ended() -> None:
    for reason, confirmed in ((None, [1]), (ConnectionResetError(), [])):
        site = Site()
        site.feed(chat_request(HELLO, connection="close"))
        site.answer(plain_response(b"{}"))
        site.transport.buffered = 5
        site.bench.wal.sync()
        assert site.transport.calls == ["close"]
        site.connection.connection_lost(reason)
        site.bench.turn()
        assert site.bench.wal.confirmed == confirmed
        assert site.connections == set()


def test_draining_closes_what_is_idle_and_says_so_to_the_rest() -> None:
    site = Site()
    site.connection.close_if_idle()
    assert site.transport.calls == ["close"]
    site = Site()
    site.feed(chat_request(HELLO))
    site.dispatcher.draining = True
    site.connection.close_if_idle()
    assert site.transport.calls == []
    site.answer(plain_response(b"{}"))
    site.bench.wal.sync()
    assert site.transport.calls == ["close"]
