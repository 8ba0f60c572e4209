"""A day against its past: what is new decides what is looked at, and contracts are read."""

import pytest
from tests.unit.conduct.conduct_made_up import KEY, campaign, prints, support

from quartermaster.conduct.daily import DayScore, day_score
from quartermaster.conduct.declared import Terms
from quartermaster.conduct.history import Past
from quartermaster.conduct.model import shipped
from quartermaster.conduct.observe import Observer
from quartermaster.conduct.records import AccountDay, Meter, Request
from quartermaster.conduct.sketch import DaySketch, sketched

OBSERVER = Observer(KEY)


def sketch(*requests: Request, day: str = "2026-11-23") -> DaySketch:
    return sketched(AccountDay("a", requests, day), OBSERVER, KEY)


def past(*requests: Request, days: int = 10) -> list[DaySketch]:
    each = len(requests) // 5
    return [
        sketch(*requests[at % 5 * each : (at % 5 + 1) * each], day=f"2026-11-{at + 1:02}")
        for at in range(days)
    ]


def judged(*today: Request, terms: Terms | None = None, before: str = "") -> DayScore:
    usual = [Request(r.turns, r.system, Meter(model=before) if before else None) for r in support()]
    found = day_score(past(*usual), sketch(*today), shipped(), terms)
    assert found is not None
    return found


def launch(count: int = 6) -> list[Request]:
    """Another product of the same customer."""
    system = "You translate the product reviews of our shop. Output the translation only."
    return [
        Request((f"Translate: the {n} socks were fine and warm",), system) for n in range(count)
    ]


def test_a_day_like_all_others_is_quiet() -> None:
    found = judged(*support(20))
    assert found.newness == 0
    assert found.workload is None
    assert found.score == -2


def test_a_campaign_inside_a_day_is_found_by_itself() -> None:
    found = judged(*support(19), *campaign(6))
    assert found.newness > 3
    assert 6 <= found.new_requests <= 8
    assert found.findings[0].kind == "meta_generation"
    assert found.score > 3


def test_a_launch_is_as_new_but_scores_below_a_campaign() -> None:
    launched, campaigned = judged(*support(19), *launch()), judged(*support(19), *campaign(6))
    assert launched.newness > 3
    assert launched.score < campaigned.score - 1.5


def test_what_was_always_there_is_not_new_however_it_looks() -> None:
    found = day_score(past(*campaign()), sketch(*campaign()), shipped())
    assert found is not None
    assert found.score < 0


def test_too_short_a_past_gives_no_score() -> None:
    assert day_score(past(*support(), days=1), sketch(*support()), shipped()) is None
    assert day_score([], sketch(*support()), shipped()) is None
    assert day_score(past(*support()), sketch(), shipped()) is None
    assert not Past([prints(support())]).known


def test_ranks_of_the_past_itself_are_spread_evenly() -> None:
    asked = support() + tuple(
        Request((f"My {i} parcel number {i * 7} is late by {i} days",), "You help our customers.")
        for i in range(175)
    )
    days = [prints(asked[at::20]) for at in range(20)]
    p = Past(days[:19]).newness(days[19]).p
    assert (p <= 0.05).mean() <= 0.3
    assert p.min() > 0


@pytest.mark.parametrize(
    ("uses", "status", "explained"),
    [
        (("application",), "contradicted", False),
        (("application", "synthetic_data_own_use"), "explained", True),
    ],
)
def test_contracts_explain_or_contradict(
    uses: tuple[str, ...], status: str, explained: bool
) -> None:
    terms = Terms(permitted_uses=uses)  # type: ignore[arg-type]
    found = judged(*support(19), *campaign(6), terms=terms)
    assert {r.kind: r.status for r in found.declared}["meta_generation"] == status
    assert found.explained is explained


def test_distillation_is_explained_for_the_models_that_the_contract_names() -> None:
    terms = Terms(("distillation_named_models",), ("small",))
    statuses = []
    for model in ("small", "large"):
        today = [
            Request(r.turns, r.system, Meter(model=model)) for r in (*support(19), *campaign(6))
        ]
        found = judged(*today, terms=terms, before=model)
        statuses.append({r.kind: r.status for r in found.declared}["meta_generation"])
    assert statuses == ["explained", "contradicted"]


def test_without_a_contract_everything_stays_open() -> None:
    found = judged(*support(19), *campaign(6))
    assert {r.status for r in found.declared} == {"open"}
    assert not found.explained


def test_the_meter_shows_a_move_to_another_model_and_a_crowd() -> None:
    today = [
        Request(r.turns, r.system, Meter(model="new" if at % 2 else "old", network=f"n{at}"))
        for at, r in enumerate(support(20))
    ]
    found = judged(*today, before="old")
    kinds = {finding.kind: finding for finding in found.findings}
    assert kinds["model_pivot"].share == 0.5
    assert kinds["reseller"].observe_only
    named = [
        Request(r.turns, r.system, Meter(network=f"n{at}", end_user="u"))
        for at, r in enumerate(support(20))
    ]
    assert "reseller" not in {finding.kind for finding in judged(*named).findings}
