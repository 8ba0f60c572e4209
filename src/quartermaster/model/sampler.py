"""Choosing the next token. A sampler is any callable of this shape, so a watermark can be one."""

import random
from collections.abc import Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from quartermaster.model.generation import Sampling

Logits = NDArray[np.float32]

NUCLEUS_LOOKS = (256, 4_096)
"""How many of the heaviest candidates are tried before all are sorted. The nucleus of a confident
step is below the first, that of an open one below the second; sorting all 49,152 takes 4 ms, more
than half a decoding step."""


class Sampler(Protocol):
    """Chooses a token id from raw logits.

    `logits` is a view into the runtime's memory, valid during the call only; `context` are all ids
    before the choice, prompt included; `rng` is the request's own seeded generator.
    """

    def __call__(self, logits: Logits, context: Sequence[int], rng: random.Random) -> int:
        """The chosen token id."""


class NucleusSampler:
    """Temperature and top-p sampling; greedy at temperature 0 (ties to the lowest id).

    Source: Holtzman et al. 2020, "The Curious Case of Neural Text Degeneration", section 3.1.
    """

    def __init__(self, temperature: float, top_p: float) -> None:
        self._temperature = temperature
        self._top_p = top_p

    def __call__(self, logits: Logits, context: Sequence[int], rng: random.Random) -> int:
        """Draw one id; uses exactly one number of the generator, none when greedy."""
        del context
        if self._temperature == 0:
            return int(logits.argmax())
        weights = np.exp((logits - logits.max()).astype(np.float64) / self._temperature)
        if self._top_p >= 1:
            return _draw(weights, rng.random())
        ids = nucleus(weights, self._top_p)
        return int(ids[_draw(weights[ids], rng.random())])


def nucleus(weights: NDArray[np.float64], top_p: float) -> NDArray[np.intp]:
    """Ids of the smallest set of largest weights that holds `top_p` of the sum, heaviest first.

    Equal weights are ordered by id, so the set does not depend on the sorting algorithm.
    """
    wanted = top_p * weights.sum()
    candidates = np.arange(len(weights))
    for look in NUCLEUS_LOOKS:
        if look >= len(weights):
            break
        # Strictly above the border: of weights equal to it some would be cut arbitrarily.
        heaviest = np.flatnonzero(weights > np.partition(weights, -look)[-look])
        if weights[heaviest].sum() >= wanted:
            candidates = heaviest
            break
    ordered = candidates[np.argsort(-weights[candidates], kind="stable")]
    reached = np.searchsorted(np.cumsum(weights[ordered]), wanted)
    return ordered[: min(int(reached) + 1, len(ordered))]


def _draw(weights: NDArray[np.float64], uniform: float) -> int:
    """Index with probability in proportion to its weight, by inversion."""
    sums = np.cumsum(weights)
    return min(int(np.searchsorted(sums, uniform * sums[-1], side="right")), len(weights) - 1)


def sampler_for(sampling: Sampling) -> NucleusSampler:
    """The sampler a request asked for."""
    return NucleusSampler(sampling.temperature, sampling.top_p)
