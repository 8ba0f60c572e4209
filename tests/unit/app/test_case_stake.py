"""What hangs on a group: by currency, never added, and by exposure's own figures of leaving."""

from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path

import msgspec
import pytest
from tests.unit.conduct.case_made_up import DAY, HARVEST

from quartermaster.app import live
from quartermaster.app.case_stake import SETTING_WEIGHT, stake
from quartermaster.app.rooms import Rooms
from quartermaster.commands import case as cases
from quartermaster.commands.actor import CLERK, OPERATOR, Actor
from quartermaster.commands.customer import add_customer
from quartermaster.conduct.cases_settings import CaseSettings
from quartermaster.conduct.expected_cost import expected_cost
from quartermaster.config import Settings
from quartermaster.kernel.case import CaseEvidence, CaseOpened, MoveAsked
from quartermaster.kernel.clock import Instant, month_named
from quartermaster.kernel.contract import Customer
from quartermaster.kernel.errors import NotAllowedError
from quartermaster.kernel.events import (
    CustomerStated,
    ProbabilitiesStated,
    StatementsResolved,
    UserAdded,
)

MONTH = month_named("2024-10", "UTC")
FOUND = CaseEvidence(findings=(HARVEST,), even_chance=0.9)
ADA, BOB = Actor("usr_ada", ("trust",)), Actor("usr_bob", ("trust",))


class At(Rooms):
    """Rooms with a clock of their own, at the end of a whole month."""

    at = MONTH.end

    def now(self) -> Instant:
        return Instant(self.at)


@pytest.fixture
def rooms(tmp_path: Path) -> Iterator[At]:
    rooms = At(Settings(var=str(tmp_path)))
    for name in ("acme", "other", "third"):
        add_customer(rooms.book, OPERATOR, Customer(name, name.upper(), name), rooms.now())
    for actor in (ADA, BOB):
        fact = UserAdded(user=actor.id, name=actor.id, roles=actor.roles)
        rooms.book.append(fact, actor=actor, now=rooms.now())
    yield rooms
    rooms.book.close()


def rated(contract: str, currency: str, minor: int, requests: int) -> live.MonthRevenue:
    return live.MonthRevenue(
        contract, "acme", "ACME", "acme", "ACME", "2024-10", "UTC", currency, Decimal(minor) / 100,
        minor, requests, 1_000, 0,
    )  # fmt: skip


def test_no_currency_is_dropped_and_none_is_added_to_another(rooms: At, tmp_path: Path) -> None:
    rows = (rated("c", "USD", 1_000, 50), rated("d", "JPY", 900_000, 20), rated("e", "EUR", 7, 1))
    live.write(tmp_path, live.LiveBook({}, rooms.now(), rows))
    held = stake(rooms, "acme", FOUND)
    assert held is not None
    # The one of most requests stands first, not the one with the largest number of minor units.
    assert (held.currency, held.revenue_a_year_minor) == ("USD", 12_000)
    assert [(one.currency, one.revenue_a_year_minor) for one in held.others] == [
        ("EUR", 84),
        ("JPY", 10_800_000),
    ]
    assert held.months == ("2024-10", "2024-10")
    cost = expected_cost(held)
    assert [one.currency for one in cost.elsewhere] == ["EUR", "JPY"]


def test_who_pays_in_another_currency_is_never_suspended_by_itself(
    rooms: At, tmp_path: Path
) -> None:
    settings = CaseSettings(automatic_suspend_minor_max=10**9, automatic_suspend_currency="USD")
    rules = cases.Rules(settings=settings, sign_off_share=Decimal("0.1"))
    clerk = Actor(CLERK.id, ("trust",))
    for rows in (
        (rated("c", "EUR", 10, 1),),
        (rated("c", "USD", 10, 2), rated("d", "EUR", 10, 1)),
    ):
        live.write(tmp_path, live.LiveBook({}, rooms.now(), rows))
        held = stake(rooms, "acme", FOUND)
        opening = CaseOpened(group="acme", reason="an alarm", evidence=FOUND, stake=held)
        case = cases.open_case(rooms.book, ADA, opening, rooms.now())
        asked = MoveAsked(move="suspend", reason="cost", urgent=True)
        with pytest.raises(NotAllowedError, match="operator's limit"):
            cases.move(rooms.book, clerk, case.id, asked, rooms.now(), rules)
        done = MoveAsked(move="dismiss", reason="a test")
        cases.move(rooms.book, ADA, case.id, done, rooms.now(), rules)


