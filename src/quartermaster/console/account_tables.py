"""The account page's tables as JSON and CSV: full precision, plain decimals, ISO instants."""

from collections.abc import Iterator
from decimal import Decimal

import msgspec

from quartermaster.console import spending_facts
from quartermaster.console.ports_account import AccountDraft, AccountFacts
from quartermaster.console.spending_facts import Spending, budget_row
from quartermaster.console.tables import Rows, iso
from quartermaster.kernel.clock import Instant
from quartermaster.kernel.money import Money

SCHEMA = "account/1"

COLUMNS: dict[str, tuple[str, ...]] = {
    "usage": (
        *("month", "project", "key", "model", "service_class", "requests"),
        *("input_tokens", "cached_tokens", "output_tokens"),
    ),
    "keys": (
        *("key", "project", "contract", "models", "endpoints", "networks"),
        *("issued_at", "ends_at", "successor", "live"),
    ),
    "invoices": (
        *("month", "contract", "model", "service_class", "meter", "quantity"),
        *("price", "unit", "amount", "rounded", "currency"),
    ),
    "budgets": spending_facts.COLUMNS["budgets"],
}


def rows_of(facts: AccountFacts) -> dict[str, Rows]:
    """Every table of the account."""
    return {
        "usage": _usage(facts),
        "keys": _keys(facts),
        "invoices": _invoices(facts),
        "budgets": [budget_row(Spending(one, ())) for one in facts.budgets],
    }


def as_json(facts: AccountFacts, now: Instant) -> bytes:
    """All tables in one object with a schema version; decimals are strings, so none is rounded."""
    body: dict[str, object] = {
        "schema": SCHEMA,
        "at": iso(now),
        "customer": facts.customer,
        "standing": facts.standing,
        "month": facts.month,
        "limits": facts.limits,
    }
    body.update({str(name): rows for name, rows in rows_of(facts).items()})
    return msgspec.json.encode(body)


def _usage(facts: AccountFacts) -> Rows:
    return [
        {
            "month": facts.month,
            "project": row.project,
            "key": row.key_id,
            "model": row.model,
            "service_class": row.service_class,
            "requests": row.requests,
            "input_tokens": row.input_tokens,
            "cached_tokens": row.cached_tokens,
            "output_tokens": row.output_tokens,
        }
        for row in facts.usage
    ]


def _keys(facts: AccountFacts) -> Rows:
    return [
        {
            "key": key.id,
            "project": key.project,
            "contract": key.contract,
            "models": " ".join(key.models),
            "endpoints": " ".join(key.endpoints),
            "networks": " ".join(key.networks),
            "issued_at": iso(key.issued_at),
            "ends_at": "" if key.ends_at is None else iso(key.ends_at),
            "successor": key.successor,
            "live": key.live,
        }
        for key in facts.keys
    ]


def _invoices(facts: AccountFacts) -> Rows:
    rows: Rows = [
        {
            "month": facts.month,
            "contract": draft.contract,
            "model": line.model,
            "service_class": line.service_class,
            "meter": line.meter,
            "quantity": line.quantity,
            "price": line.price,
            "unit": line.unit,
            "amount": line.amount,
            "rounded": Money(line.minor, draft.currency).decimal,
            "currency": draft.currency,
        }
        for draft in facts.drafts
        for line in draft.lines
    ]
    rows += [
        {
            "month": facts.month,
            "contract": draft.contract,
            "model": "",
            "service_class": "",
            "meter": meter,
            "quantity": "",
            "price": "",
            "unit": "",
            "amount": amount,
            "rounded": Money(minor, draft.currency).decimal,
            "currency": draft.currency,
        }
        for draft in facts.drafts
        for meter, amount, minor in _extras(draft)
    ]
    return rows


def _extras(draft: AccountDraft) -> Iterator[tuple[str, Decimal, int]]:
    for line in draft.shortfalls:
        yield "shortfall", line.amount, line.minor
    for one in draft.credits:
        yield "credit", Money(one.minor, draft.currency).decimal, one.minor
