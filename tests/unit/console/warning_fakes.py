"""The warning and reliability pages' port with made-up answers."""

from dataclasses import dataclass, field
from datetime import date

from quartermaster.console.ports import Bilingual
from quartermaster.console.ports_warning import (
    AlarmUp,
    AtStake,
    Chance,
    CustomerLook,
    DetectorTimeline,
    EventRecord,
    LevelChange,
    NoticeLine,
    ReliabilityBin,
    ReliabilityFacts,
    Scored,
    StatementLine,
    UsageReason,
    WarningFacts,
    WarningLedger,
    WarningLook,
    WarningStep,
)
from quartermaster.kernel.clock import Instant

ON = date(2024, 3, 31)
DAYS = 120
DETECTORS = ("ratio_7_84", "ratio_28_84", "ewma_weekday")


@dataclass
class FakeWarning:
    """Answers with the same facts, and remembers whether it was waited for."""

    facts: WarningFacts
    record: ReliabilityFacts
    waited: list[bool] = field(default_factory=list)

    def warning(self, now: Instant, *, wait: bool = False) -> WarningFacts:
        self.waited.append(wait)
        return self.facts

    def reliability(self, now: Instant, *, wait: bool = False) -> ReliabilityFacts:
        self.waited.append(wait)
        return self.record


def step(kind: str, before: float, after: float, **changes: object) -> WarningStep:
    given: dict[str, object] = {
        "kind": kind,
        "on": ON,
        "source": "meters",
        "figures": {},
        "block": "usage_and_conduct",
        "origin": "counted",
        "ratio": 4.82,
        "low": 4.1,
        "high": 5.7,
        "counted": 4.82,
        "before": before,
        "alone": after,
        "after": after,
    }
    return WarningStep(**{**given, **changes})  # type: ignore[arg-type]  # a test's shorthand


def fading() -> CustomerLook:
    """In alarm, with one piece of evidence that does not count, one contract and one old fact."""
    alarm = step(
        "usage_alarm",
        0.192,
        0.534,
        figures={
            "detectors": "ratio_7_84, ewma_weekday",
            "since": "2024-02-27",
            "found": 154.0,
            "tried": 154.0,
            "false_alarms_a_year": 0.5,
        },
    )
    capped = step(
        "cheapest_model",
        0.534,
        0.534,
        figures={"model": "small-model", "share": 0.75, "share_before": 0.28},
        origin="judgement",
        ratio=1.9,
        low=1.2,
        high=3.0,
        counted=1.0,
        alone=0.685,
    )
    usage = tuple(100.0 if day < 80 else 100.0 - 1.5 * (day - 80) for day in range(DAYS))
    score = tuple(None if day < 10 else 0.5 + max(0, day - 85) / 5 for day in range(DAYS))
    return CustomerLook(
        customer="grp_1",
        name="Fabrikam",
        usage_a_day=80.0,
        known_days=400,
        ledger=WarningLedger(
            prior=Chance(0.192, 0.084, 0.328),
            prior_by="pooled",
            prior_figures={"segments": 3.0, "segment": "large", "concentration": 2.5},
            steps=(alarm, capped),
            stale=("notice_window",),
            joint=4.82,
            joint_low=4.1,
            joint_high=5.7,
            stated=Chance(0.534, 0.321, 0.721),
            if_independent=0.685,
        ),
        quarter=0.377,
        alarms=(AlarmUp("ratio_7_84", date(2024, 2, 27), 5.1, 3.1),),
        reasons=(UsageReason("ratio_1", -0.6, 0.9), UsageReason("tenure", 3.97, -0.2)),
        notices=(
            NoticeLine("deal-1", 60, "near", date(2024, 7, 1), date(2024, 5, 2)),
            NoticeLine("deal-2", 30, "any_day", None, None),
        ),
        timeline=DetectorTimeline(
            first_day=date(2023, 12, 3),
            usage=usage,
            scores=dict.fromkeys(DETECTORS, score),
            thresholds=dict.fromkeys(DETECTORS, 3.1),
            changes=(LevelChange(date(2024, 2, 26), 0.6), LevelChange(date(2024, 3, 4), 0.7)),
        ),
    )


