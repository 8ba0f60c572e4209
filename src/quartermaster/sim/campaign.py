"""A planted campaign: ordinary tenants, and one customer that begins to harvest on a known day.

Everything is invented: tenants, prompts, sizes. The one customer is the scenario's, because the
story is told of it; what it asks here is no claim about what it asked. The same seed gives the same
account-days, and the day on which the harvest begins is known, so that what finds it can be tested.
"""

import random
from collections.abc import Callable, Iterator
from datetime import date, timedelta
from typing import NamedTuple

from quartermaster.conduct.records import AccountDay, Meter, Request

SEED = 20_231_215
CUSTOMER = "ByteDance"
"""The group of the reference scenario."""
FIRST_DAY = date(2023, 11, 1)
QUIET_DAYS, HARVEST_DAYS = 24, 20
"""Three and a half weeks to know the customer by, then the campaign until mid December."""
TENANTS = 24
ASKED = 20
"""Requests of a tenant on a day; the customer asks three times as much."""
HARVESTED_SHARE = 0.3
"""Of the customer's requests, from the day on which the campaign begins."""

_THINGS = (
    "kettle", "tent", "lamp", "bicycle", "jacket", "camera", "sofa", "drill", "guitar", "stroller",
    "printer", "rug", "watch", "backpack", "freezer", "helmet", "projector", "mattress", "keyboard",
    "hammock",
)  # fmt: skip
_TOPICS = (
    "photosynthesis", "tax law", "graph theory", "baking bread", "plate tectonics", "sailing",
    "binary search", "sonnets", "negotiation", "vaccines", "chess openings", "soil chemistry",
    "bookkeeping", "orbital mechanics", "irregular verbs", "bridge design", "first aid",
    "supply chains", "poker odds", "typography",
)  # fmt: skip
_PLACES = ("Lyon", "Osaka", "Porto", "Leeds", "Turin", "Bergen", "Graz", "Quito", "Perth", "Ghent")
_TONES = ("calm", "angry", "happy", "brief", "rude", "formal", "worried", "pleased")


class _Product(NamedTuple):
    """What a tenant's product asks: a system prompt and a template with slots."""

    system: str
    ask: str
    input_tokens: int
    output_tokens: int


_PRODUCTS: tuple[_Product, ...] = (
    _Product("You are the support assistant of {name}. Answer our customers in one sentence.",
             "Where is my order of the {thing}? It should have come to {place}.", 220, 40),
    _Product("You label reviews for {name}. Answer with one word.",
             "Review: the {thing} arrived {tone} and late in {place}. Sentiment?", 180, 3),
    _Product("Translate for {name}. Return the translation only.",
             "Our {thing} is back in stock in {place}, order before Friday.", 60, 55),
    _Product("You extract fields for {name}. Return JSON with item and city.",
             "Ticket {number}: customer in {place} returns a {thing}, {tone} tone.", 150, 30),
    _Product("You write search queries for {name}. Return at most five words.",
             "cheap {thing} near {place} size {number}", 40, 8),
    _Product("You summarise calls for {name} in two sentences.",
             "Agent: hello. Caller from {place}: my {thing} is broken, I am {tone}. Call {number}.",
             900, 60),
)  # fmt: skip
_CUSTOMER_PRODUCTS: tuple[_Product, ...] = (
    _Product("You write captions for short videos. One line, no hashtags.",
             "Clip {number}: somebody shows a {thing} in {place}.", 80, 18),
    _Product("You check comments for our community rules. Answer allow or remove.",
             "Comment {number}: this {thing} is {tone}, come to {place}", 120, 2),
)  # fmt: skip
_HARVEST = (
    "Come up with 20 diverse and challenging task instructions about {topic}.",
    "Write ten new exam questions about {topic} with increasing difficulty, each with its answer.",
    "Generate a dialogue between a teacher and a student about {topic}. Make it varied.",
    "Create a new instruction about {topic} that a language model could be trained on.",
)


def campaign_days(
    seed: int = SEED,
    *,
    tenants: int = TENANTS,
    quiet_days: int = QUIET_DAYS,
    harvest_days: int = HARVEST_DAYS,
    asked: int = ASKED,
) -> Iterator[AccountDay]:
    """Account-days in the order of days, the customer among the tenants."""
    draw = random.Random(seed)  # noqa: S311 - a reproducible world, not a secret
    for number in range(quiet_days + harvest_days):
        day = (FIRST_DAY + timedelta(days=number)).isoformat()
        for tenant in range(tenants):
            product = _PRODUCTS[tenant % len(_PRODUCTS)]
            name = f"Tenant {tenant + 1:02}"
            made = [_asked(product, name, tenant, draw) for _ in range(_count(asked, draw))]
            yield AccountDay(name, tuple(made), day)
        yield AccountDay(CUSTOMER, _customer(number >= quiet_days, asked, draw), day)


def harvest_begins(quiet_days: int = QUIET_DAYS) -> date:
    """The first day on which the customer harvests."""
    return FIRST_DAY + timedelta(days=quiet_days)


def _customer(harvests: bool, asked: int, draw: random.Random) -> tuple[Request, ...]:
    made = []
    for _ in range(_count(3 * asked, draw)):
        if harvests and draw.random() < HARVESTED_SHARE:
            ask = draw.choice(_HARVEST).format(topic=draw.choice(_TOPICS))
            made.append(_request("", ask, 40, 700, "key_research", "large-model", draw))
        else:
            product = draw.choice(_CUSTOMER_PRODUCTS)
            made.append(_filled(product, "", "key_app", "small-model", draw))
    return tuple(made)


def _asked(product: _Product, name: str, tenant: int, draw: random.Random) -> Request:
    return _filled(product, name, f"key_{tenant + 1:02}", "small-model", draw)


def _filled(product: _Product, name: str, key: str, model: str, draw: random.Random) -> Request:
    choose: Callable[[tuple[str, ...]], str] = draw.choice
    ask = product.ask.format(
        thing=choose(_THINGS),
        place=choose(_PLACES),
        tone=choose(_TONES),
        number=draw.randrange(100, 999),
    )
    system = product.system.format(name=name)
    sizes = product.input_tokens, product.output_tokens
    return _request(system, ask, *sizes, key, model, draw)


def _request(
    system: str,
    ask: str,
    input_tokens: int,
    output_tokens: int,
    key: str,
    model: str,
    draw: random.Random,
) -> Request:
    spread = draw.lognormvariate(0.0, 0.4)
    meter = Meter(
        input_tokens=max(1, round(input_tokens * spread)),
        output_tokens=max(1, round(output_tokens * spread)),
        key=key,
        model=model,
        second_of_day=draw.randrange(86_400),
    )
    return Request((ask,), system, meter)


def _count(mean: int, draw: random.Random) -> int:
    return max(1, round(mean * draw.uniform(0.8, 1.2)))
