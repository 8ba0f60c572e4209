"""A streaming exchange: frames go on as they come, the last ones wait for the close record."""

from typing import Final

from quartermaster.gateway import heads, meter, output_cap, pieces
from quartermaster.gateway.dialects.frames import BrokenStreamError
from quartermaster.gateway.exchange import US_PER_MS, Exchange
from quartermaster.gateway.meter import Life, Metered
from quartermaster.gateway.ports import ClientPort, Home
from quartermaster.gateway.refusals import error_body, refused
from quartermaster.gateway.responses import ResponseParser
from quartermaster.gateway.route import Target
from quartermaster.gateway.settings import FRAME_BYTES_MAX
from quartermaster.gateway.sse import Scanner, SseScanner
from quartermaster.gateway.wire import ChatCall
from quartermaster.kernel.clock import US_PER_S, Instant
from quartermaster.kernel.errors import RefusedError, UpstreamError
from quartermaster.kernel.events import Progress
from quartermaster.kernel.snapshot import KeyGrant

_EVENT_STREAM: Final = b"text/event-stream"
_OK: Final = 200
_SENT: Final = Life.SENT
_ANSWERING: Final = Life.ANSWERING


def is_event_stream(parser: ResponseParser) -> bool:
    """Whether a response whose head is here streams events."""
    named = parser.content_type[: len(_EVENT_STREAM)].lower()
    return parser.status == _OK and named == _EVENT_STREAM


