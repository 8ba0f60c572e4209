"""Contract versions refuse terms that cannot be meant."""

from typing import Any

import msgspec
import pytest

from quartermaster.kernel.contract import TERMS_DAYS_MAX, Commitment, Contract, PtuLine
from quartermaster.kernel.errors import UsageError

TERMS: dict[str, Any] = {
    "id": "c",
    "version": 1,
    "customer": "acme",
    "price_book": "list",
    "currency": "EUR",
    "time_zone": "Europe/Berlin",
    "valid_from": 0,
}


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"currency": "euro"}, None),
        ({"time_zone": "Mars/Olympus"}, None),
        ({"end": 0}, "end"),
        ({"notice_days": -1}, "notice_days"),
        ({"payment_days": TERMS_DAYS_MAX + 1}, "payment_days"),
        ({"retention_days": -1}, "retention_days"),
    ],
)
def test_impossible_terms_are_refused(changes: dict[str, Any], field: str | None) -> None:
    with pytest.raises(UsageError) as refused:
        Contract(**{**TERMS, **changes})
    assert refused.value.field == field


def test_every_term_survives_a_journal_round_trip() -> None:
    contract = Contract(
        **TERMS,
        end=10,
        commitments=(Commitment(1_000, 0, 10, "year", ("standard",), ("m",)),),
        ptu_lines=(PtuLine("m", "eu", 100, 0, 10, "2.00", 50),),
        permitted_uses=("application", "distillation_named_models"),
        distillation_models=("m",),
    )
    assert msgspec.json.decode(msgspec.json.encode(contract), type=Contract) == contract


def test_a_misspelt_term_is_not_ignored() -> None:
    with pytest.raises(msgspec.ValidationError, match="notice_day"):
        msgspec.convert({**TERMS, "notice_day": 3}, Contract)


def test_by_default_nothing_is_retained_and_nothing_may_be_distilled() -> None:
    contract = Contract(**TERMS)
    assert not contract.retain_content
    assert "distillation_named_models" not in contract.permitted_uses
    assert contract.serve_unpriced == "refuse"
