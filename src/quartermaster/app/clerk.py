"""The clerk: ships what gateways metered, rates it, and keeps their snapshot current.

One clerk is active; others wait for its lock. Every step can be interrupted and repeated: shipping
checks the table before it commits, journal entries carry a key, views are derived.
"""

import fcntl
import os
import signal
import threading
import time
from collections import defaultdict
from collections.abc import Sequence
from decimal import Decimal

from quartermaster.app import live
from quartermaster.app.first_start import snapshot_path
from quartermaster.app.rooms import Rooms
from quartermaster.billing.rate import Rated, rate
from quartermaster.book.views import View
from quartermaster.commands.actor import CLERK
from quartermaster.commands.publish import refresh
from quartermaster.kernel.clock import Instant, month_of
from quartermaster.kernel.events import HourlyUsage, SegmentShipped
from quartermaster.usage.cut import current_cut
from quartermaster.usage.query import hourly, recent_events
from quartermaster.usage.rollup import write_rollup
from quartermaster.usage.ship import ship_sealed

STANDBY_POLL_S = 0.5
"""A standing-by clerk takes over within this time after the active one died."""


def run(rooms: Rooms) -> int:
    """Work until SIGTERM."""
    stopping = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stopping.set())
    lock = os.open(rooms.var / "clerk.lock", os.O_RDWR | os.O_CREAT, 0o600)
    try:
        while not _taken(lock):
            if stopping.wait(STANDBY_POLL_S):
                return 0
        _work(rooms, stopping)
    finally:
        os.close(lock)
    return 0


def _work(rooms: Rooms, stopping: threading.Event) -> None:
    settings = rooms.settings.clerk
    publish_at = rollup_at = 0.0
    record_missing(rooms)
    ship(rooms)
    recompute(rooms)
    while not stopping.is_set():
        if time.monotonic() >= publish_at:
            refresh(rooms.book, snapshot_path(rooms.var), rooms.now())
            publish_at = time.monotonic() + settings.publish_seconds
        if ship(rooms):
            recompute(rooms)
        if time.monotonic() >= rollup_at:
            write_rollup(rooms.usage, current_cut(rooms.usage), rooms.var / "usage_hourly")
            rollup_at = time.monotonic() + settings.rollup_seconds
        stopping.wait(settings.ship_seconds)
    ship(rooms)


def ship(rooms: Rooms) -> int:
    """Move sealed segments into the usage table and record them; returns how many."""
    shipped = ship_sealed(rooms.var / "wal", rooms.usage)
    for fact in shipped:
        _record(rooms, fact)
    return len(shipped)


def record_missing(rooms: Rooms) -> int:
    """Record segments that a clerk shipped but died before it recorded them; returns how many.

    The usage table is the truth about what was shipped; the journal follows it.
    """
    recorded = rooms.book.view().shipped
    missing = 0
    for app_id, last in rooms.usage.last_segments().items():
        for segment in range(recorded.get(app_id, 0) + 1, last + 1):
            hashes = rooms.usage.segment_hashes(app_id, segment)
            fact = SegmentShipped(
                app_id=app_id, segment=segment, rows=len(hashes), sha256=hashes[0]
            )
            _record(rooms, fact)
            missing += 1
    return missing


def _record(rooms: Rooms, fact: SegmentShipped) -> None:
    key = f"segment:{fact.app_id}:{fact.segment}"
    rooms.book.append(fact, actor=CLERK, now=rooms.now(), key=key)


def recompute(rooms: Rooms) -> live.LiveBook:
    """Rate everything at the current cut and publish what faces show."""
    table, view = rooms.usage, rooms.book.view()
    cut = current_cut(table)
    rows = hourly(table, cut)
    rated = rate(
        rows,
        [contract for versions in view.contracts.values() for contract in versions],
        [book for versions in view.price_books.values() for book in versions],
    )
    result = live.LiveBook(
        cut=cut,
        computed_at=rooms.now(),
        revenue=_revenue(view, rows, rated),
        unpriced=len(rated.unpriced),
        recent=tuple(recent_events(table, cut, limit=live.RECENT_EVENTS_MAX)),
    )
    live.write(rooms.var, result)
    return result


def _taken(lock: int) -> bool:
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _revenue(
    view: View, rows: Sequence[HourlyUsage], rated: Rated
) -> tuple[live.MonthRevenue, ...]:
    """Exact rated amounts by customer, local month of the contract, and currency."""
    amounts: dict[tuple[str, str, str], Decimal] = defaultdict(Decimal)
    for line in rated.lines:
        amounts[line.customer, line.period.label, line.currency] += line.amount
    requests: dict[tuple[str, str], int] = defaultdict(int)
    tokens: dict[tuple[str, str], int] = defaultdict(int)
    for row in rows:
        contract = view.contracts[row.contract][-1]
        key = (row.customer, month_of(Instant(row.hour), contract.time_zone).label)
        requests[key] += row.requests
        tokens[key] += row.counts.tokens
    found = []
    for (customer, month, currency), amount in sorted(amounts.items()):
        who = view.customers[customer]
        found.append(
            live.MonthRevenue(
                customer=customer,
                customer_name=who.name,
                group=who.group,
                group_name=view.groups[who.group].name,
                month=month,
                amount=amount,
                currency=currency,
                requests=requests[customer, month],
                tokens=tokens[customer, month],
            )
        )
    return tuple(found)
