"""A real console on a loopback port, over ports with made-up answers that a test may change."""

import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from functools import cached_property
from pathlib import Path

import msgspec
import uvicorn
from tests.unit.console.case_fakes import FakeCases
from tests.unit.console.console_fakes import (
    NOW,
    FakeAccounts,
    FakeIdentity,
    FakeLive,
    FakeOverview,
    live_facts,
    overview_facts,
)
from tests.unit.console.control_world import control_world
from tests.unit.console.exposure_fakes import FakeExposure, exposure_facts
from tests.unit.console.test_console_revenue import RATE, FakeRevenue, live_book
from tests.unit.console.traffic_fakes import FakeTraffic, traffic_facts
from tests.unit.console.warning_fakes import FakeWarning, reliability_facts, warning_facts
from tests.unit.console.what_if_fakes import FakeWhatIf, what_if_facts

from quartermaster.app.board import assumed_of, facts_of, shown_revenue
from quartermaster.app.console_book import sample_shown
from quartermaster.app.console_capacity import ShownCapacity, sample_window
from quartermaster.commands.budget_history import BudgetHistory, Day, Moment
from quartermaster.commands.budget_shown import ShownBudget
from quartermaster.console import server
from quartermaster.console.board_facts import BoardFacts
from quartermaster.console.ports_account import (
    AccountDraft,
    AccountFacts,
    AccountKey,
    AccountProject,
    DraftCredit,
    DraftLine,
    DraftShortfall,
    OwnBudget,
    UsageRow,
)
from quartermaster.console.ports_control import Control
from quartermaster.console.settings import ConsoleSettings
from quartermaster.exposure.risk_assumptions import Assumptions
from quartermaster.kernel.clock import Instant, as_datetime
from quartermaster.kernel.limit import Limits, LimitScope

START_S = 10
"""A loaded machine needs a second; ten mean that it does not start."""

KEY = "key_01M851J7VAJVJB4BFR21WCNS2P"
HELD = {"models": ("gpt-4o",), "networks": ("203.0.113.0/24", "2001:db8::/32")}


def a_key(key_id: str, **fields: object) -> AccountKey:
    """A customer's key."""
    said: dict[str, object] = {
        "id": key_id, "project": "chat", "contract": "c", "models": ("*",), "endpoints": (),
        "networks": (), "issued_at": NOW, "ends_at": None, "successor": "", "live": True,
        "limits": Limits(requests_per_minute=60),
    }  # fmt: skip
    return msgspec.convert({**said, **fields}, AccountKey)


def a_budget(scope: LimitScope, name: str) -> ShownBudget:
    """A budget that is nearly spent."""
    return ShownBudget(
        scope=scope, name=name, currency="USD", period="2024-03", time_zone="UTC", prepaid=False,
        amount=Decimal("5000.00"), spent=Decimal("4300.00"), leased=Decimal("250.00"),
        left=Decimal("450.00"), alerts_at=(50, 80, 100), output_tokens=4096,
    )  # fmt: skip


class RichAccounts(FakeAccounts):
    """One account with something in every table."""

    def budget(
        self, customer: str, scope: LimitScope, name: str, month: str, now: Instant
    ) -> OwnBudget:
        return OwnBudget(a_budget(scope, name), "", a_history(name))

    def facts(self, customer: str, month: str, now: Instant) -> AccountFacts:
        line = DraftLine(
            model="gpt-4o", service_class="standard", meter="input", quantity=4_200_000,
            price="2.50", unit="1M_tokens", amount=Decimal("10.5"), minor=1050,
        )  # fmt: skip
        row = UsageRow(
            project="chat", key_id=KEY, model="gpt-4o", service_class="standard", requests=4_100,
            input_tokens=4_200_000, cached_tokens=900_000, output_tokens=310_000,
        )  # fmt: skip
        return msgspec.structs.replace(
            super().facts(customer, month, now),
            standing="throttled",
            projects=(AccountProject("default", "default", 0), AccountProject("chat", "Chat", 2)),
            keys=(a_key(KEY, **HELD), a_key("key_2", ends_at=NOW), a_key("key_3", live=False)),
            usage=(row,),
            budgets=(a_budget("group", "acme"), a_budget("key", KEY)),
            drafts=(
                AccountDraft(
                    contract="c",
                    total_minor=0,
                    currency="USD",
                    unpriced=7,
                    lines=(line,),
                    shortfalls=(
                        DraftShortfall(
                            first=date(2024, 3, 16),
                            last=date(2024, 3, 31),
                            floor_minor=500_000,
                            counted_minor=1050,
                            amount=Decimal("4989.50"),
                            minor=498_950,
                        ),
                    ),
                    credits=(DraftCredit(case="case_01", minor=-500_000, left_minor=120_000),),
                ),
            ),
        )


