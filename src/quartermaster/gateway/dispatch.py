"""What a request asks for: health, models, or a chat completion. Bytes out, or an exchange."""

from typing import Final, Literal
from urllib.parse import unquote_to_bytes

import msgspec

from quartermaster.gateway import admit, heads, wire
from quartermaster.gateway.exchange import Exchange
from quartermaster.gateway.index import Index
from quartermaster.gateway.ports import ClientPort
from quartermaster.gateway.refusals import error_body, refused
from quartermaster.gateway.relay import Relay
from quartermaster.gateway.request_ids import RequestIds
from quartermaster.gateway.requests import Request
from quartermaster.gateway.route import choose
from quartermaster.gateway.stream import StreamExchange
from quartermaster.kernel.errors import NotDurableError, RefusedError

_CHAT: Final = b"/v1/chat/completions"
_MODELS: Final = b"/v1/models"
_HEALTH: Final = b"/healthz"
_READY: Final = b"/readyz"
_METHODS: Final = {_CHAT: "POST", _MODELS: "GET", _HEALTH: "GET", _READY: "GET"}

OWNED_BY: Final = "quartermaster"


class ModelCard(msgspec.Struct, frozen=True):
    """One model as `/v1/models` shows it."""

    id: str
    created: int
    owned_by: str = OWNED_BY
    object: Literal["model"] = "model"


class ModelList(msgspec.Struct, frozen=True):
    """The reply of `/v1/models`."""

    data: list[ModelCard]
    object: Literal["list"] = "list"


class Readiness(msgspec.Struct, frozen=True):
    """The reply of the health endpoints."""

    status: str
    snapshot_version: int | None = None


_encode: Final = msgspec.json.Encoder().encode


class Dispatcher:
    """Answers every request of a worker.

    Args:
        relay: where admitted requests go.
        pepper: the key of the keyed hash of customer keys.
    """

    def __init__(self, relay: Relay, pepper: bytes) -> None:
        self.relay = relay
        self.index: Index | None = None
        self.draining = False
        self.out_of_contact = False
        self._pepper = pepper
        self._ids = RequestIds()
        self._turn = 0

    def handle(self, request: Request, client: ClientPort) -> bytes | Exchange:
        """The whole reply, or the exchange that will write it to the client."""
        try:
            if request.refusal is not None:
                raise request.refusal
            # Some SDKs add a query such as `?api-version=…`; it means nothing here.
            path = _CHAT if request.target == _CHAT else _path(request.target)
            if path == _CHAT and request.method == b"POST":
                return self._chat(request, client)
            status, body, extra = 200, self._read(request, path), b""
        except RefusedError as refusal:
            self.relay.tallies.refused(refusal.code)
            status, body, extra = refusal.http_status, error_body(refusal), _extra(refusal)
        keep_alive = request.keep_alive and not self.draining and request.refusal is None
        return heads.plain(
            status,
            body,
            self._ids.new(self.relay.clock()),
            date=self.relay.date,
            connection=heads.connection_header(keep_alive=keep_alive, http_1_0=request.http_1_0),
            extra=extra,
        )

    def refusal_of_head(self, authorization: bytes) -> RefusedError | None:
        """Why a request whose body has not arrived is refused whatever the body says, or None."""
        try:
            admit.authenticate(self._index(), authorization, self._pepper, self.relay.clock())
        except RefusedError as refusal:
            return refusal
        return None

    def _chat(self, request: Request, client: ClientPort) -> Exchange:
        index = self.index
        if index is None:
            raise _not_ready()
        relay = self.relay
        now = relay.clock()
        head = request.head
        if head is not None and head.index is index:
            # This connection's key was good under this same snapshot: no second hash.
            entry = head.entry
            if entry.grant.expires_at is not None:
                admit.check_expiry(entry, now)
        else:
            entry = admit.authenticate(index, request.authorization, self._pepper, now)
            if head is not None:
                head.admit(index, entry)
        call = wire.read_call(request.body)
        targets = entry.models.get(call.model) or admit.targets_for(index, entry, call.model)
        if not relay.wal.writable:
            raise _meter_unavailable()
        self._turn += 1
        kind = StreamExchange if call.stream else Exchange
        try:
            exchange = kind(
                relay,
                client,
                self._ids.new(now),
                entry.grant,
                targets[0] if len(targets) == 1 else choose(targets, self._turn),
                call,
                request.keep_alive and not self.draining,
                request.http_1_0,
                now,
            )
        except NotDurableError as error:
            raise _meter_unavailable() from error
        relay.begin(exchange)
        return exchange

    def _read(self, request: Request, path: bytes) -> bytes:
        """The endpoints that only read, and every wrong address."""
        model = path[len(_MODELS) + 1 :] if path.startswith(_MODELS + b"/") else b""
        allowed = "GET" if model else _METHODS.get(path)
        if allowed is None:
            shown = path.decode("ascii", "replace")
            raise refused("unknown_url", f"Unknown request URL: {shown}.")
        if request.method.decode() != allowed:
            raise refused(
                "method_not_allowed",
                f"{request.method.decode()} is not allowed here.",
                hint=f"Use {allowed}.",
            )
        if path == _HEALTH:
            return _encode(Readiness("ok"))
        if path == _READY:
            return self._readiness()
        return self._models(request, unquote_to_bytes(model).decode("utf-8", "replace"))

    def _readiness(self) -> bytes:
        index = self._index()
        if not self.relay.wal.writable:
            raise _meter_unavailable()
        if self.draining:
            raise refused("not_ready", "This worker is shutting down.")
        if self.out_of_contact:
            raise refused("not_ready", "This worker cannot read what was published of late.")
        return _encode(Readiness("ready", index.version))

    def _models(self, request: Request, model: str) -> bytes:
        index = self._index()
        entry = admit.authenticate(index, request.authorization, self._pepper, self.relay.clock())
        if not model:
            cards = [ModelCard(name, index.created[name]) for name in sorted(entry.models)]
            return _encode(ModelList(cards))
        admit.targets_for(index, entry, model)
        return _encode(ModelCard(model, index.created[model]))

    def _index(self) -> Index:
        if self.index is None:
            raise _not_ready()
        return self.index


def _not_ready() -> RefusedError:
    return refused("not_ready", "This worker has not read its first snapshot yet.")


def _meter_unavailable() -> RefusedError:
    return refused("meter_unavailable", "The meter cannot write its log, so nothing is served.")


def _path(target: bytes) -> bytes:
    """The path of a request target in origin form or absolute form (RFC 9112, 3.2)."""
    if not target.startswith(b"/"):
        _, separator, rest = target.partition(b"://")
        target = rest[rest.find(b"/") :] if separator and b"/" in rest else target
    return target.partition(b"?")[0]


def _extra(refusal: RefusedError) -> bytes:
    """Headers that the status demands (RFC 9110, 11.6.1 and 15.5.6)."""
    if refusal.http_status == 401:
        return b"www-authenticate: Bearer\r\n"
    if refusal.http_status == 405:
        return b"allow: POST, GET\r\n"
    return b""
