"""The pages of standing in words and rows: who is served, since when, why, and what may follow."""

import re
from decimal import Decimal
from typing import Final
from urllib.parse import quote

import msgspec

from quartermaster.book.views import StandingEvent, StandingWaiting, View
from quartermaster.commands.standing import (
    MOVES,
    NO_REVENUE,
    PROPOSAL_DAYS_MAX,
    RevenueShare,
)
from quartermaster.console.control_view import ROWS_MAX, person_name
from quartermaster.console.format import EM_DASH, moment, month_long, number, percent
from quartermaster.console.language import Words
from quartermaster.console.standing_facts import Stand, StandingFacts, is_plain, kind_of
from quartermaster.kernel.clock import Instant
from quartermaster.kernel.contract import Standing
from quartermaster.kernel.limit import Throttle
from quartermaster.kernel.standing_facts import StandingChanged

HERE = "/standing"
_MONTHS: Final = re.compile(
    r"(?P<currency>[A-Z]{3}), (?P<first>\d{4}-\d\d) to (?P<last>\d{4}-\d\d)"
)
"""What a share of revenue says it is of."""


class StandRow(msgspec.Struct, frozen=True, kw_only=True):
    """One group as the list shows it."""

    href: str
    name: str
    standing: str
    kind: str
    """`risk` where service is taken away, `near` where somebody should look, or `fine`."""
    since: str
    reason: str
    waits: str


class StandingView(msgspec.Struct, frozen=True, kw_only=True):
    """Everything that the list shows."""

    finding: str
    rows: tuple[StandRow, ...]
    more: str


class HistoryRow(msgspec.Struct, frozen=True, kw_only=True):
    """One entry of the journal about a group's standing."""

    at: str
    what: str
    reason: str
    by: str
    share: str
    case: str
    case_href: str
    """Its page; empty where there is no case."""


class MoveView(msgspec.Struct, frozen=True, kw_only=True):
    """One standing that may follow."""

    standing: Standing
    name: str
    meaning: str
    needs: str
    """Whether a second person is needed; empty where not."""
    slices: bool


class GroupView(msgspec.Struct, frozen=True, kw_only=True):
    """One group: its standing, what may follow, and its history."""

    href: str
    group: str
    name: str
    standing: str
    kind: str
    sentence: str
    throttle: str
    weight: str
    investigated: bool
    waits: str
    proposal: str
    own_proposal: bool
    """Whether the reader is who proposed it, and so not who signs it."""
    moves: tuple[MoveView, ...]
    history: tuple[HistoryRow, ...]


def href(group: str) -> str:
    """The page of one group."""
    return f"{HERE}/{quote(group, safe='')}"


def view_of(facts: StandingFacts, words: Words) -> StandingView:
    """The list's strings."""
    lang = words.lang
    apart = sum(not is_plain(one) for one in facts.stands)
    waiting = sum(one.held.waiting is not None for one in facts.stands)
    key = "waits" if waiting else "apart" if apart else "plain"
    key = f"{key}_one" if (waiting or apart) == 1 else key
    counts = {"count": waiting or apart, "all": len(facts.stands)}
    more = ""
    if len(facts.stands) > ROWS_MAX:
        more = words("more", shown=number(ROWS_MAX, lang), all=number(len(facts.stands), lang))
    return StandingView(
        finding=words(
            f"stand.{key}", **{name: number(value, lang) for name, value in counts.items()}
        ),
        rows=tuple(_row(one, words) for one in facts.stands[:ROWS_MAX]),
        more=more,
    )


def group_view(
    view: View,
    one: Stand,
    weight: RevenueShare,
    sign_off_share: Decimal,
    reader: str,
    words: Words,
) -> GroupView:
    """The page of one group, as one reader sees it."""
    now, lang = one.held, words.lang
    standing = words(f"standing.{now.standing}")
    events = view.standing_events.get(now.group, ())
    since = ""
    if one.since is not None:
        since = words("stand.since", since=moment(Instant(one.since), lang), reason=now.reason)
    return GroupView(
        href=href(now.group),
        group=now.group,
        name=one.name,
        standing=standing,
        kind=_kind(one),
        sentence=since or words("stand.never"),
        throttle="" if now.throttle is None else _throttle(now.throttle, words),
        weight=_weight(weight, sign_off_share, words),
        investigated=now.under_investigation,
        waits="" if now.waiting is None else _waits(view, now.waiting, words),
        proposal="" if now.waiting is None else now.waiting.fact.proposal,
        own_proposal=now.waiting is not None and now.waiting.actor == reader,
        moves=_moves(now.standing, weight, sign_off_share, words),
        history=tuple(_history(view, event, words) for event in reversed(events)),
    )


