"""The book behind the what-if page: the command line's figures, kept answers, stranded hours."""

import json
import threading
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from quartermaster.app import console_what_if
from quartermaster.app.console_book import ShownBook, sample_shown
from quartermaster.app.console_capacity import ShownCapacity, sample_window
from quartermaster.app.console_exposure import SAMPLE_HAZARD
from quartermaster.app.console_what_if import COST_NAMES, ShownWhatIf, answer
from quartermaster.cli.main import run
from quartermaster.console.ports_what_if import (
    LEVERS,
    PRICED,
    StrandedFacts,
    WhatIfFacts,
    WhatIfQuestion,
    WorldFacts,
)
from quartermaster.exposure.departure_bridge import Bridge
from quartermaster.kernel.clock import Instant
from quartermaster.kernel.errors import DataError, UsageError

NOW = Instant(1_711_893_909_000_000)
FEW = 2_000


@pytest.fixture(autouse=True)
def few(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two thousand scenarios say as much here as twenty."""
    monkeypatch.setattr(console_what_if, "SCENARIOS", FEW)


def nothing(book: ShownBook, group: str, steps: Bridge) -> StrandedFacts | None:
    return None


def asked(book: ShownBook, **fields: Any) -> WhatIfFacts:
    return answer(book, WhatIfQuestion(**fields), nothing)


@pytest.fixture(scope="module")
def revenue(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The sample book as a file, so that the command line reads the same rows."""
    file = tmp_path_factory.mktemp("book") / "revenue.csv"
    lines = [
        f"{row.customer},{row.group},{row.month},{Decimal(row.minor).scaleb(-2)},{row.currency}"
        for row in sample_shown().rows
    ]
    file.write_text("customer,group,month,revenue,currency\n" + "\n".join(lines) + "\n", "utf-8")
    return file


CASES = [
    (["leave", "--month", "3"], {"lever": "leave", "month": 3}),
    (["leave", "--suspend"], {"lever": "leave", "suspend": True}),
    (["cut", "--by", "40%"], {"lever": "cut", "size": Decimal("0.4")}),
    (
        ["price", "--change", "-10%", "--everybody", "--elasticity", "-0.5"],
        {
            "lever": "price",
            "size": Decimal("-0.1"),
            "everybody": True,
            "elasticity": Decimal("-0.5"),
        },
    ),
    (
        ["commit", "--share", "50%", "--until", "12", "--discount", "5%"],
        {"lever": "commit", "size": Decimal("0.5"), "until": 12, "discount": Decimal("0.05")},
    ),
    (["diversify", "--share", "12%"], {"lever": "diversify", "size": Decimal("0.12")}),
]


@pytest.mark.parametrize(("arguments", "fields"), CASES, ids=lambda case: str(case)[:24])
def test_the_page_has_the_figures_of_the_command_line(
    revenue: Path,
    capsys: pytest.CaptureFixture[str],
    arguments: list[str],
    fields: dict[str, Any],
) -> None:
    options = ["--hazard", "top=35%", "--notice", "2", "--commitment", "ByteDance=5000000:12"]
    options += ["--scenarios", str(FEW), "--json"]
    assert run(["what-if", arguments[0], str(revenue), *arguments[1:], *options]) == 0
    said = json.loads(capsys.readouterr().out)
    found = asked(
        sample_shown(), notice=Decimal(2), owed=Decimal(5_000_000), owed_months=12, **fields
    )
    assert found.change is not None
    assert found.base is not None
    for one, document in ((found.change, said["changes"][0]), (found.base, said["base"])):
        same_figures(one, document)
    assert found.plan_minor == round(said["plan_over_horizon"] * 100)
    assert found.engine == said["engine"] == "full"


def same_figures(one: WorldFacts, document: dict[str, Any]) -> None:
    """To the cent, which is the last digit of the figure the page starts from."""
    pairs = (
        (one.expected_minor, document["expected_loss"]["amount"]),
        (one.shortfall_minor, document["expected_shortfall"]["amount"]),
        (one.shortfall_error_minor, document["expected_shortfall"]["standard_error"]),
        (one.value_at_risk_minor, document["value_at_risk"]),
        (one.shortfall_moved_minor, document["expected_shortfall_difference"]["amount"]),
        (
            one.shortfall_moved_error_minor,
            document["expected_shortfall_difference"]["standard_error"],
        ),
    )
    for minor, amount in pairs:
        assert minor == round(amount * 100)
    share = document["largest_customer_shortfall_share"]
    assert one.top_share == pytest.approx(Decimal(str(share)))


def test_a_suspension_costs_more_than_a_departure_with_notice() -> None:
    terms = {"notice": Decimal(3), "owed": Decimal(5_000_000), "owed_months": 24}
    leaves = asked(sample_shown(), **terms)
    ended = asked(sample_shown(), suspend=True, **terms)
    assert leaves.change is not None
    assert ended.change is not None
    assert leaves.bridge is not None
    assert ended.bridge is not None
    assert ended.change.expected_moved_minor > leaves.change.expected_moved_minor > 0
    assert (ended.bridge.kept_minor, ended.bridge.commitment_minor) == (0, 0)
    assert leaves.bridge.kept_minor > 0 < leaves.bridge.commitment_minor


def test_the_waterfall_adds_up() -> None:
    found = asked(sample_shown(), month=4, backfill=Decimal("0.3"), notice=Decimal(1)).bridge
    assert found is not None
    back = found.before_leaving_minor + found.kept_minor + found.commitment_minor
    assert found.before_minor - found.customer_minor + back + found.backfill_minor == (
        found.after_minor
    )
    assert found.before_leaving_minor > 0 < found.backfill_minor


def test_the_tornado_is_sorted_and_priced() -> None:
    found = asked(sample_shown(), lever="cut", costs=(("notice", Decimal(1_000_000)),))
    moved = [one.shortfall_moved_minor for one in found.tornado]
    assert moved == sorted(moved)
    assert {one.name for one in found.tornado} == set(PRICED) == set(COST_NAMES.values())
    notice = next(one for one in found.tornado if one.name == "notice")
    assert notice.cost_minor == 100_000_000
    assert notice.cut_per_cost is not None
    assert float(notice.cut_per_cost) == pytest.approx(-notice.shortfall_moved_minor / 100_000_000)
    assert found.bridge is None


def test_losses_rise_with_their_level() -> None:
    found = asked(sample_shown())
    for one in (found.base, found.change):
        assert one is not None
        assert len(one.losses) == len(found.levels)
        assert list(one.losses) == sorted(one.losses)
    assert list(found.levels) == sorted(found.levels)


def test_rates_are_the_samples_or_the_products() -> None:
    book = sample_shown()
    assert asked(book).asked.hazard == SAMPLE_HAZARD
    real = asked(replace(book, sample=False)).asked
    assert (real.hazard, real.others, real.chosen) == (Decimal("0.1"), Decimal("0.1"), False)


@pytest.mark.parametrize("lever", LEVERS)
def test_every_lever_has_a_usual_size(lever: str) -> None:
    found = asked(sample_shown(), lever=lever)
    assert (found.asked.question.size is None) == (lever == "leave")
    assert found.change is not None
    assert found.change.key == lever


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"customer": "nobody"}, "customer"),
        ({"lever": "diversify", "customer": "Sample customer 01"}, "customer"),
        ({"lever": "diversify", "size": Decimal("0.9")}, "size"),
    ],
)
def test_what_a_book_cannot_be_asked_names_its_field(fields: dict[str, Any], field: str) -> None:
    with pytest.raises(UsageError) as refused:
        asked(sample_shown(), **fields)
    assert refused.value.field == field


