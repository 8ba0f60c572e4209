"""Fakes around the gateway's cores: a log, a client, an upstream, a hand-cranked loop."""

import json
from collections.abc import Callable
from typing import Any

from quartermaster.gateway.dispatch import Dispatcher
from quartermaster.gateway.exchange import Exchange
from quartermaster.gateway.index import Index, build
from quartermaster.gateway.ports import WhenDurable
from quartermaster.gateway.relay import Relay
from quartermaster.gateway.requests import Request, RequestParser
from quartermaster.gateway.responses import ResponseParser
from quartermaster.gateway.settings import HEAR_OUT_S, GatewaySettings
from quartermaster.gateway.status import Tallies
from quartermaster.kernel.clock import Instant
from quartermaster.kernel.contract import Standing
from quartermaster.kernel.errors import NotDurableError
from quartermaster.kernel.events import Closed, Opened, Progress
from quartermaster.kernel.ids import key_hash
from quartermaster.kernel.snapshot import Deployment, KeyGrant, Snapshot

PEPPER = b"p" * 32
SECRET = "qm-a-key"
NOW = Instant(1_700_000_000_000_000)


class FakeWal:
    """A log in memory; the test says when what is on disk."""

    app_id = "gateway-0"

    def __init__(self, story: list[str]) -> None:
        self.writable = True
        self.story = story
        self.open: dict[int, Opened] = {}
        self.closes: dict[int, Closed] = {}
        self.progress: list[Progress] = []
        self.confirmed: list[int] = []
        self.waiting: list[WhenDurable] = []
        self.breaks_at_flush = False

    def opened(self, opened: Opened) -> int:
        """An open frame."""
        if not self.writable:
            raise NotDurableError
        handle = len(self.open) + 1
        self.open[handle] = opened
        self.story.append("opened")
        return handle

    def progressed(self, handle: int, progress: Progress) -> None:
        """A progress frame."""
        self.progress.append(progress)

    def closed(self, handle: int, closed: Closed, when_durable: WhenDurable) -> None:
        """A close frame."""
        assert handle not in self.closes, "closed twice"
        self.closes[handle] = closed
        self.waiting.append(when_durable)
        self.story.append("closed")

    def delivered(self, *handles: int) -> None:
        """Last bytes left."""
        for handle in handles:
            assert handle in self.closes
            self.confirmed.append(handle)
            self.story.append("delivered")

    def flush(self) -> None:
        """To the page cache."""
        self.story.append("flushed")
        if self.breaks_at_flush:
            self.writable = False

    def sync(self, error: Exception | None = None) -> None:
        """The group sync has come back."""
        waiting, self.waiting = self.waiting, []
        self.story.append("synced" if error is None else "sync failed")
        for when_durable in waiting:
            when_durable(error)

    @property
    def only_close(self) -> Closed:
        """The close record of the one request of this test."""
        (closed,) = self.closes.values()
        return closed


class FakeClient:
    """A client that remembers what it was sent."""

    def __init__(self, story: list[str]) -> None:
        self.story = story
        self.data = b""
        self.drained = True
        self.lost = False
        self.done: bool | None = None
        self.aborted = False
        self.peer = "203.0.113.9"
        self.agent = b""
        self.asked_again: list[Request] = []

    def write(self, data: bytes) -> None:
        """Bytes for the client."""
        self.data += data
        if data:
            self.story.append("wrote")

    def abort(self) -> None:
        """Hung up on."""
        self.aborted = True

    def finish(self, data: bytes, *, keep_alive: bool) -> None:
        """The last bytes; the exchange is over."""
        self.write(data)
        self.done = keep_alive

    def ask_again(self, request: Request) -> None:
        """What its request waited for is here, or will not come."""
        self.asked_again.append(request)

    @property
    def body(self) -> bytes:
        """What came after the head, without chunk framing."""
        head, _, rest = self.data.partition(b"\r\n\r\n")
        if b"transfer-encoding: chunked" not in head:
            return rest
        body = b""
        while rest:
            size, _, rest = rest.partition(b"\r\n")
            length = int(size, 16)
            body += rest[:length]
            rest = rest[length + 2 :]
        return body

    @property
    def status(self) -> int:
        """The status of the response."""
        return int(self.data.split(b" ", 2)[1])

    @property
    def error(self) -> dict[str, Any]:
        """The error object of the response."""
        error: dict[str, Any] = json.loads(self.body)["error"]
        return error


class FakeUpstream:
    """An upstream connection that remembers what was asked of it."""

    def __init__(self) -> None:
        self.calls: list[str] = []

    def pause(self) -> None:
        """Stop reading."""
        self.calls.append("pause")

    def resume(self) -> None:
        """Read on."""
        self.calls.append("resume")

    def abort(self) -> None:
        """Dropped."""
        self.calls.append("abort")

    def detach(self) -> None:
        """No more bytes needed."""
        self.calls.append("detach")


