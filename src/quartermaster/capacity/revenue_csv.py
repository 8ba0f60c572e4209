"""Read what customers paid in the window from a CSV."""

from collections import defaultdict

from quartermaster.capacity.csv_lines import named, records, refuse, said
from quartermaster.kernel.errors import UsageError
from quartermaster.kernel.money import EXACT, exact_decimal, exponent


def read_revenue(data: bytes, name: str, currency: str) -> dict[str, int]:
    """Revenue by customer in minor units, from a CSV with customer, revenue and currency.

    Several rows of one customer are added up; other columns, such as a month, are left alone, so
    the input of `quartermaster exposure` works here too.

    Raises:
        DataError: names the file and each bad line with its reason.
    """
    sums: dict[str, int] = defaultdict(int)
    bad: list[str] = []
    needed = ("customer", "revenue", "currency")
    for line, fields in records(data, name, needed, None):
        try:
            sums[named(fields["customer"], "customer")] += _minor(fields, currency)
        except UsageError as error:
            bad.append(said(line, error))
    refuse(bad, name)
    return dict(sums)


def _minor(fields: dict[str, str], currency: str) -> int:
    if fields["currency"] != currency:
        raise UsageError(f"{fields['currency'][:40]!r} where the fleet has {currency}")
    minor = exact_decimal(fields["revenue"]).scaleb(exponent(currency), context=EXACT)
    if minor != minor.to_integral_value():
        raise UsageError(f"revenue {fields['revenue']!r} has more decimals than {currency}")
    return int(minor)
