"""Small files of every kind that a question can be sent with."""

import datetime as dt

PEOPLE = ("Acme", "Globex", "Initech", "Umbrella", "Hooli", "Wonka")


def revenue_csv(months: int = 24) -> bytes:
    """Six customers, growing and wobbling, in USD."""
    lines = ["customer,month,revenue,currency,product,region"]
    for number in range(months):
        month = f"{2022 + number // 12}-{number % 12 + 1:02d}"
        for rank, name in enumerate(PEOPLE, start=1):
            amount = 60_000 // rank + 700 * number + 137 * ((number * rank) % 7)
            lines.append(f"{name},{month},{amount}.50,USD,api,eu")
    return "\n".join(lines).encode()


def panel_csv(days: int = 420) -> bytes:
    """Twelve tenants by day, six of which fade out one after another."""
    lines = ["tenant,date,amount"]
    first = dt.date(2025, 1, 1)
    for number in range(days):
        day = first + dt.timedelta(days=number)
        for tenant in range(12):
            fading = tenant < 6 and number > 180 + 40 * tenant
            level = 100.0 * (tenant + 1) * (0.1 if fading else 1.0)
            lines.append(f"t{tenant:02d},{day},{level + (number * (tenant + 3)) % 17}")
    return "\n".join(lines).encode()


STATEMENTS = b"""\
{"stated_on":"2024-01-01","subject":"a","event":"leaves","horizon_months":6,"probability":0.3,\
"low":0.1,"high":0.5,"outcome":true,"resolved_on":"2024-05-01"}
{"stated_on":"2024-01-01","subject":"b","event":"leaves","horizon_months":6,"probability":0.2,\
"low":0.1,"high":0.5,"outcome":false,"resolved_on":"2024-07-01"}
"""
