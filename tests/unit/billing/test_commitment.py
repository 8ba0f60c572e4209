"""Commitments and credits: what is charged for a floor, when, and what credits take off it."""

from datetime import datetime
from decimal import Decimal
from zoneinfo import ZoneInfo

import msgspec
import pytest

from quartermaster.billing.commitment import shortfalls
from quartermaster.billing.contract_file import commitments
from quartermaster.billing.credit import redeemed
from quartermaster.kernel.case import Credit, CreditGrant
from quartermaster.kernel.clock import as_instant, month
from quartermaster.kernel.commitment import due_in, parts
from quartermaster.kernel.contract import Commitment, Contract, PtuLine
from quartermaster.kernel.errors import CallerError, DataError
from quartermaster.kernel.events import HourlyUsage
from quartermaster.kernel.price import Price, PriceBook
from quartermaster.kernel.units import Counts, ServiceClass

ZONE = "Europe/Berlin"
LIST = PriceBook("list", 1, "USD", 0, (Price("m", "input", "1"), Price("n", "input", "1")))


def at(year: int, number: int, day: int = 1) -> int:
    return as_instant(datetime(year, number, day, tzinfo=ZoneInfo(ZONE)))


def contract(
    *floors: Commitment, version: int = 1, since: int = 0, end: int | None = None
) -> Contract:
    return Contract(
        "c", version, "acme", "list", "USD", ZONE, since or at(2026, 1), end, commitments=floors
    )


def used(
    when: int, dollars: int, *, model: str = "m", service_class: ServiceClass = "standard"
) -> HourlyUsage:
    counts = Counts(input=dollars * 1_000_000)
    return HourlyUsage(
        "acme", "c", 1, "list", "default", "k", model, "d", service_class, when, 1, counts
    )  # fmt: skip


def charged(
    versions: list[Contract], hourly: list[HourlyUsage], year: int, number: int
) -> list[str]:
    found = shortfalls(versions, [LIST], hourly, month(year, number, ZONE))
    return [str(one.amount.normalize()) for one in found]


def test_a_month_is_charged_what_it_lacks_and_nothing_where_it_has_enough() -> None:
    agreed = [contract(Commitment(10_000, at(2026, 1), at(2027, 1)))]
    hourly = [used(at(2026, 2, 3), 30), used(at(2026, 3, 3), 100), used(at(2026, 4, 3), 101)]
    assert charged(agreed, hourly, 2026, 1) == ["1E+2"]
    assert charged(agreed, hourly, 2026, 2) == ["7E+1"]
    assert charged(agreed, hourly, 2026, 3) == []
    assert charged(agreed, hourly, 2026, 4) == []
    assert charged(agreed, hourly, 2027, 1) == []


def test_the_first_and_last_part_are_prorated_by_their_hours() -> None:
    # February 2026 has 672 hours; a floor from the 15th on is owed for half of them.
    agreed = [contract(Commitment(10_000, at(2026, 2, 15), at(2026, 4, 1)))]
    assert charged(agreed, [used(at(2026, 2, 3), 70)], 2026, 2) == ["5E+1"]
    assert charged(agreed, [used(at(2026, 2, 16), 30)], 2026, 2) == ["2E+1"]
    # March lost an hour to the clock change and is whole all the same.
    assert charged(agreed, [], 2026, 3) == ["1E+2"]


def test_a_year_is_trued_up_in_the_month_of_its_anniversary() -> None:
    agreed = [contract(Commitment(120_000, at(2026, 3, 10), at(2028, 3, 10), "year"))]
    hourly = [used(at(2026, 3, 9), 7), used(at(2026, 8, 1), 500), used(at(2027, 3, 11), 40)]
    assert [len(due_in(agreed, month(2027, number, ZONE))) for number in range(1, 13)] == [
        0, 0, 1, *[0] * 9,
    ]  # fmt: skip
    assert charged(agreed, hourly, 2027, 3) == ["7E+2"]
    assert charged(agreed, hourly, 2028, 3) == ["1.16E+3"]


def test_a_commitment_that_a_version_leaves_out_ends_there() -> None:
    floor = Commitment(336_000, at(2026, 1), at(2027, 1), "term")
    going_on = contract(floor, version=2, since=at(2026, 2))
    assert [part.end for part in parts([contract(floor), going_on])] == [at(2027, 1)]
    without = contract(version=3, since=at(2026, 7))
    (part,) = parts([contract(floor), going_on, without])
    assert (part.start, part.end) == (at(2026, 1), at(2026, 7))
    # 181 days less the hour of the clock change, of 365 days: at that part of 3,360.00.
    (found,) = shortfalls([contract(floor), going_on, without], [LIST], [], month(2026, 6, ZONE))
    assert found.floor.quantize(Decimal("0.0001")) == Decimal("1665.8082")
    assert [one.end for one in parts([contract(floor, end=at(2026, 5))])] == [at(2026, 5)]


