"""What the journal says now: a pure fold of facts into read views."""

from collections.abc import Iterable
from typing import Any, assert_never

import msgspec

from quartermaster.book.chain import Recorded
from quartermaster.kernel import events
from quartermaster.kernel.budget import Budget
from quartermaster.kernel.case import CreditGrant, Moved
from quartermaster.kernel.contract import Contract, Customer, Group, Standing
from quartermaster.kernel.exchange import RateRecorded
from quartermaster.kernel.guidance_facts import GuidanceRecorded
from quartermaster.kernel.limit import Limits, LimitScope, Throttle
from quartermaster.kernel.price import PriceBook
from quartermaster.kernel.standing_facts import (
    InvestigationSet,
    StandingChanged,
    StandingDeclined,
    StandingProposed,
)
from quartermaster.kernel.webhook_facts import (
    WebhookAdded,
    WebhookPaused,
    WebhookRemoved,
    WebhookSecretTurned,
)


class Key(msgspec.Struct, frozen=True):
    """A customer key and its life so far."""

    issued: events.KeyIssued
    issued_at: int
    revoked_at: int | None = None
    rotated: events.KeyRotated | None = None
    """Which key takes its place, and until when it works beside it."""

    @property
    def expires_at(self) -> int | None:
        """When it stops by itself: as it was issued, or earlier where it was rotated."""
        issued = self.issued.expires_at
        if self.rotated is None:
            return issued
        return self.rotated.ends_at if issued is None else min(issued, self.rotated.ends_at)

    def live(self, now: int) -> bool:
        """Neither revoked nor expired."""
        expires_at = self.expires_at
        return self.revoked_at is None and (expires_at is None or now < expires_at)


class Project(msgspec.Struct, frozen=True):
    """A customer's project and its life so far."""

    added: events.ProjectAdded
    added_at: int
    archived_at: int | None = None


class Deployed(msgspec.Struct, frozen=True):
    """A deployment as last set, and when it first appeared."""

    fact: events.DeploymentSet
    first_at: int
    drained: bool = False


class User(msgspec.Struct, frozen=True):
    """Somebody who may sign in."""

    id: str
    name: str
    roles: tuple[str, ...]
    customer: str = ""
    """Whose account it sees, and no other; empty for the seller's own people."""


class ApiToken(msgspec.Struct, frozen=True):
    """A token for the JSON API and its life so far."""

    made: events.ApiTokenMade
    made_at: int
    made_by: str
    revoked_at: int | None = None

    def live(self, now: int) -> bool:
        """Neither revoked nor expired."""
        return self.revoked_at is None and now < self.made.expires_at


class Stood(msgspec.Struct, frozen=True):
    """A standing of a group, since when, and by whom."""

    fact: StandingChanged
    at: int
    actor: str


class StandingEvent(msgspec.Struct, frozen=True):
    """Anything that was decided, proposed or declined about a group's standing."""

    fact: StandingChanged | StandingProposed | StandingDeclined | InvestigationSet
    at: int
    actor: str


class StandingWaiting(msgspec.Struct, frozen=True):
    """A proposed change of standing."""

    fact: StandingProposed
    at: int
    actor: str


class BudgetEvent(msgspec.Struct, frozen=True):
    """A budget was set, filled, paused or lifted, or a share of it was spent."""

    fact: events.BudgetSet | events.BudgetToppedUp | events.BudgetCrossed
    at: int
    actor: str


class Webhook(msgspec.Struct, frozen=True):
    """An address that alerts go to, and its life so far."""

    added: WebhookAdded
    added_at: int
    paused: bool = False
    turned_at: int | None = None
    """When its secret was last replaced."""


