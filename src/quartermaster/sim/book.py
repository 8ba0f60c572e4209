"""A seeded sample book: two years of monthly revenue by customer, made from the reference scenario.

Everything in it is invented except the two claims it is anchored on: in the last month the group
ByteDance pays what the scenario's payment says, and the total is the scenario's run-rate by month.
Every row says `sample`; real usage never enters it and it never enters the usage table.
"""

import math
import random
from fractions import Fraction
from importlib.resources import files

from quartermaster.exposure.book import book_rows, cut_gauss, fill_weights, recipe
from quartermaster.exposure.months import MONTHS_A_YEAR, month_number, month_text
from quartermaster.exposure.rows import RevenueRow
from quartermaster.exposure.scenario import Scenario, parse_scenario
from quartermaster.kernel.money import split
from quartermaster.revenue.guidance import Figure, Guidance

SCENARIO_FILE = "azure-openai-2024.toml"
MONTHS = 24
"""Two years: one to compare the other with."""
CUSTOMER_NAME = "Sample customer"

# Sample shape, not data: the book grows 4 % a month, and in earlier months each customer's size
# differs from its last by a log-normal of this width, so that ranks change as in real books.
MONTHLY_GROWTH = Fraction(104, 100)
WANDER = 0.15
# How the group's payment is divided among its entities, to show the roll-up. The article names
# only TikTok; 95 % of the group keeps its payment at "nearly $20M".
ENTITY_WEIGHTS = (95, 5)


def reference_scenario() -> Scenario:
    """The scenario that ships inside the package."""
    return parse_scenario(scenario_bytes(), SCENARIO_FILE)


def scenario_bytes() -> bytes:
    """Its file, for whoever shows the hash of what was read."""
    return files("quartermaster.sim").joinpath(SCENARIO_FILE).read_bytes()


def sample_book(seed: int | None = None) -> tuple[RevenueRow, ...]:
    """Monthly revenue by customer for two years; the same seed gives the same rows.

    Args:
        seed: of the made-up customers; the scenario's own by default.
    """
    scenario = reference_scenario()
    seed = scenario.seed if seed is None else seed
    book = recipe(scenario)
    annual = book_rows(scenario)
    total = sum(row.minor for row in annual)
    named = sum(row.minor for row in annual if not row.filled)
    last_weights = weights = fill_weights(book.fill, seed)
    draw = random.Random(seed)  # noqa: S311 - a reproducible world, not a secret
    last = month_number(book.as_of)
    rows: list[RevenueRow] = []
    for back in range(MONTHS):
        month = month_text(last - back)
        minor = int(Fraction(total, MONTHS_A_YEAR) / MONTHLY_GROWTH**back)
        group, rest = split(minor, [named, total - named])
        rows += _group_rows(scenario, month, group, annual[0])
        rows += _customer_rows(month, split(rest, weights), annual[0].currency)
        weights = _wandered(last_weights, draw)
    return tuple(sorted(rows, key=lambda row: (row.month, row.group, row.customer)))


def sample_guidance() -> Guidance:
    """Guidance that belongs to the sample book: the scenario's run-rate with its hedge."""
    scenario = reference_scenario()
    book = recipe(scenario)
    claim = scenario.claim_by_id[book.total]
    band = scenario.annual(claim)
    return Guidance(
        figure=Figure(
            metric="run_rate_last_month_x12",
            unit="USD",
            period=book.as_of,
            basis="reported",
            metric_version="1",
        ),
        low=str(int(band.low)),
        high=str(int(band.high)),
        text=claim.statement,
        source=scenario.source_by_id[claim.source].publisher,
        issued_on=claim.as_of,
        sample=True,
    )


def _group_rows(scenario: Scenario, month: str, minor: int, named: RevenueRow) -> list[RevenueRow]:
    entities = [
        party.name
        for party in scenario.parties
        if party.group and scenario.party_by_id[party.group].name == named.group
    ]
    parts = split(minor, list(ENTITY_WEIGHTS))
    return [
        RevenueRow(entity, named.group, month, part, named.currency, sample=True)
        for entity, part in zip(entities, parts, strict=True)
    ]


def _customer_rows(month: str, amounts: list[int], currency: str) -> list[RevenueRow]:
    digits = len(str(len(amounts)))
    return [
        RevenueRow(name, name, month, minor, currency, sample=True, filled=True)
        for name, minor in (
            (f"{CUSTOMER_NAME} {number:0{digits}d}", minor)
            for number, minor in enumerate(amounts, start=1)
        )
    ]


def _wandered(weights: list[int], draw: random.Random) -> list[int]:
    return [max(1, round(weight * math.exp(WANDER * cut_gauss(draw)))) for weight in weights]