def test_only_what_the_contract_names_counts() -> None:
    hourly = [
        used(at(2026, 1, 5), 10),
        used(at(2026, 1, 5), 20, model="n"),
        used(at(2026, 1, 6), 40, service_class="batch"),
    ]
    batch = PriceBook(
        "list", 1, "USD", 0, (*LIST.prices, Price("m", "input", "1", service_class="batch"))
    )

    def lacks(floor: Commitment) -> list[Decimal]:
        found = shortfalls([contract(floor)], [batch], hourly, month(2026, 1, ZONE))
        return [one.amount for one in found]

    floor = Commitment(10_000, at(2026, 1), at(2027, 1))
    assert lacks(floor) == [30]
    assert lacks(msgspec.structs.replace(floor, models=("n",))) == [80]
    assert lacks(msgspec.structs.replace(floor, service_classes=("batch",))) == [60]
    both = msgspec.structs.replace(floor, service_classes=("standard",), models=("m",))
    assert lacks(both) == [90]


def test_provisioned_hours_count_as_their_class() -> None:
    line = PtuLine("m", "", 1, at(2026, 1), at(2027, 1), "0.10", input_tokens_per_minute=1)
    floor = Commitment(10_000, at(2026, 1), at(2027, 1))
    agreed = msgspec.structs.replace(contract(floor), ptu_lines=(line,))
    assert charged([agreed], [], 2026, 1) == ["25.6"]
    apart = msgspec.structs.replace(floor, service_classes=("standard",))
    assert charged([msgspec.structs.replace(agreed, commitments=(apart,))], [], 2026, 1) == ["1E+2"]


def grant(case: str, period: str, minor: int) -> CreditGrant:
    return CreditGrant(
        case,
        Credit(
            customer="acme",
            contract="c",
            period=period,
            minor=minor,
            currency="USD",
            held_back_us=1,
            revenue_a_day_minor=1,
            percent=25,
        ),
    )


def test_a_credit_is_redeemed_by_the_next_invoices_and_never_takes_more_than_is_owed() -> None:
    grants = [grant("a", "2026-01", 100), grant("b", "2026-02", 50)]
    months = [("2026-01", 70), ("2026-02", 0), ("2026-03", 40), ("2026-04", 90)]
    found = [
        [(line.case, line.minor, line.left_minor) for line in redeemed(grants, months[:upto])]
        for upto in range(1, 5)
    ]
    assert found == [
        [("a", -70, 30)],
        [],
        [("a", -30, 0), ("b", -10, 40)],
        [("b", -40, 0)],
    ]
    assert [line.number for line in redeemed(grants, months[:3], first_number=7)] == [7, 8]


FLOORS = b"""
[[commitment]]
floor = "10000.50"
per = "year"
start = 2026-12-01
end = 2027-12-01
service_classes = ["standard", "batch"]

[[commitment]]
floor = "1"
start = 2026-12-01T00:00:00Z
end = 2027-01-01T00:00:00Z
service_classes = ["provisioned"]
"""


def test_floors_are_read_in_major_units_and_local_days() -> None:
    first, second = commitments(FLOORS, "floors.toml", currency="USD", time_zone=ZONE)
    assert first == Commitment(1_000_050, at(2026, 12), at(2027, 12), "year", ("standard", "batch"))
    assert (second.per, second.floor_minor, second.start) == ("month", 100, 1_796_083_200_000_000)


@pytest.mark.parametrize(
    ("document", "message"),
    [
        (b"", "holds \\[\\[commitment\\]\\] tables"),
        (b"commitment = [1]", "holds \\[\\[commitment\\]\\] tables"),
        (FLOORS + b"\n[x]\n", "and nothing else"),
        (FLOORS.replace(b'"year"', b'"week"'), "line 1"),
        (FLOORS.replace(b"10000.50", b"1.005"), "more decimals"),
        (FLOORS.replace(b'"1"', b'"ten"'), "line 2: 'ten' is not a decimal number"),
        (FLOORS.replace(b'"1"', b"1.5"), "line 2: a floor is an amount in quotes"),
        (FLOORS.replace(b"27-01-01T00:00:00Z", b"27-01-01T00:00:00"), "line 2: .* time zone"),
        (FLOORS.replace(b"2026-12-01", b"0001-01-01"), "line 1: date value out of range"),
        (FLOORS.replace(b"end = 2027-12-01\n", b""), "missing required field `end`"),
    ],
)
def test_a_document_of_floors_is_read_as_a_whole_or_not_at_all(
    document: bytes, message: str
) -> None:
    with pytest.raises((DataError, CallerError), match=message):
        commitments(document, "floors.toml", currency="USD", time_zone=ZONE)