class View(msgspec.Struct, frozen=True):
    """Everything agreed and everything that happened, up to entry `seq`."""

    seq: int = 0
    groups: dict[str, Group] = {}
    customers: dict[str, Customer] = {}
    contracts: dict[str, tuple[Contract, ...]] = {}
    """By id, versions in ascending order."""
    price_books: dict[str, tuple[PriceBook, ...]] = {}
    """By id, versions in ascending order."""
    keys: dict[str, Key] = {}
    projects: dict[tuple[str, str], Project] = {}
    """By customer and project; every customer has `default` without being named."""
    standing: dict[str, Standing] = {}
    """By group; a group that is not named is active."""
    standing_log: dict[str, tuple[Stood, ...]] = {}
    """By group, every change of standing, oldest first."""
    standing_events: dict[str, tuple[StandingEvent, ...]] = {}
    """By group, everything about its standing, oldest first."""
    standing_waiting: dict[str, StandingWaiting] = {}
    """By group, the change that waits for a second person; a newer one takes its place."""
    investigated: dict[str, InvestigationSet] = {}
    """By group, the groups that are under investigation."""
    limits: dict[tuple[LimitScope, str], Limits] = {}
    """By scope and id of the key or group; who is not named has none."""
    budgets: dict[tuple[LimitScope, str], Budget] = {}
    """By scope and id of the key or group; a prepaid one holds what was paid so far."""
    crossed: dict[tuple[LimitScope, str], tuple[events.BudgetCrossed, ...]] = {}
    """By budget: which shares of it were announced, in its newest period."""
    budget_events: dict[tuple[LimitScope, str], tuple[BudgetEvent, ...]] = {}
    """By budget, everything that happened to it, oldest first; also to one that was lifted."""
    webhooks: dict[str, Webhook] = {}
    deployments: dict[str, Deployed] = {}
    shipped: events.Cut = {}
    """By gateway worker, the newest segment in the usage table."""
    shipped_rows: dict[str, int] = {}
    drafts: dict[tuple[str, str], events.InvoiceDrafted] = {}
    """By contract and period, the newest draft."""
    credits: dict[str, tuple[CreditGrant, ...]] = {}
    """By contract, what cases granted for service that was withheld, oldest first."""
    costs: dict[tuple[str, str], events.CostRated] = {}
    """By deployment and month, what was rated last."""
    guidance: dict[tuple[str, str, str, str, str], GuidanceRecorded] = {}
    """By metric, unit, period, basis and day of the promise, as last recorded."""
    rates: dict[tuple[str, str, str], RateRecorded] = {}
    """By base, quote and first day, as last recorded."""
    users: dict[str, User] = {}
    api_tokens: dict[str, ApiToken] = {}

    def archived(self, customer: str, project: str) -> bool:
        """Whether a project is over."""
        found = self.projects.get((customer, project))
        return found is not None and found.archived_at is not None

    def successors(self, key_id: str) -> tuple[str, ...]:
        """The keys that took this key's place, one after the other."""
        found: list[str] = []
        while (key := self.keys.get(key_id)) is not None and key.rotated is not None:
            key_id = key.rotated.successor
            found.append(key_id)
        return tuple(found)

    def budgeted_before(self) -> dict[str, tuple[str, ...]]:
        """By key, the keys with a budget whose place it took: rotating must not shake one off."""
        found: dict[str, tuple[str, ...]] = {}
        for scope, name in sorted(self.budgets):
            if scope == "key":
                for later in self.successors(name):
                    found[later] = (*found.get(later, ()), name)
        return found

    def throttle_of(self, group: str) -> Throttle | None:
        """How a throttled group is throttled; None for every other standing."""
        log = self.standing_log.get(group, ())
        return log[-1].fact.throttle if log and log[-1].fact.standing == "throttled" else None

    def contract_at(self, contract: str, at: int) -> Contract | None:
        """The version in force at an instant, or None before the first and after the end."""
        begun = [c for c in self.contracts.get(contract, ()) if c.valid_from <= at]
        if not begun or (begun[-1].end is not None and at >= begun[-1].end):
            return None
        return begun[-1]

    def price_books_of(self, versions: Iterable[Contract]) -> list[PriceBook]:
        """All versions of all price books that versions of a contract name."""
        return [
            book
            for name in sorted({version.price_book for version in versions})
            for book in self.price_books.get(name, ())
        ]

    def price_book_at(self, price_book: str, at: int) -> PriceBook | None:
        """The version in force at an instant, or None before the first."""
        begun = [b for b in self.price_books.get(price_book, ()) if b.valid_from <= at]
        return begun[-1] if begun else None