def test_usage_without_a_price_makes_nobody_small(rooms: At, tmp_path: Path) -> None:
    rows = (rated("c", "USD", 10, 1), rated("d", "USD", 0, 1))
    settings = CaseSettings(automatic_suspend_minor_max=10**9)
    rules = cases.Rules(settings=settings, sign_off_share=Decimal("0.1"))
    clerk = Actor(CLERK.id, ("trust",))
    for unpriced, waits in ((0, False), (5_000, True)):
        known = (rows[0], msgspec.structs.replace(rows[1], unpriced=unpriced))
        live.write(tmp_path, live.LiveBook({}, rooms.now(), known))
        held = stake(rooms, "acme", FOUND)
        assert held is not None
        assert held.unpriced == unpriced
        # One person is enough for a small customer, where the costs speak for it.
        held = msgspec.structs.replace(held, share=0.001, harvested_minor=10**9)
        opening = CaseOpened(group="acme", reason="an alarm", evidence=FOUND, stake=held)
        case = cases.open_case(rooms.book, ADA, opening, rooms.now())
        warn = MoveAsked(move="warn", reason="evidence")
        for move in (MoveAsked(move="inform", reason="please tell us"), warn):
            rooms.at = Instant(rooms.at + 15 * DAY)
            case = cases.move(rooms.book, ADA, case.id, move, rooms.now(), rules)
        assert (case.pending is not None) == waits
        asked = MoveAsked(move="suspend", reason="cost", urgent=True)
        if waits:
            with pytest.raises(NotAllowedError, match="operator's limit"):
                cases.move(rooms.book, clerk, case.id, asked, rooms.now(), rules)
        else:
            case = cases.move(rooms.book, clerk, case.id, asked, rooms.now(), rules)
            assert case.state == "suspended"
        done = MoveAsked(move="dismiss" if waits else "reinstate", reason="a test")
        cases.move(rooms.book, ADA, case.id, done, rooms.now(), rules)


def test_leaving_is_what_exposure_stated_last(rooms: At, tmp_path: Path) -> None:
    live.write(tmp_path, live.LiveBook({}, rooms.now(), (rated("c", "USD", 1_000, 50),)))
    held = stake(rooms, "acme", FOUND)
    assert held is not None
    assert (held.leaves_anyway, held.leaves_stated_on) == (0.0, "")
    for on, chance in (("2024-10-06", 0.1), ("2024-10-13", 0.25)):
        said = (CustomerStated("acme", chance, 1.0), CustomerStated("other", 0.9, 1.0))
        fact = ProbabilitiesStated(event="halved_in_a_year", on=on, customers=said, cut={})
        rooms.book.append(fact, actor=CLERK, now=rooms.now(), key=f"stated:{fact.event}:{on}")
    known = stake(rooms, "acme", FOUND)
    assert known is not None
    assert (known.leaves_anyway, known.leaves_stated_on) == (0.25, "2024-10-13")
    before, after = (expected_cost(one).of("suspend") for one in (held, known))
    assert before is not None
    assert after is not None
    assert after.wrong_minor < before.wrong_minor


def suspended_and_reinstated(rooms: At, group: str) -> None:
    rules = cases.Rules(settings=CaseSettings(), sign_off_share=Decimal("0.1"))
    opening = CaseOpened(group=group, reason="an alarm", evidence=FOUND)
    case = cases.open_case(rooms.book, ADA, opening, rooms.now())
    suspend = MoveAsked(move="suspend", reason="now", urgent=True)
    cases.move(rooms.book, ADA, case.id, suspend, rooms.now(), rules)
    cases.sign(rooms.book, BOB, case.id, 2, rooms.now(), rules)
    rooms.at = Instant(rooms.at + DAY)
    cases.move(
        rooms.book, ADA, case.id, MoveAsked(move="reinstate", reason="wrong"), rooms.now(), rules
    )


def test_churn_after_a_wrongful_suspension_is_counted_where_it_can_be(
    rooms: At, tmp_path: Path
) -> None:
    live.write(tmp_path, live.LiveBook({}, rooms.now(), (rated("c", "USD", 1_000, 50),)))
    for group in ("other", "third"):
        suspended_and_reinstated(rooms, group)
    setting = CaseSettings().churn_wrongful
    open_still = stake(rooms, "acme", FOUND)
    assert open_still is not None
    assert (open_still.churn_of, open_still.churn_wrongful) == (0, setting)
    # Settled before either was free, then after: the first one after it counts.
    for on, came in (("2024-10-01", ("other",)), ("2024-12-01", ("third",)), ("2024-12-08", ())):
        fact = StatementsResolved(
            event="halved_in_a_quarter", on=on, resolved_on="2025-03-02", came=came,
            stayed=tuple(name for name in ("other", "third") if name not in came),
        )  # fmt: skip
        rooms.book.append(fact, actor=CLERK, now=rooms.now(), key=f"resolved:{fact.event}:{on}")
    held = stake(rooms, "acme", FOUND)
    assert held is not None
    assert (held.churn_left, held.churn_of, held.churn_setting) == (1, 2, setting)
    expected = (1 + SETTING_WEIGHT * setting) / (2 + SETTING_WEIGHT)
    assert held.churn_wrongful == pytest.approx(expected)
    assert msgspec.json.decode(msgspec.json.encode(held), type=type(held)) == held
