"""The benches' own clients: quantiles, the access log's times, and whether a stream was whole."""

import socket
import threading
import time
from contextlib import suppress

from bench.gateway_parts.clients import (
    Answered,
    log_lines,
    open_loop,
    quantile,
    request_bytes,
    streams,
)
from bench.gateway_parts.upstream import frames
from bench.latency import compare


def test_a_quantile_is_a_value_that_was_measured() -> None:
    values = [float(n) for n in range(100)]
    assert [quantile(values, share) for share in (0.0, 0.5, 0.99, 1.0)] == [0, 50, 99, 99]


def test_refused_requests_have_no_times() -> None:
    text = '{"request_id":"a","duration_ms":3.5,"log_sync_ms":1.25}\n{"request_id":"b"}\n'
    assert log_lines(text) == {"a": {"request_id": "a", "duration_ms": 3.5, "log_sync_ms": 1.25}}


def test_the_sync_is_taken_from_each_request_before_they_arecompared() -> None:
    direct = [Answered("", 1.0, 200)] * 3
    through = [Answered("a", 3.0, 200), Answered("b", 9.0, 200), Answered("c", 4.0, 200)]
    rows = {"a": {"log_sync_ms": 1.0}, "b": {"log_sync_ms": 7.0}, "c": {"log_sync_ms": 1.0}}
    found = compare(direct, through, rows)
    assert (found["added_ms_p50"], found["added_ms_p99"]) == (3.0, 8.0)
    assert (found["besides_sync_ms_p50"], found["besides_sync_ms_p99"]) == (1.0, 2.0)


class Scripted:
    """A model server in a thread, whose answers the test writes."""

    def __init__(self, pieces: list[bytes]) -> None:
        self._pieces = pieces
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._socket.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                connection, _ = self._socket.accept()
                threading.Thread(target=self._answer, args=(connection,), daemon=True).start()

    def _answer(self, connection: socket.socket) -> None:
        with connection, suppress(OSError):
            while connection.recv(65_536):
                for piece in self._pieces:
                    time.sleep(0.01)
                    connection.sendall(piece)

    def close(self) -> None:
        """Accept nothing more."""
        self._socket.close()


def test_an_open_loop_counts_from_when_a_request_was_due() -> None:
    head = b"HTTP/1.1 200 OK\r\nX-Request-Id: req_A\r\ncontent-length: 2\r\n\r\n"
    server = Scripted([head, b"{}"])
    request = request_bytes("/v1", "k", "{}")
    found = open_loop(server.port, request, rate=200, seconds=0.05, connections=1)
    server.close()
    assert {(one.request_id, one.status) for one in found} == {("req_A", 200)}
    latencies = [one.latency_ms for one in found]
    assert len(latencies) == 10
    # One connection takes 20 ms a request, and one is due every 5 ms: the last waits for all.
    assert latencies[0] >= 20
    assert latencies[-1] >= 150


def test_a_stream_is_whole_only_with_its_last_frame() -> None:
    pieces = frames(3)
    request = request_bytes("/v1", "k", "{}")
    last = pieces[-1].partition(b"0\r\n\r\n")
    apart = Scripted([*pieces[:-1], last[0], last[1]])
    cut = Scripted([*pieces[:-1], b"0\r\n\r\n"])
    assert streams(apart.port, request, 2, 0.0).whole == 2
    assert streams(cut.port, request, 2, 0.0).whole == 0
    apart.close()
    cut.close()
