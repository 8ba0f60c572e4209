"""Exchange rates and revenue by month over the API: what the command line tells, and who may."""

from decimal import Decimal
from pathlib import Path

from tests.unit.api.api_world import World

from quartermaster.api.operation import PREFIX
from quartermaster.app import live

RATE = {"base": "EUR", "quote": "USD", "rate": "1.08", "on": "2026-01-01", "source": "bank"}


def test_a_rate_is_recorded_once_and_listed(world: World) -> None:
    finance, viewer = world.client("finance"), world.client("viewer")
    assert viewer.post(f"{PREFIX}/rates", json=RATE).status_code == 403
    for new in (True, False):
        answer = finance.post(f"{PREFIX}/rates", json=RATE)
        assert (answer.status_code, answer.json()) == (200, {"rate": RATE, "new": new})
    later = RATE | {"on": "2026-02-01", "rate": "1.10"}
    assert finance.post(f"{PREFIX}/rates", json=later).status_code == 200
    first = viewer.get(f"{PREFIX}/rates?limit=1").json()
    assert first["items"] == [later]
    rest = viewer.get(f"{PREFIX}/rates", params={"after": first["next"]}).json()
    assert rest == {"items": [RATE], "next": None}
    assert world.client("acme").get(f"{PREFIX}/rates").status_code == 403


def test_what_is_no_rate_or_turns_a_pair_round_is_refused(world: World) -> None:
    finance = world.client("finance")
    finance.post(f"{PREFIX}/rates", json=RATE)
    for wrong, status in (
        ({"rate": "0"}, 400),
        ({"rate": 1.08}, 400),
        ({"quote": "EUR"}, 400),
        ({"on": "9000-01-01"}, 400),
        ({"base": "USD", "quote": "EUR"}, 409),
    ):
        assert finance.post(f"{PREFIX}/rates", json=RATE | wrong).status_code == status
    assert len(world.book.view().rates) == 1


def test_revenue_is_there_once_something_was_rated(world: World, tmp_path: Path) -> None:
    viewer = world.client("viewer")
    assert viewer.get(f"{PREFIX}/revenue").status_code == 404
    row = live.MonthRevenue(
        contract="acme-1",
        customer="acme",
        customer_name="Acme",
        group="acme",
        group_name="Acme",
        month="2026-10",
        time_zone="UTC",
        currency="USD",
        amount=Decimal(10),
        minor=10_00,
        requests=1,
        tokens=1,
        unpriced=0,
    )
    live.write(tmp_path, live.LiveBook({"g": 1}, 1_800_000_000_000_000, (row,)))
    told = viewer.get(f"{PREFIX}/revenue").json()
    assert (told["currency"], told["totals"]) == (
        "USD",
        [{"month": "2026-10", "used": "10.00", "shortfall": "0.00", "billed": "10.00"}],
    )
    asked = viewer.get(f"{PREFIX}/revenue?currency=EUR").json()
    assert (asked["totals"], list(asked["left_out"])) == ([], ["USD"])
    assert viewer.get(f"{PREFIX}/revenue?currency=euro").status_code == 400
