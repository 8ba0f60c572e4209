"""Another deployment in the place of one that took nothing: the attempt in vain, and the next.

Every attempt is a row of its own under the same request id. The row of an attempt in vain costs the
seller what its server may charge, and its customer nothing.
"""

from typing import Protocol

import msgspec

from quartermaster.gateway import meter
from quartermaster.gateway.attempts import CANNOT_SAY, Route
from quartermaster.gateway.limits import Permit
from quartermaster.gateway.meter import AFTER_ELSEWHERE, Life
from quartermaster.gateway.ports import WalPort
from quartermaster.gateway.route import Target
from quartermaster.gateway.status import Tallies
from quartermaster.kernel.clock import Clock, Instant
from quartermaster.kernel.errors import NotDurableError
from quartermaster.kernel.events import Closed, Opened


class Around(Protocol):
    """The worker, as far as a next attempt needs it."""

    wal: WalPort
    clock: Clock
    tallies: Tallies
    now_s: int


class Attempting(Protocol):
    """An exchange, as far as its attempts are concerned."""

    @property
    def home(self) -> Around:
        """The worker around it."""

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
    route, home = exchange.route, exchange.home
    if route is None or exchange.gone:
        return False
    target = route.elsewhere(outcome, wait_s)
    while target is not None and not exchange.goes_to(target):
        target = route.elsewhere(CANNOT_SAY)
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
    )
    try:
        exchange.handle = home.wal.opened(exchange.opened)
    except NotDurableError:
        exchange.meter_lost()
    else:
        exchange.dial_again()
    return True


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
        failure="upstream_busy" if http_status else outcome,
        cost_only=True,
    )
