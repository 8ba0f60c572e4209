"""The draw: right set, right frequencies, right repeatability."""

import math
import random
from itertools import accumulate

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from quartermaster.model.sampler import NUCLEUS_LOOKS, Logits, NucleusSampler, nucleus

WEIGHTS = hnp.arrays(
    np.float64, st.integers(1, 700), elements=st.sampled_from([0.5, 1.0, 1.5, 2.0, 8.0, 100.0])
)


@given(WEIGHTS, st.floats(0.01, 1.0))
def test_the_nucleus_is_the_smallest_heaviest_set(weights: np.ndarray, top_p: float) -> None:
    order = sorted(range(len(weights)), key=lambda i: (-weights[i], i))
    sums = list(accumulate(weights[i] for i in order))
    wanted = next((n for n, total in enumerate(sums) if total >= top_p * weights.sum()), len(sums))
    got = list(nucleus(weights, top_p))
    assert got == order[: len(got)]
    # Sums in another order may differ in the last bit, exactly where the border falls.
    assert abs(len(got) - min(wanted + 1, len(order))) <= 1


@pytest.mark.parametrize("size", [look * 4 for look in NUCLEUS_LOOKS])
def test_a_flat_distribution_needs_more_than_the_first_look(size: int) -> None:
    assert list(nucleus(np.ones(size), 0.5)) == list(range(size // 2))


@pytest.mark.parametrize("wanted", [200, 300, 4_000, 5_000])
def test_every_look_gives_the_set_of_the_full_sort(wanted: int) -> None:
    weights = np.random.default_rng(wanted).permutation(np.linspace(1, 2, 10_000) ** 9)
    heaviest = np.argsort(-weights, kind="stable")
    top_p = weights[heaviest[:wanted]].sum() / weights.sum() * (1 - 1e-9)
    assert list(nucleus(weights, top_p)) == list(heaviest[:wanted])


def logits_of(*probabilities: float) -> Logits:
    return np.array([math.log(p) for p in probabilities], dtype=np.float32)


def test_greedy_takes_the_first_largest_and_no_randomness() -> None:
    rng = random.Random(1)
    before = rng.getstate()
    assert NucleusSampler(0, 0.5)(logits_of(0.2, 0.4, 0.4), [], rng) == 1
    assert rng.getstate() == before


@pytest.mark.parametrize(
    ("temperature", "top_p", "expected"),
    [
        (1.0, 1.0, [0.5, 0.3, 0.15, 0.05]),
        (1.0, 0.75, [0.625, 0.375, 0, 0]),
        (0.5, 1.0, [0.6849, 0.2466, 0.0616, 0.0068]),
    ],
)
def test_frequencies_follow_the_distribution(
    temperature: float, top_p: float, expected: list[float]
) -> None:
    draws = 20_000
    sampler, rng = NucleusSampler(temperature, top_p), random.Random(7)
    logits = logits_of(0.5, 0.3, 0.15, 0.05)
    seen = np.bincount([sampler(logits, [], rng) for _ in range(draws)], minlength=4) / draws
    # Five standard deviations of a share of one half: a false alarm in two million seeds.
    assert seen == pytest.approx(expected, abs=5 * 0.5 / draws**0.5)


def test_the_same_seed_draws_the_same() -> None:
    sampler = NucleusSampler(1.3, 0.95)
    logits = np.random.default_rng(3).normal(size=5_000).astype(np.float32)

    def draws(seed: int) -> list[int]:
        rng = random.Random(seed)
        return [sampler(logits, [], rng) for _ in range(20)]

    assert draws(11) == draws(11)
    assert draws(11) != draws(12)
