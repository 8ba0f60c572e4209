"""Pages of usage and drafts: whole and in order, whatever is metered between two of them."""

from pathlib import Path
from typing import Any

import msgspec
import pytest
from tests.unit.api.api_world import CUT, NOVEMBER, NOW, FakeUsage, World

from quartermaster.api.operation import PREFIX
from quartermaster.commands import contract as contracts
from quartermaster.commands import invoice as invoices
from quartermaster.commands.actor import OPERATOR
from quartermaster.kernel.clock import US_PER_HOUR
from quartermaster.kernel.contract import Contract
from quartermaster.kernel.events import Cut, HourlyUsage


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


def pages(world: World, who: str, path: str, **asked: Any) -> list[list[dict[str, Any]]]:
    """All pages of a list, as a program asks for them."""
    found, after = [], ""
    while True:
        answer = world.client(who).get(f"{PREFIX}{path}", params={**asked, "after": after})
        assert answer.status_code == 200, answer.text
        body = answer.json()
        found.append(body["items"])
        if body["next"] is None:
            return found
        after = body["next"]


def test_a_customer_sees_one_row_an_hour_wherever_it_was_served(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two rows alike told how the seller spreads its load."""
    rows = FakeUsage.hourly

    def twice(usage: FakeUsage, *given: Any, **named: Any) -> list[HourlyUsage]:
        found = rows(usage, *given, **named)
        other = [msgspec.structs.replace(row, deployment="e") for row in found]
        return [*found, *other]

    monkeypatch.setattr(FakeUsage, "hourly", twice)
    own = pages(world, "acme", "/usage/hourly", period="2026-11", limit=2)
    assert [len(page) for page in own] == [2, 1]
    hours = [row for page in own for row in page]
    assert len({row["hour"] for row in hours}) == 3
    assert {(row["requests"], row["counts"]["output"]) for row in hours} == {(10, 4_000_000)}
    staff = pages(world, "finance", "/usage/hourly", period="2026-11")
    assert [row["deployment"] for row in staff[0]].count("e") == 6


def test_drafts_go_on_where_they_were_though_one_is_drafted_anew(world: World) -> None:
    """The cursor was a draft's id, which late usage changes: the next page was refused."""
    for number in range(2, 5):
        agreed = Contract(f"acme-{number}", 1, "acme", "list", "USD", "UTC", NOVEMBER.start)
        contracts.sign(world.book, OPERATOR, agreed, NOW)
        drafted(world, agreed.id, CUT)
    client = world.client("acme")
    first = client.get(f"{PREFIX}/invoices", params={"limit": 2}).json()
    assert [draft["contract"] for draft in first["items"]] == ["acme-1", "acme-2"]
    drafted(world, "acme-2", {"gateway-0": 5})
    rest = client.get(f"{PREFIX}/invoices", params={"after": first["next"]}).json()
    assert [draft["contract"] for draft in rest["items"]] == ["acme-3", "acme-4"]
    assert rest["next"] is None


def drafted(world: World, contract: str, cut: Cut) -> None:
    """A draft of the month at a cut; a later one has an hour more."""
    row = FakeUsage(world.book).hourly(CUT, customer="acme", period=NOVEMBER)[0]
    rows = [
        msgspec.structs.replace(row, contract=contract, hour=row.hour + number * US_PER_HOUR)
        for number in range(cut["gateway-0"])
    ]
    invoices.draft(
        world.book,
        OPERATOR,
        contract=contract,
        period="2026-11",
        read=lambda _, span: invoices.UsageAtCut(cut, span, rows),
        now=NOW,
    )
