"""What a request asks for, in whichever dialect. Bytes out, or an exchange."""

from collections.abc import Callable
from functools import partial
from typing import Final

from quartermaster.gateway import admit, count_tokens, heads, model_cards, wire
from quartermaster.gateway.addresses import Networks
from quartermaster.gateway.affinity import affinity_of
from quartermaster.gateway.attempts import Route
from quartermaster.gateway.batch_line import BATCH_LINES, BatchLine, is_batch_run
from quartermaster.gateway.budget import BudgetSpentError, Hold, Purses
from quartermaster.gateway.caps import WRITING
from quartermaster.gateway.dialects.errors import Shape, refusal_body
from quartermaster.gateway.dialects.plan import Identity, Plan, asked_as, plan, read_call
from quartermaster.gateway.dialects.routes import match, path_of, shape_of
from quartermaster.gateway.exchange import Exchange
from quartermaster.gateway.held import allowed, capped, check_place, let_pass, set_aside, spilling
from quartermaster.gateway.index import Entry, Index
from quartermaster.gateway.limits import Limiter, Permit
from quartermaster.gateway.otlp_context import Tracer, follow
from quartermaster.gateway.planned import PlannedExchange
from quartermaster.gateway.ports import ClientPort
from quartermaster.gateway.ptu import Lanes, spillover_headers
from quartermaster.gateway.rate_headers import RateLimitedError, rate_headers, refusal_headers
from quartermaster.gateway.refusals import refused
from quartermaster.gateway.relay import Relay
from quartermaster.gateway.relay_control import (
    Control,
    ControlExchange,
    UploadClient,
    end_of_upload,
    is_relayed,
)
from quartermaster.gateway.request_ids import RequestIds
from quartermaster.gateway.requests import Request
from quartermaster.gateway.route import Target
from quartermaster.gateway.router import Router
from quartermaster.gateway.spillover import Spare
from quartermaster.gateway.status import readiness
from quartermaster.gateway.stream import StreamExchange
from quartermaster.gateway.tap import Tap
from quartermaster.gateway.token_estimate import MEDIA_REQUEST_BYTES, input_tokens
from quartermaster.gateway.waiting import Waiting, WaitingRoom
from quartermaster.gateway.wire import ChatCall
from quartermaster.kernel.clock import US_PER_S
from quartermaster.kernel.errors import NotDurableError, RefusedError
from quartermaster.kernel.events import Endpoint

_CHAT: Final = b"/v1/chat/completions"
_AS_CHAT: Final[tuple[Endpoint, Shape]] = ("chat.completions", "openai")
_HEALTH: Final = b"/healthz"
_READY: Final = b"/readyz"
_OWN: Final = frozenset((_HEALTH, _READY))
_HEAD: Final = b"HEAD"
_READING: Final = frozenset((b"GET", _HEAD))

WhenRefused = Callable[[str, int, str, int], None]
"""Request id, HTTP status, error code, microseconds UTC."""


