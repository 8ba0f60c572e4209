"""The clerk's budget office: grants leases to gateway workers, and tells when budgets run out.

It runs beside the clerk's loop, because a worker waits a twentieth of a second for a lease while
the loop may rate or compact for many. What it knows is in the book, the usage table, and the
workers' lease files, so it can die at any moment and start again.
"""

import logging
import threading
import time
from collections.abc import Callable
from pathlib import Path

from deltalake.exceptions import DeltaError

from quartermaster.app.budget_shares import BudgetShares
from quartermaster.app.clerk_steps import REFUSALS
from quartermaster.billing.leases import BudgetState, LeaseLedger, Name
from quartermaster.billing.spend import Spender, Watched
from quartermaster.book.views import View
from quartermaster.commands.actor import CLERK
from quartermaster.commands.budget_shown import BudgetStates, write_states
from quartermaster.commands.ports import Book
from quartermaster.kernel.budget import FOREVER, Budget, Epoch, budget_id, epochs, minor_units
from quartermaster.kernel.clock import US_PER_S, Clock, Instant, Period
from quartermaster.kernel.errors import IntegrityError, UnavailableError
from quartermaster.kernel.events import BudgetCrossed, Cut
from quartermaster.kernel.lease import ASK, GRANT, LEASE_POLL_S, read_ask, read_grant, write_grant
from quartermaster.kernel.limit import LimitScope
from quartermaster.kernel.snapshot import OUT_OF_CONTACT_S
from quartermaster.usage import segment
from quartermaster.usage.cut import current_cut
from quartermaster.usage.files import OS_FILES
from quartermaster.usage.query import hourly, hourly_of_segments
from quartermaster.usage.table import UsageTable
from quartermaster.usage.wal import LOCK_NAME

log = logging.getLogger(__name__)

FACTS_EVERY_S = 0.2
"""A budget that is set or topped up can be spent within this time; a look is one query."""

REST_EVERY_S = 1.0
"""Alerts, the file that faces read, and workers that do not come back."""

EVERYTHING_PERCENT = 100

NS_PER_US = 1_000
"""File times are nanoseconds, instants microseconds."""

Announce = Callable[[BudgetCrossed], None]


