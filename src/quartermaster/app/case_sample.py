"""The sample case: a planted campaign with the steps of the reference scenario, all made up.

The evidence is what the daily analysis says of `sim.campaign`, kept as a file. Steps are taken by
the same pure core as real ones; the days of suspension and of the customer's words are the
scenario's.
"""

from datetime import UTC, datetime
from decimal import Decimal
from functools import cache
from importlib.resources import files

import msgspec

from quartermaster.app.case_files import assembled
from quartermaster.app.case_stake import staked
from quartermaster.conduct import cases_step as steps
from quartermaster.conduct.case_file import CaseFile
from quartermaster.conduct.cases import Case
from quartermaster.conduct.cases_settings import CaseSettings
from quartermaster.conduct.cases_step import Around, By
from quartermaster.conduct.notice import our_reason
from quartermaster.console.format import Lang
from quartermaster.console.report_words import catalogue
from quartermaster.exposure.rollup import measure
from quartermaster.kernel.case import (
    Answered,
    CaseEvidence,
    CaseOpened,
    CaseStake,
    CaseStatement,
    MoveAsked,
)
from quartermaster.kernel.clock import Instant, as_instant
from quartermaster.revenue.run_rate import MONTHS_A_YEAR
from quartermaster.sim.book import reference_scenario, sample_book
from quartermaster.sim.campaign import CUSTOMER

SAMPLE_ID = "sample"
"""In addresses; no real case has it."""
SIGN_OFF_SHARE = 0.1


@cache
def sample_case(lang: Lang = "en") -> Case:
    """Opened by an alarm, informed, suspended as urgent by two, and under investigation."""
    words = catalogue("case", lang)
    around = Around(settings=CaseSettings(), sign_off_share=SIGN_OFF_SHARE, customer=CUSTOMER)
    evidence = sample_evidence(lang)
    opening = CaseOpened(
        group=CUSTOMER,
        reason=our_reason("reached", day=evidence.days[-1].day),
        evidence=evidence,
        stake=_stake(evidence),
        sample=True,
    )
    case, _ = steps.opened(SAMPLE_ID, opening, By("clerk", _at(2), automatic=True))
    case, _ = steps.move(
        case,
        MoveAsked(move="inform", reason=words("sample.inform")),
        By("usr_1", _at(4)),
        around,
    )
    case, _ = steps.answer(case, Answered(text=_claim(lang).text), By("customer:sample", _at(11)))
    urgent = MoveAsked(move="suspend", reason=words("sample.suspend"), urgent=True)
    case, _ = steps.move(case, urgent, By("usr_1", _at(14)), around)
    case, _ = steps.sign(case, len(case.history), By("usr_2", _at(15)), around)
    case, _ = steps.move(
        case,
        MoveAsked(move="investigate", reason=words("sample.investigate")),
        By("usr_1", _at(16)),
        around,
    )
    return case


def sample_file(lang: Lang = "en") -> CaseFile:
    """The sample's case file in the reader's language, as of the day after its last step."""
    words = catalogue("case", lang)
    return assembled(
        sample_case(lang),
        _at(17),
        sign_off_share=SIGN_OFF_SHARE,
        group_name=CUSTOMER,
        # Whoever steps in the sample; nobody.
        persons={"usr_1": words("sample.first"), "usr_2": words("sample.second")},
    )


def sample_evidence(lang: Lang = "en") -> CaseEvidence:
    """What the daily analysis says of the planted campaign, with what the customer said of it."""
    data = files("quartermaster.sim").joinpath("sample_case.json").read_bytes()
    found = msgspec.json.decode(data, type=CaseEvidence)
    return msgspec.structs.replace(found, statements=(_claim(lang),))


def _claim(lang: Lang) -> CaseStatement:
    """The scenario's claim about the extent, as somebody reported it."""
    scenario = reference_scenario()
    claim = scenario.claim_by_id["extent"]
    source = scenario.source_by_id[claim.source]
    return CaseStatement(
        text=catalogue("case", lang)("sample.extent"),
        said_by=claim.said_by,
        source=source.title,
        on=claim.as_of,
    )


def _stake(evidence: CaseEvidence) -> CaseStake:
    exposure = measure(sample_book(), scope="sample", months=1)
    first = exposure.groups[0]
    return staked(
        evidence,
        CaseSettings(),
        currency=exposure.denominator.currency,
        revenue_a_year_minor=first.minor * MONTHS_A_YEAR,
        share=Decimal(str(first.share)),
        months=(exposure.denominator.last,) * 2,
    )


def _at(day: int) -> Instant:
    return as_instant(datetime(2023, 12, day, 9, tzinfo=UTC))
