"""One look at all usage: priors, alarms handed to the ledger, signals, and the event itself."""

from datetime import date, datetime, timedelta

import numpy as np
import pytest

from quartermaster.exposure.access_signals import Access, Signal, access_signals
from quartermaster.exposure.contract_signals import contract_signals, notice_of
from quartermaster.exposure.outlook import CustomerOutlook, Outlook, halved, look
from quartermaster.exposure.panel import Panel
from quartermaster.kernel.clock import as_instant, zone
from quartermaster.kernel.contract import Commitment, Contract

FIRST = date(2022, 1, 3)


def panel(days: int = 728, customers: int = 40) -> Panel:
    """Calm series; c00 falls to a third over the last seven weeks, c39 began six days ago."""
    draw = np.random.default_rng(7)
    week = np.where(np.arange(days) % 7 < 5, 1.0, 0.5)
    daily = draw.lognormal(3, 1, (customers, 1)) * week * draw.lognormal(0, 0.1, (customers, days))
    fade = np.linspace(0.98, 0.33, min(49, days))
    daily[0, -len(fade) :] *= fade
    daily[-1, :-6] = 0
    return Panel(tuple(f"c{n:02}" for n in range(customers)), FIRST, daily)


@pytest.fixture(scope="module")
def found() -> Outlook:
    told = panel()
    window = Signal(kind="notice_window", on=told.last_day, source="deal-1")
    old = Signal(kind="notice_window", on=told.last_day - timedelta(days=200), source="deal-2")
    return look(told, {"c01": (window,), "c02": (old,)})


def by_name(found: Outlook, name: str) -> CustomerOutlook:
    return next(one for one in found.customers if one.customer == name)


def test_an_alarm_reaches_the_ledger_with_its_counts(found: Outlook) -> None:
    fading, calm = by_name(found, "c00"), by_name(found, "c05")
    assert [line.evidence.kind for line in fading.ledger.lines] == ["usage_alarm"]
    assert [line.evidence.kind for line in calm.ledger.lines] == ["usage_quiet"]
    assert found.counts is not None
    assert found.counts.tried > 50
    assert found.counts.found > 0.8 * found.counts.tried
    assert fading.ledger.lines[0].origin == "counted"
    assert fading.ledger.posterior.probability > 2 * fading.ledger.prior.probability
    assert calm.ledger.posterior.probability < calm.ledger.prior.probability
    assert fading.signals[0].figures["detectors"]


def test_the_prior_is_counted_once_there_are_enough_customer_years(found: Outlook) -> None:
    assert by_name(found, "c05").believed.by == "pooled"
    short = look(panel(300), {})
    assert by_name(short, "c05").believed.by == "expert"
    assert by_name(short, "c05").ledger.lines == ()
    assert short.counts is None


def test_signals_count_while_they_are_fresh(found: Outlook) -> None:
    assert {one.kind for one in by_name(found, "c01").signals} == {"usage_quiet", "notice_window"}
    stale = by_name(found, "c02")
    assert [one.kind for one in stale.ledger.stale] == ["notice_window"]
    assert len(stale.signals) == len(stale.ledger.lines) == 1


def test_who_is_known_for_less_than_a_week_is_not_judged(found: Outlook) -> None:
    assert all(one.customer != "c39" for one in found.customers)
    few = look(panel(20), {})
    assert len(few.customers) == 39
    assert few.warnings is not None
    none = look(panel(5), {})
    assert none.customers == ()


def test_the_timeline_shows_the_alarm_on_its_days(found: Outlook) -> None:
    line = found.timeline("c00")
    assert len(line.usage) == 364
    assert line.first_day + timedelta(days=363) == found.on
    assert line.alarms[:, -1].any()
    assert not line.alarms[:, :-49].any()
    assert found.bank is not None
    up = line.scores > found.bank.thresholds[:, None]
    assert (up == line.alarms).all()


def test_the_event_is_settled_by_daily_use() -> None:
    assert halved(10.0, np.array([4.0, 5.9]))
    assert not halved(10.0, np.array([4.0, 6.0]))


def access(**changes: object) -> Access:
    days = 260
    flat = np.full(days, 100.0)
    given: dict[str, object] = {
        "last_day": date(2024, 3, 31),
        "by_model": {"big": flat * 0.8, "small": flat * 0.2},
        "by_workload": {"a": flat * 0.5, "b": flat * 0.3, "c": flat * 0.2},
        "prices": {"big": 10.0, "small": 1.0},
    }
    return Access(**{**given, **changes})  # type: ignore[arg-type]  # a test's shorthand


def test_nothing_happens_and_nothing_is_said() -> None:
    assert list(access_signals(access(), "meters")) == []


