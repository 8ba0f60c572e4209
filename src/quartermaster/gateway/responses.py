"""Sans-IO core of the upstream side: bytes in, one response at a time out."""

from typing import Final

import httptools

from quartermaster.gateway.repeated_answer import RepeatedAnswer
from quartermaster.kernel.errors import UpstreamError

# Model servers answer with a dozen short headers; beyond this the peer is not an HTTP server.
HEAD_BYTES_MAX: Final = 64 * 1024
_OTHER: Final = 0
_TYPE: Final = 1
_FRAMING: Final = 2
_RETRY: Final = 3
_ENCODING: Final = 4
_RETRY_MS: Final = 5
_WATCHED: Final = {
    "content-type": _TYPE,
    "content-length": _FRAMING,
    "transfer-encoding": _FRAMING,
    "retry-after": _RETRY,
    "retry-after-ms": _RETRY_MS,
    "content-encoding": _ENCODING,
    "server": _OTHER,
    "date": _OTHER,
    "connection": _OTHER,
    "cache-control": _OTHER,
    "x-request-id": _OTHER,
}
# Both usual spellings, so that most headers need no lower-casing.
_CODES: Final = {
    spelling.encode(): code for name, code in _WATCHED.items() for spelling in (name, name.title())
}
_FIRST_FINAL_STATUS: Final = 200
_BODILESS: Final = frozenset((204, 304))
_OK: Final = 200
_MS: Final = 0.001
# A server whose every head differs must not be learned from for ever: each time costs a parse.
HEADS_LEARNED_MAX: Final = 8


class ResponseParser:
    """Parses the responses of one keep-alive connection, one after another."""

    __slots__ = (
        "_framed",
        "_heads_learned",
        "_parser",
        "_parts",
        "_quiet_bytes",
        "_repeated",
        "body_bytes",
        "complete",
        "content_type",
        "encoded",
        "head_done",
        "keep_alive",
        "retry_after",
        "retry_after_ms",
        "started",
        "status",
    )

    def __init__(self) -> None:
        self._parts: list[bytes] = []
        self._repeated: RepeatedAnswer | None = None
        self._heads_learned = 0
        self.reset()
        self._parser = httptools.HttpResponseParser(self)

    def reset(self) -> None:
        """Ready for the next response on the same connection."""
        self._parts.clear()
        self._framed = False
        self._quiet_bytes = 0
        self.body_bytes = 0
        self.started = False
        self.head_done = False
        self.complete = False
        self.keep_alive = False
        self.status = 0
        self.content_type = b""
        self.retry_after = b""
        self.retry_after_ms = b""
        self.encoded = False

    @property
    def wait_s(self) -> float | None:
        """For how long the server asked to be left alone; None where it did not say, or a date."""
        for value, unit_s in ((self.retry_after_ms, _MS), (self.retry_after, 1.0)):
            number = value.strip()
            # What float() takes beside digits (nan, inf, underscores) is no time.
            if number.replace(b".", b"", 1).removeprefix(b"-").isdigit():
                return max(float(number) * unit_s, 0.0)
        return None

    @property
    def retry_lines(self) -> bytes:
        """What the server said of when to come back, as header lines; most often nothing."""
        lines = b"retry-after: %b\r\n" % self.retry_after if self.retry_after else b""
        if self.retry_after_ms:
            lines += b"retry-after-ms: %b\r\n" % self.retry_after_ms
        return lines

    def feed(self, data: bytes) -> None:
        """Take bytes; then look at `head_done`, `take_body()` and `complete`.

        Raises:
            UpstreamError: not HTTP, a head without end, or bytes after the response.
        """
        if self.complete:
            raise UpstreamError("the model server sent bytes after its response")
        if self.started:
            self._parse(data)
            return
        self.started = True
        self._parse(data)
        if self._heads_learned < HEADS_LEARNED_MAX:
            self._learn(data)

    def whole(self, data: bytes) -> tuple[bytes, bytes] | None:
        """Body and content type, when the data is one whole 200 answer like one before; else None.

        Such an answer leaves no trace here: the parser is ready for the next one.
        """
        repeated = self._repeated
        if repeated is None or self.started:
            return None
        body = repeated.body_of(data)
        return None if body is None else (body, repeated.content_type)

    def _learn(self, data: bytes) -> None:
        """Know this head again, if the data was one ordinary answer and nothing else."""
        if self.complete and self.keep_alive and self.status == _OK and not self.encoded:
            self._heads_learned += 1
            self._repeated = RepeatedAnswer.learn(data, self.content_type)

    def _parse(self, data: bytes) -> None:
        self._quiet_bytes += len(data)
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade as error:
            raise UpstreamError("the model server tried to upgrade the connection") from error
        except httptools.HttpParserError as error:
            if isinstance(error.__context__, UpstreamError):
                raise error.__context__ from None
            raise UpstreamError(f"the model server does not answer in HTTP: {error}") from error
        if self._quiet_bytes > HEAD_BYTES_MAX:
            raise UpstreamError("the model server's response head does not end")

    def eof(self) -> bool:
        """The peer closed: whether that completes the response (no length, no chunks)."""
        if self.head_done and not self.complete and not self._framed:
            self.complete = True
            self.keep_alive = False
        return self.complete

    def take_body(self) -> bytes:
        """The body bytes since the last call."""
        parts = self._parts
        if not parts:
            return b""
        body = parts[0] if len(parts) == 1 else b"".join(parts)
        parts.clear()
        return body

    # Callbacks of httptools.

    def on_message_begin(self) -> None:
        """The first byte of a response, or of its interim head; nothing may follow the answer."""
        if self.complete:
            raise UpstreamError("the model server sent bytes after its response")

    def on_header(self, name: bytes, value: bytes) -> None:
        """Keep the few headers that the relay needs; trailers are ignored."""
        code = _CODES.get(name)
        if code is None:
            code = _CODES.get(name.lower(), _OTHER)
        if code == _OTHER or self.head_done:
            return
        if code == _FRAMING:
            self._framed = True
        elif code == _TYPE:
            self.content_type = value
        elif code == _ENCODING:
            self.encoded = value.lower() != b"identity"
        elif code == _RETRY:
            self.retry_after = value
        else:
            self.retry_after_ms = value

    def on_headers_complete(self) -> None:
        """The head is whole; an interim 1xx head is not the answer yet."""
        self._quiet_bytes = 0
        status = self._parser.get_status_code()
        if status < _FIRST_FINAL_STATUS:
            return
        self.status = status
        self.head_done = True
        if status in _BODILESS:
            self._framed = True

    def on_body(self, part: bytes) -> None:
        """Part of the body."""
        self._quiet_bytes = 0
        self.body_bytes += len(part)
        self._parts.append(part)

    def on_message_complete(self) -> None:
        """The response is whole, unless it was an interim one or ends with the connection."""
        self._quiet_bytes = 0
        if not self.head_done:
            self._framed = False
            self.content_type = self.retry_after = self.retry_after_ms = b""
            self.encoded = False
            return
        self.complete = True
        self.keep_alive = self._parser.should_keep_alive()
