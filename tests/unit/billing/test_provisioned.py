"""Provisioned units: hours as UTC durations, zero prices for what runs on them, no cent twice."""

from contextlib import closing
from decimal import Decimal
from pathlib import Path

import msgspec
import pytest

from quartermaster.billing.contract_file import provisioned as load
from quartermaster.billing.document import as_text
from quartermaster.billing.invoice import Invoice
from quartermaster.billing.provisioned import with_provisioned
from quartermaster.billing.rate import Rated, rate
from quartermaster.book.store import open_book
from quartermaster.commands import contract as contracts
from quartermaster.commands import invoice as invoices
from quartermaster.commands import price_book as price_books
from quartermaster.commands.actor import OPERATOR
from quartermaster.commands.customer import add_customer
from quartermaster.commands.invoice import UsageAtCut
from quartermaster.commands.publish import build_snapshot
from quartermaster.kernel.clock import US_PER_HOUR, Instant, Period, month
from quartermaster.kernel.contract import Contract, Customer, PtuLine
from quartermaster.kernel.errors import DataError, NotFoundError, UsageError
from quartermaster.kernel.events import HourlyUsage
from quartermaster.kernel.price import Price, PriceBook
from quartermaster.kernel.units import Counts, ServiceClass

NEW_YORK = "America/New_York"
MARCH = month(2024, 3, NEW_YORK)
YEAR = (month(2024, 1, NEW_YORK).start, month(2025, 1, NEW_YORK).start)
LINE = PtuLine("m", "eastus", 100, *YEAR, "2.00", input_tokens_per_minute=2_500, output_weight=3)
CONTRACT = Contract("c", 1, "acme", "list", "USD", NEW_YORK, YEAR[0], ptu_lines=(LINE,))
PRICES = tuple(Price("m", axis, "1") for axis in ("input", "output"))
LIST = PriceBook("list", 1, "USD", 0, PRICES)


def hours_of(*versions: Contract, period: Period = MARCH) -> dict[str, int]:
    lines = with_provisioned(Rated((), ()), versions, period).lines
    return {line.price: line.quantity for line in lines}


def usage(service_class: ServiceClass, hour: int = MARCH.start) -> HourlyUsage:
    counts = Counts(input=1_000_000, output=1_000_000)
    return HourlyUsage(
        "acme", "c", 1, "list", "default", "k", "m", "d", service_class, hour, 1, counts
    )  # fmt: skip


def test_the_month_of_a_daylight_saving_change_has_its_own_number_of_hours() -> None:
    assert hours_of(CONTRACT) == {"2.00": 100 * 743}
    november = month(2024, 11, NEW_YORK)
    assert hours_of(CONTRACT, period=november) == {"2.00": 100 * 721}
    assert hours_of(CONTRACT, period=month(2024, 4, NEW_YORK)) == {"2.00": 100 * 720}
    assert hours_of(CONTRACT, period=month(2025, 1, NEW_YORK)) == {}


def test_units_count_from_their_first_to_their_last_hour_and_within_their_contract() -> None:
    day = 24 * US_PER_HOUR
    line = msgspec.structs.replace(LINE, start=MARCH.start + day, end=MARCH.start + 3 * day)
    assert hours_of(msgspec.structs.replace(CONTRACT, ptu_lines=(line,))) == {"2.00": 100 * 48}
    ended = msgspec.structs.replace(CONTRACT, end=MARCH.start + 2 * day)
    assert hours_of(ended) == {"2.00": 100 * 48}


def test_a_resize_is_a_version_and_each_hour_is_owed_once() -> None:
    later = MARCH.start + 10 * US_PER_HOUR
    half = msgspec.structs.replace(LINE, units=50)
    second = msgspec.structs.replace(CONTRACT, version=2, valid_from=later, ptu_lines=(half,))
    assert hours_of(CONTRACT, second) == {"2.00": 100 * 10 + 50 * 733}
    over = msgspec.structs.replace(second, ptu_lines=(half, msgspec.structs.replace(
        half, price_per_ptu_hour="1.10")))  # fmt: skip
    assert hours_of(CONTRACT, over) == {"2.00": 1_000 + 50 * 733, "1.10": 50 * 733}


