"""The board report's facts: what each source gives, what adds up, and what is missing."""

import threading
from datetime import date
from decimal import Decimal
from pathlib import Path

import pytest
from msgspec.structs import replace
from tests.unit.console.warning_fakes import warning_facts

from quartermaster.app import live as views
from quartermaster.app.board import (
    Beside,
    ShownBoard,
    assumed_of,
    board_of,
    facts_of,
    file_revenue,
    scenario_revenue,
    shown_revenue,
)
from quartermaster.app.board_capacity import FleetGiven, capacity_of, shown_capacity
from quartermaster.app.console_book import ShownBook, live_shown, sample_shown
from quartermaster.app.console_capacity import ShownCapacity, sample_window
from quartermaster.app.console_warning import year_record
from quartermaster.app.live import LiveBook, MonthRevenue
from quartermaster.capacity.demand import read_demand
from quartermaster.capacity.fleet import parse_fleet
from quartermaster.console.board_facts import CapacityFacts
from quartermaster.console.board_view import view_of
from quartermaster.console.ports_capacity import Owed
from quartermaster.exposure.daily_statements import EVENTS, past_of
from quartermaster.exposure.revenue_file import Reading, read_revenue
from quartermaster.exposure.risk_assumptions import Assumptions, Hazards
from quartermaster.exposure.rollup import Exposure
from quartermaster.exposure.scenario import read_scenario
from quartermaster.kernel.clock import Instant
from quartermaster.kernel.errors import DataError
from quartermaster.kernel.events import CustomerStated, ProbabilitiesStated, StatementsResolved
from quartermaster.kernel.money import Money
from quartermaster.revenue.guidance_rows import read_guidance
from quartermaster.revenue.scorecard import scorecard

MADE = date(2024, 8, 1)
EXAMPLES = Path(__file__).parents[3] / "examples"
MONTHS = [f"{2023 + at // 12}-{at % 12 + 1:02}" for at in range(24)]


def revenue_csv(folder: Path) -> Path:
    """A quarter of the revenue on one customer, eleven others; two years."""
    file = folder / "revenue.csv"
    rows = ["customer,month,revenue,currency"]
    for month in MONTHS:
        rows.append(f"Acme,{month},3000.00,EUR")
        rows += [f"Customer {n},{month},{800 + n}.00,EUR" for n in range(11)]
    file.write_text("\n".join(rows) + "\n", "utf-8")
    return file


def test_a_csv_gives_every_part_that_needs_months_alone(tmp_path: Path) -> None:
    revenue = file_revenue(read_revenue(revenue_csv(tmp_path), Reading()))
    assumed = assumed_of(Assumptions(), chosen=False, sample=False)
    facts = facts_of(revenue, assumed, made_on=MADE, threads=1)
    assert facts.report.largest.group == "Acme"
    assert facts.report.bands is not None
    assert [line.group for line in facts.report.bands.breaches] == ["Acme"]
    assert facts.report.history is not None
    assert facts.fan is not None
    assert facts.risk is not None
    assert facts.risk.top.name == "Acme"
    assert facts.rates == "default"
    assert not facts.sample


def test_the_loss_is_that_of_the_asked_assumptions(tmp_path: Path) -> None:
    revenue = file_revenue(read_revenue(revenue_csv(tmp_path), Reading()))
    shares = []
    for top in (0.10, 0.35):
        asked = Assumptions(hazard_per_year=Hazards(top=top, rest=0.10))
        assumed = assumed_of(asked, chosen=True, sample=False)
        facts = facts_of(revenue, assumed, made_on=MADE, threads=1)
        assert facts.risk is not None
        assert facts.rates == "chosen"
        shares.append(facts.risk.top.shortfall_share)
    assert shares[1] > shares[0] + 0.02


def test_a_departure_and_levers_come_with_the_loss(tmp_path: Path) -> None:
    revenue = file_revenue(read_revenue(revenue_csv(tmp_path), Reading()))
    assumed = assumed_of(Assumptions(), chosen=False, sample=False)
    facts = facts_of(revenue, assumed, made_on=MADE, threads=1)
    assert facts.bridge is not None
    # 3,000 a month for 24 months; a line to zero over six months pays for three of them.
    assert facts.bridge.customer == pytest.approx(72_000)
    assert facts.bridge.before - facts.bridge.after == pytest.approx(72_000 - 9_000)
    assert facts.levers is not None
    assert facts.levers.top == "Acme"
    # The same scenarios as the loss on the first page.
    assert facts.risk is not None
    assert facts.levers.scenarios == facts.risk.tail.scenarios
    assert facts.levers.seed == facts.risk.seed


