"""One admitted request from its open frame to its last byte.

    opened -> sent -> answering -> closing -> released -> delivered

The answer is built when the upstream has finished, and handed to the client only by `durable`,
which the write-ahead log calls when the close record is on disk.
"""

from typing import ClassVar, Final

from quartermaster.gateway import cancelled, failover, heads, meter, output_cap, pieces, wire
from quartermaster.gateway.attempts import OUR_CREDENTIALS, Route
from quartermaster.gateway.limits import Permit
from quartermaster.gateway.meter import (
    AFTER_DURABLE,
    AFTER_END,
    AFTER_GONE,
    AFTER_HEAD,
    AFTER_NOT_DURABLE,
    AFTER_SEND,
    Life,
    Metered,
)
from quartermaster.gateway.otlp_context import TraceContext
from quartermaster.gateway.ports import ClientPort, Home, UpstreamPort
from quartermaster.gateway.refusals import error_body, refused, upstream_error_body
from quartermaster.gateway.responses import ResponseParser
from quartermaster.gateway.route import Target
from quartermaster.gateway.tap import Taken
from quartermaster.gateway.wire import ChatCall
from quartermaster.kernel.clock import Instant
from quartermaster.kernel.errors import RefusedError
from quartermaster.kernel.events import (
    UPSTREAM_TEXT_CHARS_MAX,
    UPSTREAM_USAGE_BYTES_MAX,
    Closed,
    Endpoint,
    Opened,
)
from quartermaster.kernel.snapshot import KeyGrant
from quartermaster.usage.policy import CLIENT_GONE

_OK: Final = 200
US_PER_MS: Final = 1_000
_OPEN: Final = Life.OPEN
_SENT: Final = Life.SENT


