"""The capacity page over the sample and over a metered fleet: sums, margins, payback, refusals."""

import csv
import io
import json
import re
from decimal import Decimal
from fractions import Fraction
from pathlib import Path

import pytest
from starlette.testclient import TestClient
from tests.unit.console.console_fakes import NOW
from tests.unit.console.what_if_fakes import FakeWhatIf, reader_of

from quartermaster.app.console_capacity import Given, ShownCapacity, answer, sample_window
from quartermaster.capacity.demand import HourTokens
from quartermaster.capacity.fleet import Fleet, parse_fleet
from quartermaster.console.capacity_tables import COLUMNS, TABLES
from quartermaster.console.format import LANGS
from quartermaster.console.ports import Bilingual
from quartermaster.console.ports_capacity import (
    CapacityFacts,
    CapacityMissing,
    CapacityQuestion,
)
from quartermaster.kernel.clock import US_PER_HOUR, month_named
from quartermaster.kernel.errors import DataError

EXAMPLES = Path(__file__).resolve().parents[3] / "examples"
HOSTILE = "<script>alert(1)</script>"
FIRST = 1_709_251_200_000_000  # 2024-03-01 00:00 UTC


def fleet() -> Fleet:
    return parse_fleet((EXAMPLES / "fleet-sample.toml").read_bytes(), "fleet-sample.toml")


def given(
    customers: dict[str, int],
    *,
    groups: dict[str, str] | None = None,
    unpriced: int = 0,
    whole: bool = True,
    paid: dict[str, int] | None = None,
) -> Given:
    """A day on the example's fleet; amounts are thousands of requests an hour."""
    rows = tuple(
        HourTokens(
            hour=FIRST + hour * US_PER_HOUR,
            customer=customer,
            model="sample-70b",
            prefill_tokens=thousands * 1_000_000,
            decode_tokens=thousands * 300_000,
            requests=thousands * 1_000,
        )
        for hour in range(24)
        for customer, thousands in customers.items()
    )
    return Given(
        sample=False,
        fleet=fleet(),
        fleet_sha256="cd" * 32,
        rows=rows,
        paid={name: thousands * 10_000 for name, thousands in customers.items()}
        if paid is None
        else paid,
        groups=groups or {},
        names={"grp_1": "Big group"},
        month="2024-03",
        months=("2024-03", "2024-02"),
        span=(FIRST, 24),
        whole_month=whole,
        unpriced=unpriced,
        origin=Bilingual("Stand gw-0:3", "cut gw-0:3"),
        version="1",
    )


def shown(found: Given | CapacityMissing) -> TestClient:
    return reader_of(FakeWhatIf(None), ShownCapacity(lambda _month, _now: found))


@pytest.fixture(scope="module")
def sample() -> TestClient:
    return reader_of(FakeWhatIf(None), ShownCapacity(sample_window))


def page(client: TestClient, path: str = "/capacity", **headers: str) -> str:
    found = client.get(path, headers=headers)
    assert found.status_code == 200, found.text
    return found.text


def section(html: str, heading: str) -> str:
    return html.split(f'aria-labelledby="{heading}"')[1].split("</section>")[0]


def facts(found: Given, question: CapacityQuestion | None = None) -> CapacityFacts:
    return answer(found, question or CapacityQuestion())


def test_the_sample_says_so_in_every_part(sample: TestClient) -> None:
    html = page(sample)
    for heading in ("hours-title", "customers-title", "batch-title", "payback-title"):
        part = section(html, heading)
        assert '<span class="badge sample">' in part
        for table in part.split("<table>")[1:]:
            assert "Sample" in table.split("</caption>")[0]
    assert html.count("<figcaption>Sample data. ") == 2
    assert "Without ByteDance 27.0% would be stranded" in html
    assert "[capacity]" in section(html, "describe-title")


