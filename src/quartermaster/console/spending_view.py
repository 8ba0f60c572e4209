"""The pages of budgets and limits in words, rows and one picture."""

from collections.abc import Sequence
from decimal import Decimal
from urllib.parse import quote

import msgspec

from quartermaster.book.views import View
from quartermaster.commands.budget_shown import ShownBudget
from quartermaster.commands.limit import Limited
from quartermaster.console.control_view import ROWS_MAX, owner_name
from quartermaster.console.exposure_view import picture
from quartermaster.console.figures_spending import BARS_MAX, SpentBar, spent_bars
from quartermaster.console.format import EM_DASH, money_shown, month_long, number, percent
from quartermaster.console.language import Words
from quartermaster.console.overview_view import PHONE_PX, WIDE_PX, Picture
from quartermaster.console.report_words import catalogue
from quartermaster.console.spending_facts import Spending, SpendingFacts
from quartermaster.console.webhook_view import HookRow, hook_row
from quartermaster.kernel.limit import AT_ONCE, Limits, LimitScope

HERE = "/budgets"
NEAR_SHARE = Decimal("0.8")
"""The middle of the alerts that are sent by default: from here on somebody should look."""


class SpendingRow(msgspec.Struct, frozen=True, kw_only=True):
    """One budget as a table shows it."""

    href: str
    who: str
    scope: str
    period: str
    amount: str
    spent: str
    leased: str
    left: str
    share: str
    alerts: str
    state: str
    kind: str
    """`risk` where nothing is left, `near`, or `fine`."""


class LimitRow(msgspec.Struct, frozen=True, kw_only=True):
    """Limits of one as a table shows them."""

    href: str
    who: str
    scope: str
    requests: str
    tokens: str
    concurrent: str
    each: str
    """What limits every request by itself."""


class SpendingView(msgspec.Struct, frozen=True, kw_only=True):
    """Everything that the list shows."""

    finding: str
    rows: tuple[SpendingRow, ...]
    more_rows: str
    limits: tuple[LimitRow, ...]
    more_limits: str
    alerts: tuple[HookRow, ...]
    picture: Picture | None


class OwnerView(msgspec.Struct, frozen=True, kw_only=True):
    """One key, project or group: its budget, its limits, and what may be changed."""

    href: str
    who: str
    scope: str
    name: str
    budget: SpendingRow | None
    kind: str
    """Of its budget: `month`, `none` or `prepaid`; empty where it has none."""
    paused: bool
    amount: str
    """As the form shows it."""
    currency: str
    alerts: str
    output_tokens: str
    limits: tuple[tuple[str, str, str], ...]
    """Field, name, value as the form shows it."""
    limits_said: str
    picture: Picture | None


def href(scope: LimitScope, name: str) -> str:
    """The page of one."""
    return f"{HERE}/{scope}/{quote(name, safe='/')}"


def view_of(facts: SpendingFacts, words: Words) -> SpendingView:
    """The list's strings."""
    shown = facts.budgets[:ROWS_MAX]
    named = tuple((_owner(facts.view, one.budget, words), one) for one in shown)
    finding = _finding([_state(one)[1] for one in facts.budgets], words)
    return SpendingView(
        finding=finding,
        rows=tuple(spending_row(one, who, words) for who, one in named),
        more_rows=_more(len(facts.budgets), words),
        limits=tuple(_limit_row(facts.view, one, words) for one in facts.limits[:ROWS_MAX]),
        more_limits=_more(len(facts.limits), words),
        alerts=tuple(
            hook_row(facts.view, one, catalogue("webhook", words.lang)) for one in facts.alerts
        ),
        picture=spent_picture(named[:BARS_MAX], finding, words),
    )


def spending_row(one: Spending, who: str, words: Words) -> SpendingRow:
    """One budget in words; `who` is whose it is, as the reader calls it."""
    budget, share, lang = one.budget, one.spent_share, words.lang

    def amount(value: Decimal | None) -> str:
        return EM_DASH if value is None else money_shown(value, budget.currency, lang)

    if budget.period:
        period = month_long(budget.period, lang)
    else:
        period = words("budget.prepaid" if budget.prepaid else "budget.once")
    state, kind = _state(one)
    return SpendingRow(
        href=href(budget.scope, budget.name),
        who=who,
        scope=words(f"scope.{budget.scope}"),
        period=period,
        amount=amount(budget.amount),
        spent=amount(budget.spent),
        leased=amount(budget.leased),
        left=amount(budget.left),
        share=EM_DASH if share is None else percent(share, lang),
        alerts=_alerts(one, words),
        state=words(f"state.{state}"),
        kind=kind,
    )


