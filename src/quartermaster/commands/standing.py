"""Standing: whether a customer group is served, decided with a reason and, if it matters, by two.

`change` writes the fact; whoever calls it publishes the snapshot afterwards and says which gateway
workers acknowledged it. Nothing here waits for the clerk.
"""

from decimal import Decimal
from typing import Final, get_args

import msgspec

from quartermaster.book.unit import Unit
from quartermaster.book.views import StandingWaiting, View
from quartermaster.commands.actor import Actor, require
from quartermaster.commands.names import require_id, require_name
from quartermaster.commands.ports import Book
from quartermaster.kernel.clock import US_PER_S, Instant
from quartermaster.kernel.contract import Standing
from quartermaster.kernel.errors import (
    ConflictError,
    NotAllowedError,
    NotFoundError,
    UsageError,
)
from quartermaster.kernel.events import (
    Endpoint,
)
from quartermaster.kernel.ids import new_id
from quartermaster.kernel.limit import AT_ONCE, LIMIT_MAX, Limits, Throttle
from quartermaster.kernel.standing_facts import (
    InvestigationSet,
    StandingChanged,
    StandingDeclined,
    StandingProposed,
)

STANDINGS: Final[tuple[Standing, ...]] = get_args(Standing)
"""From the mildest to the hardest."""

PROPOSAL_DAYS_MAX: Final = 7
"""What moved somebody to propose it is not what a second person finds weeks later."""

SLICE_NAMES_MAX: Final = 100
"""A slice is looked at with every request; a longer list is the whole group."""

_US_PER_DAY: Final = 86_400 * US_PER_S


class Move(msgspec.Struct, frozen=True):
    """One allowed change of standing."""

    before: Standing
    after: Standing
    meaning: str
    second_person: bool
    """Whether a group above the share of revenue needs one; giving service back never does."""


MOVES: Final[tuple[Move, ...]] = (
    Move("active", "warned", "they were told; everything is served", True),
    Move("active", "throttled", "a slice is limited or closed", True),
    Move("active", "suspended", "nothing is served", True),
    Move("warned", "active", "settled", False),
    Move("warned", "throttled", "a slice is limited or closed", True),
    Move("warned", "suspended", "nothing is served", True),
    Move("throttled", "active", "settled", False),
    Move("throttled", "warned", "served in full again", False),
    Move("throttled", "throttled", "another slice or other limits", True),
    Move("throttled", "suspended", "nothing is served", True),
    Move("suspended", "active", "reinstated", False),
    Move("suspended", "warned", "reinstated, with a warning", False),
    Move("suspended", "throttled", "reinstated in part", False),
    Move("suspended", "terminated", "the business is over", True),
    Move("terminated", "active", "reinstated after all", False),
)
"""What is not here cannot be done. Nobody is terminated who was not suspended first."""

_BY_ENDS: Final = {(move.before, move.after): move for move in MOVES}


NO_REVENUE: Final = "no revenue yet"
"""What a share is of before anything was billed."""


class RevenueShare(msgspec.Struct, frozen=True):
    """How much of revenue a group is, as far as anybody knows."""

    share: Decimal | None = None
    """None where it is not known: then it counts as too much for one person."""
    of: str = ""
    """What it is a share of, for people."""


class Changed(msgspec.Struct, frozen=True):
    """What became of a change of standing."""

    group: str
    before: Standing
    standing: Standing
    """In force now; while a second person is waited for, the one before."""
    throttle: Throttle | None = None
    waits_for: Standing | None = None
    """What a second person is asked for; None where nothing waits."""
    proposal: str = ""
    revenue_share: str = ""

    @property
    def done(self) -> bool:
        """Whether it is in force, and not merely proposed."""
        return self.waits_for is None


class Held(msgspec.Struct, frozen=True):
    """A group's standing now, with everything around it."""

    group: str
    standing: Standing
    throttle: Throttle | None
    reason: str
    case: str
    under_investigation: bool
    waiting: StandingWaiting | None
    """A change that a second person may still sign off."""


