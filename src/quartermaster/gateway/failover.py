"""Another deployment in the place of one that took nothing: the attempt in vain, and the next.

Every attempt is a row of its own under the same request id. The row of an attempt in vain costs the
seller what its server may charge, and its customer nothing.
"""

from typing import Final, Protocol

import msgspec

from quartermaster.gateway import meter, ptu
from quartermaster.gateway.attempts import BUSY, CANNOT_SAY, DRAINED, UNREACHABLE, Route
from quartermaster.gateway.limits import Permit
from quartermaster.gateway.meter import AFTER_ELSEWHERE, Life
from quartermaster.gateway.ports import WalPort
from quartermaster.gateway.route import Target
from quartermaster.gateway.status import Tallies
from quartermaster.gateway.wire import ChatCall
from quartermaster.kernel.clock import Clock, Instant
from quartermaster.kernel.errors import NotDurableError
from quartermaster.kernel.events import Closed, Opened

# A server that failed may have begun: only a contract says that somebody else may be paid then.
STATUSES: Final = BUSY | {500, 502, 504}
"""Statuses after which a request may go on elsewhere; where, `elsewhere` decides."""
CODES: Final = frozenset((UNREACHABLE, DRAINED, "upstream_dropped", "upstream_timeout"))
"""Failures after which it may."""
_NOTHING_BEGUN: Final = frozenset((UNREACHABLE, DRAINED, *(str(status) for status in BUSY)))
_BEFORE_AN_ANSWER: Final = frozenset((Life.OPEN, Life.SENT))


class Around(Protocol):
    """The worker, as far as a next attempt needs it."""

    wal: WalPort
    clock: Clock
    tallies: Tallies
    now_s: int

    def serving(self, opened: Opened) -> tuple[Target, ...] | None:
        """Deployments that may serve an open request by the newest snapshot; None before one."""


class Attempting(Protocol):
    """An exchange, as far as its attempts are concerned."""

    @property
    def home(self) -> Around:
        """The worker around it."""

    @property
    def call(self) -> ChatCall:
        """What it asks."""

    @property
    def request_id(self) -> str:
        """Its id, the same in every attempt."""

    @property
    def out_of_time(self) -> bool:
        """Whether the time that the request may take in all is over."""

    connection: bytes
    opened: Opened
    permit: Permit | None
    handle: int
    life: Life
    gone: bool
    route: Route | None
    redialled: bool
    first_byte_at: int
    deadline_s: int

    def drop_upstream(self) -> None:
        """Stop the model server's work on this request."""

    def goes_to(self, target: Target) -> bool:
        """Address the request to another deployment; whether it can be said there."""

    def dial_again(self) -> None:
        """Send the request, after its open frame has been written."""

    def meter_lost(self) -> None:
        """The write-ahead log failed."""


def elsewhere(exchange: Attempting, outcome: str, wait_s: float | None = None) -> bool:
    """Send a request to another deployment, where nothing was begun and one is left.

    Args:
        exchange: the request; nothing of an answer has reached its client.
        outcome: why the attempt is over: a failure's code, or the status of an answer.
        wait_s: how long the deployment asked to be left alone.

    Returns:
        Whether the request goes on; if not, the client gets this attempt's answer.
    """
    home = exchange.home
    target = None if exchange.gone else _next(exchange, outcome, wait_s)
    if target is None:
        return False
    exchange.drop_upstream()
    in_vain = exchange.handle

    def noted(error: Exception | None) -> None:
        # Nobody waits for it: what has no delivery is complete when it is on disk.
        if error is None:
            home.wal.delivered(in_vain)

    home.wal.closed(in_vain, _closed(outcome, exchange.first_byte_at, home.clock()), noted)
    home.tallies.failovers += 1
    exchange.life = AFTER_ELSEWHERE[exchange.life]
    exchange.first_byte_at, exchange.redialled = 0, False
    exchange.deadline_s = home.now_s + target.first_byte_s
    now = home.clock()
    exchange.opened = msgspec.structs.replace(
        exchange.opened,
        attempt=exchange.opened.attempt + 1,
        opened_at=now if exchange.permit is None else exchange.permit.dated(now),
        deployment=target.deployment.name,
        service_class=exchange.call.service_class,
    )
    if exchange.permit is not None and exchange.permit.spilled_from:
        exchange.connection = ptu.served_by(exchange.connection, target.deployment.name)
    try:
        exchange.handle = home.wal.opened(exchange.opened)
    except NotDurableError:
        exchange.meter_lost()
    else:
        exchange.dial_again()
    return True


def _next(exchange: Attempting, outcome: str, wait_s: float | None) -> Target | None:
    """Who is asked next: another deployment of its own, or a standard one for failed units."""
    route, permit = exchange.route, exchange.permit
    if route is None and (permit is None or permit.spare is None):
        return None
    serving = exchange.home.serving(exchange.opened)
    if route is None:
        return _spilled(exchange, outcome, serving)
    target = None
    if outcome in _NOTHING_BEGUN:
        target = route.elsewhere(outcome, wait_s, serving)
    while target is not None and not exchange.goes_to(target):
        target = route.elsewhere(CANNOT_SAY)
    if target is None and permit is not None and permit.spilled_from and outcome.isdecimal():
        exchange.connection += ptu.spillover_failed(int(outcome))
    return target


def _spilled(
    exchange: Attempting, outcome: str, serving: tuple[Target, ...] | None
) -> Target | None:
    """A standard deployment for a request whose units failed before they said anything."""
    permit, now = exchange.permit, exchange.home.clock()
    if permit is None or permit.spare is None or exchange.out_of_time:
        return None
    if not outcome.isdecimal() and exchange.life not in _BEFORE_AN_ANSWER:
        return None
    taken = permit.spare.take(exchange, serving, now)
    if taken is None:
        return None
    target, hold = taken
    permit.spills(exchange.opened.model, hold, now)
    name = target.deployment.name
    exchange.connection += ptu.spillover_headers(exchange.opened.model, name)
    return target


def _closed(outcome: str, first_byte_at: int, now: Instant) -> Closed:
    http_status = int(outcome) if outcome.isdecimal() else 0
    return Closed(
        now,
        first_byte_at,
        http_status,
        meter.NOTHING.counts,
        meter.NOTHING.source,
        "",
        "",
        b"",
        failure=_failure(http_status) or outcome,
        cost_only=True,
    )


def _failure(http_status: int) -> str:
    if http_status in BUSY:
        return "upstream_busy"
    return "upstream_error" if http_status else ""