def _row(one: Stand, words: Words) -> StandRow:
    now = one.held
    waits = "" if now.waiting is None else words(f"standing.{now.waiting.fact.standing}")
    notes = [words("stand.waits_for", standing=waits)] if waits else []
    notes += [words("stand.investigated")] if now.under_investigation else []
    return StandRow(
        href=href(now.group),
        name=one.name,
        standing=words(f"standing.{now.standing}"),
        kind=_kind(one),
        since=EM_DASH if one.since is None else moment(Instant(one.since), words.lang),
        reason=now.reason or EM_DASH,
        waits=", ".join(notes) or EM_DASH,
    )


def _kind(one: Stand) -> str:
    if one.held.standing in ("suspended", "terminated", "throttled"):
        return "risk"
    return "fine" if is_plain(one) else "near"


def _moves(
    before: Standing, weight: RevenueShare, sign_off_share: Decimal, words: Words
) -> tuple[MoveView, ...]:
    heavy = sign_off_share < 1 and (weight.share is None or weight.share > sign_off_share)
    return tuple(
        MoveView(
            standing=move.after,
            name=words(f"standing.{move.after}"),
            meaning=words(f"means.{move.after}"),
            needs=words("stand.two") if move.second_person and heavy else "",
            slices=move.after == "throttled",
        )
        for move in MOVES
        if move.before == before
    )


def _weight(weight: RevenueShare, sign_off_share: Decimal, words: Words) -> str:
    limit = percent(sign_off_share, words.lang, decimals=0)
    if weight.share is None:
        return words("stand.weight_unknown", limit=limit)
    share = percent(weight.share, words.lang)
    return words("stand.weight", share=share, of=_of(weight, words), limit=limit)


def _of(weight: RevenueShare, words: Words) -> str:
    """What it is a share of: a currency, and the months that count."""
    found = _MONTHS.fullmatch(weight.of)
    if found is None:
        return words("stand.no_revenue") if weight.of == NO_REVENUE else weight.of
    first, last = (month_long(found[name], words.lang) for name in ("first", "last"))
    key = "stand.of_month" if first == last else "stand.of_months"
    return words(key, currency=found["currency"], first=first, last=last)


def _waits(view: View, waiting: StandingWaiting, words: Words) -> str:
    fact = waiting.fact
    return words(
        "stand.waiting",
        standing=words(f"standing.{fact.standing}"),
        reason=fact.reason,
        who=person_name(view, waiting.actor, words),
        at=moment(Instant(waiting.at), words.lang),
        days=PROPOSAL_DAYS_MAX,
    )


def _throttle(throttle: Throttle, words: Words) -> str:
    lang = words.lang
    slice_ = [
        words(f"throttle.{name}", names=", ".join(names))
        for name in ("keys", "models", "endpoints")
        if (names := getattr(throttle, name))
    ]
    limits = [
        words(f"limit_said.{name}", value=number(value, lang))
        for name, value in throttle.limits.named()
    ]
    return words(
        "throttle.sentence",
        of="; ".join(slice_) or words("throttle.whole"),
        what=", ".join(limits) or words("throttle.closed"),
    )


def _history(view: View, event: StandingEvent, words: Words) -> HistoryRow:
    fact, kind = event.fact, kind_of(event)
    standing = getattr(fact, "standing", "")
    by = person_name(view, event.actor, words)
    if isinstance(fact, StandingChanged) and fact.proposed_by:
        by = words("history.two", first=person_name(view, fact.proposed_by, words), second=by)
    share, case = getattr(fact, "revenue_share", ""), getattr(fact, "case", "")
    return HistoryRow(
        at=moment(Instant(event.at), words.lang),
        what=words(f"history.{kind}", standing=words(f"standing.{standing}") if standing else ""),
        reason=getattr(fact, "reason", "") or EM_DASH,
        by=by,
        share=percent(Decimal(share), words.lang) if share else EM_DASH,
        case=case or EM_DASH,
        case_href=f"/cases/{quote(case, safe='')}" if case else "",
    )