def test_a_large_book_pools_its_small_customers(monkeypatch: pytest.MonkeyPatch) -> None:
    full = asked(sample_shown())
    monkeypatch.setattr(console_what_if, "FULL_STEPS_MAX", 1)
    small = asked(sample_shown())
    assert (full.engine, small.engine, small.pooled) == ("full", "reduced", 45)
    assert full.change is not None
    assert small.change is not None
    error = 4 * (full.change.shortfall_moved_error_minor + small.change.shortfall_moved_error_minor)
    assert abs(full.change.shortfall_moved_minor - small.change.shortfall_moved_minor) < error


def test_a_missing_package_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(console_what_if, "ENGINE_PACKAGES", ("numpy", "not_a_package_at_all"))
    found = asked(sample_shown())
    assert (found.missing, found.reason) == (
        "not_installed",
        "pip install 'quartermaster-ai[risk]'",
    )
    assert found.base is None


def test_nothing_to_lose_is_said() -> None:
    found = asked(
        sample_shown(), hazard=Decimal("0.01"), others=Decimal(0), quantile=Decimal("0.99")
    )
    assert found.missing == "refused"
    assert "scenarios" in found.reason


def test_a_departure_strands_what_the_customer_used() -> None:
    capacity = ShownCapacity(sample_window)

    def stranding(book: ShownBook, group: str, steps: Bridge) -> StrandedFacts | None:
        return capacity.stranded(book, group, steps, NOW)

    book = sample_shown()
    found = answer(book, WhatIfQuestion(), stranding).stranded
    assert found is not None
    months = Decimal(24) - 3  # half of the six months' ramp is still used
    assert found.months == months
    assert found.minor == pytest.approx(found.month_minor * months, abs=months)
    half = answer(book, WhatIfQuestion(backfill=Decimal("0.5")), stranding).stranded
    assert half is not None
    assert half.minor < found.minor
    other = answer(book, WhatIfQuestion(lever="cut"), stranding)
    assert other.stranded is None
    # A real book has nothing to do with the sample fleet.
    assert answer(replace(book, sample=False), WhatIfQuestion(), stranding).stranded is None