def test_a_mix_that_moves_to_the_cheapest_model() -> None:
    flat = np.full(260, 100.0)
    small = flat * np.where(np.arange(260) >= 225, 0.7, 0.2)
    models = {"big": flat - small, "small": small}
    (signal,) = access_signals(access(by_model=models), "meters")
    assert signal.kind == "cheapest_model"
    assert signal.figures["model"] == "small"
    assert signal.figures["share"] == pytest.approx(0.7)
    dearer = {"big": 1.0, "small": 10.0}
    assert not list(access_signals(access(by_model=models, prices=dearer), "meters"))
    assert not list(access_signals(access(by_model=models, prices={"big": 1.0}), "meters"))


def test_one_workload_after_another_is_emptied() -> None:
    flat = np.full(260, 100.0)
    gone_a = flat * np.where(np.arange(260) >= 180, 0.0, 0.5)
    gone_b = flat * np.where(np.arange(260) >= 220, 0.0, 0.3)
    kept = {"a": gone_a, "b": gone_b, "c": flat * 0.2}
    (signal,) = access_signals(access(by_workload=kept), "meters")
    assert (signal.kind, signal.figures["names"]) == ("workload_emptied", "a, b")
    one = {"a": gone_a, "b": flat * 0.3, "c": flat * 0.2}
    assert not list(access_signals(access(by_workload=one), "meters"))
    everything = {"a": gone_a, "b": gone_b, "c": gone_b}
    assert not list(access_signals(access(by_workload=everything), "meters"))


def test_a_burst_and_then_a_decline() -> None:
    days = np.full(260, 100.0)
    days[200:205] = 450.0
    days[205:] = 60.0
    (signal,) = access_signals(access(by_workload={"a": days}), "meters")
    assert signal.kind == "evaluation_then_decline"
    assert signal.figures["times"] == pytest.approx(4.5)
    assert signal.figures["left"] == pytest.approx(0.6)
    days[205:] = 100.0
    assert not list(access_signals(access(by_workload={"a": days}), "meters"))


def instant(day: date) -> int:
    return as_instant(datetime(day.year, day.month, day.day, tzinfo=zone("Europe/Berlin")))


def contract(version: int = 1, **changes: object) -> Contract:
    given: dict[str, object] = {
        "id": "deal",
        "version": version,
        "customer": "c",
        "price_book": "list",
        "currency": "EUR",
        "time_zone": "Europe/Berlin",
        "valid_from": instant(date(2023, 7, 1)),
        "end": instant(date(2024, 7, 1)),
        "notice_days": 60,
    }
    return Contract(**{**given, **changes})  # type: ignore[arg-type]  # a test's shorthand


TODAY = date(2024, 3, 31)


def kinds(versions: list[Contract], months: dict[str, int] | None = None) -> set[str]:
    return {signal.kind for signal in contract_signals(versions, months or {}, TODAY)}


def test_the_notice_window() -> None:
    notice = notice_of([contract()], TODAY)
    assert (notice.state, notice.notice_by, notice.ends_on) == (
        "near",
        date(2024, 5, 1),
        date(2024, 6, 30),
    )
    assert kinds([contract()]) == {"notice_window"}
    assert notice_of([contract()], date(2024, 1, 1)).state == "ahead"
    assert notice_of([contract()], date(2024, 5, 1)).state == "near"
    assert notice_of([contract()], date(2024, 5, 2)).state == "passed"
    assert notice_of([contract(end=None)], TODAY).state == "any_day"
    assert kinds([contract(end=None)]) == set()
    assert kinds([contract(end=None, notice_days=0)]) == {"nothing_binds"}


def test_a_renewal_counts_from_its_day() -> None:
    longer = contract(2, end=instant(date(2025, 7, 1)), valid_from=instant(date(2024, 2, 1)))
    assert kinds([contract(), longer]) == {"renewed"}
    ahead = contract(2, end=instant(date(2025, 7, 1)), valid_from=instant(date(2024, 7, 1)))
    assert "renewed" not in kinds([contract(), ahead])


def test_commitments() -> None:
    start, end = instant(date(2023, 7, 1)), instant(date(2025, 7, 1))
    monthly = contract(end=end, commitments=(Commitment(100, start, end),))
    drawn = {f"2023-{month:02d}": 96 for month in range(7, 13)}
    assert kinds([monthly], drawn) == {"just_under_commitment"}
    assert kinds([monthly], {**drawn, "2024-01": 130}) == set()
    # Nobody managed use to a floor before there was one.
    fresh = contract(end=end, commitments=(Commitment(100, instant(date(2023, 11, 2)), end),))
    assert kinds([fresh], drawn) == set()
    whole = contract(end=end, commitments=(Commitment(1_000, start, end, "term"),))
    assert kinds([whole], drawn) == set()
    assert kinds([whole], {**drawn, "2024-01": 400}) == {"commitment_nearly_drawn"}
    assert kinds([whole], {"2023-06": 2_000}) == set()
    # A year that another one follows is no reason to leave; of some lines a bill says nothing.
    yearly = contract(end=end, commitments=(Commitment(700, start, end, "year"),))
    assert kinds([yearly], {**drawn, "2024-01": 400}) == set()
    some = contract(end=end, commitments=(Commitment(100, start, end, models=("m",)),))
    assert kinds([some], drawn) == set()
