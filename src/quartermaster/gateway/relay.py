"""The worker-wide half of relaying: what is done once a loop turn for all exchanges together."""

from collections.abc import Callable, Sequence
from typing import Final

from quartermaster.gateway import heads
from quartermaster.gateway.attempts import DRAINED
from quartermaster.gateway.budget import Purses
from quartermaster.gateway.caps import TIME_OVER
from quartermaster.gateway.exchange import Exchange
from quartermaster.gateway.index import Index
from quartermaster.gateway.limits import Permit
from quartermaster.gateway.meter import AFTER_DRAINED, AFTER_GONE, RUNNING, Life
from quartermaster.gateway.ports import WalPort
from quartermaster.gateway.route import Target, still_serving
from quartermaster.gateway.settings import GatewaySettings
from quartermaster.gateway.status import Tallies
from quartermaster.kernel.clock import US_PER_S, Clock
from quartermaster.kernel.events import Opened

# How soon to look again at a client that has not taken its last bytes; most have at once.
DELIVERY_POLL_S: Final = 0.01

_OPEN: Final = Life.OPEN  # looked up once: an enum does it slowly

Later = Callable[[float, Callable[[], None]], object]
Soon = Callable[[Callable[[], None]], object]
Dial = Callable[[Exchange, bool], None]
Observe = Callable[[Sequence[Exchange], int], None]
"""Takes exchanges whose end is on disk, or never will be, and when they were released."""


def _unseen(ended: Sequence[Exchange], released_at: int) -> None:
    """Nobody counts."""
    del ended, released_at