class Exchange:
    """A plain (not streaming) exchange; `StreamExchange` refines it.

    Raises:
        NotDurableError: the write-ahead log has failed; nothing was opened.
    """

    __slots__ = (
        "call",
        "chunked",
        "client",
        "closed",
        "connection",
        "deadline_s",
        "delivered",
        "final",
        "first_byte_at",
        "gone",
        "grant",
        "handle",
        "home",
        "keep_alive",
        "last_s",
        "life",
        "opened",
        "opened_at",
        "permit",
        "redialled",
        "request_id",
        "route",
        "taken",
        "target",
        "trace_context",
        "trace_lines",
        "upstream",
        "upstream_bytes",
    )

    endpoint: Endpoint = "chat.completions"
    """What the customer asked for."""
    delivered: int
    """Content deltas that the client had when it hung up; set by its hanging up."""
    attempt: int = 1
    """Of this request, its first; a batch's line has been sent before."""
    takes_whole: ClassVar = True
    """An ordinary answer that comes all at once may be given to `answered`."""

    def __init__(
        self,
        home: "Home[Exchange]",
        client: ClientPort,
        request_id: str,
        grant: KeyGrant,
        target: Target,
        call: ChatCall,
        keep_alive: bool,
        http_1_0: bool,
        now: int,
    ) -> None:
        self.home = home
        self.client = client
        self.request_id = request_id
        self.grant = grant
        self.target = target
        self.call = call
        self.keep_alive = keep_alive
        self.chunked = not http_1_0
        self.connection = b""
        if http_1_0 or not keep_alive:
            self.connection = heads.connection_header(keep_alive=keep_alive, http_1_0=http_1_0)
        self.upstream: UpstreamPort | None = None
        self.opened_at = now
        self.first_byte_at = 0
        self.closed: Closed | None = None
        self.trace_context: TraceContext | None = None
        self.trace_lines = b""
        self.final = b""
        self.gone = False
        self.permit: Permit | None = None
        self.redialled = False
        self.taken: Taken | None = None
        self.route: Route | None = None
        now_s = home.now_s
        self.deadline_s = now_s + target.first_byte_s
        self.last_s = now_s + target.total_s
        self.upstream_bytes = self.upstream_request()
        self.opened = Opened(
            request_id,
            self.attempt,
            now,
            grant.customer,
            grant.project,
            grant.key_id,
            grant.contract,
            grant.contract_version,
            grant.price_book,
            grant.price_book_version,
            call.model,
            target.deployment.name,
            self.endpoint,
            call.service_class,
            call.stream,
            grant.cancelled_stream,
            call.input_bytes,
        )
        self.handle = home.wal.opened(self.opened)
        self.life = _OPEN

    def upstream_request(self) -> bytes:
        """The whole request for the model server."""
        body = wire.upstream_body(self.call, self.target.upstream_model)
        return b"%b%b\r\ncontent-length: %d\r\n\r\n%b" % (
            self.target.head,
            self.request_id.encode(),
            len(body),
            body,
        )

    # -- what the upstream side tells ------------------------------------------------------------

    def sent(self, upstream: UpstreamPort) -> bytes:
        """A connection takes the request; the bytes to write."""
        self.upstream = upstream
        self.life = AFTER_SEND[self.life]
        if self.trace_lines:
            return self.upstream_bytes.replace(b"\r\n", b"\r\n%b" % self.trace_lines, 1)
        return self.upstream_bytes

    @property
    def awaits_upstream(self) -> bool:
        """Whether a connection that has just been made should still take the request."""
        return self.upstream is None and self.life in (_OPEN, _SENT)

    def upstream_data(self, parser: ResponseParser) -> None:
        """Bytes of the response have been parsed."""
        if parser.complete:
            self.upstream = None
        if self.life not in meter.RUNNING or not parser.head_done:
            return
        if self.life is _SENT:
            self.answer_begins()
        if parser.encoded:
            # We asked for plain bytes; compressed ones could not be metered.
            self.fail("upstream_malformed", "The model server's answer is compressed.")
        elif parser.complete:
            status = parser.status
            if 200 <= status < 300:
                body = parser.take_body()
                self._served(status, body, parser.content_type, self.home.clock())
            else:
                self._not_served(status, parser)
        elif output_cap.is_too_large(self, parser.body_bytes):
            output_cap.give_up(self, parser.body_bytes)

    def answered(self, body: bytes, content_type: bytes) -> None:
        """A whole answer with status 200 has come at once, recognised and not parsed."""
        self.upstream, self.upstream_bytes = None, b""
        if self.life is _SENT:
            self.life = AFTER_HEAD[_SENT]
            self.first_byte_at = now = self.home.clock()
            self._served(_OK, body, content_type, now)

    def upstream_lost(self, parser: ResponseParser, *, reused: bool) -> None:
        """The upstream connection ended before the response did.

        A kept-alive connection that dies before the first byte was closed while idle, in a race
        with our request; that one case is tried again, once, on a fresh connection.
        """
        self.upstream = None
        first = reused and not (parser.started or self.redialled or self.gone)
        if self.life is _SENT and first:
            self.redialled = True
            self.home.redial(self)
            return
        self.fail("upstream_dropped", "The model server closed the connection early.")

    def answer_begins(self) -> None:
        """The first byte of the answer."""
        self.first_byte_at = self.home.clock()
        self.life = AFTER_HEAD[self.life]
        self.upstream_bytes = b""
        self.extend_deadline()

    def extend_deadline(self) -> None:
        """Progress was made: the upstream has its idle time again."""
        self.deadline_s = self.home.now_s + self.target.idle_s

    def _not_served(self, status: int, parser: ResponseParser) -> None:
        """The whole response is here, and it is none that a customer would pay for."""
        if status in failover.STATUSES and failover.elsewhere(self, str(status), parser.wait_s):
            return
        if 400 <= status < 500 and status not in OUR_CREDENTIALS:
            self._rejected(status, parser.take_body(), parser)
        else:
            self.fail("upstream_error", f"The model server answered with status {status}.")

    def _served(self, status: int, body: bytes, content_type: bytes, now: Instant) -> None:
        answer = wire.read_answer(body)
        if answer is None:
            self.fail("upstream_malformed", "The model server's answer is not a JSON object.")
            return
        if not answer.choices and wire.says_error(answer):
            self.fail("upstream_error", "The model server answered with an error.")
            return
        finish_reason = answer.choices[0].finish_reason if answer.choices else ""
        usage = bytes(answer.usage)
        metered = meter.believed(usage)
        if metered is None:
            text_bytes = wire.message_bytes(answer)
            metered = meter.estimated(
                usage, self.call.input_tokens, pieces.tokens_of_bytes(text_bytes)
            )
        self.final = heads.answer(
            status,
            body,
            self.request_id,
            (now - self.opened_at) // US_PER_MS,
            self.home.date,
            self.connection,
            content_type or heads.JSON,
        )
        self.close(
            status,
            metered,
            usage=usage,
            finish_reason=finish_reason or wire.finish_reason(answer),
            upstream_id=answer.id or "",
            failure=metered.note,
            now=now,
        )

    def _rejected(self, status: int, body: bytes, parser: ResponseParser) -> None:
        """The model server refused this request: pass its status and its words on."""
        if not wire.has_error_shape(body):
            body = upstream_error_body(status, "upstream_rejected")
        extra = parser.retry_lines
        self.final = heads.plain(
            status,
            body,
            self.request_id,
            date=self.home.date,
            connection=self.connection,
            extra=extra,
        )
        self.close(status, meter.NOTHING, failure="upstream_rejected")

    # -- the end ---------------------------------------------------------------------------------

    def fail(self, code: str, message: str, *, hint: str = "") -> None:
        """End without a complete answer; the client reads why."""
        if self.life not in meter.RUNNING:
            return
        if code in failover.CODES and failover.elsewhere(self, code):
            return
        if self.gone:
            self._leave(code)
            return
        self.drop_upstream()
        refusal = refused(code, message, hint=hint)
        self.final = self.refusal_bytes(refusal)
        usage, upstream_id = self.told_so_far()
        self.close(
            refusal.http_status,
            self.delivered_so_far(),
            usage=usage,
            upstream_id=upstream_id,
            failure=code,
        )

    def refusal_bytes(self, refusal: RefusedError) -> bytes:
        """The bytes that tell the client why there is no (complete) answer."""
        return heads.plain(
            refusal.http_status,
            error_body(refusal),
            self.request_id,
            date=self.home.date,
            connection=self.connection,
        )

    def delivered_so_far(self) -> Metered:
        """Counts of what the client has received without the last byte: a plain answer, nothing."""
        return meter.NOTHING

    def told_so_far(self) -> tuple[bytes, str]:
        """The upstream's usage object and id, where they came before the end."""
        return b"", ""

    def client_gone(self) -> None:
        """The client hung up."""
        self.gone = True
        if self.life in meter.RUNNING:
            self.delivered = self.deltas
            if not self.hears_out():
                self._leave()

    def hears_out(self) -> bool:
        """Let the model server go on for a while, to learn what it counts; whether it does."""
        patience_s = cancelled.heard_out_s(self.grant.cancelled_stream, self.home.settings)
        if self.upstream is None or not patience_s:
            return False
        self.last_s = min(self.last_s, self.home.now_s + patience_s)
        self.resume()
        return True

    def _leave(self, failure: str = "") -> None:
        """Close with what is known: the client is gone, and nothing more is waited for."""
        self.drop_upstream()
        failed = failure in cancelled.NOTHING_SERVED
        usage, upstream_id = self.told_so_far()
        self.close(
            self.status_if_gone(),
            self.delivered_so_far() if failed else self.counts_if_gone(),
            usage=usage,
            upstream_id=upstream_id,
            failure=CLIENT_GONE,
        )

    @property
    def deltas(self) -> int:
        """Content deltas that the model server has sent: of a plain answer, none."""
        return 0

    def status_if_gone(self) -> int:
        """The status of a request whose client left."""
        return cancelled.STATUS_CLIENT_GONE

    def counts_if_gone(self) -> Metered:
        """The input was sent upstream; nothing was delivered."""
        if self.life is _OPEN:
            return meter.NOTHING
        return meter.estimated(b"", self.call.input_tokens, 0)

    def drop_upstream(self) -> None:
        """Stop the model server's work on this request."""
        if self.upstream is not None:
            self.upstream.abort()
            self.upstream = None

    def close(
        self,
        http_status: int,
        metered: Metered,
        *,
        usage: bytes = b"",
        finish_reason: str = "",
        upstream_id: str = "",
        failure: str = "",
        delivered_chunks: int = 0,
        now: Instant | None = None,
    ) -> None:
        """Write the close record; `durable` follows when it is on disk."""
        self.life = AFTER_END[self.life]
        if now is None:
            now = self.home.clock()
        upstream_counts = None
        if self.gone:
            policy = self.grant.cancelled_stream
            metered, upstream_counts = cancelled.settle(
                policy, metered, self.delivered, self.deltas
            )
            http_status, failure = self.status_if_gone(), CLIENT_GONE
            delivered_chunks = self.delivered
        if self.permit is not None:
            heard = metered.counts
            metered, failure = self.permit.closing(metered, failure, now)
            if upstream_counts is None and metered.counts is not heard:
                upstream_counts = heard  # what a budget keeps off the bill is the seller's cost
        if self.route is not None:
            self.route.ended(failure)
        if failure:
            self.home.tallies.failed(failure)
        self.closed = closed = Closed(
            now,
            self.first_byte_at,
            http_status,
            metered.counts,
            metered.source,
            finish_reason[:UPSTREAM_TEXT_CHARS_MAX],
            upstream_id[:UPSTREAM_TEXT_CHARS_MAX],
            usage[:UPSTREAM_USAGE_BYTES_MAX],
            delivered_chunks,
            failure,
            False,
            upstream_counts,
        )
        self.home.wal.closed(self.handle, closed, self.durable)
        if self.taken is not None:
            self.taken.end(self, http_status)
            self.taken = None

    def durable(self, error: Exception | None) -> None:
        """The close record is on disk, or never will be: only now may the last byte go."""
        if error is not None:
            self.meter_lost()
            return
        if self.permit is not None:
            self.permit.durable()
        self.life = AFTER_DURABLE[self.life]
        if self.gone:
            self.life = AFTER_GONE[self.life]
            self.home.finished(self)
            return
        self.home.released(self)  # before the client's next request can fail: this one has ended
        final, self.final = self.final, b""
        self.client.finish(final, keep_alive=self.keep_alive)

    def goes_to(self, target: Target) -> bool:
        """Address the request to another deployment; whether it can be said there."""
        if target.head:
            self.target = target
            self.upstream_bytes = self.upstream_request()
        return bool(target.head)

    def dial_again(self) -> None:
        """Send the request, after its open frame has been written."""
        self.home.again(self)

    def meter_lost(self) -> None:
        """The write-ahead log failed: the answer must not be released."""
        self.life = AFTER_NOT_DURABLE[self.life]
        self.closed = None
        self.drop_upstream()
        self.home.finished(self)
        self.home.tallies.failed("meter_unavailable")
        if self.gone:
            return
        refusal = refused("meter_unavailable", "The meter cannot write its log.")
        self.client.finish(self.refusal_bytes(refusal), keep_alive=False)

    # -- flow control and time -------------------------------------------------------------------

    def pause(self) -> None:
        """The client does not keep up."""
        if self.upstream is not None:
            self.upstream.pause()

    def resume(self) -> None:
        """The client's buffer has drained."""
        self.extend_deadline()
        if self.upstream is not None:
            self.upstream.resume()

    def tick(self) -> None:
        """Once a second: give up on an upstream that says nothing, or takes too long."""
        late = self.home.now_s > self.deadline_s or self.out_of_time
        if self.life in meter.RUNNING and late:
            self.fail("upstream_timeout", "The model server did not answer in time.")

    @property
    def out_of_time(self) -> bool:
        """Whether the time that the request may take in all is over."""
        return self.home.now_s > self.last_s