def test_what_runs_on_units_costs_nothing_more_and_what_spills_costs_as_usual() -> None:
    rated = rate([usage("provisioned"), usage("standard")], [CONTRACT], [LIST])
    amounts = {(line.service_class, line.axis): line.amount for line in rated.lines}
    assert amounts == {
        ("provisioned", "input"): 0,
        ("provisioned", "output"): 0,
        ("standard", "input"): Decimal(1),
        ("standard", "output"): Decimal(1),
    }
    assert rated.unpriced == ()


def test_provisioned_usage_without_units_waits_for_a_price() -> None:
    rated = rate([usage("provisioned", YEAR[1])], [CONTRACT], [LIST])
    assert rated.lines == ()
    assert {entry.axis for entry in rated.unpriced} == {"input", "output"}


def signed(tmp_path: Path, line: PtuLine, *more: PtuLine) -> Invoice:
    with closing(open_book(f"sqlite:///{tmp_path}/book.sqlite")) as book:
        now = Instant(MARCH.start)
        add_customer(book, OPERATOR, Customer("acme", "ACME", "acme"), now)
        price_books.publish(book, OPERATOR, LIST, now)
        contract = msgspec.structs.replace(CONTRACT, ptu_lines=(line, *more))
        contracts.sign(book, OPERATOR, contract, now)
        hourly = [usage("provisioned"), usage("standard")]

        def draft(segment: int) -> Invoice:
            return invoices.draft(
                book,
                OPERATOR,
                contract="c",
                period="2024-03",
                read=lambda _, span: UsageAtCut({"g": segment}, span, hourly),
                now=Instant(MARCH.end),
            )

        drafted, again = draft(1), draft(2)
        assert again.lines_sha256 == drafted.lines_sha256
        with book.reading() as unit:
            unit.verify()
        assert build_snapshot(book.view(), now, 1).keys == ()
        return drafted


def test_a_draft_holds_the_hours_the_usage_on_them_and_what_spilled(tmp_path: Path) -> None:
    drafted = signed(tmp_path, LINE)
    assert drafted.total_minor == 100 * 743 * 200 + 200
    assert [line.number for line in drafted.lines] == [1, 2, 3, 4, 5]
    text = as_text(drafted)
    assert "ptu_hour" in text
    assert "74,300" in text
    assert "148600.00" in text


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"units": 0}, "units"),
        ({"start": YEAR[0] + 1}, "start"),
        ({"end": YEAR[0]}, "start"),
        ({"price_per_ptu_hour": "-1"}, "price_per_ptu_hour"),
        ({"reserved_units": 5}, "reserved_units"),
        ({"input_tokens_per_minute": 0}, "input_tokens_per_minute"),
        ({"output_weight": 0}, "output_weight"),
        ({"model": ""}, "model"),
    ],
)
def test_units_that_cannot_be_billed_or_served_are_not_signed(
    tmp_path: Path, fields: dict[str, object], field: str
) -> None:
    with pytest.raises(UsageError) as refused:
        signed(tmp_path, msgspec.convert({**msgspec.to_builtins(LINE), **fields}, PtuLine))
    assert refused.value.field == f"ptu_lines.{field}"


def test_units_are_not_held_for_a_deployment_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(NotFoundError, match="no deployment"):
        signed(tmp_path, msgspec.structs.replace(LINE, deployment="nowhere"))


def test_lines_that_overlap_agree_on_everything_but_units_and_price(tmp_path: Path) -> None:
    other = msgspec.structs.replace(LINE, output_weight=4)
    with pytest.raises(UsageError, match="overlap"):
        signed(tmp_path, LINE, other)
    more = msgspec.structs.replace(LINE, units=50, price_per_ptu_hour="1.00")
    assert len(signed(tmp_path, LINE, more).lines) == 6


FILE = b"""
[[provisioned]]
model = "m"
region = "eastus"
units = 100
start = 2026-12-01T00:00:00Z
end = 2027-12-01T00:00:00Z
price_per_ptu_hour = "2.00"
input_tokens_per_minute = 2500
output_weight = 4
spillover = true
"""


def test_units_are_read_from_a_file_and_bad_lines_are_named() -> None:
    (line,) = load(FILE, "units.toml")
    assert (line.units, line.end - line.start) == (100, 365 * 24 * US_PER_HOUR)
    assert line.spillover
    for bad in (b"", FILE.replace(b"100", b'"many"'), FILE + b"colour = 1\n", FILE + b"[x]\n"):
        with pytest.raises(DataError, match=r"units\.toml"):
            load(bad, "units.toml")
