"""The what-if page's port with made-up answers, and a console that has it."""

from dataclasses import dataclass, field
from decimal import Decimal

from msgspec.structs import replace
from starlette.testclient import TestClient
from tests.unit.console.console_fakes import (
    NOW,
    FakeIdentity,
    FakeLive,
    FakeOverview,
    FakeSignedIn,
    live_facts,
    overview_facts,
)
from tests.unit.console.exposure_fakes import FakeExposure, exposure_facts

from quartermaster.console.ports import Bilingual
from quartermaster.console.ports_capacity import CapacityBook, NoCapacity
from quartermaster.console.ports_what_if import (
    BridgeFacts,
    StrandedFacts,
    WhatIfAsked,
    WhatIfFacts,
    WhatIfQuestion,
    WorldFacts,
)
from quartermaster.console.server import build
from quartermaster.console.settings import ConsoleSettings
from quartermaster.kernel.clock import Instant
from quartermaster.kernel.errors import UsageError

LEVELS = (0.0, 0.5, 0.95, 0.99)
CHOICES = (("grp_0", "ByteDance"), ("grp_1", "Fabrikam"), ("grp_2", "Northwind Traders"))

BRIDGE = BridgeFacts(
    months=24,
    before_minor=200_000_000,
    customer_minor=48_000_000,
    before_leaving_minor=0,
    kept_minor=6_000_000,
    commitment_minor=2_000_000,
    backfill_minor=0,
    after_minor=160_000_000,
)
STRANDED = StrandedFacts(
    minor=28_000_000,
    month_minor=1_400_000,
    gpu_hours=Decimal(12_000),
    months=Decimal(20),
    fleet="sample fleet",
)


@dataclass
class FakeWhatIf:
    """Answers every question with the same figures, and remembers what was asked."""

    facts: WhatIfFacts | None
    asked: list[WhatIfQuestion] = field(default_factory=list)
    waited: list[bool] = field(default_factory=list)

    def what_if(
        self, question: WhatIfQuestion, now: Instant, *, wait: bool = False
    ) -> WhatIfFacts | None:
        self.asked.append(question)
        self.waited.append(wait)
        if self.facts is None:
            return None
        customer = question.customer or "grp_0"
        names = dict(self.facts.choices)
        if customer not in names:
            raise UsageError("nobody", field="customer")
        asked = WhatIfAsked(
            question=replace(
                question, customer=customer, size=_size(question), costs=question.costs
            ),
            name=names[customer],
            hazard=Decimal("0.35") if question.hazard is None else question.hazard,
            others=Decimal("0.1") if question.others is None else question.others,
            owed=question.owed or Decimal(0),
            owed_months=question.owed_months or 0,
            chosen=question.hazard is not None or question.others is not None,
        )
        departs = question.lever == "leave"
        found = replace(self.facts, asked=asked)
        if self.facts.base is None:
            return found
        return replace(
            found,
            change=_changed(asked),
            tornado=tuple(_priced(one, question) for one in self.facts.tornado),
            bridge=self.facts.bridge if departs else None,
            stranded=self.facts.stranded if departs else None,
        )


def _size(question: WhatIfQuestion) -> Decimal | None:
    usual = {"cut": "0.5", "price": "-0.1", "commit": "0.5", "diversify": "0.12"}
    if question.lever == "leave":
        return None
    return Decimal(usual[question.lever]) if question.size is None else question.size


def _changed(asked: WhatIfAsked) -> WorldFacts:
    question = asked.question
    size = question.size or Decimal(0)
    month = Decimal(question.month)
    figures = {
        "leave": {"month": month},
        "cut": {"share": size, "month": month},
        "price": {"change": size, "month": month, "elasticity": question.elasticity},
        "commit": {"share": size, "months": Decimal(question.until), "discount": Decimal(0)},
        "diversify": {"share": size},
    }[question.lever]
    key: str = question.lever
    if question.suspend:
        key = "suspend"
    if question.everybody:
        key = "price_all"
    return replace(world(key, 30), who=asked.name, figures=figures)