def test_a_broken_fleet_takes_nothing_else_away() -> None:
    def broken(book: ShownBook, group: str, steps: Bridge) -> StrandedFacts | None:
        raise DataError("fleet.toml: 2 problems")

    found = answer(sample_shown(), WhatIfQuestion(), broken)
    assert found.stranded_reason == "fleet.toml: 2 problems"
    assert found.bridge is not None


def test_the_same_question_is_counted_once(monkeypatch: pytest.MonkeyPatch) -> None:
    counted: list[WhatIfQuestion] = []
    real = console_what_if.answer

    def counting(book: ShownBook, question: WhatIfQuestion, *rest: Any, **more: Any) -> WhatIfFacts:
        counted.append(question)
        return real(book, question, *rest, **more)

    monkeypatch.setattr(console_what_if, "answer", counting)
    shown = ShownWhatIf(sample_shown, nothing, engine=lambda: None)
    for _ in range(3):
        assert shown.what_if(WhatIfQuestion(), NOW, wait=True) is not None
    shown.what_if(WhatIfQuestion(month=1), NOW, wait=True)
    assert len(counted) == 2


def test_a_page_does_not_wait_for_the_engine() -> None:
    may_load = threading.Event()
    shown = ShownWhatIf(sample_shown, nothing, engine=lambda: assert_true(may_load.wait(60)))
    first = shown.what_if(WhatIfQuestion(), NOW)
    assert first is not None
    assert (first.missing, first.base) == ("loading", None)
    may_load.set()
    second = shown.what_if(WhatIfQuestion(), NOW, wait=True)
    assert second is not None
    assert second.base is not None


def assert_true(value: bool) -> None:
    assert value


def test_no_book_has_nothing_to_ask() -> None:
    assert ShownWhatIf(lambda: None, nothing).what_if(WhatIfQuestion(), NOW) is None
