"""The exposure page's port with made-up answers."""

from dataclasses import dataclass, field
from decimal import Decimal

from msgspec.structs import replace

from quartermaster.console.ports import Bilingual
from quartermaster.console.ports_exposure import (
    Asked,
    ExposureFacts,
    Fan,
    FanMonth,
    GroupShare,
    Loss,
    LossPart,
    Question,
    ShareHistory,
    ShareWindow,
)
from quartermaster.kernel.clock import Instant
from quartermaster.kernel.errors import UsageError

NAMES = ("ByteDance", "Fabrikam", "Northwind Traders", *(f"Customer {n}" for n in range(4, 15)))
MINORS = (24_000_000, 11_000_000, 5_000_000, *(60_000_000 // 11 for _ in range(10)), 5_454_550)
TOTAL = sum(MINORS)


@dataclass
class FakeExposure:
    """Answers every question with the same figures, and remembers what was asked."""

    facts: ExposureFacts | None
    asked: list[Question] = field(default_factory=list)
    waited: list[bool] = field(default_factory=list)

    def exposure(
        self, question: Question, now: Instant, *, wait: bool = False
    ) -> ExposureFacts | None:
        self.asked.append(question)
        self.waited.append(wait)
        if self.facts is None:
            return None
        names = dict(self.facts.choices)
        customer = question.customer or self.facts.asked.customer
        if customer not in names:
            raise UsageError("nobody", field="customer")
        hazard, others = question.hazard, question.others
        asked = replace(
            self.facts.asked,
            customer=customer,
            name=names[customer],
            hazard=self.facts.asked.hazard if hazard is None else hazard,
            others=self.facts.asked.others if others is None else others,
            horizon_months=question.horizon_months,
            quantile=question.quantile,
            chosen=question.hazard is not None or question.others is not None,
        )
        return replace(self.facts, asked=asked)


def exposure_facts(largest: str = "ByteDance", *, sample: bool = True) -> ExposureFacts:
    """A quarter on one group of two entities, the loss mostly on it."""
    names = (largest, *NAMES[1:])
    return ExposureFacts(
        sample=sample,
        currency="USD",
        first="2023-04",
        last="2024-03",
        still_open=False,
        denominator=Bilingual("Umsatz von Azure OpenAI", "revenue of Azure OpenAI"),
        origin=Bilingual("Szenario, Startwert 1.", "scenario, seed 1."),
        data_sha256="ab" * 32,
        total_minor=TOTAL,
        groups=tuple(
            GroupShare(
                group=f"grp_{rank}",
                name=name,
                minor=minor,
                share=(Decimal(minor) / TOTAL).quantize(Decimal("0.000001")),
                band="report" if rank < 2 else None,
                entities=("TikTok", "ByteDance (company)") if rank == 0 else (),
            )
            for rank, (name, minor) in enumerate(zip(names, MINORS, strict=True))
        ),
        choices=tuple((f"grp_{rank}", name) for rank, name in enumerate(names)),
        gini=Decimal("0.2512"),
        effective_number=Decimal("9.1234"),
        lorenz=((0.0, 0.0), (0.5, 0.4), (1.0, 1.0)),
        report_at=Decimal("0.1"),
        breach_at=Decimal("0.25"),
        history=history(largest),
        asked=Asked(
            customer="grp_0",
            name=largest,
            hazard=Decimal("0.35"),
            others=Decimal("0.1"),
            horizon_months=24,
            quantile=Decimal("0.95"),
            chosen=False,
        ),
        loss=loss(names),
        loss_missing=None,
        loss_reason="",
        fan=fan(),
        fan_months_needed=6,
        fan_months_known=24,
    )


def history(largest: str) -> ShareHistory:
    windows = [
        ShareWindow(
            last=f"2023-{month:02d}",
            name=largest,
            share=0.2 + month / 250,
            low=0.18 + month / 250,
            high=0.23 + month / 250,
        )
        for month in range(1, 13)
    ]
    return ShareHistory(window_months=12, level=Decimal("0.8"), windows=tuple(windows))


def loss(names: tuple[str, ...]) -> Loss:
    shares = (("0.24", "0.73", "0.56"), ("0.11", "0.05", "0.10"), ("0.05", "0.02", "0.04"))
    parts = tuple(
        LossPart(
            group=f"grp_{rank}",
            name=names[rank],
            revenue_share=Decimal(share[0]),
            loss_share=Decimal(share[1]),
            loss_share_at_equal_hazard=Decimal(share[2]),
            contribution_minor=int(90_000_000 * Decimal(share[1])),
            hazard=Decimal("0.35") if rank == 0 else Decimal("0.1"),
        )
        for rank, share in enumerate(shares)
    )
    others = LossPart(
        group="",
        name="",
        revenue_share=Decimal("0.60"),
        loss_share=Decimal("0.20"),
        loss_share_at_equal_hazard=Decimal("0.30"),
        contribution_minor=18_000_000,
        hazard=None,
        count=11,
    )
    return Loss(
        parts=parts,
        others=others,
        asked=parts[0],
        plan_minor=200_000_000,
        expected_minor=30_000_000,
        shortfall_minor=90_000_000,
        shortfall_error_minor=400_000,
        shortfall_at_equal_hazard_minor=80_000_000,
        equal_hazard=Decimal("0.16"),
        ramp_months=Decimal(6),
        notice_months=Decimal(0),
        backfill_share=Decimal(0),
        engine="full",
        scenarios=20_000,
        seed=7,
    )


def fan() -> Fan:
    def ahead(minor: int, measured: bool = True) -> FanMonth:
        low, high = minor * 8 // 10, minor * 12 // 10
        return FanMonth(minor=minor, low=low, high=high, measured=measured)

    known = tuple(
        (f"{2022 + (3 + at) // 12}-{(3 + at) % 12 + 1:02d}", 6_000_000 + 100_000 * at, 4_600_000)
        for at in range(24)
    )
    months = tuple(f"{2024 + (3 + at) // 12}-{(3 + at) % 12 + 1:02d}" for at in range(12))
    return Fan(
        known=known,
        months=months,
        whole=tuple(ahead(8_500_000 + 90_000 * at, at < 9) for at in range(12)),
        without=tuple(ahead(6_300_000 + 60_000 * at, at < 9) for at in range(12)),
        whole_total=ahead(108_000_000),
        without_total=ahead(80_000_000),
        level=Decimal("0.8"),
        held=16,
        checked=20,
    )