def change(
    book: Book,
    actor: Actor,
    group: str,
    standing: Standing,
    reason: str,
    now: Instant,
    *,
    weight: RevenueShare,
    sign_off_share: Decimal,
    throttle: Throttle | None = None,
    case: str = "",
) -> Changed:
    """Change a group's standing, or propose it where it takes a second person.

    It is in force with the next snapshot. Saying what is so already changes nothing.

    Args:
        book: where it is recorded.
        actor: who decides.
        group: id of the customer group.
        standing: the new one.
        reason: kept in the journal, and in every listing.
        now: microseconds UTC.
        weight: how much of revenue the group is.
        sign_off_share: above it, a change that takes service away waits for a second person;
            at 1 none does.
        throttle: of `throttled`, and of nothing else.
        case: the conduct case that it follows from.

    Raises:
        NotAllowedError: the actor may not.
        NotFoundError: there is no such group, or no such key in it.
        UsageError: the throttle is missing, or says nothing, or does not belong here.
        ConflictError: the standing cannot follow from the one before.
    """
    require(actor, "admin", "trust")
    if case:
        require_id(case, "case")
    share = "" if weight.share is None else str(weight.share)
    fact = StandingChanged(
        group=group,
        standing=standing,
        reason=require_name(reason, "reason"),
        throttle=throttle,
        case=case,
        revenue_share=share,
    )
    with book.writing() as unit:
        view = unit.view()
        _require_group(view, group)
        require_throttle(view, group, standing, throttle)
        before = view.standing.get(group, "active")
        if before != standing or view.throttle_of(group) != throttle:
            move = _require_move(group, before, standing)
            if move.second_person and _takes_two(weight, sign_off_share):
                return _propose(unit, actor, fact, before, now)
            unit.journal.append(fact, actor=actor, now=now)
    return Changed(group, before, standing, throttle, revenue_share=share)


def sign_off(book: Book, actor: Actor, proposal: str, now: Instant) -> Changed:
    """Put a proposed standing in force, as the second person.

    Raises:
        NotAllowedError: the actor may not, or is the one who proposed it.
        NotFoundError: there is no such proposal, or it does not wait any more.
        ConflictError: it is too old, or the standing that it started from is not so any more.
    """
    require(actor, "admin", "trust", "finance")
    with book.writing() as unit:
        view = unit.view()
        waiting = _waiting(view, proposal)
        proposed = waiting.fact
        if {actor.id, actor.person} & {waiting.actor, proposed.lent_by or waiting.actor}:
            raise NotAllowedError(
                "a second person signs off, not whoever proposed it, "
                "nor who made the token that proposed it or signs",
                hint="ask somebody else with the role admin, trust or finance to sign in",
            )
        if now > waiting.at + PROPOSAL_DAYS_MAX * _US_PER_DAY:
            raise ConflictError(
                f"the proposal is older than {PROPOSAL_DAYS_MAX} days",
                hint="decline it, or propose it again with what is known now",
            )
        before = view.standing.get(proposed.group, "active")
        _require_move(proposed.group, before, proposed.standing)
        fact = StandingChanged(
            group=proposed.group,
            standing=proposed.standing,
            reason=proposed.reason,
            throttle=proposed.throttle,
            case=proposed.case,
            revenue_share=proposed.revenue_share,
            proposal=proposal,
            proposed_by=waiting.actor,
        )
        unit.journal.append(fact, actor=actor, now=now, key=f"standing:{proposal}")
    return Changed(
        proposed.group,
        before,
        proposed.standing,
        proposed.throttle,
        proposal=proposal,
        revenue_share=proposed.revenue_share,
    )


def follow(unit: Unit, actor: Actor, fact: StandingChanged, now: Instant) -> None:
    """Put a standing in force that a conduct case brought about, in the case's own transaction.

    The case has seen to the second person where one is needed, and names the first. Saying what is
    so already changes nothing.

    Raises:
        NotFoundError: there is no such group, or no such key in it.
        UsageError: the throttle is missing, or says nothing, or does not belong here.
        ConflictError: the standing cannot follow from the one before.
    """
    view = unit.view()
    _require_group(view, fact.group)
    require_throttle(view, fact.group, fact.standing, fact.throttle)
    before = view.standing.get(fact.group, "active")
    if before == fact.standing and view.throttle_of(fact.group) == fact.throttle:
        return
    _require_move(fact.group, before, fact.standing)
    unit.journal.append(fact, actor=actor, now=now)


def decline(book: Book, actor: Actor, proposal: str, reason: str, now: Instant) -> str:
    """Drop a proposed standing; whoever proposed it may, too. Returns the group.

    Raises:
        NotAllowedError: the actor may not.
        NotFoundError: there is no such proposal, or it does not wait any more.
    """
    require(actor, "admin", "trust", "finance")
    reason = require_name(reason, "reason")
    with book.writing() as unit:
        group = _waiting(unit.view(), proposal).fact.group
        fact = StandingDeclined(proposal=proposal, group=group, reason=reason)
        unit.journal.append(fact, actor=actor, now=now, key=f"declined:{proposal}")
    return group


def investigate(
    book: Book,
    actor: Actor,
    group: str,
    reason: str,
    now: Instant,
    *,
    under: bool,
    case: str = "",
) -> None:
    """Say that a group is under investigation, or not any more; the same again changes nothing.

    Its standing stays what it is. A gateway worker that has lost contact for long refuses a group
    under investigation, because a suspension might have been missed.

    Raises:
        NotAllowedError: the actor may not.
        NotFoundError: there is no such group.
    """
    require(actor, "admin", "trust")
    reason = require_name(reason, "reason")
    if case:
        require_id(case, "case")
    with book.writing() as unit:
        view = unit.view()
        _require_group(view, group)
        known = view.investigated.get(group)
        if (known is not None) == under and (known is None or known.case == case):
            return
        fact = InvestigationSet(group=group, open=under, reason=reason, case=case)
        unit.journal.append(fact, actor=actor, now=now)


