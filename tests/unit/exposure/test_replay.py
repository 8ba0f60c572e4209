"""The ByteDance replay: one ledger configuration on the facts of three sellers."""

import json
from pathlib import Path

import pytest

from quartermaster.cli.main import run
from quartermaster.exposure.departure import Case, read_case, read_opinion
from quartermaster.exposure.departure_prior import Prior
from quartermaster.exposure.evidence import months_later
from quartermaster.exposure.evidence_ledger import Rule
from quartermaster.exposure.replay import replay, warned_days

EXAMPLES = Path(__file__).resolve().parents[3] / "examples"
FASTLY, AKAMAI, AZURE = (
    EXAMPLES / f"bytedance-{name}.toml" for name in ("fastly-2020", "akamai-2024", "azure-2024")
)


def test_the_three_cases_share_one_configuration() -> None:
    for path in (FASTLY, AKAMAI, AZURE):
        case, _ = read_case(path)
        defaults = Case(schema=case.schema, id="x", subject="x", event="x")
        assert case.prior == Prior()
        assert case.rule == Rule()
        assert case.horizon_months == defaults.horizon_months
        assert case.event == "the seller reports that ByteDance left or cut what it buys"
        for piece in case.evidence:
            assert (piece.low, piece.high, piece.alarm, piece.conduct) == (None, None, None, None)
            assert piece.source


@pytest.mark.parametrize("path", [FASTLY, AKAMAI])
def test_the_two_losses_raise_an_alarm_before_they_are_confirmed(path: Path) -> None:
    found = read_opinion(path)
    assert found.stated.probability >= 0.5
    days = warned_days(found)
    assert days is not None
    assert days > 0
    assert found.case.outcome is not None
    confirmed = found.case.outcome.on
    assert months_later(found.case.evidence[-1].day, 12).isoformat() > confirmed


def test_azure_stays_under_an_even_chance_on_every_day() -> None:
    found = read_opinion(AZURE)
    assert all(one.probability < 0.5 for one in found.history)
    assert found.alarm_on == ""
    assert warned_days(found) is None


def test_the_three_statements_are_scored() -> None:
    found = replay([read_opinion(path) for path in (FASTLY, AKAMAI, AZURE)])
    assert [one.outcome for one in found.statements] == [True, True, False]
    assert found.record.scores is not None
    by_hand = sum((one.probability - (one.outcome is True)) ** 2 for one in found.statements) / len(
        found.statements
    )
    assert found.record.scores.brier == pytest.approx(by_hand)
    assert found.record.scores.brier < 0.25
    assert not found.record.scores.enough


def test_the_command_prints_the_score(capsys: pytest.CaptureFixture[str]) -> None:
    files = [str(path) for path in (FASTLY, AKAMAI, AZURE)]
    assert run(["departure", *files]) == 0
    said = capsys.readouterr().out
    assert "3 resolved statements, 0 open, customers: 3. Brier 0.1349" in said
    assert "too few statements" in said
    assert run(["departure", *files, "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert document["record"]["scores"]["statements"] == 3
    assert [case["warned_days"] for case in document["cases"]] == [14, 295, None]