def test_it_adds_up_to_the_cent_with_and_without(sample: TestClient) -> None:
    rows = list(csv.DictReader(io.StringIO(sample.get("/capacity?format=csv&table=uses").text)))
    whole = [row for row in rows if not row["without"]]
    gone = [row for row in rows if row["without"] == "ByteDance"]
    cost = sum(Decimal(row["cost"]) for row in whole)
    assert cost == sum(Decimal(row["cost"]) for row in gone)
    text = re.search(r"To the cent: (.*?) = (.*?)\.</p>", page(sample))
    assert text is not None
    parts = [Decimal(part.strip("$").replace(",", "")) for part in text[1].split(" + ")]
    assert sum(parts) == Decimal(text[2].strip("$").replace(",", "")) == cost
    stranded = {row["use"]: Decimal(row["gpu_hours"]) for row in gone}["stranded"]
    assert stranded > {row["use"]: Decimal(row["gpu_hours"]) for row in whole}["stranded"]


def test_margins_are_revenue_less_what_was_used_and_kept(sample: TestClient) -> None:
    rows = list(
        csv.DictReader(io.StringIO(sample.get("/capacity?format=csv&table=customers").text))
    )
    assert len(rows) == 77  # entities of one group are one customer
    for row in rows:
        cost = Decimal(row["cost"]) + Decimal(row["reserved_idle_cost"])
        assert Decimal(row["margin"]) == Decimal(row["revenue"]) - cost
    assert rows[0]["customer"] == "ByteDance"
    assert Decimal(rows[0]["revenue"]) == Decimal("20000000.00")


def test_json_holds_both_statements(sample: TestClient) -> None:
    body = json.loads(sample.get("/capacity?format=json").content)
    assert (body["schema"], body["sample"]) == ("capacity/1", True)
    assert set(TABLES) <= set(body)
    assert body["asked"]["customer"] == "ByteDance"
    assert body["with"]["cost"] == body["without"]["cost"]
    answer_ = sample.get("/capacity?format=csv&table=batches")
    found = list(csv.DictReader(io.StringIO(answer_.text)))
    assert tuple(found[0]) == COLUMNS["batches"]
    costs = [Decimal(row["blended_per_million"]) for row in found if row["pool"] == "h100-owned"]
    assert costs == sorted(costs, reverse=True)


def test_entities_of_a_group_leave_together() -> None:
    found = facts(given({"a": 10, "b": 5, "c": 20}, groups={"a": "grp_1", "b": "grp_1"}))
    assert found.choices == (("TikTok", "TikTok"), ("c", "c"), ("grp_1", "Big group"))
    asked = facts(
        given({"a": 10, "b": 5, "c": 20}, groups={"a": "grp_1", "b": "grp_1"}),
        CapacityQuestion(customer="grp_1", contribution=Decimal("0.5")),
    )
    assert {line.customer for line in asked.after.customers} == {"c", "TikTok"}
    assert asked.revenue_minor == 350_000
    assert asked.payback is not None
    assert asked.payback.loss.share * 35 == 15


def test_a_reservation_of_an_entity_is_its_groups() -> None:
    found = facts(
        given({"a": 10}, groups={"a": "grp_1", "TikTok": "grp_1"}),
        CapacityQuestion(customer="grp_1"),
    )
    assert [line.customer for line in found.before.customers] == ["grp_1"]
    assert found.before.reserved_idle_minor > 0
    assert found.after.reserved_idle_minor == 0


def test_backfill_takes_from_what_is_stranded() -> None:
    stranded = [
        facts(
            given({"a": 30, "b": 30}), CapacityQuestion(customer="a", backfill_percent=percent)
        ).after.money.stranded
        for percent in (0, 50, 100)
    ]
    assert stranded[0] > stranded[1] > stranded[2]
    html = page(shown(given({"a": 30, "b": 30})), "/capacity?customer=a&backfill=50")
    assert "with 50% of its use taken by others" in html
    assert "taken by others" in section(html, "hours-title")


