"""How much money? What a request can cost at most is set aside before it is served.

Pure: (purses, request, now) in, a hold or a refusal out, in integers. A worker spends a budget only
from its leases. A hold takes the worst case of a request; when the request's close record is on
disk, what it cost is spent and the rest is free again. What a model server claims beyond the worst
case is the seller's cost: the billed counts are cut to it, and its own words stay in the record.
"""

from collections.abc import Callable, Iterable, Mapping
from typing import Final

import msgspec

from quartermaster.gateway.budget_bound import Bound
from quartermaster.gateway.dialects.errors import Shape
from quartermaster.gateway.meter import Metered
from quartermaster.gateway.rate_headers import RateLimitedError, whose
from quartermaster.gateway.refusals import refused
from quartermaster.kernel.budget import BudgetGrant, Epoch, RateCard, Rates, budget_id, nanos_of
from quartermaster.kernel.clock import US_PER_S
from quartermaster.kernel.contract import CancelledStream
from quartermaster.kernel.events import Opened
from quartermaster.kernel.lease import UNKNOWN, Ask, AskedLease, Life
from quartermaster.kernel.limit import project_name
from quartermaster.kernel.snapshot import KeyGrant, Snapshot
from quartermaster.kernel.units import Counts, ServiceClass
from quartermaster.usage.policy import is_waived

ABOVE_RESERVE: Final = "usage_above_reserve"
"""The note of a request whose model server claims more than was set aside."""

# How many seconds of the busiest recent second a worker wants to have in hand: a grantor that is
# busy or being restarted for a moment is not noticed.
SECONDS_IN_HAND: Final = 3
# A worker returns what it holds beyond so many times what it wants: returning costs an ask.
RETURN_ABOVE: Final = 4
# An ask that could not be met is repeated this often while it is still wanted, in looks.
REPEAT_LOOKS: Final = 5
# When to come back where only the lease is missing: two looks of each side, and the disk.
LEASE_WAIT_US: Final = US_PER_S // 4
_PAID: Final = Rates(*(0,) * 8)
# Anthropic's status for "there is an issue with your billing"; its SDK does not try again.
_ANTHROPIC_SPENT: Final = 402

NewSegment = Callable[[], int]
"""Starts a segment of the log, and says its number."""


class BudgetSpentError(RateLimitedError):
    """There is not enough money in hand for the worst case of this request.

    Args:
        message: whose budget.
        wait_us: how long until a lease can be here; 0 where only money helps.
        hint: what to do.
    """

    def __init__(self, message: str, *, wait_us: int, hint: str) -> None:
        super().__init__(message, kind="insufficient_quota", wait_us=wait_us, hint=hint)
        self.code = "insufficient_quota"
        self.waits = self.known = False
        """Whether a lease is all that is missing, and whether its grantor knows the budget."""

    def in_shape(self, shape: Shape) -> None:
        """Take the status that the client's dialect has for it."""
        if shape == "anthropic" and self.never:
            self.http_status = _ANTHROPIC_SPENT


class Budgeted(msgspec.Struct, frozen=True, gc=False):
    """The budgets of one key, and what its models cost; or why it can spend nothing."""

    grants: tuple[BudgetGrant, ...]
    rates: dict[str, Rates]
    batch_rates: dict[str, Rates] = {}
    problem: str = ""

    def rates_of(self, model: str, service_class: ServiceClass) -> Rates | None:
        """What a model costs; provisioned throughput is paid by the hour already."""
        if service_class == "provisioned":
            return _PAID
        return (self.batch_rates if service_class == "batch" else self.rates).get(model)

    @property
    def output_tokens(self) -> int:
        """The most that an answer may have where the request states nothing."""
        return min(grant.output_tokens for grant in self.grants)

    @property
    def prepaid(self) -> bool:
        """Whether one of them is a balance."""
        return any(grant.prepaid for grant in self.grants)


