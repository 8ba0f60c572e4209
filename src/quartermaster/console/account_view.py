"""A customer's account page in words and rows: standing, keys, limits, usage and drafts."""

from collections.abc import Iterator
from decimal import Decimal

import msgspec

from quartermaster.commands.budget_shown import ShownBudget
from quartermaster.console.figures_spending import BARS_MAX
from quartermaster.console.format import EM_DASH, Lang, day, moment, money, month_long, number
from quartermaster.console.language import Words
from quartermaster.console.overview_view import Picture
from quartermaster.console.ports_account import (
    AccountDraft,
    AccountFacts,
    AccountKey,
    DraftShortfall,
    MadeKey,
    OwnBudget,
    UsageRow,
)
from quartermaster.console.report_words import catalogue
from quartermaster.console.spending_facts import Spending
from quartermaster.console.spending_view import SpendingRow, spending_row, spent_picture
from quartermaster.kernel.errors import CallerError
from quartermaster.kernel.limit import Limits
from quartermaster.kernel.money import Money

ANY_MODEL = "*"


class KeyRow(msgspec.Struct, frozen=True, kw_only=True):
    """A key as the page shows it."""

    id: str
    project: str
    scope: str
    limits: str
    issued: str
    state: str
    live: bool
    rotatable: bool


class UsageLine(msgspec.Struct, frozen=True, kw_only=True):
    """Usage of one key and model as the page shows it."""

    project: str
    key_id: str
    model: str
    service_class: str
    requests: str
    input_tokens: str
    cached_tokens: str
    output_tokens: str


class DraftView(msgspec.Struct, frozen=True, kw_only=True):
    """A draft invoice as the page shows it."""

    contract: str
    total: str
    waiting: str
    lines: tuple[tuple[str, str, str, str, str, str], ...]
    """Model, class, meter, quantity, price, amount."""
    extras: tuple[tuple[str, str], ...] = ()
    """What it is for, and the amount: shortfalls of commitments, then credits."""
    ahead: tuple[str, ...] = ()
    """What commitments lack so far, in no total."""


class MadeView(msgspec.Struct, frozen=True, kw_only=True):
    """A new key: its secret, and what becomes of the one that it replaces."""

    id: str
    secret: str
    sentence: str


class AccountView(msgspec.Struct, frozen=True, kw_only=True):
    """Everything the account page shows."""

    name: str
    month: str
    month_label: str
    standing: str
    restricted: bool
    limits: str
    keys: tuple[KeyRow, ...]
    projects: tuple[tuple[str, str, str, str], ...]
    """Id, name, live keys, limits."""
    budgets: tuple[SpendingRow, ...]
    spent: Picture | None
    contracts: tuple[str, ...]
    usage: tuple[UsageLine, ...]
    usage_missing: bool
    drafts: tuple[DraftView, ...]


def view_of(facts: AccountFacts, words: Words) -> AccountView:
    """The page's strings."""
    lang = words.lang
    control = catalogue("control", lang)
    called = {one.id: one.name for one in facts.projects}
    named = tuple(
        (_whose(one, called.get(one.name.partition("/")[2], ""), words), Spending(one, ()))
        for one in facts.budgets
    )
    rows = tuple(spending_row(one, who, control) for who, one in named)
    return AccountView(
        name=facts.name,
        month=facts.month,
        month_label=month_long(facts.month, lang),
        standing=words(f"standing.{facts.standing}"),
        restricted=facts.standing != "active",
        limits=_limits(facts.limits, words),
        keys=tuple(_key(key, words) for key in facts.keys),
        projects=tuple(
            (one.id, one.name, number(one.live_keys, lang), _own_limits(one.limits, words))
            for one in facts.projects
        ),
        budgets=rows,
        spent=spent_picture(named[:BARS_MAX], words("budget.title"), control),
        contracts=facts.contracts,
        usage=tuple(_usage(row, words) for row in facts.usage),
        usage_missing=facts.usage_missing,
        drafts=tuple(_draft(one, words) for one in facts.drafts),
    )


def budget_view(own: OwnBudget, words: Words) -> tuple[SpendingRow, Picture | None]:
    """One budget in words, and its picture."""
    control, who = catalogue("control", words.lang), _whose(own.shown, own.project, words)
    one = Spending(own.shown, ())
    return spending_row(one, who, control), spent_picture([(who, one)], who, control)


