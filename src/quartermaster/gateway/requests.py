"""Sans-IO core of the client side: bytes in, whole requests or refusals out.

llhttp (through httptools) parses strictly, which refuses the shapes used for request smuggling
(Content-Length beside Transfer-Encoding, two lengths, bare line feeds). This core adds the limits
that llhttp does not have and never raises for anything a client can send.
"""

from typing import Final

import httptools
import msgspec

from quartermaster.gateway.refusals import refused
from quartermaster.gateway.repeated_head import RepeatedHead
from quartermaster.kernel.errors import RefusedError

UPLOADS: Final = frozenset((b"/v1/files", b"/openai/v1/files"))
"""Where a POST brings a file."""
# Requests that may wait behind one in flight; browsers and SDKs do not pipeline at all.
PIPELINED_MAX: Final = 64
# A client whose every head differs must not be learned from for ever: each time costs a parse.
HEADS_LEARNED_MAX: Final = 8

_OTHER: Final = 0
_HOST: Final = 1
_AUTHORIZATION: Final = 2
_LENGTH: Final = 3
_EXPECT: Final = 4
_CODING: Final = 5
_UPGRADE: Final = 6
_KEY: Final = 7
_TRACE: Final = 8
_FORWARDED: Final = 9
_TRACE_STATE: Final = 10
_AGENT: Final = 11
_WATCHED: Final = {
    "host": _HOST,
    "authorization": _AUTHORIZATION,
    "content-length": _LENGTH,
    "expect": _EXPECT,
    "transfer-encoding": _CODING,
    "upgrade": _UPGRADE,
    "api-key": _KEY,
    "x-api-key": _KEY,
    "traceparent": _TRACE,
    "tracestate": _TRACE_STATE,
    "x-forwarded-for": _FORWARDED,
    "user-agent": _AGENT,
}
# Headers that nearly every client sends and that say nothing to us.
_COMMON: Final = ("content-type", "accept", "accept-encoding", "connection")
# Both usual spellings, so that most headers need no lower-casing.
_CODES: Final = {
    spelling.encode(): code
    for name, code in (*_WATCHED.items(), *((name, _OTHER) for name in _COMMON))
    for spelling in (name, name.title())
}
# As far as anybody writes the name and version of a program.
AGENT_BYTES_MAX: Final = 256
# Behind a target stand at most these before the line ends.
_VERSION_BYTES: Final = len(b" HTTP/1.1\r")
_VERSIONS: Final = frozenset(("1.0", "1.1"))


class _StopParsingError(Exception):
    """Leaves llhttp from inside a callback; the refusal is already noted."""


class Request(msgspec.Struct):
    """One complete request, or the refusal that ends the connection."""

    method: bytes = b""
    target: bytes = b""
    authorization: bytes = b""
    body: bytes = b""
    keep_alive: bool = False
    http_1_0: bool = False
    refusal: RefusedError | None = None
    head: RepeatedHead | None = None
    """Where this head has come before on this connection."""
    traceparent: bytes = b""
    """Whose trace it belongs to, as the client says."""
    tracestate: bytes = b""
    """What tracing systems on its way noted, beside `traceparent`."""
    forwarded: bytes = b""
    """`X-Forwarded-For` as it came; of a head that was recognised it is in `head`."""


