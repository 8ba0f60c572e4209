"""Budgets: how much money a key, a project or a customer group may spend; hard, or prepaid."""

import msgspec

from quartermaster.book.views import Key, View
from quartermaster.commands.actor import Actor, require
from quartermaster.commands.names import require_id, require_name
from quartermaster.commands.ports import Book
from quartermaster.commands.scope import contracts_of, ended, require_known
from quartermaster.kernel.budget import (
    Budget,
    BudgetGrant,
    BudgetPeriod,
    RateCard,
    Rates,
    budget_id,
    epochs,
    rates_of,
)
from quartermaster.kernel.clock import US_PER_HOUR, Instant, month_of
from quartermaster.kernel.contract import Contract
from quartermaster.kernel.errors import ConflictError, NotFoundError, UsageError
from quartermaster.kernel.events import BudgetSet, BudgetToppedUp
from quartermaster.kernel.limit import LimitScope, project_name
from quartermaster.kernel.money import EXACT, exact_decimal, exponent
from quartermaster.kernel.price import PriceBook
from quartermaster.kernel.units import ServiceClass

AMOUNT_UNITS_MAX = 1_000_000_000
"""A thousand million of the currency: in nanos it fits the 63 bits of a file's number, and above it
is a typing error."""

OUTPUT_TOKENS_MAX = 1_000_000
"""No model answers longer; above it is a typing error."""

PERCENT_MAX = 100
"""A hard budget has nothing beyond."""

PRICES_AHEAD_US = 24 * US_PER_HOUR
"""A price that begins within a day counts already where it is higher: snapshots are renewed at
least daily, so no request is held to a lower price than its bill's."""


class Budgeting(msgspec.Struct, frozen=True):
    """Whose budget, and which."""

    scope: LimitScope
    name: str
    budget: Budget


class Terms(msgspec.Struct, frozen=True, kw_only=True):
    """What may be asked of a budget."""

    amount_minor: int = 0
    """Minor units of the currency; a prepaid budget begins empty."""
    currency: str = ""
    """Empty takes the contract's."""
    time_zone: str = ""
    """Empty takes the contract's."""
    period: BudgetPeriod = "month"
    prepaid: bool = False
    thresholds: tuple[int, ...] | None = None
    output_tokens: int | None = None


def set_budget(
    book: Book,
    actor: Actor,
    scope: LimitScope,
    name: str,
    terms: Terms,
    now: Instant,
    *,
    reason: str = "",
) -> Budgeting:
    """Give a key, a project or a group a budget, in place of the one it had.

    What was spent in the running period counts; of a budget without periods, what is spent from
    now on. Setting what is set already changes nothing. A prepaid budget keeps its balance.

    Raises:
        NotAllowedError: the actor may not.
        UsageError: the terms contradict themselves, or the contract.
        NotFoundError: there is no such key, project or group.
        ConflictError: the key is revoked, or the project archived; or the kind cannot change.
    """
    require(actor, "admin", "finance")
    if reason:
        reason = require_name(reason, "reason")
    with book.writing() as unit:
        view = unit.view()
        agreed = _agreed(view, scope, name)
        has = view.budgets.get((scope, name))
        budget = _budget(terms, agreed, has, now)
        if has is not None:
            _require_same_kind(has, budget)
        if budget != has:
            fact = BudgetSet(scope=scope, name=name, budget=budget, reason=reason)
            unit.journal.append(fact, actor=actor, now=now)
    return Budgeting(scope, name, budget)


def remove_budget(
    book: Book, actor: Actor, scope: LimitScope, name: str, now: Instant, *, reason: str = ""
) -> None:
    """Lift a budget with the next snapshot; what is left of a prepaid one is not paid back here.

    Raises:
        NotAllowedError: the actor may not.
        NotFoundError: there is none.
    """
    require(actor, "admin", "finance")
    if reason:
        reason = require_name(reason, "reason")
    with book.writing() as unit:
        budget_of(unit.view(), scope, name)
        fact = BudgetSet(scope=scope, name=name, budget=None, reason=reason)
        unit.journal.append(fact, actor=actor, now=now)


def pause_budget(
    book: Book,
    actor: Actor,
    scope: LimitScope,
    name: str,
    now: Instant,
    *,
    paused: bool,
    reason: str = "",
) -> Budgeting:
    """Let nothing be spent of a budget with the next snapshot, or let it be spent again.

    Its terms and what was spent stay. Saying what is so already changes nothing.

    Raises:
        NotAllowedError: the actor may not.
        NotFoundError: there is no such budget.
    """
    require(actor, "admin", "finance")
    if reason:
        reason = require_name(reason, "reason")
    with book.writing() as unit:
        has = budget_of(unit.view(), scope, name)
        budget = msgspec.structs.replace(has.budget, paused=paused)
        if budget != has.budget:
            fact = BudgetSet(scope=scope, name=name, budget=budget, reason=reason)
            unit.journal.append(fact, actor=actor, now=now)
    return Budgeting(scope, name, budget)


