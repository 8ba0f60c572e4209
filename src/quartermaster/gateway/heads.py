"""Response heads as bytes: built from pre-encoded blocks, one join a response."""

from email.utils import formatdate
from http import HTTPStatus
from typing import Final

_STATUS_LINES: Final = {
    status.value: f"HTTP/1.1 {status.value} {status.phrase}\r\n".encode() for status in HTTPStatus
}
JSON: Final = b"application/json"
CONTINUE: Final = b"HTTP/1.1 100 Continue\r\n\r\n"
CHUNKS_END: Final = b"0\r\n\r\n"
_STREAM: Final = b"content-type: text/event-stream; charset=utf-8\r\ncache-control: no-cache\r\n"


def status_line(status: int) -> bytes:
    """The first line of a response; a status without a name gets an empty phrase."""
    return _STATUS_LINES.get(status) or b"HTTP/1.1 %d \r\n" % status


def date_header(unix_s: float) -> bytes:
    """The Date header line; the worker renews it once a second (RFC 9110, 6.6.1)."""
    return f"date: {formatdate(unix_s, usegmt=True)}\r\n".encode()


def connection_header(*, keep_alive: bool, http_1_0: bool) -> bytes:
    """What has to be said about the connection; nothing in the ordinary case."""
    if not keep_alive:
        return b"connection: close\r\n"
    return b"connection: keep-alive\r\n" if http_1_0 else b""


def plain(
    status: int,
    body: bytes,
    request_id: str,
    *,
    date: bytes,
    connection: bytes = b"",
    content_type: bytes = JSON,
    extra: bytes = b"",
) -> bytes:
    """A whole response with a length."""
    return b"%bcontent-type: %b\r\n%bx-request-id: %b\r\n%b%bcontent-length: %d\r\n\r\n%b" % (
        _STATUS_LINES.get(status) or status_line(status),
        content_type,
        date,
        request_id.encode(),
        connection,
        extra,
        len(body),
        body,
    )


def answer(
    status: int,
    body: bytes,
    request_id: str,
    processing_ms: int,
    date: bytes,
    connection: bytes,
    content_type: bytes,
) -> bytes:
    """A whole answer with a length, and how long it took to come."""
    return (
        b"%bcontent-type: %b\r\n%bx-request-id: %b\r\n%bopenai-processing-ms: %d\r\n"
        b"content-length: %d\r\n\r\n%b"
    ) % (
        _STATUS_LINES.get(status) or status_line(status),
        content_type,
        date,
        request_id.encode(),
        connection,
        processing_ms,
        len(body),
        body,
    )


def stream(
    request_id: str, *, date: bytes, connection: bytes, chunked: bool, processing_ms: int
) -> bytes:
    """The head of a server-sent event stream; HTTP/1.0 clients get it unchunked."""
    return b"%b%b%bx-request-id: %b\r\nopenai-processing-ms: %d\r\n%b%b\r\n" % (
        _STATUS_LINES[200],
        _STREAM,
        date,
        request_id.encode(),
        processing_ms,
        connection,
        b"transfer-encoding: chunked\r\n" if chunked else b"",
    )


def chunk(data: bytes) -> bytes:
    """One chunk of a chunked body; never empty, because an empty chunk ends the body."""
    return b"%x\r\n%b\r\n" % (len(data), data)
