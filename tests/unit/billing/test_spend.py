"""What usage spends of the budgets of its key, its project and its group; nobody else's."""

from quartermaster.billing.spend import Spender, Watched
from quartermaster.kernel.budget import Epoch
from quartermaster.kernel.events import HourlyUsage
from quartermaster.kernel.limit import LimitScope
from quartermaster.kernel.price import Price, PriceBook
from quartermaster.kernel.units import Counts

MONTH = Epoch("2026-11@1", "2026-11", 0, 10**15)


def row(customer: str, project: str, key_id: str) -> HourlyUsage:
    return HourlyUsage(
        customer, "c", 1, "list", project, key_id, "m", "d", "standard", 0, 1, Counts(input=3)
    )


def test_usage_spends_three_budgets_and_those_of_the_key_before() -> None:
    owners: tuple[tuple[LimitScope, str], ...] = (
        ("key", "key_old"), ("key", "key_1"), ("project", "acme/search"), ("group", "grp"),
        ("project", "acme/default"), ("project", "globex/search"), ("group", "other"),
    )  # fmt: skip
    watched = [Watched(scope, name, MONTH) for scope, name in owners]
    prices = {"list": (PriceBook("list", 1, "USD", 0, (Price("m", "input", "1"),)),)}
    spender = Spender(watched, {"acme": "grp"}, prices, {"key_1": ("key_old",)})
    used = row("acme", "search", "key_1")
    spent = spender.spending([("gateway-0", 4, used)])
    assert [one.name[0] for one in spent] == [
        "key:key_1", "key:key_old", "project:acme/search", "group:grp",
    ]  # fmt: skip
    assert {one.picos for one in spent} == {3_000_000}
    rows = [used, row("globex", "search", "key_9")]
    totals = {(one.scope, one.name): spender.total(one, rows) for one in watched}
    assert totals["project", "acme/search"] == totals["project", "globex/search"] == 3_000_000
    assert totals["project", "acme/default"] == totals["group", "other"] == 0