def budgeted(grant: KeyGrant, snapshot: Snapshot) -> Budgeted | None:
    """What holds a key to a budget; most often nothing."""
    keys = (grant.key_id, *grant.budgeted_before)
    names = (
        *(budget_id("key", key_id) for key_id in keys),
        budget_id("project", project_name(grant.customer, grant.project)),
        budget_id("group", grant.group),
    )
    grants = tuple(snapshot.budgets[name] for name in names if name in snapshot.budgets)
    if not grants:
        return None
    card = snapshot.rate_cards.get(grant.price_book, RateCard("", {}))
    problem = ""
    if any(one.currency != card.currency for one in grants):
        problem = "its budget is in another currency than its prices"
    if any(one.paused for one in grants):
        problem = "its budget is paused"
    return Budgeted(grants, card.models, card.batch_models, problem)


class Purse:
    """One budget in one period, as far as one worker may spend it; cumulative nanos of its life."""

    __slots__ = (
        "asked",
        "demand",
        "epoch",
        "first_segment",
        "grant",
        "left",
        "limit",
        "peak",
        "reserved",
        "short",
        "spent",
        "standing",
        "unmet_looks",
    )

    def __init__(self, grant: BudgetGrant, epoch: Epoch, first_segment: int) -> None:
        self.grant = grant
        self.epoch = epoch
        self.first_segment = first_segment
        self.limit = self.spent = self.reserved = 0
        self.demand = self.peak = self.short = 0
        self.left: int | None = None
        self.standing = self.unmet_looks = 0
        self.asked = False

    @property
    def available(self) -> int:
        """What may still be set aside."""
        return self.limit - self.spent - self.reserved

    @property
    def used(self) -> int:
        """What is spent or set aside."""
        return self.spent + self.reserved

    @property
    def scarce(self) -> bool:
        """Whether nobody may keep what it does not need now."""
        return self.left is not None and self.standing == 0

    def wanted(self) -> int:
        """The limit that would let it serve what it expects."""
        return self.used + SECONDS_IN_HAND * max(self.peak, self.demand) + self.short

    def refused(self, reserve: int) -> None:
        """So much did not fit: ask for the most of it, or for what may still fit."""
        if not self.short:
            self.short = reserve
        else:
            self.short = (min if self.scarce else max)(self.short, reserve)

    def keeps(self) -> int:
        """The limit to which it holds itself in its next ask."""
        if self.scarce and (self.short or not (self.demand or self.peak)):
            # What is left lies in several hands, each too small: put it into one.
            return self.used
        wanted = self.wanted()
        enough = RETURN_ABOVE * (wanted - self.used) + 2 * self.standing
        return wanted + self.standing if self.available > enough else self.limit

    def next_second(self) -> None:
        """Remember the busiest of the last seconds, and forget it slowly."""
        self.peak = max(self.demand, 0 if self.scarce else self.peak * 3 // 4)
        self.demand = 0


class Hold:
    """What one request has set aside, until its close record is on disk."""

    __slots__ = ("_bound", "_cost", "_policy", "_purses", "_rates", "_reserve")

    def __init__(
        self,
        purses: tuple[Purse, ...],
        rates: Rates | None,
        bound: Bound | None,
        policy: CancelledStream,
        reserve: int = 0,
    ) -> None:
        self._purses = purses
        self._rates = rates
        self._bound = bound
        self._policy: CancelledStream = policy
        self._reserve = reserve
        self._cost = 0
        for purse in purses:
            purse.reserved += self._reserve

    def within(self, metered: Metered) -> Metered:
        """The counts that may be billed: what is beyond the worst case stays with the seller."""
        bound = self._bound
        if bound is None:
            return metered
        counts = within(metered.counts, bound)
        if counts is metered.counts:
            return metered
        return Metered(counts, metered.source, metered.note or ABOVE_RESERVE)

    @property
    def output_tokens(self) -> int | None:
        """The most output that is billed; None for what was running when its budget came."""
        return None if self._bound is None else self._bound.output_tokens

    def serves_nothing(self) -> None:
        """The answer is given up: whatever its model server made of it is the seller's cost."""
        self._bound = Bound(0)

    def closing(self, counts: Counts, failure: str) -> None:
        """What the close record says; it counts from the moment at which it is on disk."""
        if self._rates is not None and not is_waived(self._policy, failure):
            self._cost = nanos_of(self._rates.picos(counts))

    def settle(self) -> None:
        """The close record is on disk: spend what it says; a second time changes nothing."""
        for purse in self._purses:
            purse.reserved -= self._reserve
            purse.spent += self._cost
        self._purses = ()

    def dated(self, now: int) -> int:
        """The instant, or the nearest one in the periods that this was taken from."""
        for purse in self._purses:
            now = min(max(now, purse.epoch.start), purse.epoch.end - 1)
        return now

    def release(self) -> None:
        """Nothing was opened: give everything back."""
        self._cost = 0
        self.settle()


def worst_case(bound: Bound, rates: Rates) -> int:
    """Nanos that a request can cost at most."""
    return nanos_of(
        bound.input_tokens * rates.dearest_input
        + bound.output_tokens * rates.dearest_output
        + bound.images * rates.image
    )


def within(counts: Counts, bound: Bound) -> Counts:
    """The counts, cut to the bound of each side; the ordinary axis of a side gives first."""
    more_in = counts.input + counts.cached_read + counts.cache_write + counts.audio_input
    more_out = counts.output + counts.reasoning + counts.audio_output
    more_in -= bound.input_tokens
    more_out -= bound.output_tokens
    if more_in <= 0 and more_out <= 0 and counts.image <= bound.images:
        return counts
    kept = msgspec.structs.asdict(counts)
    for axes, more in (
        (("input", "audio_input", "cache_write", "cached_read"), more_in),
        (("output", "audio_output", "reasoning"), more_out),
    ):
        for axis in axes:
            cut = min(max(more, 0), kept[axis])
            kept[axis] -= cut
            more -= cut
    kept["image"] = min(counts.image, bound.images)
    return Counts(**kept)


class Purses:
    """The purses of one worker.

    Args:
        life: names this life of the process.
        first_segment: the first segment of its log that this life writes.
    """

    def __init__(self, life: str, first_segment: int) -> None:
        self._life = life
        self._first_segment = first_segment
        self._purses: dict[tuple[str, str], Purse] = {}
        self._in_force: set[tuple[str, str]] = set()
        self.answered = self.number = 0
        """The last ask that was answered, and the last one that was made."""
        self.again = False
        """Whether what is asked for was asked for before, and counts as wanted already."""

    def hold(
        self,
        own: Budgeted,
        model: str,
        bound: Bound,
        policy: CancelledStream,
        now: int,
        service_class: ServiceClass = "standard",
    ) -> Hold:
        """Set aside the worst case of a request in every budget of its key, or in none.

        Args:
            own: the key's budgets.
            model: what the customer calls it.
            bound: the most that it can use.
            policy: of cancelled streams.
            now: microseconds UTC; the usage row says the same, so both mean one period.
            service_class: which prices count.

        Raises:
            RefusedError: 403 for a model without a price, 429 where the money is not in hand.
        """
        if own.problem:
            raise BudgetSpentError(
                f"This API key can spend nothing: {own.problem}.",
                wait_us=0,
                hint="Contact your account manager.",
            )
        rates = own.rates_of(model, service_class)
        if rates is None:
            raise refused(
                "model_not_priced",
                f"The contract has no complete price for the model '{model}'.",
                param="model",
                hint="Nothing was served and nothing is charged.",
            )
        reserve = worst_case(bound, rates)
        purses = tuple([self._of(grant, now) for grant in own.grants])
        for purse in purses:
            if not self.again:
                purse.demand += reserve
            if purse.limit - purse.spent - purse.reserved < reserve:
                purse.refused(reserve)
                raise _spent(purse, reserve)
        return Hold(purses, rates, bound, policy, reserve)

    def _of(self, grant: BudgetGrant, now: int) -> Purse:
        for epoch in grant.epochs:
            if epoch.start <= now < epoch.end:
                purse = self._purses.get((grant.id, epoch.id))
                if purse is not None:
                    return purse
        # The clock is outside of every period that was published: by months, or for a moment.
        raise BudgetSpentError(
            f"The budget of {whose(grant.scope)} is not known here yet.",
            wait_us=LEASE_WAIT_US,
            hint="Please try again.",
        )

    def hold_of_running(self, own: Budgeted, opened: Opened) -> Hold:
        """A hold of a request that was running when its budget came.

        It sets nothing aside, and what it costs is spent like anything else.

        Args:
            own: the key's budgets.
            opened: the request.
        """
        purses = tuple(
            self._purses[grant.id, epoch.id]
            for grant in own.grants
            for epoch in grant.epochs
            if epoch.start <= opened.opened_at < epoch.end
        )
        rates = own.rates_of(opened.model, opened.service_class)
        return Hold(purses, rates, None, opened.cancelled_stream)

    def follow(self, budgets: Mapping[str, BudgetGrant], new_segment: NewSegment) -> set[str]:
        """Know the budgets of a new snapshot.

        Args:
            budgets: by id.
            new_segment: starts a segment of the log, so that spending before it can be told from
                leased spending; its number.

        Returns:
            Ids of budgets that were not known before.
        """
        known = {budget for budget, _ in self._purses}
        wanted = {
            (grant.id, epoch.id): (grant, epoch)
            for grant in budgets.values()
            for epoch in grant.epochs
        }
        fresh = wanted.keys() - self._purses.keys()
        first_segment = new_segment() if fresh else 0
        # A period that is over may come back with a clock that goes back: its purse stays.
        self._purses = {
            name: purse
            for name, purse in self._purses.items()
            if purse.grant.id in budgets or purse.reserved
        }
        for name in sorted(fresh):
            self._purses[name] = Purse(*wanted[name], first_segment)
        for name, (grant, epoch) in wanted.items():
            self._purses[name].grant, self._purses[name].epoch = grant, epoch
        self._in_force = set(wanted)
        return {budget for budget, _ in fresh} - known

    # -- leases ------------------------------------------------------------------------------------

    def granted(self, life: Life) -> None:
        """An answer has come; one to another life or to an older ask grants nothing."""
        if life.life != self._life or life.answers != self.number:
            return
        self.answered = life.answers
        for lease in life.leases:
            purse = self._purses.get((lease.budget, lease.epoch))
            if purse is not None and purse.first_segment == lease.first_segment:
                purse.limit = max(purse.limit, lease.limit)
                purse.left = None if lease.left == UNKNOWN else lease.left
                purse.standing = lease.standing

    def ask(self) -> Ask | None:
        """The next ask, where there is something new to say and the last one was answered."""
        if not self._purses or self.answered != self.number:
            return None
        purses = [
            purse
            for name, purse in self._purses.items()
            if name in self._in_force or purse.reserved
        ]
        news = [purse for purse in purses if self._has_news(purse)]
        if not news:
            return None
        self.number += 1
        asked = tuple(self._asked(purse) for purse in purses)
        for purse in news:
            purse.short = 0
        return Ask(self._life, self._first_segment, self.number, asked)

    def _has_news(self, purse: Purse) -> bool:
        if not purse.asked or (not purse.short and purse.keeps() < purse.limit):
            return True
        if purse.short or purse.available * 2 < purse.wanted() - purse.used:
            purse.unmet_looks += 1
            return purse.unmet_looks % REPEAT_LOOKS == 1
        purse.unmet_looks = 0
        return False

    def _asked(self, purse: Purse) -> AskedLease:
        purse.limit = purse.keeps()
        purse.asked = True
        need = purse.used + purse.short if purse.short else 0
        return AskedLease(
            purse.grant.id,
            purse.epoch.id,
            purse.first_segment,
            purse.limit,
            purse.spent,
            purse.reserved,
            purse.wanted(),
            need,
        )

    def next_second(self) -> None:
        """Once a second."""
        for purse in self._purses.values():
            purse.next_second()

    def all(self) -> Iterable[Purse]:
        """Every purse; for what shows them."""
        return self._purses.values()


def _spent(purse: Purse, reserve: int) -> BudgetSpentError:
    """The refusal: with money left elsewhere it is worth coming back."""
    grant = purse.grant
    period = f" for {purse.epoch.label}" if purse.epoch.label else ""
    if purse.left is None or reserve <= purse.left:
        refusal = BudgetSpentError(
            f"The budget of {whose(grant.scope)}{period} is in use by other requests.",
            wait_us=LEASE_WAIT_US,
            hint="Please try again.",
        )
        refusal.waits, refusal.known = True, purse.left is not None
        return refusal
    return BudgetSpentError(
        f"You exceeded your current quota: what is left of the budget of {whose(grant.scope)}"
        f"{period} is less than this request could cost.",
        wait_us=0,
        hint="Ask for fewer output tokens, or add to the budget.",
    )
