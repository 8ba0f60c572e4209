"""The book behind the exposure page: what it answers, from which months, how often it counts."""

import threading
from decimal import Decimal
from pathlib import Path

import pytest
from msgspec.structs import replace

from quartermaster.app import console_loss
from quartermaster.app import live as views
from quartermaster.app.console_book import ShownBook, sample_shown
from quartermaster.app.console_exposure import (
    CHOICES_MAX,
    HISTORY_WINDOWS_MAX,
    SAMPLE_HAZARD,
    ShownExposure,
    answer,
    live_exposure,
    sample_exposure,
)
from quartermaster.app.console_loss import PARTS_SHOWN, SCENARIOS
from quartermaster.console.ports import Bilingual
from quartermaster.console.ports_exposure import ExposureFacts, Question
from quartermaster.exposure.rows import RevenueRow
from quartermaster.kernel.clock import Instant
from quartermaster.kernel.errors import UsageError

NOW = Instant(1_711_893_909_000_000)


def book(
    amounts: dict[str, int], months: int = 12, *, open_from: str = "", first_year: int = 2023
) -> ShownBook:
    """Everybody pays the same each month, 3 % more than the month before."""
    rows = tuple(
        RevenueRow(
            f"customer:{group}",
            group,
            f"{first_year + at // 12}-{at % 12 + 1:02d}",
            minor * 103**at // 100**at,
            "EUR",
        )
        for at in range(months)
        for group, minor in amounts.items()
    )
    return ShownBook(
        rows=rows,
        names={group: group.title() for group in amounts}
        | {f"customer:{group}": group.title() for group in amounts},
        sample=False,
        time_zone="UTC",
        open_from=open_from,
        computed_at=NOW,
        denominator=Bilingual("Umsatz", "revenue"),
        origin=Bilingual("Schnitt", "cut"),
    )


def settled(shown: ShownBook) -> ShownExposure:
    """A port whose engine is loaded at once."""
    return ShownExposure(lambda: shown, engine=lambda: None)


def asked(shown: ShownBook, question: Question = Question()) -> ExposureFacts:  # noqa: B008
    facts = settled(shown).exposure(question, NOW, wait=True)
    assert facts is not None
    return facts


@pytest.fixture(scope="module")
def sample() -> ExposureFacts:
    return answer(sample_shown(), Question())


def test_the_sample_is_answered_whole(sample: ExposureFacts) -> None:
    assert sample.sample
    assert sample.asked.name == "ByteDance"
    assert sample.asked.hazard == SAMPLE_HAZARD
    assert not sample.asked.chosen
    assert sum(group.minor for group in sample.groups) == sample.total_minor
    assert sample.groups[0].band == "report"
    assert len(sample.choices) == CHOICES_MAX
    assert sample.history is not None
    assert len(sample.history.windows) == 13
    assert sample.fan is not None
    assert sample.fan.whole_total.minor > sample.fan.without_total.minor > 0
    assert sample.fan.known[-1][1] - sample.fan.known[-1][2] == pytest.approx(2e9, rel=0.01)


def test_the_parts_of_the_loss_are_the_whole(sample: ExposureFacts) -> None:
    loss = sample.loss
    assert loss is not None
    assert loss.others is not None
    parts = (*loss.parts, loss.others)
    assert sum(part.count for part in parts) == len(sample.groups)
    assert sum(part.revenue_share for part in parts) == 1
    assert sum(part.loss_share for part in parts) == 1
    assert sum(part.loss_share_at_equal_hazard for part in parts) == 1
    assert sum(part.contribution_minor for part in parts) == loss.shortfall_minor
    assert loss.asked == loss.parts[0]
    # A quarter of revenue that leaves three times as fast is most of the tail.
    assert loss.asked.loss_share > loss.asked.loss_share_at_equal_hazard > Decimal("0.4")
    assert (loss.engine, loss.scenarios) == ("full", SCENARIOS)
    assert loss.shortfall_error_minor * 100 < loss.shortfall_minor
    # Everybody leaves at the mean rate, weighted by revenue.
    mean = Decimal("0.24") * Decimal("0.35") + Decimal("0.76") * Decimal("0.1")
    assert loss.equal_hazard == pytest.approx(mean, rel=Decimal("1e-6"))