def fold(view: View, facts: Iterable[Recorded]) -> View:
    """The view after these facts; the given one is unchanged."""
    news = list(facts)
    if not news:
        return view
    copies: dict[str, Any] = {
        name: dict(value) if isinstance(value, dict) else value
        for name, value in msgspec.structs.asdict(view).items()
    }
    building = View(**copies)
    for recorded in news:
        _apply(building, recorded)
    return msgspec.structs.replace(building, seq=news[-1].seq)


def _apply(view: View, recorded: Recorded) -> None:
    fact = recorded.fact
    match fact:
        case events.GroupAdded():
            view.groups[fact.group.id] = fact.group
        case events.CustomerAdded():
            view.customers[fact.customer.id] = fact.customer
        case events.PriceBookPublished():
            versions = view.price_books.get(fact.price_book.id, ())
            view.price_books[fact.price_book.id] = (*versions, fact.price_book)
        case events.ContractSigned():
            signed = view.contracts.get(fact.contract.id, ())
            view.contracts[fact.contract.id] = (*signed, fact.contract)
        case events.KeyIssued() | events.KeyRevoked() | events.KeyRotated():
            _apply_to_key(view, fact, recorded.at)
        case events.ProjectAdded() | events.ProjectArchived():
            _apply_to_project(view, fact, recorded.at)
        case StandingChanged() | StandingProposed() | StandingDeclined() | InvestigationSet():
            _apply_to_standing(view, fact, recorded)
        case events.LimitSet():
            if fact.limits.named():
                view.limits[fact.scope, fact.name] = fact.limits
            else:
                view.limits.pop((fact.scope, fact.name), None)
        case events.BudgetSet() | events.BudgetToppedUp() | events.BudgetCrossed():
            _apply_to_budget(view, fact)
            who = fact.scope, fact.name
            event = BudgetEvent(fact, recorded.at, recorded.actor)
            view.budget_events[who] = (*view.budget_events.get(who, ()), event)
        case WebhookAdded() | WebhookPaused() | WebhookSecretTurned() | WebhookRemoved():
            _apply_to_webhook(view, fact, recorded.at)
        case events.DeploymentSet() | events.DeploymentDrained():
            _apply_to_deployment(view, fact, recorded.at)
        case events.SegmentShipped():
            view.shipped[fact.app_id] = max(fact.segment, view.shipped.get(fact.app_id, 0))
            view.shipped_rows[fact.app_id] = view.shipped_rows.get(fact.app_id, 0) + fact.rows
        case events.InvoiceDrafted():
            view.drafts[fact.contract, fact.period] = fact
        case events.CostRated():
            view.costs[fact.deployment, fact.period] = fact
        case events.UserAdded() | events.RolesChanged():
            _apply_to_user(view, fact)
        case events.ApiTokenMade():
            view.api_tokens[fact.token] = ApiToken(fact, recorded.at, recorded.actor)
        case events.ApiTokenRevoked():
            token = view.api_tokens[fact.token]
            view.api_tokens[fact.token] = msgspec.structs.replace(token, revoked_at=recorded.at)
        case events.ProbabilitiesStated() | events.StatementsResolved():
            pass  # a line a customer and day: read by key, not kept in memory
        case events.ConductObserved() | events.ConductAlarmed():
            pass  # likewise
        case GuidanceRecorded():
            about = fact.metric, fact.unit, fact.period, fact.basis, fact.issued_on
            view.guidance[about] = fact
        case RateRecorded():
            view.rates[fact.rate.base, fact.rate.quote, fact.rate.on] = fact
        case events.CaseStepped():
            _credit(view, fact)  # the rest is read by key
        case _:
            assert_never(fact)


def _apply_to_project(
    view: View, fact: events.ProjectAdded | events.ProjectArchived, at: int
) -> None:
    about = fact.customer, fact.project
    if isinstance(fact, events.ProjectAdded):
        view.projects[about] = Project(fact, at)
    else:
        view.projects[about] = msgspec.structs.replace(view.projects[about], archived_at=at)