def test_a_scenario_has_claims_and_no_months() -> None:
    scenario, _ = read_scenario(EXAMPLES / "azure-openai-2024.toml")
    revenue = scenario_revenue(scenario, None)
    assumed = assumed_of(Assumptions(), chosen=False, sample=revenue.report.exposure.sample)
    facts = facts_of(revenue, assumed, made_on=MADE, threads=1)
    assert facts.report.claims
    assert facts.fan is None
    assert facts.report.history is None
    assert (facts.rates, facts.sample) == ("sample", True)
    assert facts.risk is not None
    assert facts.risk.top.name == "ByteDance"
    assert facts.risk.assumptions.hazard_per_year.top == 0.35


def test_the_sample_is_labelled_and_names_its_customer() -> None:
    revenue = shown_revenue(sample_shown())
    assert revenue.report.exposure.sample
    assert revenue.report.largest.group == "ByteDance"
    assert revenue.report.exposure.denominator.scope_de.startswith("Azure OpenAI")


def test_nothing_is_reported_while_nothing_is_rated(tmp_path: Path) -> None:
    assert board_of(tmp_path, sample=False).board(MADE) is None


def test_the_live_book_is_reported_by_name(tmp_path: Path) -> None:
    names = {"a": "Acme", "b": "Bolt", "c": "Bolt"}
    months = [f"2024-{n:02}" for n in range(1, 9)]
    rows = tuple(
        MonthRevenue(
            contract=f"con_{who}",
            customer=f"cus_{who}",
            customer_name=name,
            group=f"grp_{who}",
            group_name=name,
            month=month,
            time_zone="UTC",
            currency="EUR",
            amount=Decimal(minor),
            minor=minor,
            requests=1,
            tokens=10,
            unpriced=0,
        )
        for month in months
        for (who, name), minor in zip(names.items(), (60_000, 30_000, 10_000), strict=True)
    )
    september = Instant(1_725_200_000_000_000)
    views.write(tmp_path, LiveBook(cut={"gw-0": 1}, computed_at=september, revenue=rows))
    book = live_shown(tmp_path)
    assert book is not None
    revenue = shown_revenue(book)
    # Two customers of one name are told apart, and one of its own name is not spoilt.
    groups = [group.group for group in revenue.report.exposure.groups]
    assert groups == ["Acme", "Bolt (grp_b)", "Bolt (grp_c)"]
    assert revenue.report.history is None
    facts = facts_of(
        revenue, assumed_of(Assumptions(), chosen=False, sample=False), made_on=MADE, threads=1
    )
    assert facts.fan is not None
    assert facts.fan.without_total.minor < facts.fan.whole_total.minor
    assert facts.risk is not None
    assert facts.risk.top.name == "Acme"


def test_the_live_report_shows_what_the_clerk_saw_in_usage() -> None:
    look = warning_facts().look
    assert look is not None
    book = replace(sample_shown(), names={"grp_1": "Fabrikam Ltd"})
    revenue = shown_revenue(book, look=look)
    assumed = assumed_of(Assumptions(), chosen=False, sample=True)
    view = view_of(facts_of(revenue, assumed, made_on=MADE, threads=None), "en")
    section = next(section for section in view.sections if section.id == "warning")
    assert section.table is not None
    shown = {line.cells[0]: line.cells for line in section.table.lines}
    assert shown["Fabrikam Ltd"][1:] == ("53%", "32%–72%", "since 27 Feb 2024")
    assert "warning" not in [part.key for part in view.missing]


def test_the_console_is_answered_before_the_simulation_is_loaded_and_after_it() -> None:
    calls: list[str] = []
    book: list[ShownBook | None] = [sample_shown()]
    port = ShownBoard(lambda: book[0], engine=lambda: calls.append("loaded"))
    waited = port.board(MADE, wait=True)
    assert calls == ["loaded"]
    assert waited is not None
    assert waited.risk is not None
    again = port.board(MADE)
    assert again is not None
    assert again.risk is waited.risk
    book[0] = None
    assert port.board(MADE) is None


