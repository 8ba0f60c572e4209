"""Floors and credits on a customer's own page: in words of both languages, and as rows."""

from datetime import date
from decimal import Decimal

import msgspec
import pytest
from tests.unit.console.console_fakes import FakeAccounts

from quartermaster.billing.rate import METERS
from quartermaster.console.account_tables import rows_of
from quartermaster.console.account_view import view_of
from quartermaster.console.format import Lang
from quartermaster.console.ports_account import (
    AccountDraft,
    AccountFacts,
    DraftCredit,
    DraftLine,
    DraftShortfall,
)
from quartermaster.console.report_words import catalogue
from quartermaster.kernel.clock import Instant
from quartermaster.kernel.units import SERVICE_CLASSES


@pytest.fixture
def facts() -> AccountFacts:
    draft = AccountDraft(
        contract="c",
        total_minor=3_000,
        currency="EUR",
        unpriced=0,
        lines=(),
        shortfalls=(
            DraftShortfall(
                first=date(2024, 3, 16),
                last=date(2024, 3, 31),
                floor_minor=5_000,
                counted_minor=1_000,
                amount=Decimal("39.996"),
                minor=4_000,
            ),
        ),
        credits=(DraftCredit(case="case_1", minor=-1_000, left_minor=250),),
    )
    found = FakeAccounts().facts("acme", "", Instant(0))
    return msgspec.structs.replace(found, drafts=(draft,))


@pytest.mark.parametrize(
    ("lang", "said"),
    [
        (
            "de",
            [
                (
                    "Fehlbetrag zur Abnahmeverpflichtung 16.03.2024 bis 31.03.2024: mindestens "
                    "50,00 €, angerechnet 10,00 €"
                ),
                "40,00 €",
                "Gutschrift aus Fall case_1; auf die nächste Rechnung vorgetragen: 2,50 €",
                "-10,00 €",
            ],
        ),
        (
            "en",
            [
                (
                    "Shortfall of the commitment 16 Mar 2024 to 31 Mar 2024: at least €50.00, "
                    "counted towards it €10.00"
                ),
                "€40.00",
                "Service credit of case case_1; carried to the next invoice: €2.50",
                "-€10.00",
            ],
        ),
    ],
)
def test_they_are_lines_in_words(facts: AccountFacts, lang: Lang, said: list[str]) -> None:
    (draft,) = view_of(facts, catalogue("account", lang)).drafts
    found = [text.replace("\N{NO-BREAK SPACE}", " ") for line in draft.extras for text in line]
    assert found == said


def test_they_are_rows_that_add_up(facts: AccountFacts) -> None:
    rows = rows_of(facts)["invoices"]
    assert [(row["meter"], row["amount"], row["rounded"]) for row in rows] == [
        ("shortfall", Decimal("39.996"), Decimal("40.00")),
        ("credit", Decimal("-10.00"), Decimal("-10.00")),
    ]
    assert sum(Decimal(str(row["rounded"])) for row in rows) == Decimal("30.00")


def test_every_line_of_an_invoice_has_words_and_a_price_as_its_reader_writes_it(
    facts: AccountFacts,
) -> None:
    lines = [
        DraftLine(
            model="m", service_class=service_class, meter=meter, quantity=1_000, price="0.15",
            unit="1M_tokens", amount=Decimal("0.00015"), minor=0,
        )
        for service_class in SERVICE_CLASSES
        for meter in METERS
    ]  # fmt: skip
    drafts = (msgspec.structs.replace(facts.drafts[0], lines=tuple(lines)),)
    facts = msgspec.structs.replace(facts, drafts=drafts)
    german = view_of(facts, catalogue("account", "de")).drafts[0].lines
    assert german[0][1:5] == ("Standard", "Eingabe-Token", "1.000", "0,15\xa0EUR je Million")
    english = view_of(facts, catalogue("account", "en")).drafts[0].lines
    assert english[0][1:5] == ("standard", "Input tokens", "1,000", "0.15\xa0EUR a million")
    assert not any("." in word for line in (*german, *english) for word in line[1:3])
