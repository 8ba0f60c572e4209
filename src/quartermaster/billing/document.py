"""A draft invoice for people (a table for the terminal) and for programs (canonical JSON)."""

from decimal import Decimal

import msgspec

from quartermaster.billing.credit import CreditLine
from quartermaster.billing.invoice import Invoice, InvoiceLine, ShortfallLine
from quartermaster.billing.rate import Unpriced
from quartermaster.kernel.clock import US_PER_HOUR, Instant, as_datetime, zone
from quartermaster.kernel.money import Money

_ROUNDING_WORDS = {"half_up": "half up", "half_even": "half to even", "down": "down"}
_UNIT_WORDS = {
    "1M_tokens": "1M tokens",
    "1_image": "image",
    "1_request": "request",
    "1_ptu_hour": "PTU hour",
}
_COLUMNS = ("#", "model", "class", "meter", "quantity", "price", "per", "exact", "amount")
# Numbers stand under each other's last digit, words under each other's first letter.
_RIGHT_ALIGNED = frozenset({"#", "quantity", "price", "exact", "amount"})
_GAP = "  "
# As wide as the largest amount of usage in the same column.
_DIGITS_SHOWN_MAX = 16


def as_json(invoice: Invoice) -> bytes:
    """One JSON object with a fixed order of fields; amounts are decimal strings."""
    return msgspec.json.encode(invoice, order="sorted")


def as_text(invoice: Invoice, *, customer_name: str = "") -> str:
    """The invoice as plain text, ending in a newline."""
    currency = invoice.currency
    table = _table(
        [
            _COLUMNS,
            *(_cells(line, currency) for line in invoice.lines),
            *(_shortfall(line, currency) for line in invoice.shortfalls),
            *(_credit(line, currency) for line in invoice.credits),
        ]
    )
    width = max(len(row) for row in table)
    total = str(Money(invoice.total_minor, invoice.currency))
    parts = [*_heading(invoice, customer_name), ""]
    if table[1:]:
        parts += [table[0], "-" * width, *table[1:], "-" * width]
    else:
        parts += ["No rated usage in this period at this cut."]
    parts += [f"{'Total':<8}{total:>{max(width - 8, 0)}}" if table[1:] else f"Total   {total}"]
    rounding = _ROUNDING_WORDS[invoice.rounding]
    sentence = f"Each line is rounded once ({rounding}); the total is the sum of the rounded lines."
    parts += ["", sentence, *_remarks(invoice)]
    if invoice.unpriced:
        parts += ["", "Not in the total, waiting for a price:", *map(_waiting, invoice.unpriced)]
    return "\n".join(part.rstrip() for part in parts) + "\n"


def plain(value: Decimal) -> str:
    """A decimal without an exponent and without trailing zeros."""
    text = f"{value:f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def _heading(invoice: Invoice, customer_name: str) -> list[str]:
    period = invoice.period
    customer = f"{customer_name} ({invoice.customer})" if customer_name else invoice.customer
    cut = ", ".join(f"{app_id}:{segment}" for app_id, segment in sorted(invoice.cut.items()))
    return [
        f"DRAFT INVOICE {invoice.id}"
        + ("   SAMPLE DATA, NOT REAL USAGE" if invoice.sample else ""),
        f"Customer  {customer}",
        f"Contract  {invoice.contract} version {invoice.contract_version}",
        f"Period    {period.label}: {_span(period.start, period.end, period.zone)}",
        f"Cut       {cut or 'empty'}",
    ] + (
        []
        if invoice.accrued_until is None
        else [f"Accrued   until {_at(invoice.accrued_until, period.zone)}; the month is not over"]
    )


def _cells(line: InvoiceLine, currency: str) -> tuple[str, ...]:
    return (
        str(line.number),
        line.model,
        line.service_class,
        line.axis,
        f"{line.quantity:,}",
        line.price,
        _UNIT_WORDS[line.unit],
        plain(line.amount),
        str(Money(line.minor, currency)),
    )


def _shortfall(line: ShortfallLine, currency: str) -> tuple[str, ...]:
    lasts, whole = (us // US_PER_HOUR for us in (line.end - line.start, line.whole_us))
    return (
        str(line.number),
        "commitment",
        "",
        "shortfall",
        f"{lasts}/{whole} h",
        str(Money(line.floor_minor, currency).decimal),
        line.per,
        _short(line.amount),
        str(Money(line.minor, currency)),
    )


def _short(value: Decimal) -> str:
    """A prorated amount; of one that never ends, eight decimals: the JSON has the others."""
    text = plain(value)
    return text if len(text) <= _DIGITS_SHOWN_MAX else f"{value:.8f}…"


def _credit(line: CreditLine, currency: str) -> tuple[str, ...]:
    amount = str(Money(line.minor, currency))
    return str(line.number), "service credit", "", line.case, "", "", "", "", amount


def _remarks(invoice: Invoice) -> list[str]:
    """What lines of commitments and credits are made of."""
    currency, zone_name = invoice.currency, invoice.period.zone
    return (
        [
            f"Line {line.number}: at least {_short(line.floor)} {currency} from "
            f"{_span(line.start, line.end, zone_name)}; "
            f"{Money(line.counted_minor, currency)} of billed lines count towards it."
            for line in invoice.shortfalls
        ]
        + [
            f"Line {line.number}: granted in {line.granted}; "
            f"{Money(line.left_minor, currency)} of it are carried to the next invoice."
            for line in invoice.credits
        ]
        + [
            f"Not in the total: {Money(line.minor, currency)} are lacking so far of at least "
            f"{_short(line.floor)} {currency} from {_span(line.start, line.end, zone_name)}; "
            "owed when that is over."
            for line in invoice.ahead
        ]
    )


def _span(start: int, end: int, zone_name: str) -> str:
    return f"{_at(start, zone_name)} to before {_at(end, zone_name)} {zone_name}"


def _at(instant: int, zone_name: str) -> str:
    return as_datetime(Instant(instant)).astimezone(zone(zone_name)).strftime("%Y-%m-%d %H:%M")


def _table(rows: list[tuple[str, ...]]) -> list[str]:
    widths = [max(len(row[i]) for row in rows) for i in range(len(_COLUMNS))]
    return [
        _GAP.join(
            cell.rjust(width) if name in _RIGHT_ALIGNED else cell.ljust(width)
            for name, cell, width in zip(_COLUMNS, row, widths, strict=True)
        )
        for row in rows
    ]


def _waiting(entry: Unpriced) -> str:
    what = f"{entry.model} {entry.service_class} {entry.axis}"
    return f"  {entry.quantity:,} {what}: {entry.reason}"