def test_another_customer_may_be_asked_about() -> None:
    shown = book({f"c{at:02d}": 10_000_000 // (at + 1) for at in range(12)})
    facts = asked(shown, Question(customer="c09", hazard=Decimal(2), others=Decimal("0.05")))
    assert (facts.asked.customer, facts.asked.name, facts.asked.chosen) == ("c09", "C09", True)
    assert facts.loss is not None
    assert len(facts.loss.parts) == PARTS_SHOWN
    assert facts.loss.asked.group == "c09"
    assert facts.loss.asked.hazard == 2
    assert {part.hazard for part in facts.loss.parts} == {Decimal(2), Decimal("0.05")}
    assert facts.fan is not None
    assert facts.fan.known[-1][1] - facts.fan.known[-1][2] == shown.rows[-3].minor


def test_a_customer_who_is_not_there_is_refused() -> None:
    with pytest.raises(UsageError) as caught:
        asked(book({"a": 100, "b": 50}), Question(customer="z"))
    assert caught.value.field == "customer"


def test_a_real_book_starts_from_one_rate_for_all() -> None:
    facts = asked(book({"a": 100_000, "b": 50_000}))
    assert facts.asked.hazard == facts.asked.others == Decimal("0.1")
    assert facts.loss is not None
    for part in facts.loss.parts:
        assert part.loss_share == part.loss_share_at_equal_hazard
    assert facts.loss.others is None


def test_a_book_of_one_customer() -> None:
    facts = asked(book({"only": 100_000}))
    assert facts.groups[0].share == 1
    assert facts.groups[0].band == "breach"
    assert facts.loss is not None
    assert facts.loss.asked.loss_share == 1
    assert facts.fan is not None
    assert facts.fan.without_total.minor == 0


def test_a_month_that_is_not_over_counts_only_where_there_is_no_other() -> None:
    shown = book({"a": 100_000, "b": 50_000}, months=9, open_from="2023-09")
    facts = asked(shown)
    assert (facts.first, facts.last, facts.still_open) == ("2023-01", "2023-08", False)
    assert facts.fan is not None
    assert facts.fan.months[0] == "2023-09"
    begun = asked(replace(shown, open_from="2023-01"))
    assert (begun.last, begun.still_open, begun.fan) == ("2023-09", True, None)


def test_a_long_book_shows_its_last_three_years() -> None:
    facts = asked(book({"a": 100_000, "b": 50_000}, months=60, first_year=2018))
    assert facts.history is not None
    assert len(facts.history.windows) == HISTORY_WINDOWS_MAX
    assert facts.history.windows[-1].last == facts.last == "2022-12"


def test_a_short_book_has_no_forecast_and_says_what_it_needs() -> None:
    facts = asked(book({"a": 100_000, "b": 50_000}, months=3))
    assert (facts.fan, facts.history) == (None, None)
    assert (facts.fan_months_needed, facts.fan_months_known) == (6, 3)
    assert facts.loss is not None


def test_a_large_book_takes_the_reduced_engine() -> None:
    shown = book({f"c{at:03d}": 50_000_000 // (at + 1) for at in range(400)}, months=2)
    facts = asked(shown, Question(customer="c029"))
    assert facts.loss is not None
    assert facts.loss.engine == "reduced"
    assert facts.loss.asked.group == "c029"
    assert facts.loss.others is not None
    assert facts.loss.others.count == 400 - PARTS_SHOWN
    assert 0 < facts.loss.others.loss_share < 1


def test_the_same_question_is_counted_once(monkeypatch: pytest.MonkeyPatch) -> None:
    shown = [book({"a": 100_000, "b": 50_000})]
    port = ShownExposure(lambda: shown[0], engine=lambda: None)
    counted = []
    real = console_loss.loss_of

    def counting(*given: object) -> object:
        counted.append(given)
        return real(*given)  # type: ignore[arg-type]  # passed through as it came

    monkeypatch.setattr("quartermaster.app.console_exposure.loss_of", counting)
    first = port.exposure(Question(), NOW, wait=True)
    assert port.exposure(Question(), NOW, wait=True) == first
    assert len(counted) == 1
    port.exposure(Question(hazard=Decimal("0.2")), NOW, wait=True)
    assert len(counted) == 2
    shown[0] = book({"a": 100_001, "b": 50_000})
    port.exposure(Question(), NOW, wait=True)
    assert len(counted) == 3


def test_while_the_engine_loads_the_page_goes_without_the_loss() -> None:
    go = threading.Event()
    shown = book({"a": 100_000, "b": 50_000})

    def slowly() -> None:
        assert go.wait(30)

    port = ShownExposure(lambda: shown, engine=slowly)
    early = port.exposure(Question(), NOW)
    assert early is not None
    assert (early.loss, early.loss_missing) == (None, "loading")
    assert early.fan is not None
    go.set()
    later = port.exposure(Question(), NOW, wait=True)
    assert later is not None
    assert later.loss is not None


def test_without_the_engine_everything_else_is_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(console_loss, "ENGINE_PACKAGES", ("no_such_package_anywhere",))
    facts = asked(book({"a": 100_000, "b": 50_000}))
    assert (facts.loss, facts.loss_missing) == (None, "not_installed")
    assert facts.loss_reason == "pip install 'quartermaster-ai[risk]'"
    assert facts.fan is not None


def test_an_empty_book_has_no_facts() -> None:
    assert ShownExposure(lambda: None).exposure(Question(), NOW, wait=True) is None


def test_the_real_book_is_what_the_clerk_rated(tmp_path: Path) -> None:
    """By ids: two customers of one name stay two; a group is named, and its entities are."""

    def paid(customer: str, group: str, minor: int, month: str) -> views.MonthRevenue:
        return views.MonthRevenue(
            contract=f"contract of {customer}",
            customer=customer,
            customer_name="Acme",
            group=group,
            group_name="Holding" if group == "grp_h" else "Acme",
            month=month,
            time_zone="UTC",
            currency="EUR",
            amount=Decimal(minor).scaleb(-2),
            minor=minor,
            requests=1,
            tokens=1,
            unpriced=0,
        )

    port = live_exposure(tmp_path)
    assert port.exposure(Question(), NOW) is None  # the clerk has said nothing yet
    rows = [
        paid(customer, group, minor, month)
        for month in ("2024-01", "2024-02", "2024-03")
        for customer, group, minor in (("c1", "c1", 30), ("c2", "c2", 20), ("c3", "grp_h", 50))
    ]
    views.write(tmp_path, views.LiveBook(cut={"gw-0": 7}, computed_at=NOW, revenue=tuple(rows)))
    facts = port.exposure(Question(customer="c1"), NOW, wait=True)
    assert facts is not None
    assert not facts.sample
    assert (facts.first, facts.last) == ("2024-01", "2024-02")  # March is not over
    assert [(group.group, group.name, group.minor) for group in facts.groups] == [
        ("grp_h", "Holding", 100),
        ("c1", "Acme", 60),
        ("c2", "Acme", 40),
    ]
    assert facts.groups[0].entities == ("Acme",)
    assert facts.asked.name == "Acme"
    assert "gw-0:7" in facts.origin.en
    assert facts.loss is not None
    assert facts.loss.asked.revenue_share == Decimal("0.3")


def test_the_packaged_port_is_of_the_sample() -> None:
    facts = sample_exposure().exposure(Question(), NOW)
    assert facts is not None
    assert facts.sample