class BudgetOffice:
    """Grants leases in a thread of its own.

    Args:
        var: root of the data folder.
        book: where budgets are agreed; safe to use from this thread.
        table: the usage table; not shared with another thread.
        now: the wall clock.
        announce: puts an alert where it will be sent from, before it is recorded.
        shares: our parts of budgets that other machines spend, too; None where none does.
    """

    def __init__(
        self,
        var: Path,
        book: Book,
        table: UsageTable,
        now: Clock,
        announce: Announce,
        shares: BudgetShares | None = None,
    ) -> None:
        self._var = var
        self._folder = leases_folder(var)
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._book = book
        self._table = table
        self._now = now
        self._announce = announce
        self._shares = shares
        self._shares_rest_until_s = 0.0
        self._shares_trouble = ""
        self._ledger = LeaseLedger(shared=shares is not None)
        self._view = View()
        self._spender = Spender((), {}, {}, {})
        self._watched: tuple[Watched, ...] = ()
        self._owners: dict[str, tuple[LimitScope, str]] = {}
        self._forget_at: dict[Name, int] = {}
        self._renew_at: Instant = Instant(0)
        self._asks: dict[str, tuple[int, int]] = {}
        self._shown: tuple[BudgetState, ...] | None = None
        self._restored = False
        """Whether what was granted before is known."""
        self._agreed = False
        """Whether the ledger knows every budget of the view, and what is spent of it."""
        self._news = threading.Event()
        self._stopping = threading.Event()
        self._failure: BaseException | None = None
        self.trouble = ""
        """Why leases or their states cannot be written; empty where they can."""
        self._thread = threading.Thread(target=self._run, name="budget-office", daemon=True)

    # -- what the clerk's loop calls ---------------------------------------------------------------

    def start(self) -> None:
        """Know everything again, then grant until `stop`.

        Where that cannot be read, nothing is granted until it can be.
        """
        self._try_to_restore()
        self._thread.start()

    def shipped(self) -> None:
        """More usage is in the table."""
        self._news.set()

    def check(self) -> None:
        """Raise what ended the thread: a clerk without its budget office is not one."""
        if self._failure is not None:
            raise self._failure

    def stop(self) -> None:
        """Grant nothing more."""
        self._stopping.set()
        self._thread.join()

    def _run(self) -> None:
        facts_at = rest_at = 0.0
        try:
            while not self._stopping.wait(LEASE_POLL_S):
                if not self._restored:
                    self._stopping.wait(REST_EVERY_S)
                    self._try_to_restore()
                    continue
                now_s = time.monotonic()
                try:
                    if now_s >= facts_at:
                        self.follow_book()
                        facts_at = now_s + FACTS_EVERY_S
                    self.grant()
                    if now_s >= rest_at:
                        self.look_around()
                        rest_at = now_s + REST_EVERY_S
                except (OSError, UnavailableError, DeltaError) as error:
                    # A busy book, a full disk, a table that cannot be read: leases run out, and
                    # nothing is overrun.
                    self.trouble = str(error)
                    self._stopping.wait(REST_EVERY_S)
                else:
                    self.trouble = self._shares_trouble
        except Exception as error:  # noqa: BLE001 - raised again by `check` in the clerk's loop
            self._failure = error

    def _try_to_restore(self) -> None:
        try:
            self.restore()
        except REFUSALS as error:
            self.trouble = str(error)

    # -- one look of each kind ---------------------------------------------------------------------

    def restore(self) -> None:
        """Read the book, the table and what was granted before."""
        self._ledger = LeaseLedger(shared=self._shares is not None)  # an earlier try left a part
        cut = current_cut(self._table)
        grants = {
            path.name.removesuffix(GRANT): read_grant(path)
            for path in sorted(self._folder.glob(f"*{GRANT}"))
        }
        self._follow_view(self._book.view())
        after = {app_id: grant.shipped_segment for app_id, grant in grants.items()}
        known = {app_id: last for app_id, last in cut.items() if app_id in after}
        spending = self._spender.spending(hourly_of_segments(self._table, after, known))
        for app_id, grant in grants.items():
            own = [one for one in spending if one.app_id == app_id]
            self._ledger.restore(app_id, grant, own, cut)
        self._ledger.cut = cut
        self._agree()
        self._restored = True

    def follow_book(self) -> None:
        """New budgets, payments, prices and periods."""
        view = self._book.view()
        if view.seq != self._view.seq or self._now() >= self._renew_at:
            self._follow_view(view)
            self._agreed = False
        # Where the table cannot be read, both are still to be done at the next look.
        if not self._agreed:
            self._agree()
        if self._news.is_set():
            self._news.clear()
            try:
                self.settle()
            except BaseException:
                self._news.set()
                raise

    def _follow_view(self, view: View) -> None:
        now = self._now()
        self._view = view
        self._owners = {budget_id(*who): who for who in view.budgets}
        self._watched = tuple(
            Watched(scope, name, epoch)
            for (scope, name), budget in sorted(view.budgets.items())
            for epoch in _epochs(budget, now)
        )
        self._forget_at = {
            one.key: one.epoch.end if one.epoch.end < FOREVER else 0 for one in self._watched
        }
        groups = {customer.id: customer.group for customer in view.customers.values()}
        before = view.budgeted_before()
        self._spender = Spender(self._watched, groups, view.price_books, before)
        coming = (one.epoch.start for one in self._watched if one.epoch.start > now)
        ends = (one.epoch.end for one in self._watched if one.epoch.end > now)
        # Without budgets there is nothing to renew until a fact comes.
        self._renew_at = Instant(min((*coming, *ends), default=2**63 - 1))

    def _agree(self) -> None:
        budgets = self._view.budgets
        self._ledger.agree({one.key: budgets[one.scope, one.name].amount for one in self._watched})
        unsettled = set(self._ledger.unsettled())
        waiting = [one for one in self._watched if one.key in unsettled]
        for start, end in {(one.epoch.start, one.epoch.end) for one in waiting}:
            period = Period(start, end, "", "UTC")
            rows = hourly(self._table, self._ledger.cut, period=period)
            for one in waiting:
                if (one.epoch.start, one.epoch.end) == (start, end):
                    self._ledger.settle(one.key, self._spender.total(one, rows))
        self._agreed = True

    def settle(self) -> None:
        """Take what was shipped off the leases."""
        cut: Cut = current_cut(self._table)
        rows = hourly_of_segments(self._table, self._ledger.cut, cut) if self._watched else []
        self._ledger.ship(self._spender.spending(rows), cut)

    def grant(self) -> None:
        """Hear what workers ask, and answer."""
        for path in self._folder.glob(f"*{ASK}"):
            try:
                stat = path.stat()
            except FileNotFoundError:
                continue
            app_id = path.name.removesuffix(ASK)
            seen = (stat.st_mtime_ns, stat.st_ino)
            if self._asks.get(app_id) != seen:
                self._asks[app_id] = seen
                try:
                    self._ledger.ask(app_id, read_ask(path))
                except IntegrityError as error:
                    # Asks are not synced, so a power loss leaves torn ones. Nothing is granted for
                    # them; what their worker holds counts as spent until its log is shipped.
                    log.warning("%s (%s)", error.message, error.hint)
        self._look_elsewhere(tell=False)
        for app_id, grant in self._ledger.grants().items():
            try:
                write_grant(self._folder, app_id, grant)
            except OSError as error:
                self._ledger.not_written(app_id)
                raise UnavailableError(
                    f"leases of {app_id} cannot be written: {error.strerror}",
                    hint="free space; workers refuse customers with a budget meanwhile",
                ) from error

    def _look_elsewhere(self, *, tell: bool) -> None:
        """Ask for parts of budgets that others spend, too; without an answer nothing grows."""
        if self._shares is None or time.monotonic() < self._shares_rest_until_s:
            return
        try:
            if tell:
                self._shares.meet()
            self._shares.look(self._ledger, self._ledger.known(), self._forget_at, tell=tell)
        except UnavailableError as error:
            self._shares_rest_until_s = time.monotonic() + REST_EVERY_S
            self._shares_trouble = str(error)
            return
        missing = ", ".join(machine for machine in self._shares.missing if machine)
        self._shares_trouble = (
            f"budgets wait for what these machines hold: {missing}; start their clerks, or see"
            " `quartermaster shared release`"
            if missing
            else ""
        )

    def look_around(self) -> None:
        """Tell who crossed a threshold, show the states, release the dead."""
        self._look_elsewhere(tell=True)
        states = tuple(self._ledger.states())
        for state in states:
            self._announce_crossings(state)
        if states != self._shown:
            write_states(self._var, BudgetStates(self._now(), states))
            self._shown = states
        for app_id, settled_to in self._ledger.workers().items():
            self._release_dead(app_id, settled_to)

    # -- alerts ------------------------------------------------------------------------------------

    def _announce_crossings(self, state: BudgetState) -> None:
        now, who = self._now(), self._owners.get(state.budget)
        budget = None if who is None else self._view.budgets.get(who)
        if who is None or budget is None:
            return
        epoch = epochs(budget, now)[0]
        if epoch.id != state.epoch:
            return
        told = {one.percent for one in self._view.crossed.get(who, ())}
        for percent in budget.thresholds:
            if percent not in told and _is_crossed(state, percent):
                self._cross(
                    BudgetCrossed(
                        scope=who[0],
                        name=who[1],
                        epoch=epoch.id,
                        label=epoch.label,
                        percent=percent,
                        spent_minor=minor_units(state.settled, budget.currency),
                        amount_minor=budget.amount_minor,
                        currency=budget.currency,
                    ),
                    now,
                )

    def _cross(self, fact: BudgetCrossed, now: Instant) -> None:
        key = crossing_id(fact)
        with self._book.writing() as unit:
            if unit.journal.keyed(key):
                return
            # Sent perhaps twice rather than never; both times under one id.
            self._announce(fact)
            unit.journal.append(fact, actor=CLERK, now=now, key=key)

    # -- the dead ----------------------------------------------------------------------------------

    def _release_dead(self, app_id: str, settled_to: int) -> None:
        """Release the leases of a worker that is dead and whose log is in the table to its end."""
        status = self._var / "status" / f"{app_id}.json"
        try:
            said_at = status.stat().st_mtime_ns // NS_PER_US
        except FileNotFoundError:
            said_at = 0
        # When to look is a question of time; whether it is dead, the log's lock says.
        # A sign of life of tomorrow was written before the clock went back.
        if 0 <= self._now() - said_at <= OUT_OF_CONTACT_S * US_PER_S:
            return
        directory = self._var / "wal" / app_id
        if not directory.is_dir():
            self._forget(app_id)
            return
        try:
            lock = OS_FILES.lock(directory / LOCK_NAME)
        except BlockingIOError:
            return
        except OSError as error:
            raise UnavailableError(f"{directory} cannot be locked: {error}") from error
        try:
            if _is_settled(directory, settled_to):
                self._forget(app_id)
        finally:
            OS_FILES.close(lock)

    def _forget(self, app_id: str) -> None:
        (self._folder / f"{app_id}{ASK}").unlink(missing_ok=True)
        (self._folder / f"{app_id}{GRANT}").unlink(missing_ok=True)
        self._asks.pop(app_id, None)
        self._ledger.gone(app_id)


