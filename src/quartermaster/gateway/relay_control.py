"""Requests that another process answers: customers' files, batches and usage.

The gateway knows no files and no SQL. It authenticates, as for every request, and hands method,
address, key and body on to the API role; that looks the key up again, in the book, so nothing that
is relayed can be forged by somebody who reaches the API past the gateway. Where the client is, only
the gateway knows: a proof that it looked goes with the request. Bodies pass in both directions as
they come, with backpressure, and are never held whole beyond the gateway's own limit.
"""

import asyncio
import ssl
from typing import Final, Protocol, cast
from urllib.parse import urlsplit

from quartermaster.gateway import heads
from quartermaster.gateway.admit import account_barred
from quartermaster.gateway.index import Index
from quartermaster.gateway.ports import ClientPort
from quartermaster.gateway.refusals import error_body, refused
from quartermaster.gateway.relay import Relay
from quartermaster.gateway.relay_slots import Slots
from quartermaster.gateway.requests import Request
from quartermaster.gateway.responses import ResponseParser
from quartermaster.kernel import relayed_key
from quartermaster.kernel.errors import ConfigError, RefusedError, UpstreamError
from quartermaster.kernel.snapshot import KeyGrant

_AZURE: Final = b"/openai"
"""Before the same addresses, as Azure has them."""
_V1: Final = (b"/v1/files", b"/v1/batches", b"/v1/organization")
PATHS: Final = (*_V1, *(_AZURE + path for path in _V1))
"""What is relayed, with everything below it."""
_BELOW: Final = tuple(path + b"/" for path in PATHS)
CONNECT_TIMEOUT_S: Final = 5.0
"""The API is on this machine or the next one."""
SILENCE_S: Final = 120.0
"""Between two signs of life; a question about a year of usage takes some seconds."""
BYTES_PER_S_MIN: Final = 16_384
"""What a client sends of a file, or takes of one: any line that is used for files has more, and
whoever sends a byte now and then holds one of few places."""
LOOK_S: Final = 15.0
"""Over which that is measured: a line may be gone for some seconds."""
# RFC 9110, 6.4.1: no body, not even an empty chunked one.
_BODILESS: Final = (204, 304)
_PORTS: Final = {"http": 80, "https": 443}


def is_relayed(path: bytes) -> bool:
    """Whether another process answers what is at this path."""
    return path.startswith(PATHS) and (path in PATHS or path.startswith(_BELOW))


def end_of_upload(
    request: Request, client: ClientPort, *, keep_alive: bool
) -> "ControlExchange | None":
    """What takes a file whose end has come with this request; None where none was arriving."""
    uploading = cast(UploadClient, client)
    upload, uploading.upload = uploading.upload, None
    if upload is not None:
        upload.body(request.body)
        upload.body_end(keep_alive=keep_alive, http_1_0=request.http_1_0)
    return upload


class UploadClient(ClientPort, Protocol):
    """A client's connection that can be told to wait while its body is taken."""

    upload: "ControlExchange | None"
    """Takes a body that has not arrived whole."""

    def hold(self) -> None:
        """Read no more of the body."""

    def go_on(self) -> None:
        """Read on."""

    def finish_unread(self, data: bytes) -> None:
        """Send a whole answer although the body has not arrived, and close."""


