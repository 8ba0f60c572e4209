"""The clerk: ships what gateways metered, rates it, and keeps their snapshot current.

One clerk is active; others wait for its lock. Every step can be interrupted and repeated: shipping
checks the table before it commits, journal entries carry a key, views are derived.
"""

import fcntl
import logging
import os
import signal
import threading
import time
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from decimal import Decimal
from functools import partial

from quartermaster.app import live
from quartermaster.app.case_desk import tend as tend_cases
from quartermaster.app.clerk_agreed import Agreed
from quartermaster.app.clerk_budget import BudgetOffice
from quartermaster.app.clerk_commitments import (
    accrued,
    bound_rows,
    charged,
    committed_months,
    owed,
)
from quartermaster.app.clerk_standing import NoDesk, StandingDesk, open_desk
from quartermaster.app.clerk_steps import REFUSALS, RETRY_S, Steps, Timed
from quartermaster.app.clerk_warning import LOOK_EVERY_S, DailyLook
from quartermaster.app.first_start import snapshot_path
from quartermaster.app.part_store import open_shares
from quartermaster.app.rooms import Rooms, open_usage
from quartermaster.app.webhooks import Webhooks
from quartermaster.billing.commitment import billing_version, shortfalls
from quartermaster.billing.invoice import draft
from quartermaster.billing.provisioned import with_provisioned
from quartermaster.billing.rate import Rated, RatedLine, Unpriced, rate
from quartermaster.book.views import View
from quartermaster.commands.actor import CLERK
from quartermaster.commands.publish import publish, refresh
from quartermaster.commands.rate import recorded
from quartermaster.kernel.clock import US_PER_HOUR, Instant, as_datetime, month_named, month_of
from quartermaster.kernel.contract import Contract
from quartermaster.kernel.errors import IntegrityError, UnavailableError
from quartermaster.kernel.events import Cut, HourlyUsage, SegmentShipped
from quartermaster.kernel.money import EXACT
from quartermaster.usage.compact import compact, tidy
from quartermaster.usage.cut import current_cut
from quartermaster.usage.orphans import ORPHANED_AFTER_S, recover_orphan, untouched_logs
from quartermaster.usage.query import hourly, recent_events
from quartermaster.usage.rollup import rollup_facts, write_rollup
from quartermaster.usage.ship import ship_sealed

log = logging.getLogger(__name__)

_ContractMonth = tuple[str, str]

COMPACT_EVERY_S = 60.0
"""A busy worker leaves thirty files a minute; looking costs milliseconds when there is nothing."""

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
        work(rooms, stopping)
    finally:
        os.close(lock)
    return 0


def work(rooms: Rooms, stopping: threading.Event) -> None:
    """Work until asked to stop, while budgets are leased and alerts are sent beside it."""
    webhooks = Webhooks(rooms.var, rooms.book, rooms.now)
    budgets = BudgetOffice(
        rooms.var,
        rooms.book,
        open_usage(rooms.var),
        rooms.now,
        webhooks.announce,
        open_shares(rooms.settings.gateway, rooms.var),
    )
    desk = open_desk(rooms.settings.gateway, rooms.var)
    webhooks.start()
    budgets.start()
    desk.start()
    try:
        _take_turns(rooms, stopping, budgets, desk)
    finally:
        desk.stop()
        budgets.stop()
        webhooks.stop()


def _take_turns(
    rooms: Rooms, stopping: threading.Event, budgets: BudgetOffice, desk: StandingDesk | NoDesk
) -> None:
    """Take turns until asked to stop; what is refused is tried again in a later one."""
    settings, steps = rooms.settings.clerk, Steps(rooms.var, rooms.now)
    looks = Looks(rooms)
    timed = (
        Timed(steps, "cases", partial(tend_cases, rooms), settings.publish_seconds),
        Timed(steps, "publishing", partial(_publish, rooms), settings.publish_seconds),
        Timed(
            steps,
            "recovery of logs",
            partial(recover_orphans, rooms),
            ORPHANED_AFTER_S,
            # Not at once: after a crash of the whole machine the workers are starting with us.
            first_s=ORPHANED_AFTER_S,
        ),
        Timed(steps, "the hourly table", partial(_write_rollup, rooms), settings.rollup_seconds),
        Timed(steps, "compaction", partial(compact_tables, rooms), COMPACT_EVERY_S),
    )
    shipping, agreed, stale, recompute_at = Shipping(rooms), Agreed(rooms), True, 0.0
    behind = False
    while not stopping.is_set():
        steps.attempt("shipping", shipping.turn)
        if shipping.news:
            shipping.news, stale = False, True
            budgets.shipped()
        steps.attempt("agreements", agreed.look)
        if agreed.news:
            agreed.news, stale = False, True
        budgets.check()
        steps.state("budgets", budgets.trouble)
        steps.state("standings of other machines", desk.trouble)
        behind = behind or desk.news()
        if behind:
            behind = not steps.attempt("publishing", partial(_follow, rooms))
        began = time.monotonic()
        if stale and began >= recompute_at:
            stale = not steps.attempt("rating", partial(recompute, rooms))
            # It reads the whole table: at most half of our time, so that shipping keeps up.
            recompute_at = 2 * time.monotonic() - began
        for step in timed:
            step.take()
        looks.poll(steps)
        steps.tell()
        stopping.wait(max(settings.ship_seconds, RETRY_S if steps.troubled else 0))
    steps.attempt("shipping", shipping.turn)


