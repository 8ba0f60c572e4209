"""A statement as a stack over time: mean GPUs by what they were for, in as many steps as fit."""

from collections import defaultdict
from collections.abc import Sequence

import msgspec

from quartermaster.capacity.account import PoolHour
from quartermaster.capacity.cost import GPU_US_PER_GPU_HOUR
from quartermaster.capacity.statement import Statement
from quartermaster.kernel.clock import US_PER_HOUR

STEPS_MAX = 240
"""A picture of 960 px shows four pixels a step; more are averaged."""
NAMED_MAX = 4
"""Customers drawn apart: as many tones as a reader can tell from each other."""
OTHERS = "others"


class Stack(msgspec.Struct, frozen=True):
    """Mean GPUs of every step, from the bottom up; each step's parts sum to `provisioned`."""

    starts: tuple[int, ...]
    """Instants, microseconds UTC."""
    step_hours: int
    layers: tuple[tuple[str, tuple[float, ...]], ...]
    """Busy GPUs of the most costly customers, then of all others together."""
    reserved_idle: tuple[float, ...]
    idle: tuple[float, ...]
    stranded: tuple[float, ...]
    provisioned: int


def stack(statement: Statement, *, named: Sequence[str] = ()) -> Stack:
    """Steps of whole hours, at most `STEPS_MAX`; a last, shorter step is a mean of its own hours.

    Args:
        statement: the window.
        named: customers to draw apart, first of all; the most costly fill up `NAMED_MAX`.
    """
    step = -(-statement.hours // STEPS_MAX)
    used = [line.customer for line in statement.customers if line.busy_us]
    chosen = tuple(dict.fromkeys([*(who for who in named if who in used), *used]))[:NAMED_MAX]
    sums: list[dict[str, int]] = []
    starts: list[int] = []
    lengths: list[int] = []
    for at in range(0, statement.hours, step):
        hours = range(at, min(at + step, statement.hours))
        starts.append(statement.first_hour + at * US_PER_HOUR)
        lengths.append(len(hours))
        sums.append(
            _summed(statement, [statement.first_hour + h * US_PER_HOUR for h in hours], chosen)
        )

    def row(key: str) -> tuple[float, ...]:
        return tuple(
            part.get(key, 0) / GPU_US_PER_GPU_HOUR / length
            for part, length in zip(sums, lengths, strict=True)
        )

    layers = [(who, row(_CUSTOMER + who)) for who in chosen]
    if len(used) > len(chosen):
        layers.append((OTHERS, row(OTHERS)))
    return Stack(
        starts=tuple(starts),
        step_hours=step,
        layers=tuple(layers),
        reserved_idle=row("reserved_idle"),
        idle=row("idle"),
        stranded=row("stranded"),
        provisioned=sum(line.account.pool.gpus for line in statement.pools),
    )


_CUSTOMER = "customer:"


def _summed(statement: Statement, hours: Sequence[int], chosen: Sequence[str]) -> dict[str, int]:
    sums: dict[str, int] = defaultdict(int)
    for line in statement.pools:
        for hour in hours:
            part: PoolHour = line.account.hours[hour]
            for who, us in part.busy.items():
                sums[_CUSTOMER + who if who in chosen else OTHERS] += us
            sums["reserved_idle"] += sum(part.reserved_idle.values())
            sums["idle"] += part.idle
            sums["stranded"] += part.stranded
    return sums
