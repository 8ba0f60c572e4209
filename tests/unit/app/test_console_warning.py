"""The warning and reliability pages' port: who stands first, what is at stake, what was stated."""

from datetime import date, timedelta

import pytest
from msgspec.structs import replace

from quartermaster.app.console_book import sample_shown
from quartermaster.app.console_warning import (
    SampleWarning,
    facts_of,
    record_of,
    sample_past,
    sample_reliability,
    sample_warning,
)
from quartermaster.app.warning_use import Known, known_until, sample_use, usage_by_day
from quartermaster.console.ports import Bilingual
from quartermaster.console.ports_warning import WarningFacts, WarningLook
from quartermaster.exposure.daily_statements import past_of
from quartermaster.kernel.clock import Instant
from quartermaster.kernel.events import CustomerStated, ProbabilitiesStated, StatementsResolved


@pytest.fixture(scope="module")
def sample() -> tuple[Known, WarningFacts]:
    return sample_warning()


def look_of(facts: WarningFacts) -> WarningLook:
    assert facts.look is not None
    return facts.look


def test_the_sample_ranks_alarms_first_and_then_expected_loss(
    sample: tuple[Known, WarningFacts],
) -> None:
    _, facts = sample
    assert facts.sample
    alarms = [one.alarm for one in facts.customers]
    assert alarms == sorted(alarms, reverse=True)
    assert 0 < sum(alarms) < len(alarms) / 4
    for wanted in (True, False):
        lost = [one.expected_minor or 0 for one in facts.customers if one.alarm is wanted]
        assert lost == sorted(lost, reverse=True)
    assert {one.look.customer for one in facts.customers} == {
        row.group for row in sample_shown().rows
    }
    fading = next(one for one in facts.customers if one.look.customer == "Sample customer 01")
    assert fading.alarm
    assert fading.minor is not None
    chance = fading.look.ledger.stated
    assert fading.expected_minor == pytest.approx(chance.probability * fading.minor, abs=1)
    assert fading.expected_low_minor == pytest.approx(chance.low * fading.minor, abs=1)


def test_false_alarms_are_counted_once(sample: tuple[Known, WarningFacts]) -> None:
    look = look_of(sample[1])
    told = {
        step.figures["false_alarms_a_year"]
        for one in look.customers
        for step in one.ledger.steps
        if step.kind in {"usage_alarm", "usage_quiet"}
    }
    assert len(told) == 1
    assert told.pop() == pytest.approx(look.false_alarms_a_year)


def test_every_step_leads_to_the_next(sample: tuple[Known, WarningFacts]) -> None:
    for one in look_of(sample[1]).customers:
        ledger, at = one.ledger, one.ledger.prior.probability
        for step in ledger.steps:
            assert step.before == pytest.approx(at)
            at = step.after
        assert at == pytest.approx(ledger.stated.probability, abs=1e-3)
    named = next(one for one in look_of(sample[1]).customers if one.customer == "ByteDance")
    conduct = next(step for step in named.ledger.steps if step.kind == "conduct_suspicion")
    assert conduct.fact is not None
    assert conduct.source == "The Verge, 2023-12-15"


def test_one_kind_of_evidence_twice_counts_once(sample: tuple[Known, WarningFacts]) -> None:
    steps = next(
        one.ledger.steps
        for one in look_of(sample[1]).customers
        if len(one.alarms) and len(one.ledger.steps) > 1
    )
    assert sorted(step.counted == 1 for step in steps) == [False, True]
    capped = next(step for step in steps if step.counted == 1)
    assert capped.alone > capped.after
    assert capped.after == pytest.approx(capped.before)


def test_a_timeline_holds_the_alarm_that_is_up(sample: tuple[Known, WarningFacts]) -> None:
    for one in look_of(sample[1]).customers:
        line = one.timeline
        for alarm in one.alarms:
            score = line.scores[alarm.detector]
            at = (alarm.since - line.first_day).days
            assert score[at] is not None
            assert score[at] > line.thresholds[alarm.detector]  # type: ignore[operator]