class Looks:
    """The looks at the last day, each in a thread of its own."""

    def __init__(self, rooms: Rooms) -> None:
        self._daily = DailyLook(rooms, refusals=REFUSALS)
        self._conduct = DailyLook(rooms, _judge_conduct, "analysis of conduct", REFUSALS)
        self._due = 0.0
        self._daily_due = False

    def poll(self, steps: Steps) -> None:
        """Begin what is due, and say what could not be done."""
        if time.monotonic() >= self._due:
            self._conduct.poll()
            self._due, self._daily_due = time.monotonic() + LOOK_EVERY_S, True
        # In this order: a warning of leaving takes an alarm of the same day as evidence.
        if self._daily_due and not self._conduct.running:
            self._daily_due = False
            self._daily.poll()
        for look in (self._conduct, self._daily):
            steps.state(look.what, look.trouble)


class Shipping:
    """Ships and records in the order of segments, also after a turn that ended half-way."""

    def __init__(self, rooms: Rooms) -> None:
        self._rooms = rooms
        self._recorded = False
        """Whether the journal knows all that the table has."""
        self.news = False
        """Whether there is something that was not rated yet."""

    def turn(self) -> None:
        """Record what an interrupted turn has shipped, then ship the rest.

        Raises:
            IntegrityError: a segment is damaged; those of other logs are shipped.
            UnavailableError: the disk or the book refuses.
        """
        if not self._recorded:
            self.news |= record_missing(self._rooms) > 0
        self._recorded = False
        self.news |= ship(self._rooms) > 0
        self._recorded = True


def _follow(rooms: Rooms) -> None:
    """Another machine has published: also where nothing is new here, it waits for our version."""
    publish(rooms.book, snapshot_path(rooms.var), rooms.now())


def _publish(rooms: Rooms) -> None:
    refresh(rooms.book, snapshot_path(rooms.var), rooms.now())


def _write_rollup(rooms: Rooms) -> None:
    write_rollup(rooms.usage, current_cut(rooms.usage), rooms.var / "usage_hourly")


def _judge_conduct(rooms: Rooms) -> None:
    # numpy comes with it: a clerk without the extra does everything else.
    from quartermaster.app.clerk_conduct import catch_up

    catch_up(rooms)


def ship(rooms: Rooms) -> int:
    """Move sealed segments into the usage table and record them; returns how many."""
    shipped = ship_sealed(rooms.var / "wal", rooms.usage)
    for fact in shipped:
        _record(rooms, fact)
    return len(shipped)


def compact_tables(rooms: Rooms) -> None:
    """Keep the tables quick to read; what was replaced is deleted a day later."""
    try:
        done = compact(rooms.usage, today=as_datetime(rooms.now()).date())
        hourly_facts = rollup_facts(rooms.var / "usage_hourly")
        if hourly_facts.exists():
            tidy(hourly_facts)
    except UnavailableError as error:
        # Slower questions are no reason to stop shipping.
        log.warning("%s (%s)", error, error.hint)
        return
    if done.files_after < done.files_before:
        log.info("compacted %d files of usage to %d", done.files_before, done.files_after)