def _apply_to_deployment(
    view: View, fact: events.DeploymentSet | events.DeploymentDrained, at: int
) -> None:
    known = view.deployments.get(fact.name)
    if isinstance(fact, events.DeploymentDrained):
        drained = msgspec.structs.replace(view.deployments[fact.name], drained=fact.drained)
        view.deployments[fact.name] = drained
    elif known is None:
        view.deployments[fact.name] = Deployed(fact, at)
    else:
        view.deployments[fact.name] = Deployed(fact, known.first_at, known.drained)


def _apply_to_user(view: View, fact: events.UserAdded | events.RolesChanged) -> None:
    if isinstance(fact, events.UserAdded):
        view.users[fact.user] = User(fact.user, fact.name, fact.roles, fact.customer)
    else:
        user = view.users[fact.user]
        view.users[fact.user] = msgspec.structs.replace(user, roles=fact.roles)


def _credit(view: View, fact: events.CaseStepped) -> None:
    if isinstance(fact.event, Moved):
        for credit in fact.event.credits:
            granted = view.credits.get(credit.contract, ())
            view.credits[credit.contract] = (*granted, CreditGrant(fact.case, credit))


def _apply_to_webhook(
    view: View,
    fact: WebhookAdded | WebhookPaused | WebhookSecretTurned | WebhookRemoved,
    at: int,
) -> None:
    if isinstance(fact, WebhookAdded):
        view.webhooks[fact.webhook] = Webhook(fact, at)
        return
    known = view.webhooks[fact.webhook]
    if isinstance(fact, WebhookRemoved):
        del view.webhooks[fact.webhook]
    elif isinstance(fact, WebhookPaused):
        view.webhooks[fact.webhook] = msgspec.structs.replace(known, paused=fact.paused)
    else:
        view.webhooks[fact.webhook] = msgspec.structs.replace(known, turned_at=at)


def _apply_to_key(
    view: View, fact: events.KeyIssued | events.KeyRevoked | events.KeyRotated, at: int
) -> None:
    if isinstance(fact, events.KeyIssued):
        view.keys[fact.key_id] = Key(fact, at)
        return
    key = view.keys[fact.key_id]
    if isinstance(fact, events.KeyRevoked):
        view.keys[fact.key_id] = msgspec.structs.replace(key, revoked_at=at)
    else:
        view.keys[fact.key_id] = msgspec.structs.replace(key, rotated=fact)


def _apply_to_standing(
    view: View,
    fact: StandingChanged | StandingProposed | StandingDeclined | InvestigationSet,
    recorded: Recorded,
) -> None:
    group = fact.group
    event = StandingEvent(fact, recorded.at, recorded.actor)
    view.standing_events[group] = (*view.standing_events.get(group, ()), event)
    match fact:
        case StandingChanged():
            view.standing[group] = fact.standing
            stood = Stood(fact, recorded.at, recorded.actor)
            view.standing_log[group] = (*view.standing_log.get(group, ()), stood)
            view.standing_waiting.pop(group, None)
        case StandingProposed():
            view.standing_waiting[group] = StandingWaiting(fact, recorded.at, recorded.actor)
        case StandingDeclined():
            view.standing_waiting.pop(group, None)
        case InvestigationSet():
            if fact.open:
                view.investigated[group] = fact
            else:
                view.investigated.pop(group, None)


def _apply_to_budget(
    view: View, fact: events.BudgetSet | events.BudgetToppedUp | events.BudgetCrossed
) -> None:
    who = fact.scope, fact.name
    if isinstance(fact, events.BudgetCrossed):
        same_epoch = (one for one in view.crossed.get(who, ()) if one.epoch == fact.epoch)
        view.crossed[who] = (*same_epoch, fact)
        return
    before = view.budgets.get(who)
    if isinstance(fact, events.BudgetToppedUp):
        budget = view.budgets[who]
        paid = budget.amount_minor + fact.amount_minor
        view.budgets[who] = msgspec.structs.replace(budget, amount_minor=paid)
    elif fact.budget is None:
        view.budgets.pop(who, None)
    else:
        view.budgets[who] = fact.budget
    after = view.budgets.get(who)
    if before is None or after is None or before.amount_minor != after.amount_minor:
        # What was announced was a share of another amount.
        view.crossed.pop(who, None)
