"""One draft invoice, byte for byte: as text and as JSON.

After an intended change, write the files again with
`QUARTERMASTER_GOLDEN=write pytest tests/golden/test_invoice_golden.py` and read the difference.
"""

import os
from pathlib import Path

import msgspec
import pytest

from quartermaster.billing.commitment import shortfalls
from quartermaster.billing.document import as_json, as_text
from quartermaster.billing.invoice import Invoice, draft, with_credits
from quartermaster.billing.pricebook import load, starter
from quartermaster.billing.rate import Rated, rate
from quartermaster.kernel.case import Credit, CreditGrant
from quartermaster.kernel.clock import US_PER_HOUR, month
from quartermaster.kernel.contract import Commitment, Contract
from quartermaster.kernel.events import HourlyUsage
from quartermaster.kernel.units import Counts, ServiceClass

HERE = Path(__file__).parent
NOVEMBER = month(2026, 11, "Europe/Berlin")
CONTRACT = Contract(
    "acme-1", 1, "acme", "starter", "USD", "Europe/Berlin", 0, serve_unpriced="queue"
)


def usage(
    hour: int, model: str, counts: Counts, service_class: ServiceClass = "standard"
) -> HourlyUsage:
    return HourlyUsage(
        customer="acme",
        contract="acme-1",
        contract_version=1,
        price_book="starter",
        project="default",
        key_id="key_1",
        model=model,
        deployment="embedded",
        service_class=service_class,
        hour=NOVEMBER.start + hour * US_PER_HOUR,
        requests=1,
        counts=counts,
    )


@pytest.fixture
def invoice() -> Invoice:
    model = "smollm2-135m-instruct"
    cheaper = load(
        b"""
        [price_book]
        id = "starter"
        version = 2
        currency = "USD"
        valid_from = 2026-11-15T00:00:00+01:00
        [[price]]
        model = "smollm2-135m-instruct"
        input = "0.1375"
        cached_read = "0.075"
        output = "0.60"
        reasoning = "0.60"
        """,
        "cheaper.toml",
    )
    hourly = [
        usage(0, model, Counts(input=13_700_000, output=1_234_567)),
        usage(1, model, Counts(cached_read=999, output=1, reasoning=250_000)),
        usage(2, model, Counts(input=4_000_000), "batch"),
        usage(14 * 24, model, Counts(input=1_000_001, output=10)),
        usage(14 * 24, "toy", Counts(input=17, output=33)),
        usage(20 * 24, "large-vision", Counts(input=120_000, image=3)),
        usage(NOVEMBER.hours, model, Counts(input=5_000_000)),
    ]
    rated = rate(hourly, [CONTRACT], [starter(), cheaper])
    return draft(CONTRACT, NOVEMBER, rated, {"gw-0": 17, "gw-1": 12})


@pytest.fixture
def bound(invoice: Invoice) -> Invoice:
    """The same usage under a floor from the 16th on, with a credit that is larger than it owes."""
    floor = Commitment(1_000, NOVEMBER.start + 15 * 24 * US_PER_HOUR, NOVEMBER.end, "month")
    year = Commitment(
        500_000, NOVEMBER.start, NOVEMBER.end, "term", ("priority",), ("large-vision",)
    )
    agreed = msgspec.structs.replace(CONTRACT, commitments=(floor, year))
    short = shortfalls([agreed], [starter()], [], NOVEMBER)
    granted = Credit(
        customer="acme",
        contract="acme-1",
        period="2026-10",
        minor=1_200,
        currency="USD",
        held_back_us=1,
        revenue_a_day_minor=1,
        percent=25,
    )
    rated = Rated((), ())
    whole = draft(agreed, NOVEMBER, rated, {"gw-0": 17}, short)
    grants = [CreditGrant("case_1", granted), CreditGrant("case_2", granted)]
    return with_credits(whole, grants, [("2026-10", 1_100)])


def check(name: str, produced: bytes) -> None:
    path = HERE / name
    if os.environ.get("QUARTERMASTER_GOLDEN") == "write":
        path.write_bytes(produced)
    assert produced.decode() == path.read_text()


def test_the_text_is_what_it_was(invoice: Invoice) -> None:
    check("invoice_draft.txt", as_text(invoice, customer_name="ACME GmbH").encode())


def test_the_json_is_what_it_was(invoice: Invoice) -> None:
    check("invoice_draft.json", as_json(invoice) + b"\n")


def test_floors_and_credits_are_lines_of_their_own(bound: Invoice) -> None:
    check("invoice_bound.txt", as_text(bound, customer_name="ACME GmbH").encode())
    check("invoice_bound.json", as_json(bound) + b"\n")
