"""Commitments of the live book: in forecasts, in the loss, in what-if, and in months of revenue."""

from decimal import Decimal
from pathlib import Path

import msgspec
import pytest

from quartermaster.app import live
from quartermaster.app.console_book import ShownBook, book_terms, live_shown
from quartermaster.app.console_exposure import answer as exposure_of
from quartermaster.app.console_fan import fan_of
from quartermaster.app.console_what_if import answer as what_if_of
from quartermaster.app.console_what_if import assumptions_of
from quartermaster.app.forecast_book import book_of
from quartermaster.app.owed import ahead, bound, floors_from, terms_of
from quartermaster.console.ports_exposure import Question
from quartermaster.console.ports_what_if import WhatIfQuestion
from quartermaster.exposure.months import month_number, month_text
from quartermaster.exposure.risk_assumptions import Assumptions, CustomerTerms
from quartermaster.exposure.rollup import measure
from quartermaster.kernel.clock import month_named
from quartermaster.revenue.floors import Floor

FIRST = month_number("2025-01")
NOW = month_named("2026-09", "UTC").start + 1


def row(group: str, at: int, minor: int, *charged: live.Charged) -> live.MonthRevenue:
    return live.MonthRevenue(
        contract=f"c-{group}",
        customer=group,
        customer_name=group.title(),
        group=group,
        group_name=group.title(),
        month=month_text(FIRST + at),
        time_zone="UTC",
        currency="USD",
        amount=Decimal(minor) / 100,
        minor=minor,
        requests=1,
        tokens=1,
        unpriced=0,
        charged=charged,
    )


def owed(group: str, first: str, last: str, minor: int) -> live.Owed:
    return live.Owed(f"c-{group}", group, group, "USD", first, last, minor)


YEAR_ENDS = live.Charged("2025-01", "2025-12", 120_007)
OWED = (
    owed("big", "2025-01", "2025-12", 1_200_000),
    owed("big", "2026-01", "2026-08", 800_000),
    owed("big", "2026-09", "2026-12", 1_000_000),
    owed("big", "2027-01", "2027-12", 1_200_000),
    owed("small", "2026-10", "2026-11", 3),
)


@pytest.fixture
def book(tmp_path: Path) -> ShownBook:
    months = range(20)
    rows = [
        row("big", at, 60_000 + (YEAR_ENDS.minor if at == 11 else 0), *[YEAR_ENDS] * (at == 11))
        for at in months
    ]
    rows += [row("small", at, 40_000 + 1_000 * (at % 3)) for at in months]
    live.write(tmp_path, live.LiveBook({"g": 1}, NOW, tuple(rows), owed=OWED))
    found = live_shown(tmp_path)
    assert found is not None
    return found


def test_what_a_year_lacked_is_billed_at_once_and_evened_to_the_last_cent(book: ShownBook) -> None:
    minor = [one.minor for one in book.rows if one.group == "big"]
    assert minor == [60_000] * 11 + [60_000 + YEAR_ENDS.minor] + [60_000] * 8
    steady = [one.steady for one in book.rows if one.group == "big"]
    assert steady[:12] == [70_001] * 7 + [70_000] * 5
    assert steady[12:] == [60_000] * 8
    assert sum(steady) == sum(minor)
    assert {one.contract_end for one in book.rows if one.group == "big"} == {"2027-12"}


def test_floors_are_even_over_their_months_and_never_more_than_is_owed() -> None:
    assert floors_from(OWED, FIRST) == {
        "big": [
            Floor(0, 11, 100_000),
            Floor(12, 19, 100_000),
            Floor(20, 23, 250_000),
            Floor(24, 35, 100_000),
        ],
        "small": [Floor(21, 22, 1)],
    }


def test_what_is_owed_ahead_is_the_rest_of_every_term() -> None:
    assert ahead(OWED, "big", "2026-09") == (2_200_000, 16)
    assert ahead(OWED, "big", "2026-11") == (500_000 + 1_200_000, 14)
    assert ahead(OWED, "big", "2028-01") == (0, 0)
    assert ahead(OWED, "nobody", "2026-09") == (0, 0)
    (terms,) = terms_of(OWED, "2026-09", ["big", "other"])
    assert (terms.group, terms.commitment_per_month, terms.commitment_months) == (
        "big",
        "1375.00",
        16,
    )


def test_what_somebody_states_is_not_overwritten(book: ShownBook) -> None:
    terms = terms_of(OWED, "2026-09", ["big"])
    rate = CustomerTerms(group="big", hazard_per_year=0.5)
    (found,) = bound(Assumptions(customer=(rate,)), terms).customer
    assert (found.hazard_per_year, found.commitment_months) == (0.5, 16)
    stated = CustomerTerms(group="big", commitment_per_month="7", commitment_months=1)
    assert bound(Assumptions(customer=(stated,)), terms).customer == (stated,)


def test_the_forecast_without_a_customer_holds_what_it_still_owes(book: ShownBook) -> None:
    fan = fan_of(book.rows, "big", book.owed)
    assert fan is not None
    # Four months of 2,500 and eight of 1,000: what contracts ask for, whatever usage would be.
    assert fan.owed_minor == 4 * 250_000 + 8 * 100_000
    free = fan_of(book.rows, "big")
    assert free is not None
    assert free.owed_minor == 0
    assert fan.whole_total.minor > free.whole_total.minor
    ahead_book = book_of(book.rows, name="live", steps=3, owed=book.owed)
    assert ahead_book.floors["big"][2] == Floor(20, 23, 250_000)


def test_a_customer_without_months_is_not_forecast_from_its_floor(book: ShownBook) -> None:
    alone = [one for one in book.rows if one.group == "small"]
    assert set(book_of(alone, name="live", steps=3, owed=book.owed).floors) == {"small"}


def test_the_what_if_page_begins_with_what_contracts_say(book: ShownBook) -> None:
    terms = book_terms(book, measure(book.rows, scope="test"))
    assert [(one.group, one.commitment_months) for one in terms] == [("big", 16), ("small", 3)]
    asked = WhatIfQuestion(customer="big")
    found = what_if_of(book, asked, lambda *_: None, simulate=False).asked
    assert (found.owed, found.owed_months) == (Decimal("1375.00"), 16)
    # A reader may say that nothing is owed; commitments of the others stay.
    nothing = msgspec.structs.replace(asked, owed=Decimal(0), owed_months=0)
    free = what_if_of(book, nothing, lambda *_: None, simulate=False).asked
    assumed = assumptions_of(free, largest=True, terms=terms)
    assert [one.group for one in assumed.customer] == ["small"]


@pytest.mark.long
def test_the_loss_is_smaller_by_what_is_owed_anyway(book: ShownBook) -> None:
    pytest.importorskip("numba")
    loss = exposure_of(book, Question()).loss
    plain = exposure_of(msgspec.structs.replace(book, owed=()), Question()).loss
    assert loss is not None
    assert plain is not None
    assert (loss.bound, plain.bound) == (2, 0)
    assert plain.shortfall_minor > loss.shortfall_minor
    found = what_if_of(book, WhatIfQuestion(customer="big"), lambda *_: None)
    assert found.bridge is not None
    assert found.bridge.commitment_minor > 0
