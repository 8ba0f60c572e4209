"""Ports of the console with made-up answers, for tests without the rest of the product."""

from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal

from quartermaster.console.ports import (
    Bilingual,
    GroupRevenue,
    Guidance,
    LiveFacts,
    MeteredRequest,
    MeteredTotal,
    OverviewFacts,
    Refusals,
    RunRate,
    WorkerLive,
)
from quartermaster.console.ports_account import AccountFacts, MadeKey, NewKey, OwnBudget
from quartermaster.kernel.clock import US_PER_S, Instant
from quartermaster.kernel.errors import ConflictError, NotFoundError
from quartermaster.kernel.limit import Limits, LimitScope

NOW = Instant(1_711_893_909_000_000)  # 2024-03-31 14:05:09 UTC
TOTAL_MINOR = 8_333_333_300


@dataclass(frozen=True)
class FakeSignedIn:
    user: str
    name: str
    roles: tuple[str, ...]
    csrf: str
    customer: str = ""


@dataclass
class FakeIdentity:
    """Users and sessions in memory; passwords are compared as they are."""

    links: dict[str, tuple[str, ...]] = field(default_factory=dict)
    users: dict[str, tuple[str, tuple[str, ...]]] = field(default_factory=dict)
    sessions: dict[str, FakeSignedIn] = field(default_factory=dict)
    looks: list[bool] = field(default_factory=list)
    """Of every look at a session: whether its reader was active."""

    def issue_link(self, roles: tuple[str, ...]) -> str:
        token = f"link-{len(self.links) + 1}"
        self.links[token] = roles
        return token

    def has_users(self) -> bool:
        return bool(self.users)

    def redeem_link(self, token: str, name: str, password: str, now: Instant) -> str:
        if token not in self.links:
            raise NotFoundError("the link is used or unknown", hint="ask for a new one")
        if name in self.users:
            raise ConflictError(f"the name {name} is taken")
        self.users[name] = (password, self.links.pop(token))
        return self._open(name)

    def sign_in(self, name: str, password: str, now: Instant) -> str | None:
        known = self.users.get(name)
        return self._open(name) if known and known[0] == password else None

    def session(self, token: str, now: Instant, *, active: bool = True) -> FakeSignedIn | None:
        self.looks.append(active)
        return self.sessions.get(token)

    def sign_out(self, token: str) -> None:
        self.sessions.pop(token, None)

    def _open(self, name: str) -> str:
        number = len(self.sessions) + 1
        token = f"session-{number}"
        self.sessions[token] = FakeSignedIn(
            f"user-{name}", name, self.users[name][1], f"csrf-{number}"
        )
        return token


class FakeAccounts:
    """One account without keys, whatever the customer."""

    def facts(self, customer: str, month: str, now: Instant) -> AccountFacts:
        return AccountFacts(
            customer=customer, name=customer, standing="active", month="2024-03",
            contracts=("c",), projects=(), keys=(), limits=Limits(), usage=(), drafts=(),
            usage_missing=False,
        )  # fmt: skip

    def budget(
        self, customer: str, scope: LimitScope, name: str, month: str, now: Instant
    ) -> OwnBudget:
        raise NotFoundError(f"{customer} has no budget of {scope} {name} in {month}")

    def issue(self, customer: str, user: str, wanted: NewKey, now: Instant) -> MadeKey:
        return MadeKey(id="key_1", secret="qm-secret", served=True)

    def rotate(
        self, customer: str, user: str, key_id: str, overlap_hours: int, now: Instant
    ) -> MadeKey:
        return MadeKey(id="key_2", secret="qm-secret", served=False, replaces=key_id, ends_at=now)

    def revoke(self, customer: str, user: str, key_id: str, reason: str, now: Instant) -> None:
        return None

    def add_project(self, customer: str, user: str, project: str, name: str, now: Instant) -> None:
        return None


