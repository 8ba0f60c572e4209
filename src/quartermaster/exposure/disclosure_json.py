"""A disclosure test as plain values: every figure beside the rows it was added up from."""

from collections.abc import Sequence
from typing import Any

import msgspec

from quartermaster.exposure.concentration import REPORTABLE_SHARE
from quartermaster.exposure.disclosure import DisclosureTest, RowLink, TestedCustomer
from quartermaster.exposure.report import InputFile, denominator_words
from quartermaster.kernel.money import Money

SCHEMA = "quartermaster.disclosure/1"
"""Changes with the meaning of any field; new fields alone do not change it."""


def as_json(
    test: DisclosureTest, inputs: Sequence[InputFile], *, draft: Sequence[str], notes: Sequence[str]
) -> dict[str, Any]:
    """The test, its figures with their rows, and the draft in words.

    Args:
        test: what was found.
        inputs: files that were read.
        draft: paragraphs of the draft.
        notes: what to look out for, in words, in the order of `test.notes`.
    """
    denominator, currency = test.denominator, test.denominator.currency
    return {
        "schema": SCHEMA,
        "rule": {
            "id": test.rule.id,
            "citation": test.rule.citation,
            "line": float(REPORTABLE_SHARE) if test.rule.bright_line else None,
        },
        "must_disclose": test.must_disclose,
        "period": {"first": denominator.first, "last": denominator.last},
        "entity_revenue": {
            **_amount(test.entity.minor, currency),
            "from": "all rows of the period" if test.entity.whole_file else "given by the user",
        },
        "file_revenue": {
            **_amount(denominator.minor, currency),
            "of": denominator_words(denominator),
        },
        "customers": [_customer(customer, currency) for customer in test.customers],
        "segment": test.segment or None,
        "notes": [
            {"id": note, "words": words} for note, words in zip(test.notes, notes, strict=True)
        ],
        "draft": {"status": "draft for counsel, not legal advice", "paragraphs": list(draft)},
        "inputs": [msgspec.to_builtins(each) for each in inputs],
        "data_sha256": test.data_sha256,
    }


def _customer(customer: TestedCustomer, currency: str) -> dict[str, Any]:
    return {
        "group": customer.group,
        **_amount(customer.minor, currency),
        "share_of_entity_revenue": customer.share_of_entity,
        "share_of_file_revenue": customer.share_of_file,
        "at_least_10_percent_of_entity_revenue": customer.reaches_line,
        "government": customer.government,
        "members": [
            {"customer": member.customer, **_amount(member.minor, currency)}
            for member in customer.members
        ],
        "rows": [_row(row, currency) for row in customer.rows],
    }


def _row(row: RowLink, currency: str) -> dict[str, Any]:
    return {
        "line": row.line or None,
        "customer": row.customer,
        "product": row.product or None,
        "month": row.month,
        **_amount(row.minor, currency),
    }


def _amount(minor: int, currency: str) -> dict[str, Any]:
    return {"amount": str(Money(minor, currency).decimal), "minor": minor, "currency": currency}