def held(view: View, group: str) -> Held:
    """A group's standing now.

    Raises:
        NotFoundError: there is no such group.
    """
    _require_group(view, group)
    log = view.standing_log.get(group, ())
    return Held(
        group,
        view.standing.get(group, "active"),
        view.throttle_of(group),
        log[-1].fact.reason if log else "",
        log[-1].fact.case if log else "",
        group in view.investigated,
        view.standing_waiting.get(group),
    )


def all_held(view: View) -> list[Held]:
    """Every group that is not simply active: another standing, an investigation, a proposal."""
    named = {group for group, standing in view.standing.items() if standing != "active"}
    return [held(view, one) for one in sorted(named | {*view.investigated, *view.standing_waiting})]


def _takes_two(weight: RevenueShare, sign_off_share: Decimal) -> bool:
    """Whether a group is too much for one person; nothing is above all of revenue."""
    return sign_off_share < 1 and (weight.share is None or weight.share > sign_off_share)


def _propose(
    unit: Unit, actor: Actor, change: StandingChanged, before: Standing, now: Instant
) -> Changed:
    fact = StandingProposed(
        proposal=new_id("prop"),
        group=change.group,
        standing=change.standing,
        reason=change.reason,
        throttle=change.throttle,
        case=change.case,
        revenue_share=change.revenue_share,
        lent_by=actor.lent_by,
    )
    unit.journal.append(fact, actor=actor, now=now, key=f"proposed:{fact.proposal}")
    return Changed(
        fact.group,
        before,
        before,
        unit.view().throttle_of(fact.group),
        waits_for=fact.standing,
        proposal=fact.proposal,
        revenue_share=fact.revenue_share,
    )


def _waiting(view: View, proposal: str) -> StandingWaiting:
    for waiting in view.standing_waiting.values():
        if waiting.fact.proposal == proposal:
            return waiting
    raise NotFoundError(
        f"no proposal {proposal!r} waits for a second person",
        field="proposal",
        hint="quartermaster customer standing lists those that wait",
    )


def _require_group(view: View, group: str) -> None:
    if group not in view.groups:
        raise NotFoundError(
            f"there is no group {group!r}", field="group", hint="quartermaster customer list"
        )


def _require_move(group: str, before: Standing, after: Standing) -> Move:
    move = _BY_ENDS.get((before, after))
    if move is None:
        can = ", ".join(one.after for one in MOVES if one.before == before)
        raise ConflictError(
            f"group {group} is {before}, and that cannot become {after}",
            field="standing",
            hint=f"from {before}: {can}",
        )
    return move


def require_throttle(view: View, group: str, standing: Standing, throttle: Throttle | None) -> None:
    """Check that a throttle belongs to its standing and names what is there.

    Raises:
        NotFoundError: the group has no such key.
        UsageError: it is missing, says nothing, or does not belong here.
    """
    if standing != "throttled":
        if throttle is not None:
            raise UsageError(
                f"{standing} has no limits of its own",
                field="throttle",
                hint="limits and slices belong to throttled",
            )
        return
    if throttle is None or (throttle.closed and throttle.whole):
        raise UsageError(
            "throttled needs limits, or a slice that is closed",
            field="throttle",
            hint="give requests or tokens a minute or concurrent requests, or keys, models or "
            "endpoints; to stop everything, suspend",
        )
    require_limits(throttle.limits)
    for name in ("keys", "models", "endpoints"):
        if len(getattr(throttle, name)) > SLICE_NAMES_MAX:
            raise UsageError(f"a slice names at most {SLICE_NAMES_MAX} {name}", field=name)
    for key_id in throttle.keys:
        key = view.keys.get(key_id)
        customer = None if key is None else view.customers.get(key.issued.customer)
        if customer is None or customer.group != group:
            raise NotFoundError(f"group {group} has no key {key_id!r}", field="keys")
    for endpoint in throttle.endpoints:
        if endpoint not in get_args(Endpoint):
            raise UsageError(
                f"there is no endpoint {endpoint!r}",
                field="endpoints",
                hint=f"one of {', '.join(get_args(Endpoint))}",
            )


def require_limits(limits: Limits) -> None:
    """Refuse what is no limit before anybody signs it.

    Raises:
        UsageError: one of them; names the field.
    """
    for name, value in limits.named():
        if name not in AT_ONCE:
            raise UsageError(
                f"{name} is no limit of a throttle",
                field=name,
                hint="a throttle says how much at once; give the group a limit of its own",
            )
        if not 1 <= value <= LIMIT_MAX:
            raise UsageError(
                f"{name} = {value} is no limit",
                field=name,
                hint=f"give a whole number from 1 to {LIMIT_MAX}; without any the slice is closed",
            )