def top_up(
    book: Book,
    actor: Actor,
    scope: LimitScope,
    name: str,
    amount_minor: int,
    now: Instant,
    *,
    payment: str,
) -> Budgeting:
    """Record money that was paid into a prepaid budget; it can be spent at once.

    Args:
        book: where it is recorded.
        actor: who records it.
        scope: key, project or group.
        name: of it.
        amount_minor: minor units of the budget's currency.
        now: microseconds UTC.
        payment: what the payment is called elsewhere; the same one again changes nothing.

    Raises:
        NotAllowedError: the actor may not.
        NotFoundError: there is no such budget.
        UsageError: not a positive amount, or the budget is not prepaid.
        ConflictError: the payment is recorded with another amount.
    """
    require(actor, "admin", "finance")
    require_id(payment, "payment")
    with book.writing() as unit:
        has = budget_of(unit.view(), scope, name)
        if not has.budget.prepaid:
            raise UsageError(
                f"the budget of {scope} {name} is not prepaid",
                field="name",
                hint="set another amount instead",
            )
        _require_amount(amount_minor, has.budget.currency)
        _require_amount(has.budget.amount_minor + amount_minor, has.budget.currency)
        fact = BudgetToppedUp(
            scope=scope,
            name=name,
            top_up=payment,
            amount_minor=amount_minor,
            currency=has.budget.currency,
        )
        unit.journal.append(
            fact, actor=actor, now=now, key=f"top_up:{budget_id(scope, name)}:{payment}"
        )
        return budget_of(unit.view(), scope, name)


def budget_of(view: View, scope: LimitScope, name: str) -> Budgeting:
    """The budget of a key, a project or a group.

    Raises:
        NotFoundError: there is no such key, project or group, or it has none.
    """
    budget = view.budgets.get((scope, name))
    if budget is None:
        require_known(view, scope, name)
        raise NotFoundError(
            f"{scope} {name} has no budget", field="name", hint="quartermaster budget list"
        )
    return Budgeting(scope, name, budget)


def minor_of(amount: str, currency: str) -> int:
    """An amount that somebody wrote, in minor units.

    Raises:
        UsageError: not a number, or it names less than the smallest coin.
    """
    scaled = exact_decimal(amount).scaleb(exponent(currency), context=EXACT)
    if scaled != scaled.to_integral_value():
        raise UsageError(f"{amount} {currency} is less than its smallest coin", field="amount")
    return int(scaled)


def currency_of(view: View, scope: LimitScope, name: str) -> str:
    """The currency that a budget would have.

    Raises:
        NotFoundError: there is no such key, project or group.
        UsageError: its contracts do not say one.
    """
    return _one("", {one.currency for one in _agreed(view, scope, name)}, "currency")


def all_budgets(view: View) -> list[Budgeting]:
    """Everybody's, in a fixed order."""
    return [
        Budgeting(scope, name, view.budgets[scope, name]) for scope, name in sorted(view.budgets)
    ]


# -- what gateways get to know ---------------------------------------------------------------------


def budget_grants(view: View, now: Instant) -> dict[str, BudgetGrant]:
    """What gateways know of every budget."""
    return {
        budget_id(scope, name): BudgetGrant(
            scope=scope,
            name=name,
            currency=budget.currency,
            epochs=epochs(budget, now),
            prepaid=budget.prepaid,
            output_tokens=budget.output_tokens,
            paused=budget.paused,
        )
        for (scope, name), budget in view.budgets.items()
    }


def rate_cards(view: View, now: Instant) -> dict[str, RateCard]:
    """Rates of every price book that a key with a budget is billed by, the dearest of a day."""
    if not view.budgets:
        return {}
    before = view.budgeted_before()
    books = {
        contract.price_book
        for key in view.keys.values()
        if key.live(now)
        and (key.issued.key_id in before or _has_budget(view, key))
        and (contract := view.contract_at(key.issued.contract, now)) is not None
    }
    models = {deployed.fact.model for deployed in view.deployments.values()}
    cards = {}
    for name in sorted(books):
        versions = _in_force_today(view.price_books.get(name, ()), now)
        if versions:
            cards[name] = RateCard(
                versions[0].currency,
                _rates(versions, models, "standard"),
                _rates(versions, models, "batch"),
            )
    return cards


def _rates(
    versions: list[PriceBook], models: set[str], service_class: ServiceClass
) -> dict[str, Rates]:
    found = {model: rates_of(versions, model, service_class) for model in sorted(models)}
    return {model: rates for model, rates in found.items() if rates is not None}