def leases_folder(var: Path) -> Path:
    """Where workers and the office talk."""
    return var / "leases"


def crossing_id(fact: BudgetCrossed) -> str:
    """Names one crossing: of a share of an amount in a period."""
    name = budget_id(fact.scope, fact.name)
    return f"crossed:{name}:{fact.epoch}:{fact.amount_minor}:{fact.percent}"


def _epochs(budget: Budget, now: Instant) -> tuple[Epoch, ...]:
    """The periods whose spending is followed: usage of the last month still comes in."""
    this, *following = epochs(budget, now)
    before = () if budget.period == "none" else epochs(budget, Instant(this.start - 1))[:1]
    return (*before, this, *following)


def _is_crossed(state: BudgetState, percent: int) -> bool:
    if state.amount <= 0:
        return False
    spent = state.settled * EVERYTHING_PERCENT >= state.amount * percent
    return spent or (percent == EVERYTHING_PERCENT and state.refusing)


def _is_settled(directory: Path, settled_to: int) -> bool:
    """Whether a log holds nothing that is not in the table and taken off its lease."""
    names = [path.name for path in directory.iterdir()]
    waiting = (segment.OPEN, segment.RECOVERING, segment.RECOVERED, segment.SEALED)
    if any(segment.numbers(names, state) for state in waiting):
        return False
    return max(segment.numbers(names, segment.SHIPPED), default=0) <= settled_to