def spent_picture(
    found: Sequence[tuple[str, Spending]], finding: str, words: Words
) -> Picture | None:
    """Budgets as bars, with whose they are; None where nothing is known of their spending."""
    known = [(who, one, share) for who, one in found if (share := one.spent_share) is not None]
    if not known:
        return None
    bars = [
        SpentBar(
            label=who,
            spent=share,
            leased=one.leased_share,
            shown=percent(share, words.lang),
            marks=one.budget.alerts_at,
            over=_state(one)[1] == "risk",
        )
        for who, one, share in known
    ]
    drawn = [
        spent_bars(
            bars,
            legend=(
                words("figure.spent"),
                words("figure.refused"),
                words("figure.leased"),
                words("figure.left"),
            ),
            title=words("budget.title"),
            desc=finding,
            width=width,
            name=f"spent-{width}",
        )
        for width in (WIDE_PX, PHONE_PX)
    ]
    return picture(drawn, words("figure.caption" if len(bars) > 1 else "figure.caption_one"))


def owner_view(view: View, limited: Limited, found: Spending | None, words: Words) -> OwnerView:
    """The page of one key, project or group."""
    scope, name, lang = limited.scope, limited.name, words.lang
    budget = None if found is None else found.budget
    kind = ""
    if budget is not None:
        kind = "prepaid" if budget.prepaid else "month" if budget.period else "none"
    who = owner_name(view, scope, name, words)
    row = picture_ = None
    if found is not None:
        row = spending_row(found, who, words)
        picture_ = spent_picture([(who, found)], f"{who}: {row.share}", words)
    amount = "" if budget is None else format(budget.amount, "f")
    return OwnerView(
        href=href(scope, name),
        who=who,
        scope=words(f"scope.{scope}"),
        name=name,
        budget=row,
        kind=kind,
        paused=budget is not None and budget.paused,
        amount=amount.replace(".", ",") if lang == "de" else amount,
        currency="" if budget is None else budget.currency,
        alerts="" if budget is None else ", ".join(map(str, budget.alerts_at)),
        output_tokens="" if budget is None else str(budget.output_tokens),
        limits=tuple(
            (field, words(f"limit.{field}"), "" if value is None else str(value))
            for field, value in msgspec.structs.asdict(limited.limits).items()
        ),
        limits_said=_limits_said(limited.limits, words),
        picture=picture_,
    )


def _owner(view: View, budget: ShownBudget, words: Words) -> str:
    return owner_name(view, budget.scope, budget.name, words)


def _limits_said(limits: Limits, words: Words) -> str:
    named = [*_said(limits, words, each=False), *_said(limits, words, each=True)]
    return ", ".join(named) or words("limit_said.none")


def _said(limits: Limits, words: Words, *, each: bool) -> list[str]:
    """What limits each request by itself, or what limits all of them together."""
    return [
        words(f"limit_said.{field}", value=number(value, words.lang))
        for field, value in limits.named()
        if (field not in AT_ONCE) == each
    ]


def _limit_row(view: View, one: Limited, words: Words) -> LimitRow:
    def shown(value: int | None) -> str:
        return EM_DASH if value is None else number(value, words.lang)

    return LimitRow(
        href=href(one.scope, one.name),
        who=owner_name(view, one.scope, one.name, words),
        scope=words(f"scope.{one.scope}"),
        requests=shown(one.limits.requests_per_minute),
        tokens=shown(one.limits.tokens_per_minute),
        concurrent=shown(one.limits.concurrent),
        each=", ".join(_said(one.limits, words, each=True)) or EM_DASH,
    )


def _state(one: Spending) -> tuple[str, str]:
    """What is to be said of a budget, and how it is coloured."""
    share = one.spent_share
    if one.budget.paused:
        return "paused", "risk"
    if share is None:
        return "unknown", "fine"
    if share >= 1 or 100 in one.alerts_sent:
        return "spent", "risk"
    return ("near", "near") if share >= NEAR_SHARE else ("fine", "fine")


def _alerts(one: Spending, words: Words) -> str:
    """Every threshold, and whether it was told."""
    return ", ".join(
        words("alert.sent" if mark in one.alerts_sent else "alert.ahead", percent=mark)
        for mark in one.budget.alerts_at
    )


def _finding(kinds: Sequence[str], words: Words) -> str:
    if not kinds:
        return words("finding.none")
    risk, near = kinds.count("risk"), kinds.count("near")
    key, count = ("spent", risk) if risk else ("near", near) if near else ("fine", 0)
    key = f"{key}_one" if count == 1 else key
    places = {"count": number(count, words.lang), "all": number(len(kinds), words.lang)}
    return words(f"finding.{key}", **places)


def _more(count: int, words: Words) -> str:
    if count <= ROWS_MAX:
        return ""
    return words("more", shown=number(ROWS_MAX, words.lang), all=number(count, words.lang))
