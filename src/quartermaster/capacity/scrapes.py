"""Measured points from what the engine counts anyway: its Prometheus metrics, scraped by and by.

Between two scrapes of one replica the counters say how many requests were read and how many steps
were made, and how long they took; the mean of a steady stretch is a point of the throughput table.
One request is read at a time in these histograms, so `prefill_batch` is 1.

Assumes: both scrapes are of the same process, and the load between them was steady; the batch is
the mean of the gauge at both ends, so scrape often (every 15 to 60 s).
SGLang has no histogram of a prefill's time (its time to the first token includes the queue), so
its points are measured by its own benchmark and written down.
Source: the vLLM documentation, *Production metrics*.
"""

import math
import re
from collections import defaultdict
from collections.abc import Sequence
from itertools import pairwise
from typing import Final, NamedTuple

import msgspec

from quartermaster.capacity.csv_lines import SHOWN_PROBLEMS_MAX
from quartermaster.capacity.fleet import Point
from quartermaster.kernel.errors import DataError

SCRAPE_BYTES_MAX: Final = 16 * 1024 * 1024
"""An engine's metrics are under a megabyte; a larger file is a database's export."""

SCRAPES_MAX: Final = 10_000
"""A week at one a minute."""

MS_PER_S: Final = 1_000


_RUNNING: Final = "vllm:num_requests_running"
# Two names where versions differ.
_STEP: Final = ("vllm:inter_token_latency_seconds", "vllm:time_per_output_token_seconds")
_PREFILL: Final = ("vllm:request_prefill_time_seconds",)
_PROMPT: Final = ("vllm:request_prompt_tokens",)
_OUTPUT: Final = ("vllm:request_generation_tokens",)

# name{labels} value [timestamp]: the text format of Prometheus, version 0.0.4.
_SAMPLE: Final = re.compile(
    r"([a-zA-Z_:][a-zA-Z0-9_:]*)"
    r"(?:\{(?:[^\"}]|\"(?:[^\"\\]|\\.)*\")*\})?"
    r"[ \t]+(\S+)(?:[ \t]+-?\d+)?"
)

Sums = dict[str, float]
"""Value by sample name, summed over labels: one replica is one process."""


class Calibrated(msgspec.Struct, frozen=True):
    """Points of the steady stretches, and why the others gave none."""

    points: tuple[Point, ...]
    skipped: tuple[str, ...]


class Replica(msgspec.Struct, frozen=True):
    """What was scraped, as points name it."""

    model: str
    gpu: str
    tensor_parallel: int


def read_scrape(text: str, name: str) -> Sums:
    """The samples of one scrape.

    Raises:
        DataError: a line that is no sample; names it.
    """
    found: Sums = defaultdict(float)
    for number, line in enumerate(text.splitlines(), start=1):
        if not line or line.startswith("#"):
            continue
        match = _SAMPLE.fullmatch(line.rstrip())
        try:
            value = float(match[2]) if match else math.nan
        except ValueError:
            match = None
        if match is None:
            raise DataError(
                f"{name}, line {number}: not a sample in the text format of Prometheus",
                hint="save what the engine answers at /metrics, as it is",
            )
        found[match[1]] += value
    return dict(found)


def calibrate(scrapes: Sequence[tuple[str, Sums]], replica: Replica) -> Calibrated:
    """Points from consecutive scrapes of one replica, in the order of time.

    Args:
        scrapes: name and samples of each, at least two.
        replica: what they are of.

    Raises:
        DataError: too few scrapes, not vLLM's, or not one steady stretch.
    """
    if not 2 <= len(scrapes) <= SCRAPES_MAX:
        raise DataError(f"{len(scrapes)} scrapes; give from 2 to {SCRAPES_MAX:,}")
    for name, sums in scrapes:
        if _RUNNING not in sums:
            raise DataError(
                f"{name} has no {_RUNNING}", hint="scrape vLLM itself, not a proxy before it"
            )
    points: list[Point] = []
    skipped: list[str] = []
    for (before_name, before), (after_name, after) in pairwise(scrapes):
        found = _point(before, after, replica)
        if isinstance(found, Point):
            points.append(found)
        else:
            skipped.append(f"{before_name} to {after_name}: {found}")
    if not points:
        raise DataError(
            "no stretch between two scrapes can be used: " + "; ".join(skipped[:SHOWN_PROBLEMS_MAX])
        )
    return Calibrated(tuple(points), tuple(skipped))


def _point(before: Sums, after: Sums, replica: Replica) -> Point | str:
    """The stretch as a point, or why it gives none."""
    steps = _mean(_STEP, before, after)
    read = _mean(_PREFILL, before, after)
    prompt = _mean(_PROMPT, before, after)
    if steps is None or read is None or prompt is None:
        return "the engine was started again, or does not count what is needed"
    if not (steps.counted and read.counted and prompt.counted):
        return "no request was read and written to its end"
    ends = before[_RUNNING], after[_RUNNING]
    # Written so that a number that is none is refused too.
    if not all(0 <= end < math.inf for end in ends):
        return f"{_RUNNING} is no number of requests"
    batch = round(sum(ends) / len(ends))
    output = _mean(_OUTPUT, before, after)
    return Point(
        model=replica.model,
        gpu=replica.gpu,
        tensor_parallel=replica.tensor_parallel,
        prompt_tokens=max(1, round(prompt.mean)),
        batch=max(1, batch),
        prefill_ms=read.mean * MS_PER_S,
        decode_ms=steps.mean * MS_PER_S,
        output_tokens=round(output.mean) if output is not None and output.counted else 0,
        prefill_batch=1,
    )


class _Stretch(NamedTuple):
    counted: float
    mean: float


def _mean(names: Sequence[str], before: Sums, after: Sums) -> _Stretch | None:
    """Mean of a histogram between two scrapes; None where it is missing or was reset."""
    for name in names:
        total, count = f"{name}_sum", f"{name}_count"
        if count in after and total in after:
            counted = after[count] - before.get(count, 0.0)
            summed = after[total] - before.get(total, 0.0)
            # Written so that a number that is none is refused too.
            if not (counted >= 0 and summed >= 0 and summed < math.inf):
                return None
            return _Stretch(counted, summed / counted if counted else 0.0)
    return None