class Control:
    """The way to the API role, for one worker.

    Args:
        loop: the worker's loop.
        url: the API role's address, such as `http://127.0.0.1:8470`.
        relay: the worker's clocks and tallies.

    Raises:
        ConfigError: not an address.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, url: str, relay: Relay) -> None:
        self.loop, self.relay = loop, relay
        try:
            parts = urlsplit(url)
            port = parts.port
        except ValueError:
            parts, port = urlsplit(""), None
        if parts.scheme not in _PORTS or not parts.hostname:
            raise ConfigError(
                f"gateway.control_url = {url!r} is not an http(s) address",
                hint="write it as http://host:port",
                field="gateway.control_url",
            )
        self.host, self.port = parts.hostname, port or _PORTS[parts.scheme]
        self.tls = ssl.create_default_context() if parts.scheme == "https" else None
        self.slots = Slots()
        self.active: dict[ControlExchange, str] = {}
        """What is under way, with the id of the key."""

    def end_barred(self, index: Index) -> None:
        """A new snapshot: end files and questions of who may not be served any more.

        Args:
            index: of the snapshot.
        """
        for exchange, key_id in list(self.active.items()):
            entry = index.by_key_id.get(key_id)
            if entry is None:
                exchange.refuse(refused("invalid_api_key", "This API key was revoked."))
            elif entry.barred:
                exchange.refuse(account_barred(entry.barred))

    def begin(
        self,
        client: ClientPort,
        request: Request,
        path: bytes,
        grant: KeyGrant,
        request_id: str,
        pepper: bytes,
        *,
        whole: bool,
    ) -> "ControlExchange":
        """Relay a request.

        Args:
            client: who asked.
            request: what was asked, with the customer's own key.
            path: of its target.
            grant: of the key, which may be used from where the request comes.
            request_id: under which the answer goes out.
            pepper: of this installation.
            whole: whether the body is there; else it follows in parts.

        Raises:
            RefusedError: too many are under way.
        """
        customer = grant.customer
        self.slots.take(customer, upload=not whole)
        framing = b"transfer-encoding: chunked"
        if whole:
            framing = b"content-length: %d" % len(request.body)
        query = request.target.partition(b"?")[2]
        target = path.removeprefix(_AZURE) + (b"?" + query if query else b"")
        head = (
            b"%b %b HTTP/1.1\r\nhost: localhost\r\nauthorization: %b\r\nx-request-id: %b\r\n"
            b"%b: %b\r\naccept-encoding: identity\r\nconnection: close\r\n%b\r\n\r\n"
        ) % (
            request.method,
            target,
            request.authorization,
            request_id.encode(),
            relayed_key.HEADER.encode(),
            relayed_key.prove(grant.key_id, pepper, self.relay.clock()).encode(),
            framing,
        )
        exchange = ControlExchange(
            self, client, customer, request_id, request.keep_alive, request.http_1_0
        )
        self.active[exchange] = grant.key_id
        exchange.start(head, request.body if whole else None)
        return exchange


class ControlExchange(asyncio.Protocol):
    """One relayed request, from its head to the last byte of its answer."""

    __slots__ = (
        "_answering",
        "_body_ended",
        "_chunked",
        "_client",
        "_connecting",
        "_control",
        "_customer",
        "_done",
        "_held",
        "_keep_alive",
        "_look",
        "_moved",
        "_parser",
        "_paused",
        "_request_id",
        "_transport",
        "_unsent",
        "_uploading",
        "_waited",
        "_watch",
    )

    def __init__(
        self,
        control: Control,
        client: ClientPort,
        customer: str,
        request_id: str,
        keep_alive: bool,
        http_1_0: bool,
    ) -> None:
        self._control, self._client = control, client
        self._customer, self._request_id = customer, request_id
        self._keep_alive, self._chunked = keep_alive, not http_1_0
        self._parser = ResponseParser()
        self._transport: asyncio.Transport | None = None
        self._unsent: list[bytes] = []
        self._body_ended = self._answering = self._done = self._held = False
        self._connecting: asyncio.Task[None] | None = None
        self._watch: asyncio.TimerHandle | None = None
        self._look: asyncio.TimerHandle | None = None
        self._uploading = self._paused = self._waited = False
        self._moved = 0

    # -- the request -----------------------------------------------------------------------------

    def start(self, head: bytes, body: bytes | None) -> None:
        """Connect, and send what is there."""
        self._unsent.append(head)
        if body is not None:
            self._unsent.append(body)
            self._body_ended = True
        else:
            self._uploading = True
            self._hold()
        self._alive(CONNECT_TIMEOUT_S)
        self._look_again()
        self._connecting = self._control.loop.create_task(self._connect())

    def body(self, data: bytes) -> None:
        """The next part of a body that is not collected."""
        if data and not self._done:
            self._alive(SILENCE_S)
            self._moved += len(data)
            self._send(heads.chunk(data))

    def body_end(self, *, keep_alive: bool, http_1_0: bool) -> None:
        """The body has ended; what the whole request said of its connection."""
        self._body_ended = True
        self._keep_alive, self._chunked = keep_alive, not http_1_0
        self._send(heads.CHUNKS_END)

    async def _connect(self) -> None:
        control = self._control
        try:
            await control.loop.create_connection(
                lambda: self, control.host, control.port, ssl=control.tls
            )
        except OSError:
            self._fail()

    def _send(self, data: bytes) -> None:
        if self._done:
            return
        if self._transport is None:
            self._unsent.append(data)
        else:
            self._transport.write(data)

    # -- asyncio.Protocol ------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Connected."""
        self._transport = cast(asyncio.Transport, transport)
        if self._done:
            self._transport.abort()
            return
        self._alive(SILENCE_S)
        self._transport.writelines(self._unsent)
        self._unsent.clear()
        self._go_on()

    def pause_writing(self) -> None:
        """The API does not take the body as fast as it comes."""
        self._hold()

    def resume_writing(self) -> None:
        """It has caught up."""
        self._alive(SILENCE_S)
        self._go_on()

    def data_received(self, data: bytes) -> None:
        """Bytes of the answer."""
        if self._done:
            return
        self._alive(SILENCE_S)
        self._moved += len(data)
        try:
            self._parser.feed(data)
        except UpstreamError:
            self._fail()
            return
        self._pass_on()

    def connection_lost(self, exc: Exception | None) -> None:
        """The API has closed, or we have."""
        del exc  # why it broke does not change what the client is told
        self._transport = None
        if self._done:
            return
        if self._parser.eof():
            self._pass_on()
        else:
            self._fail()

    def _pass_on(self) -> None:
        parser = self._parser
        if not parser.head_done:
            return
        if not self._answering:
            if parser.complete:
                self._end(self._head(parser.take_body(), whole=True))
                return
            self._answering = True
            self._client.write(self._head(b"", whole=False))
        body = parser.take_body()
        if body:
            self._client.write(heads.chunk(body) if self._chunked else body)
        if parser.complete:
            self._end(heads.CHUNKS_END if self._chunked else b"")

    def _head(self, body: bytes, *, whole: bool) -> bytes:
        """The answer's head, with the body where all of it is here."""
        parser, home = self._parser, self._control.relay
        keep_alive = self._keep_alive and (whole or self._chunked) and self._body_ended
        self._keep_alive = keep_alive
        connection = heads.connection_header(keep_alive=keep_alive, http_1_0=not self._chunked)
        extra = parser.retry_lines
        kind = parser.content_type or heads.JSON
        if whole or parser.status in _BODILESS:
            return heads.plain(
                parser.status,
                body,
                self._request_id,
                date=home.date,
                connection=connection,
                content_type=kind,
                extra=extra,
            )
        framing = b"transfer-encoding: chunked\r\n" if self._chunked else b""
        return b"%bcontent-type: %b\r\n%bx-request-id: %b\r\n%b%b%b\r\n" % (
            heads.status_line(parser.status),
            kind,
            home.date,
            self._request_id.encode(),
            connection,
            extra,
            framing,
        )

    # -- the end ---------------------------------------------------------------------------------

    def _fail(self) -> None:
        """No answer, or only half of one."""
        if self._done:
            return
        self._control.relay.tallies.failed("control_unreachable")
        self._give_up(refused("not_ready", "This cannot be answered at the moment."))

    def refuse(self, refusal: RefusedError) -> None:
        """Who asked may not be answered any more."""
        if not self._done:
            self._control.relay.tallies.refused(refusal.code)
            self._give_up(refusal)

    def _give_up(self, refusal: RefusedError) -> None:
        if self._answering:
            self._close()
            self._client.abort()  # a client that counts sees that the rest is missing
        else:
            self._end(self._refusal_bytes(refusal))

    def _refusal_bytes(self, refusal: RefusedError) -> bytes:
        self._keep_alive = self._keep_alive and self._body_ended
        return heads.plain(
            refusal.http_status,
            error_body(refusal),
            self._request_id,
            date=self._control.relay.date,
            connection=heads.connection_header(
                keep_alive=self._keep_alive, http_1_0=not self._chunked
            ),
        )

    def _end(self, last: bytes) -> None:
        """Send the client's last bytes."""
        self._close()
        self._go_on()
        if self._body_ended:
            self._client.finish(last, keep_alive=self._keep_alive)
        else:
            cast(UploadClient, self._client).finish_unread(last)

    def _close(self) -> None:
        """Nothing more of this request."""
        self._done = True
        self._unsent.clear()
        self._control.slots.give_back(self._customer, upload=self._uploading)
        self._control.active.pop(self, None)
        for timer in (self._watch, self._look):
            if timer is not None:
                timer.cancel()
        self._watch = self._look = None
        if self._connecting is not None and not self._connecting.done() and self._transport is None:
            self._connecting.cancel()
        if self._transport is not None:
            self._transport.abort()
            self._transport = None

    # -- what the client's side tells ------------------------------------------------------------

    def client_gone(self) -> None:
        """The client hung up."""
        if not self._done:
            self._close()

    def pause(self) -> None:
        """The client does not keep up."""
        self._paused = True
        if self._transport is not None:
            self._transport.pause_reading()

    def resume(self) -> None:
        """The client's buffer has drained."""
        self._paused = False
        if self._transport is not None:
            self._alive(SILENCE_S)
            self._transport.resume_reading()

    def _hold(self) -> None:
        if not self._body_ended and not self._held:
            self._held = self._waited = True
            cast(UploadClient, self._client).hold()

    def _go_on(self) -> None:
        if self._held:
            self._held = False
            cast(UploadClient, self._client).go_on()

    def _alive(self, seconds: float) -> None:
        """Somebody said something: the other side has its time again."""
        if self._watch is not None:
            self._watch.cancel()
        self._watch = self._control.loop.call_later(seconds, self._fail)

    def _look_again(self) -> None:
        self._moved, self._waited = 0, self._held
        self._look = self._control.loop.call_later(LOOK_S, self._look_at_client)

    def _look_at_client(self) -> None:
        """Give up on a client that sends, or takes, next to nothing while we wait for it."""
        # What the API takes slowly was held back by us.
        sends_late = not (self._body_ended or self._waited)
        takes_late = self._paused and self._answering
        if self._moved >= BYTES_PER_S_MIN * LOOK_S or not (sends_late or takes_late):
            self._look_again()
            return
        self.refuse(refused("request_timeout", "The file arrived too slowly."))