@dataclass
class FakeOverview:
    facts: OverviewFacts | None

    def overview(self, now: Instant) -> OverviewFacts | None:
        return self.facts


@dataclass
class FakeLive:
    """Every look shows one more request."""

    facts: LiveFacts
    looks: int = 0

    def live(self, now: Instant) -> LiveFacts:
        self.looks += 1
        total = MeteredTotal("2024-03", self.looks, 21 * self.looks, Decimal("0.0000031"), "USD")
        return LiveFacts(self.facts.workers, self.facts.refusals, self.facts.last, total)


def revenue(largest: str = "ByteDance") -> tuple[GroupRevenue, ...]:
    """A quarter on one group, the rest on a tail that thins out; sums to the total."""
    names = [largest, "Fabrikam", "Northwind Traders", "Contoso Health", "Tailspin", "Woodgrove"]
    names += [f"Customer {number}" for number in range(7, 41)]
    weights = [2_400] + [max(620 - 22 * rank, 60) for rank in range(39)]
    spread = sum(weights[1:])
    minors = [TOTAL_MINOR * 24 // 100]
    minors += [TOTAL_MINOR * 76 * weight // (100 * spread) for weight in weights[1:]]
    minors[-1] += TOTAL_MINOR - sum(minors)
    return tuple(
        GroupRevenue(
            f"grp_{rank}",
            name,
            minor,
            (Decimal(minor) / TOTAL_MINOR).quantize(Decimal("0.000001")),
            ("TikTok", "ByteDance") if rank == 0 else (),
        )
        for rank, (name, minor) in enumerate(zip(names, minors, strict=True))
    )


def overview_facts(largest: str = "ByteDance", *, sample: bool = True) -> OverviewFacts:
    rates = tuple(
        RunRate(
            f"{2022 + (6 + i) // 12}-{(6 + i) % 12 + 1:02d}", 28_000_000_000 + 3_600_000_000 * i
        )
        for i in range(20)
    )
    last = RunRate("2024-03", TOTAL_MINOR * 12)
    return OverviewFacts(
        sample=sample,
        currency="USD",
        as_of=NOW,
        period="2024-03",
        time_zone="America/Los_Angeles",
        denominator=Bilingual("Umsatz von Azure OpenAI", "revenue of Azure OpenAI"),
        total_minor=TOTAL_MINOR,
        revenue=revenue(largest),
        effective_number=Decimal("12.4271"),
        run_rate=(*rates, last),
        guidance=Guidance(
            "2024-04",
            "2024-09",
            98_000_000_000,
            105_000_000_000,
            Bilingual("wie berichtet", "as reported"),
            "Microsoft",
            date(2024, 7, 30),
        ),
        origin=Bilingual(
            "Szenario Azure OpenAI 2024, Startwert 20240801.",
            "Scenario Azure OpenAI 2024, seed 20240801.",
        ),
    )


def live_facts(customer: str = "Acme", model: str = "smollm2-135m-instruct") -> LiveFacts:
    return LiveFacts(
        workers=(
            WorkerLive("gw-0", Decimal("3.25"), 2, NOW),
            WorkerLive("gw-1", Decimal("9.0"), 4, Instant(NOW - 60 * US_PER_S)),
        ),
        refusals=(Refusals("invalid_api_key", 3), Refusals("model_not_found", 1)),
        last=(
            MeteredRequest(
                "req_01JDABCDEFGHJKMNPQRSTVWXYZ", NOW, customer, model, 13, 8, "closed", "engine"
            ),
            MeteredRequest(
                "req_01JDABCDEFGHJKMNPQRSTVWXY0",
                NOW,
                customer,
                "toy",
                1_300,
                20,
                "aborted",
                "estimated",
            ),
            MeteredRequest(
                "req_01JDABCDEFGHJKMNPQRSTVWXY1",
                NOW,
                customer,
                "toy",
                5,
                2,
                "closed_unconfirmed",
                "upstream",
            ),
        ),
    )