class StreamExchange(Exchange):
    """Relays server-sent events; answers that are no stream go the plain way."""

    __slots__ = ("_progressed_deltas", "_streaming", "paused", "scanner")

    def __init__(
        self,
        home: Home[Exchange],
        client: ClientPort,
        request_id: str,
        grant: KeyGrant,
        target: Target,
        call: ChatCall,
        keep_alive: bool,
        http_1_0: bool,
        now: int,
    ) -> None:
        # An HTTP/1.0 stream has no length and no chunks: only closing ends it.
        super().__init__(
            home,
            client,
            request_id,
            grant,
            target,
            call,
            keep_alive and not http_1_0,
            http_1_0,
            now,
        )
        self.scanner: Scanner = self.own_scanner()
        self.paused = False
        self._streaming = False
        self._progressed_deltas = 0

    takes_whole = False

    def own_scanner(self) -> Scanner:
        """Reads a stream whose frames go on as they are."""
        return SseScanner(keep_usage=self.call.asks_usage, frame_bytes_max=FRAME_BYTES_MAX)

    def upstream_data(self, parser: ResponseParser) -> None:
        """Bytes of the response have been parsed: forward whole frames at once."""
        if not self._streaming:
            if not (parser.head_done and not parser.encoded and is_event_stream(parser)):
                super().upstream_data(parser)
                return
            if self.life is _SENT:
                self._begin()
        if parser.complete:
            self.upstream = None
        if self.life is not _ANSWERING:
            return
        self.extend_deadline()
        forward, broken = b"", ""
        try:
            forward = self.scanner.feed(parser.take_body())
            if parser.complete:
                forward += self.scanner.finish()
        except UpstreamError as error:
            broken = str(error)
            if isinstance(error, BrokenStreamError):
                # What came before the break is counted, so the client gets it.
                forward += error.before
        if forward:
            if self.taken is not None:
                self.taken.hear(forward)
            self.client.write(heads.chunk(forward) if self.chunked else forward)
        if broken:
            self.fail("upstream_malformed", broken)
        elif self.scanner.done or parser.complete:
            self._stream_ends()
        elif self.permit is not None:
            cap = output_cap.cap_of(self.permit, self.endpoint)
            if cap is not None and self._beyond(cap, parser.body_bytes):
                self._cut()

    def _beyond(self, cap: int, body_bytes: int) -> bool:
        scanner = self.scanner
        tokens = pieces.tokens_at_least(scanner.deltas, scanner.text_bytes)
        return output_cap.is_beyond(cap, self.call, tokens, scanner.deltas, body_bytes)

    def _begin(self) -> None:
        self._streaming = True
        self.answer_begins()
        if self.route is not None:
            self.route.answers()
        self.client.write(
            heads.stream(
                self.request_id,
                date=self.home.date,
                connection=self.connection,
                chunked=self.chunked,
                processing_ms=(self.first_byte_at - self.opened_at) // US_PER_MS,
            )
        )

    def _stream_ends(self) -> None:
        """`[DONE]`, or the end of the body: clean only if the model said that it had finished."""
        scanner = self.scanner
        if self.upstream is not None:
            self.upstream.detach()
            self.upstream = None
        if not (scanner.done or scanner.finish_reason or scanner.error):
            self.fail("upstream_dropped", "The model server ended the stream early.")
            return
        metered = self._metered()
        failure = "upstream_error" if scanner.error else metered.note
        held = b"" if scanner.error else scanner.held
        if scanner.error:
            # The client has read the error frame; a [DONE] after it would make it look whole.
            self.keep_alive = False
        elif self.chunked:
            held = (heads.chunk(held) if held else b"") + heads.CHUNKS_END
        self.final = held
        self.close(
            _OK,
            metered,
            usage=scanner.usage,
            finish_reason=scanner.finish_reason,
            upstream_id=scanner.upstream_id,
            failure=failure,
        )

    def _cut(self) -> None:
        """The model server goes on beyond the cap: end as it should have ended."""
        self.drop_upstream()
        metered = self._metered()
        last = self._last_frames(metered)
        if last is None:
            words = "The model server goes beyond the output cap of this request."
            last = self.refusal_bytes(refused("upstream_error", words))
        elif self.chunked:
            last = heads.chunk(last) + heads.CHUNKS_END
        self.final = last
        self.close(
            _OK,
            metered,
            usage=self.scanner.usage,
            finish_reason=output_cap.LENGTH,
            upstream_id=self.scanner.upstream_id,
            failure=output_cap.ABOVE_CAP,
        )

    def _last_frames(self, metered: Metered) -> bytes | None:
        """What ends a stream at its cap; None where only an error can."""
        counts = self._billed(metered).counts
        created_s = self.opened_at // US_PER_S
        return output_cap.chat_end(self.call, self.scanner.upstream_id, created_s, counts)

    def _billed(self, metered: Metered) -> Metered:
        """What a budget lets be billed."""
        hold = None if self.permit is None else self.permit.hold
        return metered if hold is None else hold.within(metered)

    def _metered(self) -> Metered:
        metered = self._told()
        scanner = self.scanner
        if scanner.done or scanner.finish_reason:
            return metered
        # Who hangs up in the middle has seen at most the usage of the beginning.
        return meter.at_least(metered, self._tokens)

    @property
    def _tokens(self) -> int:
        """Of what went out, where nobody counted."""
        return pieces.tokens_of(self.scanner.deltas, self.scanner.text_bytes)

    def _told(self) -> Metered:
        """The vendor's counts so far, or an estimate."""
        usage = self.scanner.usage
        return meter.believed(usage) or meter.estimated(usage, self.call.input_tokens, self._tokens)

    # -- the ends that are not clean -------------------------------------------------------------

    def refusal_bytes(self, refusal: RefusedError) -> bytes:
        """Once the head is out: an error frame, and no end of the body after it."""
        if not self._streaming:
            return super().refusal_bytes(refusal)
        self.keep_alive = False
        frame = b"data: %b\n\n" % error_body(refusal)
        return heads.chunk(frame) if self.chunked else frame

    def delivered_so_far(self) -> Metered:
        """The frames that were forwarded."""
        return self._metered() if self._streaming else super().delivered_so_far()

    def told_so_far(self) -> tuple[bytes, str]:
        """What the frames said; with it the row can be found again at the vendor."""
        return self.scanner.usage, self.scanner.upstream_id

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
        """Write the close record, with the content deltas handed to the client's transport."""
        super().close(
            http_status,
            metered,
            usage=usage,
            finish_reason=finish_reason,
            upstream_id=upstream_id,
            failure=failure,
            delivered_chunks=delivered_chunks or self.scanner.deltas,
            now=now,
        )

    @property
    def deltas(self) -> int:
        """Content deltas that the model server has sent."""
        return self.scanner.deltas

    def status_if_gone(self) -> int:
        """200 once the head was sent."""
        return _OK if self._streaming else super().status_if_gone()

    def counts_if_gone(self) -> Metered:
        """The vendor's usage if it arrived, else the deltas that went out."""
        return self._metered() if self._streaming else super().counts_if_gone()

    # -- flow control and time -------------------------------------------------------------------

    def pause(self) -> None:
        """The client does not keep up."""
        self.paused = True
        super().pause()

    def resume(self) -> None:
        """The client's buffer has drained."""
        self.paused = False
        super().resume()

    def tick(self) -> None:
        """Once a second: record progress, and give up on whoever stands still."""
        if not self.gone:
            self._progress()
        if self.paused and self.life is _ANSWERING and not self.out_of_time:
            if self.home.now_s > self.deadline_s:
                # It is the client that stands still: hang up, which closes the record.
                self.client.abort()
            return
        super().tick()

    def _progress(self) -> None:
        """What has been handed over up to now; a crash bills no more than that."""
        scanner = self.scanner
        if self.life is _ANSWERING and scanner.deltas > self._progressed_deltas:
            self._progressed_deltas = scanner.deltas
            metered = self._billed(self._metered())
            self.home.wal.progressed(
                self.handle,
                Progress(self.home.clock(), scanner.deltas, metered.counts, metered.source),
            )

    def hears_out(self) -> bool:
        """As for any exchange; nothing more is told where the whole count is here already."""
        scanner = self.scanner
        if scanner.done or (scanner.finish_reason and scanner.usage):
            return False
        self._progress()
        return super().hears_out()
