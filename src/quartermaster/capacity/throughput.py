"""How long a replica needs: interpolated from measured points, the operator's own.

*Prefill* is arithmetic, so its time follows the prompt tokens read together (prompt x batch).
*Decode* is memory traffic, so a step's time follows batch and context. Both are monotone curves in
log space; batch and context multiply. Below the measured range time stays as it is; above it,
prefill grows in proportion and decode as a straight line, and the answer is marked `extrapolated`.

Assumes: points were measured on the same engine, model, GPU and tensor parallelism that serve.
Guarantees: never falls with more tokens, a larger batch or a longer context.
"""

from collections.abc import Iterable, Sequence
from math import exp, log
from typing import Protocol

import msgspec

from quartermaster.capacity.fleet import Point
from quartermaster.capacity.monotone import CONTRADICTION_RATIO, Curve, contradicting, fit

BACKFIT_ROUNDS = 20
"""Batch and context are fitted in turn; at the measured points it settles within ten rounds."""
_PROPORTIONAL = 1.0
"""In log space a slope of one: twice the work, twice the time."""


class Speed(Protocol):
    """How long one replica needs."""

    @property
    def basis(self) -> str:
        """`measured` or `roofline`."""

    def prefill_ms(self, tokens: float) -> float:
        """Reading this many prompt tokens together."""

    def decode_ms(self, batch: float, context_tokens: float) -> float:
        """One more token for each of `batch` sequences of this length."""

    def extrapolated(self, tokens: float, batch: float, context_tokens: float) -> bool:
        """Whether any of these lies outside what was measured."""


class Key(msgspec.Struct, frozen=True, order=True):
    """What points must share to be comparable."""

    model: str
    gpu: str
    tensor_parallel: int


class Table(msgspec.Struct, frozen=True):
    """Curves of one model on one kind of replica, and the points that were left out."""

    key: Key
    prefill: Curve
    by_batch: Curve
    by_context: Curve
    points: int
    left_out: tuple[int, ...]
    """Prompt tokens of measurements that contradict the others."""

    @property
    def basis(self) -> str:
        """Where the times come from."""
        return "measured"

    def prefill_ms(self, tokens: float) -> float:
        """Reading this many prompt tokens together."""
        return exp(self.prefill.at(log(tokens)))

    def decode_ms(self, batch: float, context_tokens: float) -> float:
        """One more token for each of `batch` sequences of this length."""
        return exp(self.by_batch.at(log(batch)) + self.by_context.at(log(context_tokens)))

    def extrapolated(self, tokens: float, batch: float, context_tokens: float) -> bool:
        """Whether any of these lies outside what was measured."""
        return not (
            self.prefill.covers(log(tokens))
            and self.by_batch.covers(log(batch))
            and self.by_context.covers(log(context_tokens))
        )


def tables(points: Iterable[Point]) -> dict[Key, Table]:
    """One table for every combination of model, GPU and tensor parallelism that was measured."""
    found: dict[Key, list[Point]] = {}
    for point in points:
        found.setdefault(Key(point.model, point.gpu, point.tensor_parallel), []).append(point)
    return {key: _table(key, measured) for key, measured in found.items()}


def _table(key: Key, points: Sequence[Point]) -> Table:
    read = [(log(p.read_tokens), log(p.prefill_ms)) for p in points]
    wrong_prefill = contradicting(read, log(CONTRADICTION_RATIO))
    by_batch, by_context = _decode(points)
    return Table(
        key=key,
        prefill=fit([p for p in read if p[0] not in wrong_prefill], slope_after=_PROPORTIONAL),
        by_batch=by_batch,
        by_context=by_context,
        points=len(points),
        left_out=tuple(round(exp(x)) for x in sorted(wrong_prefill)),
    )


def _decode(points: Sequence[Point]) -> tuple[Curve, Curve]:
    """Two rising curves, of batch and of context, whose sum fits the logarithm of the time."""
    batches = [log(point.batch) for point in points]
    contexts = [log(point.context_tokens) for point in points]
    times = [log(point.decode_ms) for point in points]
    by_context = Curve((0.0,), (0.0,), 0.0)
    by_batch = by_context
    for _ in range(BACKFIT_ROUNDS):
        rest = [t - by_context.at(c) for t, c in zip(times, contexts, strict=True)]
        by_batch = fit(list(zip(batches, rest, strict=True)))
        rest = [t - by_batch.at(b) for t, b in zip(times, batches, strict=True)]
        by_context = fit(list(zip(contexts, rest, strict=True)))
    return by_batch, by_context