class Dispatcher:
    """Answers every request of a worker.

    Args:
        relay: where admitted requests go.
        pepper: the key of the keyed hash of customer keys.
        limiter: what this worker may let pass of limited customers; the only one when None.
        router: chooses between deployments; by the relay's coarse clock when None.
        purses: what this worker may spend of budgets; nothing when None.
    """

    def __init__(
        self,
        relay: Relay,
        pepper: bytes,
        limiter: Limiter | None = None,
        router: Router | None = None,
        purses: Purses | None = None,
    ) -> None:
        self.relay = relay
        self.control: Control | None = None
        """Who answers for files, batches and usage, if anybody does."""
        self.router = router or Router(lambda: float(relay.now_s))
        self.limiter = limiter or Limiter(workers=1, number=0)
        self.purses = purses or Purses("", 1)
        self.index: Index | None = None
        self.tap: Tap | None = None
        """Where a contract permits it."""
        self.tracer: Tracer | None = None
        """Gives requests their place in a trace, where traces are exported."""
        self.when_refused: WhenRefused | None = None
        """Logs refusals, where there is a log."""
        self.lanes = Lanes(workers=1, number=0)
        self.room: WaitingRoom | None = None
        """Where requests wait for a lease, if they may."""
        self.trusted: Networks = ()
        """Proxies whose word counts on where a client is."""
        self.draining = False
        self.out_of_contact = False
        self.note = ""
        """What a worker that is ready does without."""
        self._pepper = pepper
        self._ids = RequestIds()

    def handle(
        self, request: Request, client: ClientPort
    ) -> bytes | Exchange | ControlExchange | Waiting:
        """The whole reply, or the exchange that will write it to the client."""
        # Some SDKs add a query such as `?api-version=…`; for plain chat it means nothing.
        path = _CHAT if request.target == _CHAT else path_of(request.target)
        shape: Shape = "openai"
        request_id = ""
        elsewhere = False
        try:
            if request.refusal is not None:
                raise request.refusal
            if path == _CHAT and request.method == b"POST":
                return self._chat(request, client)
            answer = self._other(request, client, path)
            if not isinstance(answer, bytes):
                return answer
            status, body, extra = 200, answer, b""
        except RefusedError as refusal:
            waiting = None if self.room is None else self.room.take(refusal, request, client)
            if waiting is not None:
                return waiting
            self.relay.tallies.refused(refusal.code)
            refused_at = self.relay.clock()
            request_id = self._ids.new(refused_at)
            if self.when_refused is not None:
                self.when_refused(request_id, refusal.http_status, refusal.code, refused_at)
            shape = shape_of(path.decode("ascii", "replace"))
            if isinstance(refusal, BudgetSpentError):
                refusal.in_shape(shape)
            body = refusal_body(shape, refusal, request_id)
            elsewhere = isinstance(refusal, RateLimitedError) and refusal.elsewhere
            status, extra = refusal.http_status, refusal_headers(refusal, shape, self.relay.clock())
        request_id = request_id or self._ids.new(self.relay.clock())
        if shape == "anthropic":
            extra += b"request-id: %b\r\n" % request_id.encode()
        keep_alive = request.keep_alive and not (self.draining or request.refusal or elsewhere)
        made = heads.plain(
            status,
            body,
            request_id,
            date=self.relay.date,
            connection=heads.connection_header(keep_alive=keep_alive, http_1_0=request.http_1_0),
            extra=extra,
        )
        # The answer to a HEAD has the head of a GET's, and no body (RFC 9110, 9.3.2).
        return made[: len(made) - len(body)] if request.method == _HEAD else made

    def look_again(self, index: Index) -> None:
        """A new snapshot: what waits, and what another process answers, may go on or may not."""
        if self.control is not None:
            self.control.end_barred(index)
        if self.room is not None:
            self.room.again()

    def refusal_of_head(self, authorization: bytes) -> RefusedError | None:
        """Why a request whose body has not arrived is refused whatever the body says, or None."""
        now = self.relay.clock()
        try:
            admit.authenticate(self._index(), authorization, self._pepper, now)
        except RefusedError as refusal:
            return None if is_batch_run(authorization, self._pepper, now) else refusal
        return None

    def upload(self, request: Request, client: UploadClient) -> ControlExchange:
        """Hand a file on whose end has not arrived.

        Raises:
            RefusedError: who sends it may not, or nobody answers for files.
        """
        return self._relayed(request, client, whole=False)

    def _chat(self, request: Request, client: ClientPort) -> Exchange:
        index = self.index or self._index()
        relay, now = self.relay, self.relay.clock()
        head = request.head
        entry = None if head is None else head.entry
        if entry is not None and index.by_key_id.get(entry.grant.key_id) is entry:
            # This connection's key was good under this same snapshot: no second hash.
            if entry.grant.expires_at is not None:
                admit.check_expiry(entry, now)
        else:
            entry = admit.authenticate(index, request.authorization, self._pepper, now)
            if head is not None:
                head.entry = entry
        call = wire.read_call(request.body)
        if call.input_bytes > MEDIA_REQUEST_BYTES:
            call.media_tokens = input_tokens(request.body)
        targets = entry.models.get(call.model) or admit.targets_for(index, entry, call.model)
        if not relay.wal.writable:
            raise _meter_unavailable()
        permit = None
        if entry.held:
            targets, permit = self._held(request, client, entry, call, targets, "chat.completions")
            now = now if permit is None else permit.dated(now)
        target, many = targets[0], len(targets) > 1
        if not target.head or ((many or permit) and not _take_chats(targets, permit)):
            return self._plan(request, client, entry, call, targets, *_AS_CHAT, permit)
        if many:
            route = self._route(targets, entry, call)
            target = route.target
        kind = StreamExchange if call.stream else Exchange
        try:
            exchange = kind(
                relay,
                client,
                self._ids.new(now),
                entry.grant,
                target,
                call,
                request.keep_alive and not self.draining,
                request.http_1_0,
                now,
            )
        except NotDurableError as error:
            if permit is not None:
                permit.withdraw(now)
            if many:
                route.withdrawn()
            raise _meter_unavailable() from error
        if many:
            exchange.route, route.request_id = route, exchange.request_id
        elif permit is None:
            call.fields = {}  # nobody reads them again; long prompts would wait here for answers
        if permit is not None:
            _hold(exchange, permit, "openai", now)
        if request.traceparent or self.tracer is not None:
            follow(exchange, request, self.tracer)
        if self.tap is not None and entry.grant.watched:
            exchange.taken = self.tap.take(entry.grant, request.body, now, client, request)
        relay.begin(exchange)
        return exchange

    def _relayed(
        self, request: Request, client: ClientPort, *, whole: bool = True
    ) -> ControlExchange:
        """What another process answers."""
        if self.control is None:
            raise refused("unknown_url", "Files, batches and usage are not served here.")
        now = self.relay.clock()
        entry = admit.authenticate(self._index(), request.authorization, self._pepper, now)
        self._check_place(request, client, entry)
        request_id, path = self._ids.new(now), path_of(request.target)
        return self.control.begin(
            client, request, path, entry.grant, request_id, self._pepper, whole=whole
        )

    def _other(
        self, request: Request, client: ClientPort, path: bytes
    ) -> bytes | Exchange | ControlExchange:
        """Everything but plain chat: its body, or the exchange that will write it."""
        if is_relayed(path) and request.method == _HEAD:
            raise refused("method_not_allowed", "HEAD is not allowed here.", hint="Use GET.")
        if is_relayed(path):
            keep_alive = request.keep_alive and not self.draining
            arriving = end_of_upload(request, client, keep_alive=keep_alive)
            return arriving or self._relayed(request, client)
        if path in _OWN:
            if request.method not in _READING:
                raise refused(
                    "method_not_allowed",
                    f"{request.method.decode()} is not allowed here.",
                    hint="Use GET.",
                )
            return readiness("ok") if path == _HEALTH else self._readiness()
        query = request.target.partition(b"?")[2].decode("ascii", "replace")
        line: BatchLine | None = None
        if path.startswith(BATCH_LINES):
            line = BatchLine.admit(self._index(), request, self._pepper, self.relay.clock())
            path = b"/v1/" + path.removeprefix(BATCH_LINES)
        method = "GET" if request.method == _HEAD else request.method.decode()
        found = match(method, path.decode("ascii", "replace"), query)
        operation = found.route.operation
        if operation == "responses.stored":
            raise refused("unknown_url", "Responses are not stored here.")
        if operation == "models" or operation == "models.retrieve":
            return self._models(request, client, found.name)
        index = self._index()
        now = self.relay.clock()
        if line is None:
            entry = admit.authenticate(index, request.authorization, self._pepper, now)
        else:
            entry = line.entry
        call = read_call(operation, request.body, found.name)
        if call.input_bytes > MEDIA_REQUEST_BYTES:
            call.media_tokens = input_tokens(request.body)
        if line is not None:
            line.take(call)
        targets = admit.targets_for(index, entry, call.model)
        if operation == "messages.count_tokens":
            self._check_place(request, client, entry)
            return count_tokens.estimate(call)
        if not self.relay.wal.writable:
            raise _meter_unavailable()
        able = tuple(one for one in targets if asked_as(operation, one.deployment.api) in one.heads)
        if not able:
            raise refused(
                "unsupported_value",
                f"The model '{call.model}' does not support this operation.",
                param="model",
            )
        permit = None
        if entry.held:
            able, permit = self._held(request, client, entry, call, able, operation)
        return self._plan(
            request, client, entry, call, able, operation, found.route.shape, permit, line
        )

    def _plan(
        self,
        request: Request,
        client: ClientPort,
        entry: Entry,
        call: ChatCall,
        targets: tuple[Target, ...],
        operation: Endpoint,
        shape: Shape,
        permit: Permit | None,
        line: BatchLine | None = None,
    ) -> Exchange:
        """Begin an exchange between dialects."""
        now = self.relay.clock() if permit is None else permit.dated(self.relay.clock())
        request_id = self._ids.new(now) if line is None else line.run.request_id
        identity = Identity(request_id.removeprefix("req_"), now // US_PER_S)

        def replan(target: Target) -> Plan:
            return plan(operation, call, target.deployment.api, target.upstream_model, identity)

        route = None if len(targets) == 1 else self._route(targets, entry, call)
        target = targets[0] if route is None else route.target
        try:
            made = replan(target) if route is None else route.first(replan)
            kind = PlannedExchange if line is None else line.exchange
            exchange = kind(
                self.relay,
                client,
                request_id,
                entry.grant,
                target if route is None else route.target,
                call,
                request.keep_alive and not self.draining,
                request.http_1_0,
                now,
                plan=made,
                replan=replan,
                endpoint=operation,
                shape=shape,
            )
        except (NotDurableError, RefusedError) as error:
            if permit is not None:
                permit.withdraw(now)
            if route is not None:
                route.withdrawn()
            if isinstance(error, RefusedError):
                raise
            raise _meter_unavailable() from error
        if route is not None:
            exchange.route, route.request_id = route, exchange.request_id
        if permit is not None:
            _hold(exchange, permit, shape, now)
        if request.traceparent or self.tracer is not None:
            follow(exchange, request, self.tracer)
        if self.tap is not None and entry.grant.watched and operation in WRITING:
            exchange.taken = self.tap.take(entry.grant, request.body, now, client, request)
        self.relay.begin(exchange)
        return exchange

    def _route(self, targets: tuple[Target, ...], entry: Entry, call: ChatCall) -> Route:
        """Choose between several deployments."""
        return self.router.route(targets, affinity_of(entry.grant.key_id, call.fields))

    def _held(
        self,
        request: Request,
        client: ClientPort,
        entry: Entry,
        call: ChatCall,
        targets: tuple[Target, ...],
        operation: Endpoint,
    ) -> tuple[tuple[Target, ...], Permit | None]:
        """What is left to a key that is limited or held to something, and the request's permit.

        Raises:
            RefusedError: 403 or 429, and what else a budget cannot take.
        """
        now, may = self.relay.clock(), None
        batch = call.service_class == "batch"
        # A batch waits for what is left, and has a day: only budgets and throttles hold it.
        limited = () if batch else entry.limited
        guard, caps = entry.guard, entry.caps
        if guard is not None:
            if not batch:
                # A batch was taken from where the key may be used; its runner is our own.
                check_place(guard, request, client, self.trusted)
            guard.check_endpoint(operation)
            contract = entry.grant.contract
            may = allowed(guard, limited, call, targets, operation, self.lanes, contract, now)
            targets, limited = may.targets, may.limited
        free = not limited and caps is None and entry.budgeted is None
        if free and (may is None or may.lane is None):
            return targets, None
        body = request.body
        most = None if caps is None else capped(entry, call, body, operation, targets[0])
        permit = let_pass(
            self.purses, self.limiter, limited, entry, call, body, now, operation, targets[0]
        )
        if caps is not None:
            permit.output_tokens = most
            if caps.stream_seconds is not None and not batch:
                # The coarse clock may be a second behind: nobody gets less than was agreed.
                permit.ends_s = self.relay.now_s + caps.stream_seconds + 1
        if may is not None:
            may.grant(permit, call, body, answers=operation in WRITING)
            if may.spare and may.lane is not None:
                aside = partial(self._aside, entry.grant.key_id, call, body, operation)
                route = partial(self._route, entry=entry, call=call)
                permit.spare = Spare(may.lane, may.spare, aside, route)
        return targets, permit

    def _aside(
        self,
        key_id: str,
        call: ChatCall,
        body: bytes,
        operation: Endpoint,
        now: int,
        target: Target,
    ) -> Hold | None:
        """What a request that leaves its units sets aside, by what holds for its key by now.

        Raises:
            RefusedError: it may not go on.
        """
        entry = spilling(self._index(), key_id, call.model)
        return set_aside(self.purses, entry, call, body, operation, now, target)

    def _check_place(self, request: Request, client: ClientPort, entry: Entry) -> None:
        """Whether a key may be used from where the request comes.

        Raises:
            RefusedError: 403.
        """
        if entry.guard is not None:
            check_place(entry.guard, request, client, self.trusted)

    def _readiness(self) -> bytes:
        index = self._index()
        if not self.relay.wal.writable:
            raise _meter_unavailable()
        if self.draining:
            raise refused("not_ready", "This worker is shutting down.")
        if self.out_of_contact:
            raise refused("not_ready", "This worker cannot read what was published of late.")
        return readiness("ready", index.version, self.note)

    def _models(self, request: Request, client: ClientPort, model: str) -> bytes:
        index = self._index()
        entry = admit.authenticate(index, request.authorization, self._pepper, self.relay.clock())
        self._check_place(request, client, entry)
        if not model:
            return model_cards.every({name: index.created[name] for name in entry.models})
        admit.targets_for(index, entry, model)
        return model_cards.one(model, index.created[model])

    def _index(self) -> Index:
        if self.index is None:
            raise _not_ready()
        return self.index


def _not_ready() -> RefusedError:
    return refused("not_ready", "This worker has not read its first snapshot yet.")


def _meter_unavailable() -> RefusedError:
    return refused("meter_unavailable", "The meter cannot write its log, so nothing is served.")


def _take_chats(targets: tuple[Target, ...], permit: Permit | None) -> bool:
    """Whether whoever may come to serve a chat takes it as it is, without another dialect."""
    spare = None if permit is None else permit.spare
    return all(one.head for one in targets) and (spare is None or spare.takes_chats)


def _hold(exchange: Exchange, permit: Permit, shape: Shape, now: int) -> None:
    """The exchange ends its permit with itself, and its head says what is left."""
    exchange.permit = permit
    if permit.spilled_from:
        served_by = exchange.target.deployment.name
        exchange.connection += spillover_headers(permit.spilled_from, served_by)
    exchange.connection += rate_headers(shape, permit.requests, permit.tokens, now)
