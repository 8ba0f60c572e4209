"""An exchange between dialects: any operation but a chat completion that passes as it is."""

from collections.abc import Callable
from typing import Final

import msgspec

from quartermaster.gateway import heads, meter, wire
from quartermaster.gateway.dialects import errors
from quartermaster.gateway.dialects.errors import Shape
from quartermaster.gateway.dialects.facts import UNCOUNTED, facts_of
from quartermaster.gateway.dialects.plan import Plan
from quartermaster.gateway.dialects.routes import FORMS
from quartermaster.gateway.dialects.translated import TranslatedStream, Translator
from quartermaster.gateway.dialects.usage import Reading
from quartermaster.gateway.exchange import US_PER_MS, Exchange
from quartermaster.gateway.meter import Life, Metered
from quartermaster.gateway.pieces import tokens_of_bytes
from quartermaster.gateway.ports import ClientPort, Home
from quartermaster.gateway.responses import ResponseParser
from quartermaster.gateway.route import Target
from quartermaster.gateway.settings import FRAME_BYTES_MAX
from quartermaster.gateway.stream import StreamExchange, is_event_stream
from quartermaster.gateway.wire import ChatCall
from quartermaster.kernel.clock import Instant
from quartermaster.kernel.errors import RefusedError, UpstreamError
from quartermaster.kernel.events import Endpoint
from quartermaster.kernel.snapshot import KeyGrant
from quartermaster.kernel.units import Counts

_UNCOUNTED: Final = Counts()


class PlannedScanner:
    """A translated stream with the face of a scanner.

    Args:
        translator: knows the two dialects.
    """

    __slots__ = ("_stream", "counts", "translator")

    def __init__(self, translator: Translator) -> None:
        self.translator = translator
        self._stream = TranslatedStream(translator, FRAME_BYTES_MAX)
        self.counts = _UNCOUNTED
        """What is metered; the client's last frames say the same."""

    def feed(self, data: bytes) -> bytes:
        """The bytes to forward now.

        Raises:
            UpstreamError: a frame without end, or an event that cannot be.
        """
        return self._stream.feed(data)

    def finish(self) -> bytes:
        """The stream ended: take a last frame whose blank line is missing."""
        return self._stream.finish()

    @property
    def held(self) -> bytes:
        """The last frames, which wait for the close record."""
        return self.translator.closing(self.counts)

    @property
    def deltas(self) -> int:
        """Content deltas that went on."""
        return self.translator.deltas

    @property
    def text_bytes(self) -> int:
        """Bytes of the text in them."""
        return self.translator.text_bytes

    @property
    def done(self) -> bool:
        """Whether the upstream said its end."""
        return self.translator.done

    @property
    def error(self) -> bool:
        """Whether the upstream said that it failed."""
        return self.translator.error

    @property
    def finish_reason(self) -> str:
        """Why the model stopped."""
        return self.translator.finish_reason

    @property
    def upstream_id(self) -> str:
        """The upstream's id of the answer."""
        return self.translator.upstream_id

    @property
    def usage(self) -> bytes:
        """The upstream's usage object."""
        return self.translator.usage


