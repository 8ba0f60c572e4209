"""One client connection: an asyncio protocol around the request parser."""

import asyncio
from collections import deque
from typing import Final, Protocol, cast

from quartermaster.gateway import heads
from quartermaster.gateway.dispatch import Dispatcher
from quartermaster.gateway.exchange import Exchange
from quartermaster.gateway.refusals import refused
from quartermaster.gateway.relay_control import ControlExchange
from quartermaster.gateway.requests import Request, RequestParser
from quartermaster.gateway.waiting import Waiting
from quartermaster.kernel.errors import RefusedError

# After a refusal the client may still be sending; closing at once would reset the connection and
# destroy the refusal on its way. Two seconds and a megabyte let it read first.
LINGER_S: Final = 2
LINGER_BYTES_MAX: Final = 1024 * 1024
# Of a body that does not come at once, over all of its time beyond the client's time-out. A line of
# the slowest mobile network has more; who sends a byte now and then would stay for good.
BODY_BYTES_PER_S_MIN: Final = 4_096


class Site(Protocol):
    """The worker around its client connections."""

    dispatcher: Dispatcher
    connections: set["ClientConnection"]
    connections_max: int


class ClientConnection(asyncio.Protocol):
    """Serves one request at a time; what a client pipelines waits unread."""

    __slots__ = (
        "_backlog",
        "_body_since_s",
        "_body_wanted",
        "_deadline_s",
        "_dispatcher",
        "_exchange",
        "_lingered_bytes",
        "_lingering",
        "_parser",
        "_queue",
        "_reading_paused",
        "_site",
        "_timeout_s",
        "_transport",
        "_undrained_at_loss",
        "_unsent_bytes",
        "_writing_paused",
        "lost",
        "upload",
    )

    _transport: asyncio.Transport

    def __init__(self, site: Site) -> None:
        self._site = site
        self._dispatcher = site.dispatcher
        settings = site.dispatcher.relay.settings
        self._timeout_s = settings.client_timeout_s
        self._parser = RequestParser(
            head_bytes_max=settings.head_bytes_max,
            body_bytes_max=settings.body_bytes_max,
            upload_bytes_max=0 if site.dispatcher.control is None else settings.upload_bytes_max,
        )
        self._exchange: Exchange | ControlExchange | Waiting | None = None
        self.upload: ControlExchange | None = None
        """Takes a file whose end has not arrived."""
        self._queue: deque[Request] = deque()
        self._backlog: list[bytes] = []
        self._reading_paused = False
        self._writing_paused = False
        self._unsent_bytes = 0
        self._body_wanted = False
        self._body_since_s = 0
        self._lingering = False
        self._lingered_bytes = 0
        self._undrained_at_loss = False
        self.lost = False
        self._deadline_s = self._dispatcher.relay.now_s + self._timeout_s

    # -- asyncio.Protocol ------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """A client has connected; one too many is hung up on, before it can cost anything."""
        self._transport = cast(asyncio.Transport, transport)
        site = self._site
        if len(site.connections) >= site.connections_max:
            self._dispatcher.relay.tallies.refused("too_many_connections")
            self._transport.abort()
            return
        site.connections.add(self)

    def connection_lost(self, exc: Exception | None) -> None:
        """The connection is gone; with an exception, what was buffered never left."""
        self.lost = True
        self._undrained_at_loss |= exc is not None
        self._site.connections.discard(self)
        self._queue.clear()
        self._backlog.clear()
        exchange, self._exchange = self._exchange, None
        if exchange is not None:
            exchange.client_gone()
        self._drop_upload()

    def data_received(self, data: bytes) -> None:
        """Bytes of a request, or of the next one while the last is still running."""
        if self._lingering:
            self._lingered_bytes += len(data)
            if self._lingered_bytes > LINGER_BYTES_MAX:
                self.abort()
            return
        if self._exchange is not None or self._writing_paused:
            self._backlog.append(data)
            if not self._reading_paused:
                self._reading_paused = True
                self._transport.pause_reading()
            return
        requests = self._parser.feed(data)
        if len(requests) == 1 and not self._queue:
            self._body_wanted = False
            self._answer(requests[0])
        elif requests:
            self._body_wanted = False
            self._queue.extend(requests)
            self._serve()
        elif self._parser.in_body:
            self._await_body()

    def pause_writing(self) -> None:
        """The client does not take what we send: read no more, from the upstream or from it.

        Otherwise who asks for ever and never reads would fill our memory with answers.
        """
        self._writing_paused = True
        if self._exchange is not None:
            self._exchange.pause()

    def resume_writing(self) -> None:
        """The client has caught up."""
        self._writing_paused = False
        if self._exchange is not None:
            self._exchange.resume()
        else:
            self._go_on()

    # -- requests --------------------------------------------------------------------------------

    def _await_body(self) -> None:
        """The head is here and the body is not: a stranger's body is not collected."""
        parser = self._parser
        if not self._body_wanted:
            refusal = self._dispatcher.refusal_of_head(parser.authorization)
            if refusal is not None:
                parser.stop()
                self._answer(Request(target=parser.target, refusal=refusal))
                return
            self._body_wanted = True
            self._body_since_s = self._dispatcher.relay.now_s
            if parser.uploading and not self._begin_upload():
                return
        if self.upload is not None:
            self.upload.body(parser.take_parts())
        if parser.wants_continue:
            parser.wants_continue = False
            self._transport.write(heads.CONTINUE)
        self._extend_deadline()
        earned_s = self._timeout_s + parser.body_bytes // BODY_BYTES_PER_S_MIN
        self._deadline_s = min(self._deadline_s, self._body_since_s + earned_s)

    def _begin_upload(self) -> bool:
        """Hand a file on as it comes; False where it was refused."""
        parser = self._parser
        try:
            self.upload = self._dispatcher.upload(parser.begun, self)
        except RefusedError as refusal:
            parser.stop()
            self._answer(Request(target=parser.target, refusal=refusal))
        return self.upload is not None

    def _drop_upload(self) -> None:
        upload, self.upload = self.upload, None
        if upload is not None:
            upload.client_gone()

    def _serve(self) -> None:
        queue = self._queue
        while queue and self._exchange is None and not (self._lingering or self._writing_paused):
            self._answer(queue.popleft())

    def _answer(self, request: Request) -> None:
        answer = self._dispatcher.handle(request, self)
        if isinstance(answer, bytes):
            self._transport.write(answer)
            self._after_answer(request)
        else:
            self._exchange = answer

    def _after_answer(self, request: Request) -> None:
        self._extend_deadline()
        if request.refusal is not None:
            self._linger()
        elif not request.keep_alive or self._dispatcher.draining:
            self._close()

    def _close(self) -> None:
        """Take nothing more, and close when the client has what was written."""
        self._queue.clear()
        self._backlog.clear()
        self._transport.close()

    def _linger(self) -> None:
        """Say no more, but read on for a moment, so that the refusal arrives."""
        self._queue.clear()
        self._drop_upload()
        self._lingering = True
        self._deadline_s = self._dispatcher.relay.now_s + LINGER_S
        if self._transport.can_write_eof():
            self._transport.write_eof()
        else:
            self._transport.close()

    def _extend_deadline(self) -> None:
        self._deadline_s = self._dispatcher.relay.now_s + self._timeout_s

    # -- ClientPort ------------------------------------------------------------------------------

    @property
    def drained(self) -> bool:
        """Whether every byte written has been handed to the kernel."""
        if self.lost:
            return not self._undrained_at_loss
        return self._transport.get_write_buffer_size() == 0

    @property
    def peer(self) -> str:
        """Address of whoever opened the connection."""
        name = self._transport.get_extra_info("peername")
        return str(name[0]) if isinstance(name, tuple) else ""

    @property
    def agent(self) -> bytes:
        """The header `User-Agent` of the connection's last head that was parsed."""
        return self._parser.agent

    def write(self, data: bytes) -> None:
        """Send bytes; nothing happens once the client is gone."""
        if not self.lost and data:
            self._transport.write(data)

    def abort(self) -> None:
        """Drop the connection now, and with it what the client has not taken."""
        self._undrained_at_loss = not self.drained
        self._transport.abort()

    def finish(self, data: bytes, *, keep_alive: bool) -> None:
        """Send the exchange's last bytes: take the next request or close."""
        self._exchange = None
        if self.lost:
            return
        if data:
            self._transport.write(data)
        dispatcher = self._dispatcher
        self._deadline_s = dispatcher.relay.now_s + self._timeout_s
        if not keep_alive or dispatcher.draining:
            self._close()
        elif self._queue or self._reading_paused:
            self._go_on()

    def ask_again(self, request: Request) -> None:
        """What its request waited for is here, or will not come."""
        self._exchange = None
        self._answer(request)
        if self._exchange is None and (self._queue or self._reading_paused):
            self._go_on()

    def _go_on(self) -> None:
        """Serve what waits, then read on."""
        self._serve()
        ready = self._exchange is None and not self._writing_paused
        if ready and self._reading_paused and not self._transport.is_closing():
            self._read_on()

    def _read_on(self) -> None:
        backlog, self._backlog = self._backlog, []
        self._reading_paused = False
        self._transport.resume_reading()
        self.data_received(b"".join(backlog))

    # -- UploadClient ----------------------------------------------------------------------------

    def hold(self) -> None:
        """Read no more of a file: nobody takes it at the moment."""
        if not self.lost:
            self._transport.pause_reading()

    def go_on(self) -> None:
        """Read on."""
        if not self.lost and not self._transport.is_closing():
            self._transport.resume_reading()

    def finish_unread(self, data: bytes) -> None:
        """Answer a file whose end has not arrived, and close."""
        self.upload = None
        self._parser.stop()
        if not self.lost:
            self._transport.write(data)
            self._linger()

    # -- time ------------------------------------------------------------------------------------

    @property
    def busy(self) -> bool:
        """Whether an exchange is running, or a file is arriving."""
        return self._exchange is not None or self.upload is not None

    def tick(self) -> None:
        """Once a second: close a connection that has been idle, or silent, or takes nothing."""
        relay = self._dispatcher.relay
        # A relayed file has its own watch: where the API takes it slowly, no client is late.
        if self.busy or relay.now_s <= self._deadline_s:
            return
        unsent_bytes = self._transport.get_write_buffer_size()
        if self._lingering:
            self.abort()
        elif unsent_bytes:
            self._wait_or_abort(unsent_bytes)
        elif self._parser.mid_request:
            late = refused("request_timeout", "The request did not arrive in time.")
            self._queue.append(Request(target=self._parser.target, refusal=late))
            self._serve()
        else:
            self._transport.close()

    def _wait_or_abort(self, unsent_bytes: int) -> None:
        """Answers wait for the client: only one that takes some of them is waited for."""
        if self._unsent_bytes == 0 or unsent_bytes < self._unsent_bytes:
            self._unsent_bytes = unsent_bytes
            self._extend_deadline()
        else:
            self.abort()

    def close_if_idle(self) -> None:
        """The worker drains: a connection without a request has no reason to stay."""
        if self._exchange is None and not self._parser.mid_request:
            self._transport.close()