def _has_budget(view: View, key: Key) -> bool:
    customer = view.customers.get(key.issued.customer)
    group = "" if customer is None else customer.group
    project = project_name(key.issued.customer, key.issued.project)
    names: tuple[tuple[LimitScope, str], ...] = (
        ("key", key.issued.key_id),
        ("project", project),
        ("group", group),
    )
    return any(name in view.budgets for name in names)


def _in_force_today(versions: tuple[PriceBook, ...], now: Instant) -> list[PriceBook]:
    begun = [one for one in versions if one.valid_from <= now]
    soon = [one for one in versions if now < one.valid_from <= now + PRICES_AHEAD_US]
    return [*begun[-1:], *soon]


# -- what may be set -------------------------------------------------------------------------------


def _agreed(view: View, scope: LimitScope, name: str) -> list[Contract]:
    """The newest version of every contract whose keys would spend the budget.

    Raises:
        NotFoundError: there is no such key, project or group.
        ConflictError: the key is revoked, or the project archived.
    """
    require_known(view, scope, name)
    over = ended(view, scope, name)
    if over and not (scope == "key" and view.successors(name)):
        raise ConflictError(over, field="name")
    return contracts_of(view, scope, name)


def _budget(terms: Terms, agreed: list[Contract], has: Budget | None, now: Instant) -> Budget:
    currency = _one(terms.currency, {one.currency for one in agreed}, "currency")
    exponent(currency)
    if any(one.currency != currency for one in agreed):
        raise UsageError(
            f"the contracts are not in {currency}",
            field="currency",
            hint="give every key of another currency a budget of its own",
        )
    time_zone = terms.time_zone or _one(
        "", {one.time_zone for one in agreed} or {"UTC"}, "time_zone"
    )
    if month_of(now, time_zone).start % US_PER_HOUR:
        raise UsageError(
            f"months in {time_zone} do not begin on a full UTC hour",
            field="time_zone",
            hint="usage is rolled up by UTC hour; use a zone with a whole-hour offset",
        )
    budget = Budget(
        currency=currency,
        time_zone=time_zone,
        period="none" if terms.prepaid else terms.period,
        amount_minor=terms.amount_minor,
        prepaid=terms.prepaid,
        since=now if has is None else has.since,
        paused=has is not None and has.paused,
    )
    if terms.prepaid:
        if terms.amount_minor:
            raise UsageError(
                "a prepaid budget begins empty", field="amount", hint="record payments by a top-up"
            )
        budget = msgspec.structs.replace(budget, amount_minor=has.amount_minor if has else 0)
    else:
        _require_amount(terms.amount_minor, currency)
    return _with_options(budget, terms)


def _with_options(budget: Budget, terms: Terms) -> Budget:
    if terms.output_tokens is not None:
        if not 1 <= terms.output_tokens <= OUTPUT_TOKENS_MAX:
            raise UsageError(
                f"output_tokens = {terms.output_tokens} is out of range",
                field="output_tokens",
                hint=f"give a whole number from 1 to {OUTPUT_TOKENS_MAX}",
            )
        budget = msgspec.structs.replace(budget, output_tokens=terms.output_tokens)
    if terms.thresholds is not None:
        for percent in terms.thresholds:
            if not 1 <= percent <= PERCENT_MAX:
                raise UsageError(
                    f"{percent} % is no threshold",
                    field="thresholds",
                    hint=f"give whole per cents from 1 to {PERCENT_MAX}",
                )
        thresholds = tuple(sorted(set(terms.thresholds)))
        budget = msgspec.structs.replace(budget, thresholds=thresholds)
    return budget


def _one(given: str, agreed: set[str], field: str) -> str:
    if given:
        return given
    if len(agreed) != 1:
        found = ", ".join(sorted(agreed)) or "no contract"
        raise UsageError(f"which {field}? There is {found}", field=field, hint=f"give the {field}")
    return agreed.pop()


def _require_amount(amount_minor: int, currency: str) -> None:
    most = int(AMOUNT_UNITS_MAX * 10 ** exponent(currency))
    if not 1 <= amount_minor <= most:
        raise UsageError(
            f"{amount_minor} minor units of {currency} is no amount",
            field="amount",
            hint=f"give more than 0 and at most {AMOUNT_UNITS_MAX}; to stop a key, revoke it",
        )


def _require_same_kind(has: Budget, budget: Budget) -> None:
    for field in ("currency", "period", "time_zone", "prepaid"):
        if getattr(has, field) != getattr(budget, field):
            raise ConflictError(
                f"{field} of a budget cannot change",
                field=field,
                hint="remove the budget and set another one",
            )
