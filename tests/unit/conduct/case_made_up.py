"""Made-up cases for tests: evidence that may lead somewhere, and evidence that may not."""

from quartermaster.conduct.cases import Case
from quartermaster.conduct.cases_settings import CaseSettings
from quartermaster.conduct.cases_step import Around, By, Due, opened
from quartermaster.kernel.case import CaseEvidence, CaseFinding, CaseOpened, CaseStake
from quartermaster.kernel.clock import US_PER_HOUR, Instant

NOW = Instant(20_000 * 24 * US_PER_HOUR)
DAY = 24 * US_PER_HOUR

HARVEST = CaseFinding("meta_generation", 0.9, 0.8)
ONLY_REASONING = CaseFinding("reasoning_harvest", 1.0, 1.0, observe_only=True)
LARGE = CaseStake(
    currency="USD",
    revenue_a_year_minor=24_000_000_000,
    share=0.24,
    churn_wrongful=0.3,
    suspended_days=14,
    harvested_minor=300_000_000,
    damage_multiple=20.0,
    probability=0.4,
    probability_origin="made up",
)
SMALL = CaseStake(
    currency="USD",
    revenue_a_year_minor=2_400_000,
    share=0.00002,
    churn_wrongful=0.3,
    suspended_days=14,
    harvested_minor=250_000,
    damage_multiple=20.0,
    probability=0.6,
)
DUES = (Due("acme", "c", "2024-10", "USD", 100_000),)
AROUND = Around(
    settings=CaseSettings(), sign_off_share=0.1, customer="ACME Incorporated", dues=DUES
)


def by(actor: str = "usr_ada", days: float = 0, *, signed_in: bool = True) -> By:
    return By(actor, Instant(NOW + round(days * DAY)), signed_in=signed_in)


def case_of(*findings: CaseFinding, stake: CaseStake | None = SMALL) -> Case:
    event = CaseOpened(
        group="acme", reason="an alarm", evidence=CaseEvidence(findings=findings), stake=stake
    )
    return opened("case_1", event, by())[0]