class RequestParser:
    """Parses one connection's requests.

    Args:
        head_bytes_max: bound of target plus headers, and of bytes without visible progress.
        body_bytes_max: bound of a body, checked on its declared length and while it streams in.
        upload_bytes_max: the same for a file, whose parts somebody takes as they arrive.
    """

    __slots__ = (
        "_begun",
        "_body_bytes",
        "_body_bytes_max",
        "_chunked",
        "_counting",
        "_expect",
        "_forwarded",
        "_head_bytes",
        "_head_bytes_max",
        "_head_done",
        "_heads_learned",
        "_http_1_0",
        "_key",
        "_ordinary",
        "_parser",
        "_parts",
        "_quiet_bytes",
        "_rare",
        "_ready",
        "_refusal",
        "_repeated",
        "_seen_host",
        "_target",
        "_traceparent",
        "_tracestate",
        "_upgrade",
        "_upload_bytes_max",
        "agent",
        "authorization",
        "broken",
        "wants_continue",
    )

    def __init__(
        self, *, head_bytes_max: int, body_bytes_max: int, upload_bytes_max: int = 0
    ) -> None:
        self._head_bytes_max = head_bytes_max
        self._body_bytes_max = body_bytes_max
        self._upload_bytes_max = upload_bytes_max
        self._ready: list[Request] = []
        self._refusal: RefusedError | None = None
        self._quiet_bytes = 0
        self.broken = False
        self.wants_continue = False
        self._parts: list[bytes] = []
        self._body_bytes = 0
        self._rare = True
        self._key = self._forwarded = self.agent = b""
        self._ordinary = False
        self._repeated: RepeatedHead | None = None
        self._heads_learned = 0
        self._begun = False
        self._clear()
        self._parser = httptools.HttpRequestParser(self)

    def _clear(self) -> None:
        self._target = b""
        self.authorization = b""
        self._head_done = False
        self._seen_host = False
        self._quiet_bytes = 0
        if self._rare:
            self._clear_rare()

    def _clear_rare(self) -> None:
        """Reset what an ordinary request leaves untouched."""
        self._rare = False
        self._head_bytes = 0
        self._counting = False
        self._http_1_0 = False
        self._expect = b""
        self._traceparent = b""
        self._tracestate = b""
        self._upgrade = False
        self._chunked = False

    @property
    def target(self) -> bytes:
        """The request target, as far as it has arrived."""
        return self._target

    @property
    def mid_request(self) -> bool:
        """Whether part of a request has arrived and the rest has not."""
        return bool(self._target) or self._quiet_bytes > 0

    @property
    def in_body(self) -> bool:
        """Whether the head has arrived and the body has not."""
        return self._head_done

    @property
    def body_bytes(self) -> int:
        """What has arrived of the body of the request whose head came last."""
        return self._body_bytes

    @property
    def uploading(self) -> bool:
        """Whether the body that is arriving is a file, which is not to be collected."""
        return (
            self._upload_bytes_max > 0
            and self._target.partition(b"?")[0] in UPLOADS
            and bytes(self._parser.get_method()) == b"POST"
        )

    @property
    def begun(self) -> Request:
        """The request of the head that has arrived, without its body."""
        return Request(
            bytes(self._parser.get_method()),
            self._target,
            self.authorization,
            keep_alive=True,
            http_1_0=self._http_1_0,
            forwarded=self._forwarded,
        )

    def take_parts(self) -> bytes:
        """What has arrived of a file since the last call."""
        data = b"".join(self._parts)
        self._parts.clear()
        return data

    def feed(self, data: bytes) -> list[Request]:
        """The requests that these bytes complete; a refusal is always the last one.

        After a refusal the parser is `broken` and takes nothing more.
        """
        if self.broken:
            return []
        # Two letters of a method behind a request are neither a target nor quiet, but have begun.
        at_boundary = not (self._begun or self._quiet_bytes)
        if at_boundary and (repeated := self._repeated) is not None:
            body = repeated.body_of(data, self._body_bytes_max)
            if body is not None:
                return [
                    Request(
                        b"POST",
                        repeated.target,
                        repeated.authorization,
                        body,
                        True,
                        False,
                        None,
                        repeated,
                    )
                ]
        ready = self._parse(data)
        if at_boundary and self._ordinary and self._heads_learned < HEADS_LEARNED_MAX:
            self._learn(data, ready)
        return ready

    def _learn(self, data: bytes, ready: list[Request]) -> None:
        """Know this head again, if the data was one ordinary request and nothing else."""
        request = ready[0] if len(ready) == 1 else None
        if request is not None and request.method == b"POST" and request.keep_alive:
            self._heads_learned += 1
            self._repeated = RepeatedHead.learn(data, request.target, request.authorization)
            if self._repeated is not None:
                self._repeated.forwarded = request.forwarded
                self._repeated.agent = self.agent

    def _parse(self, data: bytes) -> list[Request]:
        self._ordinary = False
        quiet_bytes = self._quiet_bytes + len(data)
        if quiet_bytes > self._head_bytes_max and not self._counting:
            # Only now can a head be too large: headers are counted one by one from here.
            self._rare = self._counting = True
            self._head_bytes = self._quiet_bytes
        self._quiet_bytes = quiet_bytes
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade:
            self._refusal = self._refusal or refused(
                "malformed_http", "This server does not upgrade connections."
            )
        except httptools.HttpParserError as error:
            cause = error.__context__
            if self._refusal is None and cause is not None:
                raise cause from None  # a defect of ours, not of the client
            self._refusal = self._refusal or refused(
                "malformed_http", f"The request is not valid HTTP: {error}."
            )
        if self._ready and self._counting and not self._head_done:
            self._quiet_bytes = self._head_bytes + self._unfinished_bytes(data)
        if self._refusal is None and self._quiet_bytes > self._head_bytes_max:
            self._refusal = self._too_many_headers()
        if self._refusal is not None:
            self.broken = True
            self.wants_continue = False
            # The target decides the dialect in which the refusal is told.
            self._ready.append(
                Request(target=self._target, http_1_0=self._http_1_0, refusal=self._refusal)
            )
        ready = self._ready
        if ready:
            self._ready = []
        return ready

    def _unfinished_bytes(self, data: bytes) -> int:
        """Bytes of a header line that these bytes begin and do not end."""
        line = data[data.rfind(b"\n") + 1 :]
        at = line.rfind(self._target)
        # Of a request line that is not whole, the target is counted as it comes.
        whole = at < 0 or len(line) - at - len(self._target) > _VERSION_BYTES
        return len(line) if whole and self._target else 0

    def stop(self) -> None:
        """Take nothing more; whatever arrives is dropped."""
        self.broken = True
        self.wants_continue = False
        self._parts.clear()

    def _stop(self, refusal: RefusedError) -> None:
        self._refusal = refusal
        raise _StopParsingError

    def _too_many_headers(self) -> RefusedError:
        return refused(
            "headers_too_large", f"The request head is larger than {self._head_bytes_max} bytes."
        )

    def _too_large(self) -> RefusedError:
        return refused(
            "request_too_large",
            f"The request body is larger than {self._body_bytes_max} bytes.",
            hint="Send fewer or shorter messages.",
        )

    # Callbacks of httptools, in the order in which llhttp calls them.

    def on_message_begin(self) -> None:
        """The first byte of a request."""
        self._begun = True
        self.agent = b""
        if self._ready:
            # Behind another one in the same read, whose size says nothing about this head.
            self._rare = self._counting = True
            self._head_bytes = 0

    def on_url(self, url: bytes) -> None:
        """Part of the request target."""
        self._target += url
        if self._counting:
            self._count(len(url))

    def on_header(self, name: bytes, value: bytes) -> None:
        """One header, or one trailer after a chunked body (counted, never used)."""
        if self._counting:
            self._count(len(name) + len(value))
        code = _CODES.get(name)
        if code is None:
            code = _CODES.get(name.lower(), _OTHER)
        if code == _OTHER or self._head_done:
            return
        if code == _HOST:
            if self._seen_host:
                self._stop(refused("malformed_http", "The request has two Host headers."))
            self._seen_host = True
        elif code == _AUTHORIZATION:
            if self.authorization:
                self._stop(refused("malformed_http", "The request has two Authorization headers."))
            self.authorization = value
        elif code == _LENGTH:
            self._check_length(value)
        elif code == _EXPECT:
            self._expect = value.lower()
            self._rare = True
        elif code == _CODING:
            self._chunked = self._rare = True
        elif code == _KEY:
            # Azure's and Anthropic's way to send a key; it counts where there is no bearer token.
            if self._key:
                self._stop(refused("malformed_http", "The request has two API key headers."))
            self._key = value
        elif code == _FORWARDED:
            self._forwarded = b"%b,%b" % (self._forwarded, value) if self._forwarded else value
        elif code == _TRACE:
            # Another with every request: such a head is not learned.
            self._traceparent = value
            self._rare = True
        elif code == _TRACE_STATE:
            self._tracestate = b"%b,%b" % (self._tracestate, value) if self._tracestate else value
            self._rare = True
        elif code == _AGENT:
            # Of the last head that was parsed; a head that is recognised knows its own.
            self.agent = value[:AGENT_BYTES_MAX]
        else:
            self._upgrade = self._rare = True

    def _count(self, size: int) -> None:
        self._head_bytes += size
        if self._head_bytes > self._head_bytes_max:
            self._stop(self._too_many_headers())

    def _check_length(self, value: bytes) -> None:
        # llhttp refuses lengths that are not digits or exceed 64 bits; here only the limit matters.
        if value.isdigit() and int(value) > self._body_bytes_max:
            self._too_long(int(value))

    def _too_long(self, size: int) -> None:
        """Longer than other bodies may be: only a file may go on, up to its own bound."""
        if size > self._upload_bytes_max or not self.uploading:
            self._stop(self._too_large())

    def on_headers_complete(self) -> None:
        """The head is whole: refuse what can be refused before the body."""
        self._head_done = True
        self._quiet_bytes = self._body_bytes = 0
        if self._key:
            self.authorization = self.authorization or b"Bearer " + self._key
            self._key = b""
        version = self._parser.get_http_version()
        if version != "1.1":
            self._http_1_0 = self._rare = True
            if version not in _VERSIONS:
                self._stop(refused("malformed_http", f"HTTP/{version} is not spoken here."))
            if self._chunked:
                self._stop(refused("malformed_http", "HTTP/1.0 has no chunked bodies."))
        elif not self._seen_host:
            self._stop(refused("malformed_http", "The Host header is missing."))
        if self._expect:
            if self._expect != b"100-continue":
                self._stop(refused("expectation_failed", "Only 100-continue can be expected."))
            self.wants_continue = not self._http_1_0
        if self._upgrade and self._parser.should_upgrade():
            self._stop(refused("malformed_http", "This server does not upgrade connections."))

    def on_body(self, part: bytes) -> None:
        """Part of the body; a chunked upload is cut off at the limit."""
        self._quiet_bytes = 0
        self._body_bytes += len(part)
        if self._body_bytes > self._body_bytes_max:
            self._too_long(self._body_bytes)
        self._parts.append(part)

    def on_message_complete(self) -> None:
        """A whole request."""
        parser = self._parser
        parts = self._parts
        ready = self._ready
        if len(ready) >= PIPELINED_MAX:
            self._stop(refused("malformed_http", "Too many pipelined requests."))
        keep_alive = parser.should_keep_alive()
        ready.append(
            Request(
                parser.get_method(),
                self._target,
                self.authorization,
                b"".join(parts),
                keep_alive,
                self._http_1_0,
            )
        )
        if self._forwarded:
            ready[-1].forwarded, self._forwarded = self._forwarded, b""
        if self._traceparent:
            ready[-1].traceparent, ready[-1].tracestate = self._traceparent, self._tracestate
        parts.clear()
        self.wants_continue = False
        # Behind a request that closes the connection there is no boundary, only what is refused.
        self._begun = not keep_alive
        self._ordinary = not self._rare
        self._clear()