class PlannedExchange(StreamExchange):
    """Carries a request along its plan, plain or streaming.

    Raises:
        NotDurableError: the write-ahead log has failed; nothing was opened.
    """

    __slots__ = ("_replan", "_said", "_translated", "endpoint", "plan", "shape")

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
        *,
        plan: Plan,
        replan: Callable[[Target], Plan],
        endpoint: Endpoint,
        shape: Shape,
    ) -> None:
        # What the request looks like depends on the plan, so the plan comes first.
        self.plan = plan
        self._replan = replan
        self.endpoint = endpoint
        self.shape: Shape = shape
        self._said = (b"", "")
        super().__init__(
            home,
            client,
            request_id,
            grant,
            target,
            call,
            # Only a stream to an HTTP/1.0 client has to end with the connection.
            keep_alive,
            http_1_0,
            now,
        )
        self._translate()
        if shape == "anthropic":
            # Where Anthropic's SDK looks for it.
            self.connection += b"request-id: %b\r\n" % request_id.encode()

    def _translate(self) -> None:
        plan = self.plan
        self._translated: PlannedScanner | None = None
        if plan.translator is not None and self.call.stream:
            self._translated = PlannedScanner(plan.translator())
            self.scanner = self._translated
        elif isinstance(self.scanner, PlannedScanner):
            # The deployment before spoke another dialect, and this one speaks the client's.
            self.scanner = self.own_scanner()

    def goes_to(self, target: Target) -> bool:
        """Plan the way to another deployment, which may speak another dialect."""
        try:
            plan = self._replan(target)
        except RefusedError:
            return False
        if plan.operation not in target.heads:
            # It was changed since the request came: what it speaks now has no such operation.
            return False
        self.plan = plan
        self._translate()
        self.target = target
        self.upstream_bytes = self.upstream_request()
        return True

    def upstream_request(self) -> bytes:
        """The whole request for the model server."""
        plan = self.plan
        return b"%b%b\r\nx-request-id: %b\r\ncontent-length: %d\r\n\r\n%b" % (
            self.target.heads[plan.operation],
            plan.content_type.encode(),
            self.request_id.encode(),
            len(plan.body),
            plan.body,
        )

    def upstream_data(self, parser: ResponseParser) -> None:
        """Bytes of the response have been parsed."""
        if self.call.stream:
            super().upstream_data(parser)
        elif parser.head_done and is_event_stream(parser):
            if parser.complete:
                self.upstream = None
            # Its events are of the upstream's dialect, and nobody would count them.
            self.fail("upstream_malformed", "The model server streams what was not to be streamed.")
        else:
            Exchange.upstream_data(self, parser)

    def _served(self, status: int, body: bytes, content_type: bytes, now: Instant) -> None:
        facts = facts_of(self.plan.operation, body)
        if facts is None:
            self.fail("upstream_malformed", "The model server's answer is not a JSON object.")
            return
        self._said = (facts.usage, facts.upstream_id)
        if facts.failed:
            self.fail("upstream_error", "The model server answered with an error.")
            return
        metered = self._believed(facts.reading, tokens_of_bytes(facts.text_bytes))
        render = self.plan.render
        if render is not None:
            content_type = heads.JSON
            try:
                body = render(body, metered.counts)
            except UpstreamError as error:
                self.fail("upstream_malformed", f"{error.message[:1].upper()}{error.message[1:]}.")
                return
        self.final = heads.plain(
            status,
            body,
            self.request_id,
            date=self.home.date,
            connection=self.connection,
            content_type=content_type or heads.JSON,
            extra=b"openai-processing-ms: %d\r\n" % ((now - self.opened_at) // US_PER_MS),
        )
        self.close(
            status,
            metered,
            usage=facts.usage or self._spoken(),
            finish_reason=facts.finish_reason,
            upstream_id=facts.upstream_id,
            failure=metered.note,
            now=now,
        )

    def _rejected(self, status: int, body: bytes, parser: ResponseParser) -> None:
        """The model server refused this request: pass its status and its words on."""
        if self.shape == "azure":
            same_family = self.target.deployment.api == "azure"
        else:
            same_family = (self.shape == "anthropic") == (self.plan.operation == "messages")
        if not (same_family and wire.has_error_shape(body)):
            body = errors.upstream_body(self.shape, status, body, self.request_id)
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

    def _last_frames(self, metered: Metered) -> bytes | None:
        """What ends a stream at its cap, in the client's dialect."""
        scanner = self._translated
        if scanner is None:
            return super()._last_frames(metered)
        scanner.counts = self._billed(metered).counts
        before = scanner.translator.cut()
        return None if before is None else before + scanner.held

    def _believed(self, reading: Reading, output_tokens: int) -> Metered:
        """The vendor's counts, or an estimate that says why they were not believed."""
        if reading.counts is not None:
            return Metered(reading.counts, "engine" if reading.engine else "upstream")
        note = "" if reading.problem == "usage_absent" else reading.problem
        counts = Counts(input=self._input_tokens(), output=output_tokens)
        return Metered(counts, "estimated", note)

    def _spoken(self) -> bytes:
        """Of speech, whose answer tells nothing: the characters to be spoken, in a usage object."""
        if self.plan.operation != "audio.speech":
            return b""
        try:
            text = msgspec.json.decode(self.call.fields["input"], type=str)
        except (msgspec.DecodeError, UnicodeDecodeError):
            return b""  # no text, and yet spoken: the model server knows something that we do not
        return b'{"characters":%d}' % len(text)

    def _input_tokens(self) -> int:
        """By the request's bytes, where they are text: a recording's bytes are no tokens."""
        if self.plan.operation in UNCOUNTED or self.plan.operation in FORMS:
            return 0
        return self.call.input_tokens

    def counts_if_gone(self) -> Metered:
        """As for any exchange, but a form's file is not counted as text."""
        if self._streaming or self.life is Life.OPEN:
            return super().counts_if_gone()
        return Metered(Counts(input=self._input_tokens()), "estimated")

    def _told(self) -> Metered:
        scanner = self._translated
        if scanner is None:
            return super()._told()
        return self._believed(self.plan.reading(scanner.usage), self._tokens)

    def _metered(self) -> Metered:
        metered = super()._metered()
        if self._translated is not None:
            self._translated.counts = metered.counts
        return metered

    def told_so_far(self) -> tuple[bytes, str]:
        """The upstream's usage object and id, where they came before the end."""
        return super().told_so_far() if self._streaming else self._said

    def refusal_bytes(self, refusal: RefusedError) -> bytes:
        """Why there is no (complete) answer, in the client's dialect."""
        if self._streaming:
            if self._translated is None:
                return super().refusal_bytes(refusal)
            self.keep_alive = False
            frame = self._translated.translator.broken(refusal)
            if not self.chunked:
                return frame
            # `response.failed` says by itself that no more comes; a body without an end after it
            # is a broken connection to OpenAI's SDK, and the reason is not read.
            end = heads.CHUNKS_END if self.endpoint == "responses" else b""
            return heads.chunk(frame) + end
        return heads.plain(
            refusal.http_status,
            errors.refusal_body(self.shape, refusal, self.request_id),
            self.request_id,
            date=self.home.date,
            connection=self.connection,
        )