def test_the_console_shows_what_the_book_holds_besides_revenue() -> None:
    """Statements and the fleet of other pages; a fleet that cannot be used takes nothing else."""
    names = [f"customer {at}" for at in range(40)]
    told = [CustomerStated(customer=name, probability=0.3, usage_a_day=1.0) for name in names]
    fact = ProbabilitiesStated(event=EVENTS[0], on="2022-05-01", customers=tuple(told), cut={})
    came = StatementsResolved(
        event=EVENTS[0], on=fact.on, resolved_on="2023-05-01", came=(), stayed=tuple(names)
    )
    known = year_record(past_of([fact], [came]))
    fleet = ShownCapacity(sample_window)

    def capacity(who: str, revenue: Exposure) -> CapacityFacts | None:
        return shown_capacity(fleet, who, revenue, Instant(0))

    def broken(who: str, revenue: Exposure) -> CapacityFacts | None:
        raise DataError(f"no pool serves {who} {revenue.rows}")

    promised = b"metric,unit,period,basis,metric_version,low,high,source,issued_on\n"
    promised += b"revenue,USD,2025Q1,reported,v1,1,2,letter,2025-01-15\n"
    beside = Beside(lambda _: known, capacity, lambda: scorecard(read_guidance(promised, "p.csv")))
    port = ShownBoard(sample_shown, beside=beside, engine=lambda: None)
    facts = port.board(MADE, wait=True)
    assert facts is not None
    view = view_of(facts, "de")
    shown = {section.id for section in view.sections}
    assert {"statements", "capacity", "guidance"} <= shown
    assert [part.key for part in view.missing] == ["rates", "bands", "warning"]
    assert view.of == " --sample"
    found = facts.given.capacity
    assert found is not None
    assert found.before is not None
    assert found.after is not None
    assert found.after.money.stranded > found.before.money.stranded
    stated = next(section for section in view.sections if section.id == "statements")
    assert "waren zu hoch" in " ".join(stated.lead)
    assert stated.notes[0].startswith("Nachträglich an erfundener Nutzung")
    fleet_shown = next(section for section in view.sections if section.id == "capacity")
    assert fleet_shown.picture is not None
    assert fleet_shown.picture.caption.startswith("Beispieldaten")
    owes = Owed("bytedance", Money(1_200_000, "USD"), 12)
    found = replace(found, owed=owes, elsewhere=(("acme", Money(500, "EUR")),))
    bound = view_of(replace(facts, given=replace(facts.given, capacity=found)), "de")
    notes = next(section for section in bound.sections if section.id == "capacity").notes
    assert any("in anderer Währung und ohne Kurs: 5,00\xa0€ von acme" in note for note in notes)
    assert any("schuldet" in note and "12.000,00\xa0$" in note for note in notes)

    port = ShownBoard(sample_shown, beside=Beside(lambda _: None, broken), engine=lambda: None)
    without = port.board(MADE, wait=True)
    assert without is not None
    why = {part.key: part.how for part in view_of(without, "en").missing}
    assert {"statements", "capacity", "guidance"} <= set(why)
    assert "no pool serves bytedance" in why["capacity"].casefold()


def test_a_customer_who_is_not_in_the_fleets_window_strands_nothing() -> None:
    exposure = shown_revenue(sample_shown()).report.exposure
    found = shown_capacity(ShownCapacity(sample_window), "nobody", exposure, Instant(0))
    assert found is not None
    assert (found.after, found.payback, found.missing) == (None, None, ("named",))
    euro = replace(exposure, denominator=replace(exposure.denominator, currency="EUR"))
    assert shown_capacity(ShownCapacity(sample_window), "nobody", euro, Instant(0)) is None


def test_an_engine_that_is_still_loading_leaves_the_loss_out() -> None:
    gate = threading.Event()

    def slow() -> None:
        gate.wait(10)

    early = ShownBoard(sample_shown, engine=slow).board(MADE)
    gate.set()
    assert early is not None
    assert (early.risk, early.risk_missing) == (None, "loading")
    assert early.report.largest.group == "ByteDance"


def test_capacity_says_what_the_largest_customer_strands() -> None:
    fleet = parse_fleet((EXAMPLES / "fleet-sample.toml").read_bytes(), "fleet")
    demand = read_demand((EXAMPLES / "fleet-demand.csv").read_bytes(), "demand", model="sample-70b")
    given = FleetGiven(fleet=fleet, inputs=(), demand=demand, contribution=Decimal("0.3"))
    exposure = shown_revenue(sample_shown()).report.exposure
    found = capacity_of(given, exposure)
    assert found.missing == ()
    assert found.before is not None
    assert found.after is not None
    # The group's entity TikTok is in the demand; the same fleet costs the same without it.
    assert found.after.cost_minor == found.before.cost_minor
    assert found.after.money.stranded > found.before.money.stranded
    assert found.payback is not None
    assert found.payback.stretch is not None
    # 24 % of the revenue goes: 1 / 0.76 times as long.
    assert abs(found.payback.stretch - Decimal("1.316")) < Decimal("0.001")
    assert found.payback.without is not None
    longer = found.payback.with_everybody * found.payback.stretch
    assert abs(found.payback.without - longer) < Decimal("0.000001")


def test_capacity_says_what_is_missing_and_refuses_two_currencies(tmp_path: Path) -> None:
    fleet = parse_fleet((EXAMPLES / "fleet-sample.toml").read_bytes(), "fleet")
    exposure = read_revenue(revenue_csv(tmp_path), Reading()).exposure
    assert capacity_of(FleetGiven(fleet=fleet, inputs=()), exposure).missing == (
        "demand",
        "contribution",
    )
    with pytest.raises(DataError, match="EUR"):
        capacity_of(FleetGiven(fleet=fleet, inputs=(), contribution=Decimal("0.3")), exposure)
