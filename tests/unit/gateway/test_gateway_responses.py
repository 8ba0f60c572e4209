"""The sans-IO core of the upstream side."""

import pytest
from tests.unit.gateway.gateway_fakes import plain_response

from quartermaster.gateway.responses import HEAD_BYTES_MAX, ResponseParser
from quartermaster.kernel.errors import UpstreamError


def test_two_responses_on_one_connection() -> None:
    parser = ResponseParser()
    parser.feed(plain_response(b'{"a":1}', "200 OK", "retry-after: 3"))
    assert (parser.status, parser.complete, parser.keep_alive) == (200, True, True)
    assert (parser.retry_after, parser.content_type) == (b"3", b"application/json")
    assert parser.take_body() == b'{"a":1}'
    parser.reset()
    parser.feed(plain_response(b"", "503 Busy", "connection: close"))
    assert (parser.status, parser.complete, parser.keep_alive) == (503, True, False)
    assert parser.retry_after == b""


def test_a_response_byte_by_byte() -> None:
    parser = ResponseParser()
    data = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n"
    for at in range(len(data)):
        assert not parser.complete
        parser.feed(data[at : at + 1])
    assert parser.complete
    assert parser.take_body() == b"abcde"


def test_interim_responses_are_skipped() -> None:
    parser = ResponseParser()
    parser.feed(b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nretry-after: 9\r\n\r\n")
    assert not parser.head_done
    parser.feed(plain_response(b"x"))
    assert (parser.status, parser.take_body(), parser.retry_after) == (200, b"x", b"")


def test_only_a_body_without_framing_ends_with_the_connection() -> None:
    parser = ResponseParser()
    parser.feed(b"HTTP/1.1 200 OK\r\n\r\nabc")
    assert not parser.complete
    assert parser.eof()
    assert (parser.take_body(), parser.keep_alive) == (b"abc", False)
    for framing in (b"content-length: 9", b"transfer-encoding: chunked"):
        parser = ResponseParser()
        parser.feed(b"HTTP/1.1 200 OK\r\n" + framing + b"\r\n\r\n")
        assert not parser.eof()
    assert not ResponseParser().eof()


@pytest.mark.parametrize(
    "data",
    [
        b"SSH-2.0-OpenSSH\r\n",
        b"HTTP/1.1 200 OK\r\ncontent-length: 1\r\ntransfer-encoding: chunked\r\n\r\n",
        plain_response(b"x") + b"y",
        plain_response(b"x") * 2,
        b"HTTP/1.1 200 OK\r\nx: " + b"y" * HEAD_BYTES_MAX,
        b"HTTP/1.1 101 Switching\r\nconnection: upgrade\r\nupgrade: x\r\n\r\n",
    ],
)
def test_what_is_no_single_response_is_an_upstream_error(data: bytes) -> None:
    with pytest.raises(UpstreamError):
        ResponseParser().feed(data)


def test_bytes_after_a_complete_response_are_an_upstream_error() -> None:
    parser = ResponseParser()
    parser.feed(plain_response(b"x"))
    with pytest.raises(UpstreamError, match="after its response"):
        parser.feed(b"y")
