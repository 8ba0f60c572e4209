"""A book with customers, budgets, limits and standings, for pages that show and change them."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec
from tests.unit.api.api_world import FakeWeights
from tests.unit.commands.signed_book import signed_book
from tests.unit.console.console_fakes import NOW

from quartermaster.billing.leases import BudgetState
from quartermaster.book.store import Book
from quartermaster.commands import budget as budgets
from quartermaster.commands import key as keys
from quartermaster.commands import limit as limits
from quartermaster.commands import project as projects
from quartermaster.commands import standing as standings
from quartermaster.commands import webhook as webhooks
from quartermaster.commands.actor import OPERATOR, Actor
from quartermaster.commands.budget import Terms
from quartermaster.commands.budget_history import UsageOf
from quartermaster.commands.budget_shown import BudgetStates
from quartermaster.commands.limit import Limited
from quartermaster.commands.publish import Acknowledgement
from quartermaster.commands.webhook_record import (
    Delivered,
    Delivery,
    Record,
    Tested,
    Waiting,
    again,
)
from quartermaster.console.ports_control import Control
from quartermaster.kernel.budget import budget_id, epochs, nanos
from quartermaster.kernel.clock import Instant, Period
from quartermaster.kernel.contract import Standing
from quartermaster.kernel.events import BudgetCrossed, HourlyUsage
from quartermaster.kernel.limit import Limits, LimitScope
from quartermaster.kernel.units import Counts
from quartermaster.kernel.webhook_facts import WebhookAdded

CUSTOMERS = {"acme": "acme-1", "globex": "globex-1", "initech": "initech-1"}
TRUST = Actor("usr_trust", ("trust",))
SPENT_CENTS = {"acme": 430_000, "globex": 1_000_000, "acme/search": 12_345}
"""Of budgets of 5,000, 10,000 and 500."""


SPENT = (
    '{"type":"budget.threshold_reached","timestamp":"","data":'
    '{"budget":"group:acme","period":"2024-03","percent":80}}'
)
DAY_US = 86_400_000_000

RECORD = Record(
    Delivered(
        4,
        1,
        int(NOW),
        "answered with status 500",
        (
            Delivery("msg_1", "budget.exhausted", int(NOW), 2, "answered with status 500"),
            Delivery("msg_0", "budget.threshold_reached", int(NOW) - 1, 1, "", SPENT),
        ),
    ),
    (
        Waiting(
            "msg_1", "whk", '{"type":"budget.exhausted"}', 2, int(NOW) + 1_800_000_000,
            "answered with status 500",
        ),
    ),
)  # fmt: skip
"""What became of the alerts of every webhook."""


class FakeHooks:
    """Every address has the same record; what it was asked for is kept."""

    def __init__(self, secrets: Path) -> None:
        self.secrets = secrets
        self.tested: list[str] = []
        self.again: list[tuple[str, str]] = []
        self.refusal = ""
        self.kept = RECORD

    def record(self, webhook: str) -> Record:
        return self.kept

    def test(self, webhook: WebhookAdded, now: Instant) -> Tested:
        self.tested.append(webhook.webhook)
        return Tested(self.refusal)

    def redeliver(self, webhook: str, message: str) -> Waiting:
        found = again(self.kept, webhook, message)
        self.again.append((webhook, message))
        return found


class Handed(msgspec.Struct, frozen=True):
    """A snapshot that was published."""

    snapshot_version: int


class FakeGateways:
    """Two workers: one obeys at once, the other one later."""

    def __init__(self) -> None:
        self.published = 0

    def workers(self) -> int:
        return 2

    def publish(self, now: Instant) -> Handed:
        self.published += 1
        return Handed(self.published)

    def serving(self, version: int) -> Acknowledgement:
        return Acknowledgement(("gateway-0",), ("gateway-1",), ())


def control_over(book: Book, secrets: Path) -> Control:
    """Ports over a book, with spending that the clerk told of."""
    return Control(
        book=book,
        gateways=FakeGateways(),
        weights=FakeWeights(),
        budget_states=lambda: BudgetStates(int(NOW), _states(book)),
        usage=usage_of(),
        webhooks=FakeHooks(secrets),
    )


@contextmanager
def control_world(folder: Path) -> Iterator[Control]:
    """Three customers: budgets of two, limits of a key, one warned and one proposed suspension."""
    with signed_book(folder, NOW, CUSTOMERS) as book:
        projects.add(book, OPERATOR, customer="acme", project="search", name="Search", now=NOW)
        key = keys.issue(book, OPERATOR, contract="acme-1", pepper=b"p" * 32, now=NOW).key_id
        for scope, name, minor in (
            ("group", "acme", 500_000),
            ("group", "globex", 1_000_000),
            ("project", "acme/search", 50_000),
        ):
            who = msgspec.convert(scope, LimitScope)
            budgets.set_budget(book, OPERATOR, who, name, Terms(amount_minor=minor), NOW)
        budgets.set_budget(book, OPERATOR, "key", key, Terms(prepaid=True), NOW)
        budgets.top_up(book, OPERATOR, "key", key, 2_500, NOW, payment="wire-1")
        book.append(_crossed(book), actor=OPERATOR, now=NOW)
        slow = Limits(requests_per_minute=600, tokens_per_minute=1_000_000)
        limits.set_limits(book, OPERATOR, Limited("key", key, slow), NOW)
        limits.set_limits(book, OPERATOR, Limited("group", "globex", Limits(concurrent=40)), NOW)
        hook = "https://ops.example.com/hook?token=hunter2"
        webhooks.add(book, OPERATOR, hook, folder / "secrets", NOW, group="acme")
        weights = FakeWeights()
        for group, wanted in (("globex", "warned"), ("acme", "suspended")):
            standings.change(
                book, TRUST, group, msgspec.convert(wanted, Standing),
                "harvests outputs", NOW, weight=weights.share(group),
                sign_off_share=weights.sign_off_share,
            )  # fmt: skip
        yield control_over(book, folder / "secrets")


def usage_of() -> UsageOf:
    """Of every customer what was spent of its group's budget: a tenth a day until now, at the
    list's price of $0.15 a million tokens."""

    def usage(customer: str | None, period: Period) -> list[HourlyUsage]:
        first = NOW - NOW % DAY_US
        days = [at for at in range(first - 9 * DAY_US, first + 1, DAY_US) if at in period]
        cents = SPENT_CENTS.get(customer or "", 0)
        return [
            HourlyUsage(
                customer or "", f"{customer}-1", 1, "list", "default", "key_1", "m", "d",
                "standard", at, 3, Counts(input=cents * 20_000_000 // 3_000),
            )
            for at in days
        ]  # fmt: skip

    return usage


def _states(book: Book) -> tuple[BudgetState, ...]:
    found = []
    for (scope, name), budget in book.view().budgets.items():
        if name in SPENT_CENTS:
            settled = nanos(SPENT_CENTS[name], "USD")
            leased = nanos(budget.amount_minor // 20, "USD")
            leased = min(leased, budget.amount - settled)
            epoch = epochs(budget, NOW)[0].id
            who = budget_id(scope, name)
            found.append(BudgetState(who, epoch, budget.amount, settled, leased, False))
    return tuple(found)


def _crossed(book: Book) -> BudgetCrossed:
    """Half of acme's budget was announced."""
    budget = book.view().budgets["group", "acme"]
    epoch = epochs(budget, NOW)[0]
    return BudgetCrossed(
        scope="group", name="acme", epoch=epoch.id, label=epoch.label, percent=50,
        spent_minor=250_000, amount_minor=500_000, currency="USD",
    )  # fmt: skip
