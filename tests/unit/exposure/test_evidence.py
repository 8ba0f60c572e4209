"""Evidence, its kinds, and the ledger's rule for dependent pieces."""

import math
from datetime import date
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from quartermaster.exposure.evidence import Evidence, day_of, months_later, weigh
from quartermaster.exposure.evidence_kinds import BLOCKS, KIND_BY_ID, KINDS
from quartermaster.exposure.evidence_ledger import JOINT_RATIO_MAX, Rule, join, ledger
from quartermaster.kernel.errors import UsageError
from quartermaster.stats.beta_prior import Belief, Beta, Nodes, from_quantiles
from quartermaster.stats.likelihood import Ratio, from_interval

ALARM = {"found": 33, "tried": 33, "false_alarms": 66, "series_years": 132}
CONDUCT = {
    "true_positives": 450,
    "positives": 500,
    "false_positives": 300,
    "negatives": 1000,
    "relevance": 1.0,
}


def piece(kind: str, on: str = "2024-07-01", **fields: Any) -> Evidence:
    entry = {"kind": kind, "on": on, "fact": "a fact", "source": "a source", **fields}
    return msgspec.convert(entry, Evidence)


@pytest.fixture(scope="module")
def expert() -> Nodes:
    return Belief((from_quantiles((0.5, 0.10), (0.9, 0.30)),)).nodes()


# --- kinds ----------------------------------------------------------------------------------


def test_every_kind_says_what_it_is_worth_and_why() -> None:
    assert len(KIND_BY_ID) == len(KINDS)
    for kind in KINDS:
        ratio = from_interval(kind.low, kind.high)
        assert ratio.low < ratio.high
        assert kind.block in BLOCKS
        assert kind.words
        assert kind.why
        assert kind.lasts_months > 0


def test_the_signals_of_model_access_are_kinds() -> None:
    assert {
        "usage_alarm",
        "conduct_suspicion",
        "cheapest_model",
        "workload_emptied",
        "evaluation_then_decline",
        "commitment_nearly_drawn",
        "just_under_commitment",
        "notice_window",
    } <= KIND_BY_ID.keys()


def test_usage_and_conduct_stand_in_one_block() -> None:
    assert KIND_BY_ID["usage_alarm"].block == KIND_BY_ID["conduct_suspicion"].block


# --- weighing -------------------------------------------------------------------------------


def test_an_alarm_is_weighed_by_its_counts() -> None:
    found = weigh(piece("usage_alarm", alarm=ALARM))
    assert found.ratio.central == pytest.approx(21, abs=0.5)
    assert found.origin == "counted"
    assert weigh(piece("usage_alarm")).origin == "default"


def test_conduct_is_weighed_by_its_measured_rates() -> None:
    found = weigh(piece("conduct_suspicion", conduct=CONDUCT))
    assert found.ratio.central == pytest.approx(3.0, rel=0.01)
    part = weigh(piece("conduct_suspicion", conduct={**CONDUCT, "relevance": 0.25}))
    assert part.ratio.central == pytest.approx(1.5, rel=0.01)


def test_an_override_needs_its_reason() -> None:
    found = weigh(piece("cheapest_model", low=2, high=8, why="counted in our own book"))
    assert found.ratio.central == pytest.approx(4)
    assert found.origin == "override"
    with pytest.raises(UsageError, match="why"):
        weigh(piece("cheapest_model", low=2, high=8))


@pytest.mark.parametrize(
    ("evidence", "says"),
    [
        (piece("no_such_kind"), "unknown"),
        (piece("cheapest_model", alarm=ALARM), "do not belong"),
        (piece("usage_alarm", conduct=CONDUCT), "do not belong"),
        (piece("usage_alarm", alarm=ALARM, low=2, high=3, why="x"), "two ways"),
        (piece("usage_quiet", alarm=ALARM), "under_way"),
        (piece("cheapest_model", low=2, why="x"), "needs low, high"),
        (piece("cheapest_model", low=3, high=2, why="x"), "cannot be"),
    ],
)
def test_evidence_that_cannot_be_weighed(evidence: Evidence, says: str) -> None:
    with pytest.raises(UsageError, match=says):
        weigh(evidence)


def test_evidence_grows_stale() -> None:
    alarm = piece("usage_alarm", "2024-01-31")
    assert not alarm.counts_on(date(2024, 1, 30))
    assert alarm.counts_on(date(2024, 1, 31))
    assert alarm.counts_on(date(2024, 4, 29))
    assert not alarm.counts_on(date(2024, 4, 30))


def test_days_and_months() -> None:
    assert day_of("2024-02") == date(2024, 2, 29)
    assert months_later(date(2023, 11, 30), 3) == date(2024, 2, 29)
    for text in ("2024", "2024-13", "2024-02-30", "yesterday", "", "２０２４-01-01"):
        with pytest.raises(UsageError):
            day_of(text)
    with pytest.raises(UsageError):
        months_later(date(9999, 1, 1), 12)


# --- the rule for dependence ----------------------------------------------------------------


def test_the_two_pieces_of_the_notes(expert: Nodes) -> None:
    """An alarm alone: 77 %. Conduct of 3 alone: 32 %. Together 91 % only if independent."""
    alarm = piece("usage_alarm", low=21.4, high=21.4, why="the benchmark")
    conduct = piece("conduct_suspicion", low=3, high=3, why="assumed")
    alone = ledger(expert, [alarm], Rule()).posterior.probability
    assert alone == pytest.approx(0.77, abs=0.005)
    assert ledger(expert, [conduct], Rule()).posterior.probability == pytest.approx(0.315, abs=2e-3)
    both = ledger(expert, [alarm, conduct], Rule())
    assert both.if_independent == pytest.approx(0.91, abs=0.005)
    assert both.posterior.probability == pytest.approx(alone, abs=1e-12)