def made_view(made: MadeKey, words: Words) -> MadeView:
    """A new key, shown once."""
    sentence = ""
    if made.replaces and made.ends_at is not None:
        ends = moment(made.ends_at, words.lang)
        sentence = words("made.replaces", name=made.replaces, ends=ends)
    if not made.served:
        sentence = f"{sentence} {words('made.late')}".strip()
    return MadeView(id=made.id, secret=made.secret, sentence=sentence)


def why(error: CallerError, words: Words) -> str:
    """Why something was not done, without the seller's commands and the words of its terminal."""
    key = f"refused.{error.field}"
    return words(key if error.field and words.has(key) else "refused.other")


def _whose(budget: ShownBudget, project: str, words: Words) -> str:
    """Whose budget it is, as the customer calls it."""
    if budget.scope == "key":
        return budget.name
    if budget.scope == "group":
        return words("budget.account")
    return project or budget.name.partition("/")[2]


def _own_limits(limits: Limits, words: Words) -> str:
    return _limits(limits, words) if limits.named() else EM_DASH


def _limits(limits: Limits, words: Words) -> str:
    parts = [
        words(f"limit.{name}", value=number(value, words.lang)) for name, value in limits.named()
    ]
    return ", ".join(parts) or words("limit.none")


def _key(key: AccountKey, words: Words) -> KeyRow:
    parts = [] if key.models == (ANY_MODEL,) else [", ".join(key.models)]
    parts += [", ".join(names) for names in (key.endpoints, key.networks) if names]
    if not key.live:
        state = words("key.stopped")
    elif key.ends_at is None:
        state = words("key.live")
    else:
        state = words("key.until", ends=moment(key.ends_at, words.lang))
    return KeyRow(
        id=key.id,
        project=key.project,
        scope="; ".join(parts) or words("key.anything"),
        limits=_own_limits(key.limits, words),
        issued=moment(key.issued_at, words.lang),
        state=state,
        live=key.live,
        rotatable=key.live and not key.successor,
    )


def _price(written: str, currency: str, lang: Lang) -> str:
    """A price with every digit that the contract gives it."""
    return f"{number(Decimal(written), lang)}\N{NO-BREAK SPACE}{currency}"


def _usage(row: UsageRow, words: Words) -> UsageLine:
    lang = words.lang
    return UsageLine(
        project=row.project,
        key_id=row.key_id,
        model=row.model,
        service_class=words(f"class.{row.service_class}"),
        requests=number(row.requests, lang),
        input_tokens=number(row.input_tokens, lang),
        cached_tokens=number(row.cached_tokens, lang),
        output_tokens=number(row.output_tokens, lang),
    )


def _draft(draft: AccountDraft, words: Words) -> DraftView:
    lang = words.lang
    waiting = ""
    if draft.unpriced:
        waiting = words("draft.waiting", quantity=number(draft.unpriced, lang))
    return DraftView(
        contract=draft.contract,
        total=money(Money(draft.total_minor, draft.currency), lang),
        waiting=waiting,
        lines=tuple(
            (
                line.model,
                words(f"class.{line.service_class}"),
                words(f"meter.{line.meter}"),
                number(line.quantity, lang),
                words(f"unit.{line.unit}", price=_price(line.price, draft.currency, lang)),
                money(Money(line.minor, draft.currency), lang),
            )
            for line in draft.lines
        ),
        extras=tuple(_extras(draft, words)),
        ahead=tuple(
            words("draft.ahead", lacks=_said(line.minor, draft, lang), **_floor(line, draft, lang))
            for line in draft.ahead
        ),
    )


def _extras(draft: AccountDraft, words: Words) -> Iterator[tuple[str, str]]:
    lang = words.lang
    for line in draft.shortfalls:
        yield words("draft.shortfall", **_floor(line, draft, lang)), _said(line.minor, draft, lang)
    for one in draft.credits:
        left = _said(one.left_minor, draft, lang)
        yield words("draft.credit", case=one.case, left=left), _said(one.minor, draft, lang)


def _floor(line: DraftShortfall, draft: AccountDraft, lang: Lang) -> dict[str, str]:
    return {
        "first": day(line.first, lang),
        "last": day(line.last, lang),
        "floor": _said(line.floor_minor, draft, lang),
        "counted": _said(line.counted_minor, draft, lang),
    }


def _said(minor: int, draft: AccountDraft, lang: Lang) -> str:
    return money(Money(minor, draft.currency), lang)