class Relay:
    """Opens exchanges in batches, confirms deliveries in batches, keeps their time.

    Args:
        wal: the write-ahead log.
        settings: limits and time-outs.
        clock: microseconds UTC.
        tallies: where failures are counted.
        call_soon: runs a callback in the next turn of the loop.
        call_later: runs a callback after some seconds.
        dial: sends an exchange upstream; True asks for a fresh connection.
        observe: counts and logs exchanges that have ended.
    """

    def __init__(
        self,
        *,
        wal: WalPort,
        settings: GatewaySettings,
        clock: Clock,
        tallies: Tallies,
        call_soon: Soon,
        call_later: Later,
        dial: Dial,
        observe: Observe = _unseen,
    ) -> None:
        self.wal = wal
        self.settings = settings
        self.clock = clock
        self.tallies = tallies
        self.active: set[Exchange] = set()
        self.now_s = 0
        self.date = heads.date_header(clock() // US_PER_S)
        self._call_soon = call_soon
        self._call_later = call_later
        self._dial = dial
        self._observe = observe
        self._outbox: list[Exchange] = []
        self._fresh: list[Exchange] = []
        self._unconfirmed: list[Exchange] = []
        self._newest: Index | None = None

    def begin(self, exchange: Exchange) -> None:
        """Send the exchange upstream, after the open frames of this turn have been written."""
        self.active.add(exchange)
        self.tallies.requests += 1
        outbox = self._outbox
        outbox.append(exchange)
        if len(outbox) == 1:
            self._call_soon(self._send_opened)

    def again(self, exchange: Exchange) -> None:
        """Send a request that is open already to the deployment that it names now."""
        self._outbox.append(exchange)
        if len(self._outbox) == 1:
            self._call_soon(self._send_opened)

    def _send_opened(self) -> None:
        outbox, self._outbox = self._outbox, []
        self.wal.flush()
        if not self.wal.writable:
            for exchange in outbox:
                if exchange.life is _OPEN:
                    exchange.meter_lost()
            return
        for exchange in outbox:
            if exchange.life is _OPEN:
                self._dial(exchange, False)

    def redial(self, exchange: Exchange) -> None:
        """Send the request again over a fresh connection, if the deployment still takes it."""
        serving = self.serving(exchange.opened)
        if serving is None or still_serving((exchange.target,), serving):
            self._dial(exchange, True)
        else:
            exchange.fail(DRAINED, "The model server takes no requests any more.")

    def serving(self, opened: Opened) -> tuple[Target, ...] | None:
        """Deployments that may serve an open request by the newest snapshot; None before one."""
        if self._newest is None:
            return None
        entry = self._newest.by_key_id.get(opened.key_id)
        return () if entry is None else entry.models.get(opened.model, ())

    def finished(self, exchange: Exchange) -> None:
        """The exchange needs no more time-outs."""
        self.active.discard(exchange)
        if exchange.route is not None:
            # Whose log failed before it was closed still counts as running there.
            exchange.route.ended("meter_unavailable")
        if exchange.permit is not None:
            exchange.permit.end()
        self._observe((exchange,), self.clock())

    def released(self, exchange: Exchange) -> None:
        """The last byte went to the transport, which hands it to the kernel within this turn."""
        self.active.discard(exchange)
        fresh = self._fresh
        if not fresh:
            self._call_soon(self._confirm_fresh)
        fresh.append(exchange)

    def _confirm_fresh(self) -> None:
        """The answers of one sync were handed over: confirm those that left, count them all."""
        fresh, self._fresh = self._fresh, []
        released_at = self.clock()
        polled = bool(self._unconfirmed)
        self._confirm(fresh)
        if self._unconfirmed and not polled:
            self._call_later(DELIVERY_POLL_S, self._confirm_late)
        self._observe(fresh, released_at)

    def _confirm_late(self) -> None:
        unconfirmed, self._unconfirmed = self._unconfirmed, []
        self._confirm(unconfirmed)
        if self._unconfirmed:
            self._call_later(DELIVERY_POLL_S, self._confirm_late)

    def _confirm(self, unconfirmed: list[Exchange]) -> None:
        waiting = self._unconfirmed
        delivered: list[int] = []
        for exchange in unconfirmed:
            client = exchange.client
            if client.drained:
                exchange.life = AFTER_DRAINED[exchange.life]
                delivered.append(exchange.handle)
            elif client.lost:
                exchange.life = AFTER_GONE[exchange.life]
            else:
                waiting.append(exchange)
                continue
            if exchange.permit is not None:
                exchange.permit.end()
        if delivered:
            self.wal.delivered(*delivered)

    @property
    def idle(self) -> bool:
        """Whether nothing is running and nothing waits for its delivery."""
        return not (self.active or self._fresh or self._unconfirmed)

    def end_barred(self, index: Index) -> None:
        """A new snapshot: end the requests of customers that may not be served any more.

        Requests that go on elsewhere, or are sent again, go only where the snapshot lets them.
        """
        self._newest = index
        for exchange in list(self.active):
            entry = index.by_key_id.get(exchange.grant.key_id)
            if entry is None:
                exchange.fail("invalid_api_key", "This API key was revoked.")
            elif entry.barred:
                exchange.fail("account_suspended", f"This account is {entry.barred}.")

    def spend_from(self, index: Index, purses: Purses) -> None:
        """New budgets are known: what runs of their keys is spent from them as well."""
        for exchange in self.active:
            entry = index.by_key_id.get(exchange.grant.key_id)
            spends = None if entry is None else entry.budgeted
            if spends is not None and exchange.life in RUNNING:
                permit = exchange.permit = exchange.permit or Permit((), 0)
                permit.hold = permit.hold or purses.hold_of_running(spends, exchange.opened)

    def end_all(self) -> None:
        """The worker's patience is over: what still runs ends with a word of why."""
        for exchange in list(self.active):
            exchange.fail("not_ready", "This worker is shutting down.")

    def tick(self, monotonic_s: float) -> None:
        """Once a second: time-outs, progress records, the Date header."""
        self.now_s = int(monotonic_s)
        self.date = heads.date_header(self.clock() // US_PER_S)
        for exchange in list(self.active):
            exchange.tick()
            permit = exchange.permit
            if permit is not None and permit.ends_s is not None and self.now_s > permit.ends_s:
                exchange.fail(TIME_OVER, "The answer took longer than this API key allows.")
        self.wal.flush()