def a_history(name: str) -> BudgetHistory:
    """A month of a key's budget: raised, told of, and paused for a day."""
    days = tuple(
        Day(
            on=date(2024, 3, on), spent=Decimal("137.50"), total=Decimal("137.50") * on,
            amount=Decimal(4000 if on < 16 else 5000), paused=on == 12,
            alerts=(50,) if on == 19 else (80,) if on == 30 else (),
        )
        for on in range(1, 32)
    )  # fmt: skip
    raised = Moment(
        at=NOW, kind="changed", by="usr_1", reason="asked for", amount=Decimal(5000), percent=0
    )
    return BudgetHistory(
        scope="key", name=name, currency="USD", time_zone="UTC", month="2024-03",
        earlier="2024-02", later="", days=days, length=31, leased=Decimal(250), moments=(raised,),
    )  # fmt: skip


class KeptBoard:
    """The sample's board report, made once."""

    @cached_property
    def facts(self) -> BoardFacts:
        assumed = assumed_of(Assumptions(), chosen=False, sample=True)
        revenue = shown_revenue(sample_shown())
        # Without the simulation: loading it takes longer than all of these tests.
        return facts_of(revenue, assumed, made_on=as_datetime(NOW).date(), threads=None)

    def board(self, made_on: date, *, wait: bool = False) -> BoardFacts | None:
        del made_on, wait
        return self.facts

    def printed(self, page: str) -> bytes:
        return page.encode()


@dataclass
class Console:
    """A running console and the ports behind it."""

    url: str = ""
    identity: FakeIdentity = field(default_factory=FakeIdentity)
    overview: FakeOverview = field(default_factory=lambda: FakeOverview(overview_facts()))
    live: FakeLive = field(default_factory=lambda: FakeLive(live_facts()))
    exposure: FakeExposure = field(default_factory=lambda: FakeExposure(exposure_facts()))
    warning: FakeWarning = field(
        default_factory=lambda: FakeWarning(warning_facts(), reliability_facts())
    )
    traffic: FakeTraffic = field(default_factory=lambda: FakeTraffic(traffic_facts()))
    revenue: FakeRevenue = field(default_factory=lambda: FakeRevenue(live_book(RATE), RATE))
    what_if: FakeWhatIf = field(default_factory=lambda: FakeWhatIf(what_if_facts()))
    capacity: ShownCapacity = field(default_factory=lambda: ShownCapacity(sample_window))

    def as_before(self) -> None:
        """Undo what a test changed."""
        self.overview.facts, self.exposure.facts = overview_facts(), exposure_facts()
        self.warning.facts, self.warning.record = warning_facts(), reliability_facts()
        self.traffic.facts = traffic_facts()


@contextmanager
def shown_console() -> Iterator[Console]:
    """A console with every page, until the block ends."""
    with tempfile.TemporaryDirectory() as folder, control_world(Path(folder)) as control:
        yield from _running(Console(), control)


def _running(console: Console, control: Control) -> Iterator[Console]:
    settings = ConsoleSettings(port=0)
    app = server.build(
        settings,
        console.identity,
        console.overview,
        console.live,
        console.exposure,
        lambda: NOW,
        what_if=console.what_if,
        capacity=console.capacity,
        warning=console.warning,
        board=KeptBoard(),
        traffic=console.traffic,
        revenue=console.revenue,
        accounts=RichAccounts(),
        cases=FakeCases(),
        control=control,
    )
    running = uvicorn.Server(server.config(app, settings))
    thread = threading.Thread(target=running.run, daemon=True)
    thread.start()
    until = time.monotonic() + START_S
    while not running.started:
        assert time.monotonic() < until, "the console does not start"
        time.sleep(0.01)
    console.url = f"http://127.0.0.1:{running.servers[0].sockets[0].getsockname()[1]}"
    yield console
    running.should_exit = True
    thread.join(START_S)