def test_the_same_piece_twice_counts_once(expert: Nodes) -> None:
    once = ledger(expert, [piece("workload_emptied")], Rule())
    twice = ledger(expert, [piece("workload_emptied")] * 2, Rule())
    assert twice.posterior == once.posterior
    assert [line.counted for line in twice.lines] == pytest.approx([6, 1])


RATIOS = st.tuples(st.floats(-4, 4), st.floats(0, 1)).map(lambda pair: Ratio(*pair))
OVERLAPS = st.floats(0, 1)


@given(st.lists(RATIOS, min_size=1, max_size=6), OVERLAPS, st.floats(1, 200))
def test_dependent_pieces_never_exceed_the_cap(
    ratios: list[Ratio], overlap: float, cap: float
) -> None:
    rule = Rule(overlap=overlap, joint_ratio_max=cap, why="drawn")
    counted = join(ratios, rule)
    for sign in (1, -1):
        strongest = max((sign * r.log_mean for r in ratios if sign * r.log_mean > 0), default=0)
        joint = sum(sign * c.log_mean for c in counted if sign * c.log_mean > 0)
        assert joint <= max(strongest, math.log(cap)) + 1e-9
        assert joint >= strongest - 1e-9
    for given_ratio, one in zip(ratios, counted, strict=True):
        assert abs(one.log_mean) <= abs(given_ratio.log_mean) + 1e-12
        assert one.log_mean * given_ratio.log_mean >= 0


def test_usage_and_conduct_together_never_exceed_the_cap_even_as_independent(
    expert: Nodes,
) -> None:
    pieces = [
        piece("usage_alarm", low=20, high=20, why="x"),
        piece("conduct_suspicion", low=10, high=10, why="x"),
        piece("workload_emptied", low=10, high=10, why="x"),
    ]
    found = ledger(expert, pieces, Rule(overlap=0.0, why="said to be independent"))
    assert found.joint.central == pytest.approx(JOINT_RATIO_MAX)
    assert found.joint.central < 20 * 10 * 10
    assert math.prod(line.counted for line in found.lines) == pytest.approx(JOINT_RATIO_MAX)


def test_without_overlap_and_below_the_cap_ratios_multiply() -> None:
    counted = join([Ratio(1.0, 0.1), Ratio(0.5, 0.2)], Rule(overlap=0.0, why="x"))
    assert [one.log_mean for one in counted] == [1.0, 0.5]


def test_half_an_overlap_counts_the_square_root() -> None:
    counted = join([from_interval(4, 4), from_interval(5, 5)], Rule(overlap=0.5, why="x"))
    assert counted[0].central == pytest.approx(2)
    assert counted[1].central == pytest.approx(5)


def test_other_blocks_multiply_and_opposite_pieces_both_count(expert: Nodes) -> None:
    found = ledger(
        expert, [piece("workload_emptied"), piece("usage_steady"), piece("renewed")], Rule()
    )
    assert found.joint.central == pytest.approx(6 * 0.6 * math.sqrt(0.05))


def test_more_evidence_for_leaving_never_lowers_the_probability(expert: Nodes) -> None:
    kinds = [kind.id for kind in KINDS if kind.low >= 1]
    pieces: list[Evidence] = []
    last = expert.mean
    for kind in kinds:
        pieces.append(piece(kind))
        found = ledger(expert, pieces, Rule(overlap=0.7, why="x")).posterior.probability
        assert found >= last - 1e-12
        last = found


@pytest.mark.parametrize(
    "rule",
    [
        Rule(overlap=0.5),
        Rule(overlap=-0.1, why="x"),
        Rule(overlap=1.1, why="x"),
        Rule(joint_ratio_max=0.9),
        Rule(joint_ratio_max=math.inf),
        Rule(overlap=math.nan, why="x"),
    ],
)
def test_rules_that_cannot_be_kept(expert: Nodes, rule: Rule) -> None:
    with pytest.raises(UsageError):
        ledger(expert, [], rule)


# --- the ledger -----------------------------------------------------------------------------


def test_lines_lead_from_the_prior_to_the_posterior(expert: Nodes) -> None:
    pieces = [piece("nothing_binds"), piece("barred_by_law"), piece("workload_emptied")]
    found = ledger(expert, pieces, Rule())
    assert found.prior.probability == pytest.approx(0.133, abs=1e-3)
    odds = found.prior.probability / (1 - found.prior.probability)
    for line in found.lines:
        odds *= line.counted
        assert line.after == pytest.approx(odds / (1 + odds))
    assert found.lines[-1].after == pytest.approx(found.posterior.probability)
    assert found.posterior.low < found.posterior.probability < found.posterior.high
    assert found.moved


def test_weak_evidence_is_not_enough_to_move(expert: Nodes) -> None:
    assert not ledger(expert, [], Rule()).moved
    vague = piece("cheapest_model", low=0.5, high=3, why="nobody knows")
    assert not ledger(expert, [vague], Rule()).moved
    assert not ledger(expert, [piece("builds_own"), piece("renewed")], Rule()).moved


def test_the_interval_follows_the_prior() -> None:
    tight = ledger(Belief((Beta(130, 870),)).nodes(), [piece("workload_emptied")], Rule())
    loose = ledger(Belief((Beta(1.3, 8.7),)).nodes(), [piece("workload_emptied")], Rule())
    assert tight.posterior.probability == pytest.approx(loose.posterior.probability, abs=1e-9)
    assert loose.posterior.low < tight.posterior.low < tight.posterior.high < loose.posterior.high