def _priced(one: WorldFacts, question: WhatIfQuestion) -> WorldFacts:
    cost = dict(question.costs).get(one.name)  # type: ignore[call-overload]
    if cost is None:
        return one
    minor = int(cost * 100)
    cut = -Decimal(one.shortfall_moved_minor) / minor
    return replace(one, cost_minor=minor, cut_per_cost=cut)


def world(key: str, more: int, name: str = "", **figures: Decimal) -> WorldFacts:
    """A world whose shortfall is `more` per cent above the book's."""
    shortfall = 90_000_000 * (100 + more) // 100
    return WorldFacts(
        key=key,
        name=name or key,
        who="ByteDance",
        figures=figures,
        expected_minor=30_000_000 * (100 + more) // 100,
        expected_error_minor=200_000,
        value_at_risk_minor=70_000_000,
        shortfall_minor=shortfall,
        shortfall_error_minor=400_000,
        expected_moved_minor=300_000 * more,
        expected_moved_error_minor=60_000,
        shortfall_moved_minor=900_000 * more,
        shortfall_moved_error_minor=70_000,
        top_share=Decimal("0.73"),
        top_share_at_equal_hazard=Decimal("0.56"),
        cost_minor=None,
        cut_per_cost=None,
        losses=tuple(int(shortfall * level) for level in LEVELS),
    )


def what_if_facts(largest: str = "ByteDance", *, sample: bool = True) -> WhatIfFacts:
    """A departure that takes a quarter of revenue, and seven levers against it."""
    tornado = (
        world("backfill", -40, share=Decimal("0.5")),
        world("diversify", -35, share=Decimal("0.12")),
        world(
            "commit",
            -30,
            "commit_half",
            share=Decimal("0.5"),
            months=Decimal(24),
            discount=Decimal(0),
        ),
        world("notice", -25, months=Decimal(6), today=Decimal(0)),
        world(
            "commit",
            -20,
            "commit_most",
            share=Decimal("0.8"),
            months=Decimal(12),
            discount=Decimal(0),
        ),
        world("ramp", -15, months=Decimal(12), today=Decimal(6)),
        world("hazard", -10, hazard=Decimal("0.175"), today=Decimal("0.35")),
    )
    choices = (("grp_0", largest), *CHOICES[1:])
    return WhatIfFacts(
        sample=sample,
        currency="USD",
        first="2023-04",
        last="2024-03",
        still_open=False,
        denominator=Bilingual("Umsatz von Azure OpenAI", "revenue of Azure OpenAI"),
        origin=Bilingual("Szenario, Startwert 1.", "scenario, seed 1."),
        data_sha256="ab" * 32,
        choices=choices,
        asked=WhatIfAsked(
            question=WhatIfQuestion(customer="grp_0"),
            name=largest,
            hazard=Decimal("0.35"),
            others=Decimal("0.1"),
            owed=Decimal(0),
            owed_months=0,
            chosen=False,
        ),
        missing=None,
        reason="",
        top_name=largest,
        top_hazard=Decimal("0.35"),
        equal_hazard=Decimal("0.16"),
        plan_minor=200_000_000,
        scenarios=20_000,
        seed=7,
        levels=LEVELS,
        base=world("base", 0),
        tornado=tornado,
        bridge=BRIDGE,
        stranded=STRANDED,
    )


def reader_of(
    what_if: FakeWhatIf, capacity: CapacityBook | None = None, role: str = "viewer"
) -> TestClient:
    """A browser signed in to a console with these ports."""
    identity = FakeIdentity()
    identity.sessions["token"] = FakeSignedIn("usr_ada", "ada", (role,), "csrf")
    console = build(
        ConsoleSettings(),
        identity,
        FakeOverview(overview_facts()),
        FakeLive(live_facts()),
        FakeExposure(exposure_facts()),
        lambda: NOW,
        what_if=what_if,
        capacity=capacity or NoCapacity(),
    )
    client = TestClient(
        console,
        base_url="http://localhost:8470",
        follow_redirects=False,
        headers={"accept-language": "en"},
        raise_server_exceptions=False,
    )
    client.cookies.set("quartermaster_session", "token")
    return client