def test_payback_is_of_the_window_or_as_the_reader_says() -> None:
    client = shown(given({"a": 30, "b": 70}))
    derived = section(page(client), "payback-title")
    assert "revenue less lease and power" in derived
    chosen = section(page(client, "/capacity?contribution=30%25&customer=b"), "payback-title")
    assert "is the one in the address" in chosen
    assert "of which 30.0% is left" in chosen
    rows = re.findall(r'<th scope="row">(\d+%)</th><td class="num">(.*?)</td>', chosen)
    assert [part for part, _ in rows] == ["0%", "25%", "50%", "75%", "100%"]
    # 70 % of revenue lost without backfill: months over 0.3.
    found = facts(
        given({"a": 30, "b": 70}), CapacityQuestion(customer="b", contribution=Decimal("0.3"))
    )
    assert found.payback is not None
    assert found.payback.loss.share == Fraction(7, 10)
    assert found.payback.plan.contribution == Fraction(3, 10)


def test_no_revenue_has_no_payback_and_is_named() -> None:
    html = page(shown(given({"a": 30, "b": 70}, paid={})))
    assert "No payback can be shown" in html
    assert "a: demand, but no revenue" in section(html, "hours-title")
    german = page(shown(given({"a": 30}, paid={})), **{"accept-language": "de"})
    assert "a: Nutzung, aber kein Umsatz" in german


def test_what_is_missing_is_said() -> None:
    html = page(shown(given({"a": 30}, unpriced=3, whole=False)))
    assert "3 quantities have no price" in html
    assert "The month is still open" in html
    assert "Sample" not in html


@pytest.mark.parametrize("lang", LANGS)
@pytest.mark.parametrize("reason", ["not_configured", "no_demand"])
def test_nothing_to_show_says_what_to_do(lang: str, reason: str) -> None:
    client = shown(CapacityMissing(reason=reason))
    html = page(client, **{"accept-language": lang})
    assert ("[capacity]" in html) == (reason == "not_configured")
    assert json.loads(client.get("/capacity?format=json").content)["uses"] == []


def test_a_fleet_that_cannot_be_used_is_a_refusal() -> None:
    def broken(month: str, now: object) -> Given:
        raise DataError("fleet.toml: 2 problems", hint="docs/reference/capacity-input.md")

    client = reader_of(FakeWhatIf(None), ShownCapacity(broken))
    found = client.get("/capacity")
    assert found.status_code == 400
    assert "fleet.toml: 2 problems" in found.text


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("backfill=101", "backfill"),
        ("backfill=0.5", "backfill"),
        ("contribution=0", "contribution"),
        ("contribution=1.5", "contribution"),
        ("contribution=nan", "contribution"),
        ("month=March", "month"),
        ("month=2023-01", "month"),
        ("customer=nobody", "customer"),
        ("custmer=a", "custmer"),
    ],
)
@pytest.mark.parametrize("lang", LANGS)
def test_what_cannot_be_asked_is_refused_by_name(
    sample: TestClient, query: str, field: str, lang: str
) -> None:
    found = sample.get(f"/capacity?{query}&lang={lang}")
    assert found.status_code == 400
    assert field in found.text.split("<main")[1]


def test_hostile_names_stay_text() -> None:
    html = page(shown(given({HOSTILE: 30, "b": 70})))
    assert "<script>alert" not in html
    assert "&lt;script&gt;alert" in html


def test_an_answer_is_kept_until_the_window_changes() -> None:
    asked: list[str] = []

    def source(month: str, now: object) -> Given:
        asked.append(month)
        return given({"a": 30})

    capacity = ShownCapacity(source)
    first = capacity.capacity(CapacityQuestion(), NOW)
    assert capacity.capacity(CapacityQuestion(), NOW) is first
    assert capacity.capacity(CapacityQuestion(backfill_percent=10), NOW) is not first
    assert len(asked) == 3


def test_a_year_that_no_calendar_has_is_refused_as_a_month() -> None:
    def source(month: str, _now: object) -> CapacityMissing:
        month_named(month, "UTC")
        return CapacityMissing(reason="no_demand")

    reader = reader_of(FakeWhatIf(None), ShownCapacity(source))
    refused = reader.get("/capacity?month=0000-01", headers={"accept-language": "de"})
    assert refused.status_code == 400
    assert "month: Für „0000-01“ gibt es nichts." in refused.text
