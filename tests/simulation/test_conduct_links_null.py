"""Unrelated accounts are linked as rarely as is said, and a crowd on one network joins nobody."""

from collections.abc import Callable

import numpy as np

from quartermaster.conduct.likeness import Signature, signature
from quartermaster.conduct.links import Population, groups, link
from quartermaster.conduct.observe import FIELDS, VECTOR_SIZE
from quartermaster.conduct.sketch import Sample, Traces, empty

SEED = 20261124
ACCOUNTS, REQUESTS = 150, 26
FEW, MANY = 6, 80
"""Accounts on a campaign's proxy, and on a cloud's."""


def account(
    at: int, draw: np.random.Generator, network: Callable[[int], int], campaign: bool
) -> Signature:
    """Requests about a middle of the account's own; shards have one middle and one template."""
    own = np.random.default_rng([SEED, 10**6 if campaign else at])
    sample: Sample = empty(REQUESTS)
    sample.facts[:] = own.uniform(0, 8, len(FIELDS)) + draw.normal(0, 1, sample.facts.shape).clip(0)
    sample.vectors[:] = own.integers(-60, 60, VECTOR_SIZE) + draw.integers(-60, 60, VECTOR_SIZE)
    sample.marks[:, :4] = own.integers(1, 2**31, 4)
    hours = draw.multinomial(REQUESTS, np.full(48, 1 / 48)).astype(np.uint32)
    traces = Traces({at}, {at}, {network(at)}, set(), set(), set(), {}, hours)
    return signature(f"a{at}", sample, traces, float(draw.normal() + 3 * campaign))


def test_unrelated_accounts_are_linked_as_rarely_as_is_said() -> None:
    draw = np.random.default_rng(SEED)
    held = [account(at, draw, lambda at: at % 40, False) for at in range(2 * ACCOUNTS)]
    inside, outside = held[:ACCOUNTS], held[ACCOUNTS:]
    for known in (inside, []):  # held for ordinary tenants
        population = Population(inside, SEED, {one.account for one in known})
        # The second half is not ranked among.
        for accounts, slack in ((inside, 1.2), (outside, 3.0)):
            ps = population.ps([(a, b) for at, a in enumerate(accounts) for b in accounts[:at]])
            for rate in (0.05, 0.01):
                found = float((ps <= rate).mean())
                assert found <= slack * rate, f"seed {SEED}: {found:.4f} of pairs at p <= {rate}"


def test_a_campaign_on_one_proxy_is_joined_and_tenants_of_one_cloud_are_not() -> None:
    draw = np.random.default_rng(SEED)

    def network(at: int) -> int:
        return 1 if at < FEW else 2 if at < FEW + MANY else 1000 + at

    held = [account(at, draw, network, at < FEW) for at in range(2 * ACCOUNTS)]
    edges = link(Population(held, SEED), 0.005)
    joined = groups(edge for edge in edges if "networks" in " ".join(edge.reasons))
    assert joined == [[f"a{at}" for at in range(FEW)]], f"seed {SEED}: {joined}"