class Bench:
    """A dispatcher and a relay without sockets; turns of the loop are taken by hand."""

    def __init__(self, index: Index | None = None, settings: GatewaySettings | None = None) -> None:
        self.story: list[str] = []
        self.wal = FakeWal(self.story)
        self.soon: list[Callable[[], None]] = []
        self.later: list[Callable[[], None]] = []
        self.dialled: list[tuple[Exchange, bool]] = []
        self.dial: Callable[[Exchange, bool], None] | None = None
        self.now = NOW
        self.tallies = Tallies()
        self.relay = Relay(
            wal=self.wal,
            settings=settings or GatewaySettings(),
            clock=lambda: self.now,
            tallies=self.tallies,
            call_soon=self.soon.append,
            call_later=lambda _, do: self.later.append(do),
            dial=self._dial,
        )
        self.dispatcher = Dispatcher(self.relay, PEPPER)
        self.dispatcher.index = index or an_index(settings=settings)
        self.upstream = FakeUpstream()
        self.parser = ResponseParser()

    def _dial(self, exchange: Exchange, fresh: bool) -> None:
        self.dialled.append((exchange, fresh))
        self.story.append("dialled")
        if self.dial is not None:
            self.dial(exchange, fresh)

    def turn(self) -> None:
        """One turn of the loop."""
        soon = self.soon[:]
        self.soon.clear()
        for do in soon:
            do()

    def client(self) -> FakeClient:
        """A new client."""
        return FakeClient(self.story)

    def request(self, raw: bytes, client: FakeClient) -> Exchange | None:
        """A request arrives; an immediate reply is written to the client."""
        (request,) = RequestParser(head_bytes_max=65536, body_bytes_max=1 << 20).feed(raw)
        answer = self.dispatcher.handle(request, client)
        if isinstance(answer, bytes):
            client.write(answer)
            return None
        assert isinstance(answer, Exchange), "this worker relays to no API"
        return answer

    def send(self, body: dict[str, Any], client: FakeClient, **headers: str) -> Exchange:
        """A chat completion that is admitted and sent upstream."""
        exchange = self.request(chat_request(body, **headers), client)
        assert exchange is not None, client.data
        self.turn()
        exchange.sent(self.upstream)
        return exchange

    def hang_up(self, exchange: Exchange) -> None:
        """The client hangs up, and the time to hear the model server out passes."""
        exchange.client_gone()
        self.relay.tick(self.relay.now_s + HEAR_OUT_S + 1)

    def answer(self, exchange: Exchange, data: bytes) -> None:
        """Bytes of the upstream's response."""
        self.parser.feed(data)
        exchange.upstream_data(self.parser)


def a_grant(**fields: Any) -> KeyGrant:
    """The grant of `SECRET`."""
    given: dict[str, Any] = {
        "key_id": "key_1",
        "key_hash": key_hash(SECRET.encode(), PEPPER).hex(),
        "customer": "cus_1",
        "group": "grp_1",
        "project": "default",
        "contract": "con_1",
        "contract_version": 3,
        "price_book": "list",
        "price_book_version": 2,
        "cancelled_stream": "bill_delivered",
    }
    return KeyGrant(**{**given, **fields})


TOY = Deployment("toy@here", "toy", "http://127.0.0.1:9/v1", "toy-upstream", created_at_s=1_700)


def an_index(
    *grants: KeyGrant,
    standing: dict[str, Standing] | None = None,
    deployments: tuple[Deployment, ...] = (TOY,),
    settings: GatewaySettings | None = None,
) -> Index:
    """The index of a small snapshot."""
    snapshot = Snapshot(7, 0, grants or (a_grant(),), standing or {}, deployments)
    return build(snapshot, {}, settings or GatewaySettings())


def chat_request(body: dict[str, Any] | bytes, **headers: str) -> bytes:
    """The bytes of a chat completion request."""
    return raw_request("POST", "/v1/chat/completions", body, **headers)


def raw_request(
    method: str, target: str, body: dict[str, Any] | bytes = b"", **headers: str
) -> bytes:
    """The bytes of any request; underscores in header names become dashes."""
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    given = {"host": "gateway", "authorization": f"Bearer {SECRET}", **headers}
    version = given.pop("version", "1.1")
    lines = [f"{name.replace('_', '-')}: {value}" for name, value in given.items() if value]
    head = "\r\n".join([f"{method} {target} HTTP/{version}", *lines])
    return f"{head}\r\ncontent-length: {len(content)}\r\n\r\n".encode() + content


def plain_response(body: bytes, status: str = "200 OK", *more: str) -> bytes:
    """The bytes of an upstream's plain response."""
    lines = [f"HTTP/1.1 {status}", "content-type: application/json", *more]
    lines.append(f"content-length: {len(body)}")
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


STREAM_HEAD = (
    b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"
)
DONE = b"data: [DONE]\n\n"


def chunked(data: bytes) -> bytes:
    """One chunk of an upstream's chunked body."""
    return b"%x\r\n%b\r\n" % (len(data), data)


def delta(text: str, finish_reason: str | None = None) -> bytes:
    """A frame with one content delta."""
    choice = {"index": 0, "delta": {"content": text}, "finish_reason": finish_reason}
    return frame({"id": "chatcmpl-1", "choices": [choice], "usage": None})


def usage_frame(prompt: int, completion: int, **more: Any) -> bytes:
    """The frame that holds nothing but usage."""
    usage = {"prompt_tokens": prompt, "completion_tokens": completion, **more}
    return frame({"id": "chatcmpl-1", "choices": [], "usage": usage})


def frame(content: dict[str, Any]) -> bytes:
    """A server-sent event."""
    return b"data: " + json.dumps(content).encode() + b"\n\n"


HELLO: dict[str, Any] = {"model": "toy", "messages": [{"role": "user", "content": "Hello"}]}
HELLO_STREAM: dict[str, Any] = {**HELLO, "stream": True}