def recover_orphans(rooms: Rooms) -> int:
    """Seal what workers left behind that do not come back; returns how many logs.

    A damaged log is said, and keeps the others waiting no longer than this look at it.
    """
    recovered = 0
    for directory in untouched_logs(rooms.var / "wal", rooms.now()):
        try:
            recovered += recover_orphan(directory, rooms.now())
        except IntegrityError as error:
            log.warning("the log %s cannot be recovered: %s (%s)", directory, error, error.hint)
    return recovered


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
    bound = bound_rows(view, rows)
    result = live.LiveBook(
        cut=cut,
        computed_at=rooms.now(),
        revenue=_revenue(view, rows, rated, cut, rooms.now(), bound),
        recent=tuple(recent_events(table, cut, limit=live.RECENT_EVENTS_MAX)),
        owed=owed(view, bound, rooms.now()),
        accrued=accrued(view, bound, rooms.now()),
        rates=tuple(recorded(view)),
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
    view: View,
    rows: Sequence[HourlyUsage],
    rated: Rated,
    cut: Cut,
    now: Instant,
    bound: Mapping[str, Sequence[HourlyUsage]],
) -> tuple[live.MonthRevenue, ...]:
    """What every real contract's months come to; usage of unknown contracts stays out.

    Each is what the draft invoice comes to before credits, from the same function. Sample contracts
    are left out.
    """
    requests: Counter[_ContractMonth] = Counter()
    tokens: Counter[_ContractMonth] = Counter()
    for contract, signed in view.contracts.items():
        if not signed[-1].sample:
            # Units and floors are owed in months without a request, too.
            requests.update(dict.fromkeys(_provisioned_months(signed, now), 0))
            requests.update({(contract, month): 0 for month in committed_months(signed, now)})
    for row in rows:
        versions = view.contracts.get(row.contract)
        if versions is None or versions[-1].sample:
            continue
        key = (row.contract, month_of(Instant(row.hour), versions[-1].time_zone).label)
        requests[key] += row.requests
        tokens[key] += row.counts.tokens
    lines: dict[_ContractMonth, list[RatedLine]] = defaultdict(list)
    for line in rated.lines:
        lines[line.contract, line.period.label].append(line)
    waiting: dict[_ContractMonth, list[Unpriced]] = defaultdict(list)
    for entry in rated.unpriced:
        waiting[entry.contract, entry.period].append(entry)
    return tuple(
        _month_revenue(
            view,
            key,
            Rated(tuple(lines[key]), tuple(waiting[key])),
            cut,
            bound.get(key[0], ()),
            requests=requests[key],
            tokens=tokens[key],
            until=Instant(now - now % US_PER_HOUR),
        )
        for key in sorted(requests)
    )


def _provisioned_months(versions: Sequence[Contract], now: Instant) -> list[_ContractMonth]:
    """Months up to now in which a contract had provisioned units."""
    found = []
    for version in versions:
        for line in version.ptu_lines:
            at = max(line.start, version.valid_from)
            ends = min(now, line.end, *([] if version.end is None else [version.end]))
            while at < ends:
                period = month_of(Instant(at), version.time_zone)
                found.append((version.id, period.label))
                at = period.end
    return found


def _month_revenue(
    view: View,
    key: _ContractMonth,
    rated: Rated,
    cut: Cut,
    own: Sequence[HourlyUsage],
    *,
    requests: int,
    tokens: int,
    until: Instant,
) -> live.MonthRevenue:
    contract, month = key
    versions = view.contracts[contract]
    period = month_named(month, versions[0].time_zone)
    # A gateway's clock may be behind the one that signed: usage before the start is still owed.
    agreed = billing_version(versions, period) or versions[0]
    rated = with_provisioned(rated, versions, period, until=until)
    found = shortfalls(versions, view.price_books_of(versions), own, period)
    short = [one for one in found if one.part.end <= until]
    invoice = draft(agreed, period, rated, cut, short, until=until)
    who = view.customers[agreed.customer]
    amount = Decimal(0)
    for line in rated.lines:
        amount = EXACT.add(amount, line.amount)
    for one in short:
        amount = EXACT.add(amount, one.amount)
    return live.MonthRevenue(
        contract=agreed.id,
        customer=who.id,
        customer_name=who.name,
        group=who.group,
        group_name=view.groups[who.group].name,
        month=period.label,
        time_zone=agreed.time_zone,
        currency=agreed.currency,
        amount=amount,
        minor=invoice.earned_minor,
        requests=requests,
        tokens=tokens,
        unpriced=sum(entry.quantity for entry in rated.unpriced),
        charged=tuple(
            charged(one, versions, line.minor)
            for one, line in zip(short, invoice.shortfalls, strict=True)
        ),
    )