def quiet(customer: str, name: str, probability: float) -> CustomerLook:
    """Known for two months: no detector, no quarter, only what was reported."""
    told = step(
        "conduct_suspicion",
        0.133,
        probability,
        source="The Verge, 2023-12-15",
        origin="default",
        fact=Bilingual(de="Es wird berichtet.", en="It is reported."),
    )
    return CustomerLook(
        customer=customer,
        name=name,
        usage_a_day=500.0,
        known_days=60,
        ledger=WarningLedger(
            prior=Chance(0.133, 0.007, 0.372),
            prior_by="expert",
            prior_figures={"median": 0.1, "p90": 0.3, "a": 0.97, "b": 6.33},
            steps=(told,),
            stale=(),
            joint=4.82,
            joint_low=4.1,
            joint_high=5.7,
            stated=Chance(probability, 0.02, 0.7),
            if_independent=probability,
        ),
        quarter=None,
        alarms=(),
        reasons=(),
        notices=(),
        timeline=DetectorTimeline(
            first_day=date(2024, 1, 31),
            usage=(500.0,) * 61,
            scores={},
            thresholds={},
            changes=(),
        ),
    )


def warning_facts(largest: str = "ByteDance", *, sample: bool = True) -> WarningFacts:
    """Three customers: one in alarm, the largest, and one without revenue."""
    looks = (fading(), quiet("grp_0", largest, 0.367), quiet("grp_2", "Northwind Traders", 0.2))
    minors = (11_000_000, 24_000_000, None)
    return WarningFacts(
        sample=sample,
        look=WarningLook(
            on=ON,
            customers=looks,
            learnt_rows=5_852,
            base_rate=0.026,
            false_alarms_a_year=0.5,
            found=154.0,
            tried=154.0,
            window_days=35.0,
            days=730,
            alarm_days_min=350,
        ),
        missing=None,
        customers=tuple(
            AtStake(
                look=look,
                minor=minor,
                expected_minor=_part(look.ledger.stated.probability, minor),
                expected_low_minor=_part(look.ledger.stated.low, minor),
                expected_high_minor=_part(look.ledger.stated.high, minor),
            )
            for look, minor in zip(looks, minors, strict=True)
        ),
        currency="USD",
        first="2023-04",
        last="2024-03",
        denominator=Bilingual("Umsatz von Azure OpenAI", "revenue of Azure OpenAI"),
        origin=Bilingual("Szenario, Startwert 1.", "scenario, seed 1."),
    )


def _part(share: float, minor: int | None) -> int | None:
    return None if minor is None else round(share * minor)


def scored(statements: int, came: int) -> Scored:
    return Scored(
        statements=statements,
        came=came,
        customers=40,
        days=max(1, statements // 40),
        brier=0.0844,
        log_score=0.3132,
        brier_base_rate=0.0826,
        brier_if_calibrated=0.1153,
        brier_if_calibrated_sd=0.0284,
        calibration_error=0.0421,
        stated=0.133,
        low=0.031,
        high=0.127,
        beyond_chance=statements > 30,
        bins=(
            ReliabilityBin(statements // 2, 0.04, 0.05, 0.01, 0.14),
            ReliabilityBin(statements // 2, 0.31, 0.25, 0.14, 0.38),
        ),
    )


def reliability_facts(*, sample: bool = False) -> ReliabilityFacts:
    """A year whose statements are still open, a quarter with too few, and three lines."""
    return ReliabilityFacts(
        sample=sample,
        missing=None,
        records=(
            EventRecord(
                event="halved_in_a_year",
                stated=90,
                days=30,
                first_on=date(2024, 3, 1),
                last_on=date(2024, 3, 30),
                open=90,
                next_due=date(2025, 3, 1),
                scored=None,
                apart=None,
                enough=False,
                statements_min=30,
            ),
            EventRecord(
                event="halved_in_a_quarter",
                stated=160,
                days=4,
                first_on=date(2023, 6, 1),
                last_on=date(2024, 3, 30),
                open=40,
                next_due=date(2024, 6, 29),
                scored=scored(120, 11),
                apart=scored(20, 2),
                enough=False,
                statements_min=30,
            ),
        ),
        statements=tuple(
            StatementLine(
                event="halved_in_a_quarter",
                on=date(2023, 6, 1 + at),
                customer="grp_1",
                name="Fabrikam",
                probability=0.25,
                low=None if came is None else 0.1,
                high=None if came is None else 0.5,
                due=date(2023, 8, 31),
                came=came,
            )
            for at, came in enumerate((True, False, None))
        ),
        origin=Bilingual("im Journal festgehalten", "recorded in the journal"),
    )
