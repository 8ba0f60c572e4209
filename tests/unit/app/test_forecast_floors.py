"""Commitments from rows and from the command line: when they begin, change and end."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from quartermaster.app.console_fan import fan_of
from quartermaster.app.forecast_book import book_of, committed, floors_of
from quartermaster.cli.forecast import command
from quartermaster.exposure.csv_rows import read_csv
from quartermaster.exposure.months import month_number
from quartermaster.exposure.rows import RevenueRow, data_sha256
from quartermaster.kernel.errors import DataError, UsageError
from quartermaster.revenue.floors import Floor

HEADER = "customer,group,month,revenue,currency,product,contract_end,minimum_per_month\n"


def row(customer: str, month: str, end: str = "", least: int = 0, product: str = "") -> RevenueRow:
    return RevenueRow(customer, "G", month, 100, "USD", product, contract_end=end, least=least)


def found(*rows: RevenueRow) -> list[Floor]:
    return floors_of(rows, first=month_number("2024-01")).get("G", [])


def months(offset: int) -> str:
    return f"{2024 + offset // 12}-{offset % 12 + 1:02}"


def test_periods_are_counted_from_the_first_month() -> None:
    first = month_number("2024-01")
    rows = [row("a", "2024-03", "2025-02", 50)]
    assert floors_of(rows, first) == {"G": [Floor(2, 13, 50)]}


def test_a_statement_holds_until_it_ends_or_changes() -> None:
    first = month_number("2024-01")
    rows = [row("a", months(at), "2024-12", 50) for at in range(3)]
    rows += [row("a", months(at), "2025-06", 80) for at in range(3, 5)]
    rows += [row("b", months(0), "2024-06", 7), row("b", months(1))]
    assert floors_of(rows, first) == {"G": [Floor(0, 2, 50), Floor(3, 17, 80), Floor(0, 0, 7)]}


def test_contracts_beside_each_other_add_up_and_repeats_do_not() -> None:
    first = month_number("2024-01")
    rows = [
        row("a", "2024-01", "2024-12", 50, "chat"),
        row("a", "2024-01", "2024-12", 50, "embed"),
        row("a", "2024-01", "2024-06", 20, "images"),
    ]
    assert floors_of(rows, first) == {"G": [Floor(0, 5, 20), Floor(0, 11, 50)]}


def test_an_end_that_has_passed_binds_nothing() -> None:
    assert found(row("a", "2024-05", "2024-04", 50)) == []


def test_the_column_is_read_and_names_its_needs() -> None:
    text = HEADER + "A,,2024-01,100.00,USD,,2024-12,60.00\nB,,2024-01,10,USD,,,\n"
    rows = read_csv(text.encode(), "r.csv")
    assert [one.least for one in rows] == [6_000, 0]
    for bad, why in (
        ("A,,2024-01,1,USD,,,60", "contract_end"),
        ("A,,2024-01,1,USD,,2024-12,-1", "below zero"),
        ("A,,2024-01,1,USD,,2024-12,x", "minimum_per_month"),
    ):
        with pytest.raises(DataError, match=why):
            read_csv((HEADER + bad + "\n").encode(), "r.csv")


def test_rows_without_a_minimum_hash_as_before() -> None:
    plain = RevenueRow("a", "a", "2024-01", 1, "USD")
    assert data_sha256([plain]) != data_sha256([row("a", "2024-01", "2024-12", 5)])
    assert data_sha256([plain]) == data_sha256([RevenueRow("a", "a", "2024-01", 1, "USD", least=0)])


def test_named_commitments_begin_with_the_next_month() -> None:
    book = book_of([row("a", months(at)) for at in range(8)], name="x", steps=3)
    assert committed(book, ["G=1.50:4"]).floors == {"G": [Floor(8, 11, 150)]}
    for bad in ("G=1", "G=1:0", "=1:2", "G=1.555:2", "G=-1:2"):
        with pytest.raises(UsageError):
            committed(book, [bad])


def test_the_command_shows_what_is_owed(tmp_path: Path) -> None:
    lines = [
        f"{name},,{months(at)},{level - at},USD,,{end},{least}"
        for at in range(24)
        for name, level, end, least in (("Big", 900, "2026-06", 850), ("Small", 400, "", ""))
    ]
    file = tmp_path / "revenue.csv"
    file.write_text(HEADER + "\n".join(lines) + "\n")
    run = CliRunner().invoke
    asked = [str(file), "--customer-without", "Big", "--months", "8"]
    done = run(command, [*asked, "--json"])
    assert done.exit_code == 0, done.output
    document = json.loads(done.stdout)
    assert document["commitments"] == [
        {
            "customer": "Big",
            "least_a_month": "850.00",
            "first": "2026-01",
            "last": "2026-06",
            "ends_later": False,
        }
    ]
    assert document["without"]["still_owed"] == "5100.00"
    english = run(command, [*asked, "--commitment", "Small=500:12"]).output
    assert "Big still owes $5.1K under its commitments" in english
    assert "by 2 customers; they add" in english
    german = run(command, [*asked, "--lang", "de"]).output
    assert "schuldet Big aus Zusagen noch" in german


def test_the_fan_of_the_console_says_what_of_it_is_owed() -> None:
    rows = [row("a", months(at), months(30), 60) for at in range(24)]
    rows += [RevenueRow("b", "H", months(at), 90 + at, "USD") for at in range(24)]
    found = fan_of(rows, "G")
    assert found is not None
    assert found.owed_minor == 7 * 60  # months 24 to 30
    others = fan_of(rows, "H")
    assert others is not None
    assert others.owed_minor == 0