def test_without_revenue_it_ranks_by_use(sample: tuple[Known, WarningFacts]) -> None:
    facts = facts_of(look_of(sample[1]), None, sample=False, missing=None)
    assert all(one.minor is None and one.expected_minor is None for one in facts.customers)
    calm = [one for one in facts.customers if not one.alarm]
    use = [one.look.ledger.stated.probability * one.look.usage_a_day for one in calm]
    assert use == sorted(use, reverse=True)


def test_a_book_of_one_open_month_says_so(sample: tuple[Known, WarningFacts]) -> None:
    shown = sample_shown()
    assert not facts_of(look_of(sample[1]), shown, sample=True, missing=None).still_open
    last = max(row.month for row in shown.rows)
    begun = tuple(row for row in shown.rows if row.month == last)
    book = replace(shown, rows=begun, open_from=last)
    facts = facts_of(look_of(sample[1]), book, sample=False, missing=None)
    assert facts.still_open
    assert (facts.first, facts.last) == (last, last)


def test_the_sample_says_what_it_would_have_stated(sample: tuple[Known, WarningFacts]) -> None:
    known = sample[0]
    found = sample_reliability(sample_past(known._replace(groups=known.groups[:25])))
    year, quarter = found.records
    assert (year.event, quarter.event) == ("halved_in_a_year", "halved_in_a_quarter")
    assert year.days == 6
    assert year.open > 0
    assert quarter.open == 0
    assert quarter.scored == quarter.apart
    assert quarter.enough
    assert year.scored is not None
    assert year.apart is not None
    assert year.scored.days == 2
    assert year.apart.days == 1
    assert year.next_due is not None


def test_what_would_have_been_stated_knew_nothing_of_later_days() -> None:
    known = sample_use()
    on = known.last_day - timedelta(days=200)
    then = known_until(known, on)
    before, after = usage_by_day(then)["ByteDance"], usage_by_day(known)["ByteDance"]
    assert max(before) == on
    assert before == {day: used for day, used in after.items() if day <= on}


def statements(*days: date, customers: int = 40) -> list[ProbabilitiesStated]:
    return [
        ProbabilitiesStated(
            event="halved_in_a_quarter",
            on=day.isoformat(),
            customers=tuple(CustomerStated(f"c{n}", 0.2, 1.0) for n in range(customers)),
            cut={},
        )
        for day in days
    ]


def test_neighbouring_days_are_scored_but_prove_nothing() -> None:
    first = date(2024, 1, 1)
    said = statements(*(first + timedelta(days=at) for at in range(5)), customers=10)
    came = [
        StatementsResolved(
            event="halved_in_a_quarter",
            on=one.on,
            resolved_on="2024-05-01",
            came=("c0", "c1"),
            stayed=tuple(f"c{n}" for n in range(2, 10)),
        )
        for one in said
    ]
    facts = record_of(
        past_of(said, came), {"c0": "Acme"}, sample=False, missing=None, origin=Bilingual("", "")
    )
    quarter = facts.records[1]
    assert quarter.scored is not None
    assert quarter.apart is not None
    assert (quarter.scored.statements, quarter.apart.statements) == (50, 10)
    assert quarter.scored.brier == pytest.approx(0.16)
    assert quarter.scored.brier_base_rate == pytest.approx(0.16)
    assert not quarter.enough
    assert {one.name for one in facts.statements} >= {"Acme", "c1"}
    again = record_of(
        past_of(said, []), {}, sample=False, missing=None, origin=Bilingual("", "")
    ).records[1]
    assert (again.open, again.scored, again.next_due) == (50, None, date(2024, 4, 1))


def test_the_first_reader_does_not_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    known, facts = sample_use(), facts_of(None, None, sample=True, missing="not_yet")
    monkeypatch.setattr("quartermaster.app.console_warning.sample_warning", lambda: (known, facts))
    empty = record_of([], {}, sample=True, missing=None, origin=Bilingual("", ""))
    monkeypatch.setattr("quartermaster.app.console_warning.sample_reliability", lambda _: empty)
    monkeypatch.setattr("quartermaster.app.console_warning.sample_past", lambda _: [])
    port = SampleWarning()
    assert port.warning(Instant(0), wait=True) == facts
    assert port.reliability(Instant(0), wait=True) == replace(empty)
