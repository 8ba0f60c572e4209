"""From tokens to GPU time: which pool serves what, and how long it is busy with it."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence

import msgspec

from quartermaster.capacity.demand import HourTokens
from quartermaster.capacity.fleet import Fleet, Pool, pool_models
from quartermaster.capacity.roofline import COLD_START_ERROR, GPU_TYPES, Roofline
from quartermaster.capacity.throughput import Key, Speed, Table, tables
from quartermaster.kernel.errors import DataError

US_PER_MS = 1_000


class Rated(msgspec.Struct, frozen=True):
    """A pool with the times of its replicas."""

    pool: Pool
    speed: Speed

    def prefill_us(self, tokens: int, prompt_tokens: float) -> float:
        """GPU-microseconds to read so many tokens in prompts of this length, one at a time."""
        per_token = self.speed.prefill_ms(prompt_tokens) / prompt_tokens
        return tokens * per_token * US_PER_MS * self.pool.tensor_parallel

    def decode_us(self, tokens: int, context_tokens: float, batch: int) -> float:
        """GPU-microseconds to write so many tokens, `batch` sequences at a time."""
        per_token = self.speed.decode_ms(batch, context_tokens) / batch
        return tokens * per_token * US_PER_MS * self.pool.tensor_parallel

    def busy_us(self, row: HourTokens) -> float:
        """GPU-microseconds that the row takes if all of it is served here."""
        prompt, context = lengths(row, self.pool)
        return self.prefill_us(row.prefill_tokens, prompt) + self.decode_us(
            row.decode_tokens, context, self.pool.batch
        )

    @property
    def left_out(self) -> tuple[int, ...]:
        """Prompt tokens of points that contradict the others."""
        return self.speed.left_out if isinstance(self.speed, Table) else ()

    @property
    def error(self) -> str:
        """What is known about the error of the times, in words."""
        if self.speed.basis == "measured":
            return "interpolated from measured points"
        prefill, decode = COLD_START_ERROR.prefill, COLD_START_ERROR.decode
        return f"cold start: prefill +-{prefill:.0%}, decode +-{decode:.0%}; measure points"


def lengths(row: HourTokens, pool: Pool) -> tuple[float, float]:
    """Prompt tokens computed together, and mean length of a sequence while it is written.

    Means of the row's requests; the pool's typical request where requests are not counted.
    """
    if not row.requests:
        return float(pool.prompt_tokens), pool.prompt_tokens + pool.output_tokens / 2
    prompt = max(row.prefill_tokens / row.requests, 1.0)
    held = row.cached_tokens + row.decode_tokens / 2
    return prompt, prompt + held / row.requests


def rated_pools(fleet: Fleet) -> tuple[Rated, ...]:
    """Every pool with its throughput: the operator's points, or data sheets where there are none.

    Raises:
        DataError: a pool has neither points nor the data sheets of its GPU and model.
    """
    measured = tables(fleet.points)
    gpus = GPU_TYPES | {gpu.id: gpu for gpu in fleet.gpus}
    models = {model.id: model for model in fleet.models}
    found: list[Rated] = []
    bad: list[str] = []
    for pool in fleet.pools:
        table = measured.get(Key(pool.model, pool.gpu, pool.tensor_parallel))
        if table is not None:
            found.append(Rated(pool, table))
        elif pool.gpu in gpus and pool.model in models:
            line = Roofline(gpus[pool.gpu], models[pool.model], pool.tensor_parallel)
            found.append(Rated(pool, line))
        else:
            bad.append(
                f"pool {pool.id!r}: no [[point]] of {pool.model} on {pool.gpu} with tensor_parallel"
                f" {pool.tensor_parallel}, and no "
                + ("[[model]] of that id" if pool.gpu in gpus else "[[gpu]] of that id")
            )
    if bad:
        raise DataError("".join(f"\n  {line}" for line in bad).strip(), hint="add measured points")
    return tuple(found)


def placed(
    rows: Iterable[HourTokens], pools: tuple[Rated, ...], elsewhere: Iterable[str]
) -> Mapping[str, dict[int, dict[str, int]]]:
    """GPU-microseconds by pool id, hour and customer.

    A model's tokens are spread over its pools so that all of them are equally busy.

    Raises:
        DataError: demand for a model that no pool serves.
    """
    by_model: dict[str, list[Rated]] = defaultdict(list)
    for rated in pools:
        by_model[rated.pool.model].append(rated)
    left_out = set(elsewhere)
    busy: dict[str, dict[int, dict[str, int]]] = {rated.pool.id: {} for rated in pools}
    unknown: set[str] = set()
    # Hours and customers are often alike, and the times of a row are most of the work.
    known: dict[tuple[str, int, int, int, int], list[tuple[str, int]]] = {}
    for row in rows:
        model, prefill, decode = row.model, row.prefill_tokens, row.decode_tokens
        alike = (model, prefill, decode, row.requests, row.cached_tokens)
        shares = known.get(alike)
        if shares is None:
            if model not in by_model and model not in left_out:
                unknown.add(model)
            shares = known[alike] = _shares(row, by_model.get(model, ()))
        for pool, share in shares:
            customers = busy[pool].setdefault(row.hour, {})
            customers[row.customer] = customers.get(row.customer, 0) + share
    if unknown:
        names = ", ".join(repr(name) for name in sorted(unknown))
        served = ", ".join(pool_models(rated.pool for rated in pools))
        raise DataError(
            f"no pool serves {names}",
            hint=f"pools serve {served}; name models of other people's capacity in `elsewhere`",
        )
    return busy


def _shares(row: HourTokens, candidates: Sequence[Rated]) -> list[tuple[str, int]]:
    """GPU-microseconds of the row by pool id, without pools that take no time for it."""
    alone = [rated.busy_us(row) for rated in candidates]
    rates = [r.pool.gpus / us if us else 0.0 for r, us in zip(candidates, alone, strict=True)]
    whole = sum(rates)
    return [
        (rated.pool.id, round(us * rate / whole))
        for rated, us, rate in zip(candidates, alone, rates, strict=True)
        if us
    ]
