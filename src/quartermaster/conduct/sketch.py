"""What is kept of an account's day: exact totals of the meter, and a sample of fingerprints.

The meter counts every request. Text is read for a uniform sample of at most `SAMPLE` requests a day
(reservoir sampling, algorithm R by Waterman), drawn by a keyed hash that a customer cannot foresee,
so that a flood of other traffic dilutes a campaign but cannot hide it, and costs almost nothing:
after N requests, text was read for about `SAMPLE` x (1 + ln(N / `SAMPLE`)) of them.
"""

import math
from collections.abc import Iterable
from hashlib import blake2b
from typing import NamedTuple, Protocol

import numpy as np
import numpy.typing as npt

from quartermaster.conduct.observe import FIELDS, MARKS, VECTOR_SIZE, Fingerprint, Observer
from quartermaster.conduct.records import AccountDay, Meter, Request

SAMPLE = 256
"""Requests a day whose fingerprint is kept: a share of 5 % is then known to within 1.4 %."""
REGISTERS = 256
"""Registers of the distinct count: a standard error of 6.5 % (Flajolet et al., 2007)."""
REGISTER_HASH_BITS = 24
"""Of a 32-bit hash 8 bits name the register; more leading zeros than 24 cannot be seen."""
TRACES = 64
"""Different keys, networks and clients remembered of a day: more is a crowd, and counted as one."""
MODELS_MAX = 16
"""Models that one account uses on a day; requests to further ones are counted together."""
HALF_HOURS = 48
"""Resolution of when an account is awake."""
DIRECTIONS = 6
"""Signs of six coordinates: 64 cells of the space of topics."""
CELLS = 1 << DIRECTIONS


class MeterTotals(NamedTuple):
    """Sums over every request of the day, read or not; requests without a field do not count."""

    requests: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    metered: int = 0
    many_answers: int = 0
    logprobs: int = 0
    with_end_user: int = 0
    with_turns: int = 0

    @property
    def output_ratio(self) -> float | None:
        """Output tokens for each input token; `None` where tokens were not recorded."""
        return self.output_tokens / self.input_tokens if self.input_tokens else None

    def plus(self, request: Request) -> "MeterTotals":
        """The totals with one more request."""
        meter = request.meter or Meter()
        metered = meter.input_tokens is not None and meter.output_tokens is not None
        return MeterTotals(
            self.requests + 1,
            self.input_tokens + ((meter.input_tokens or 0) if metered else 0),
            self.output_tokens + ((meter.output_tokens or 0) if metered else 0),
            self.metered + metered,
            self.many_answers + ((meter.n or 1) > 1),
            self.logprobs + bool(meter.logprobs),
            self.with_end_user + (meter.end_user is not None),
            self.with_turns + (len(request.turns) > 1),
        )


class Traces(NamedTuple):
    """Keyed hashes of what the meter saw besides text, and when; nothing of it names anybody."""

    payments: set[int]
    keys: set[int]
    networks: set[int]
    clients: set[int]
    end_users: set[int]
    settings: set[int]
    """Combinations of temperature, token limit and number of answers."""
    models: dict[str, int]
    half_hours: npt.NDArray[np.uint32]


def no_traces() -> Traces:
    """Of a day on which the meter saw nothing yet."""
    hours = np.zeros(HALF_HOURS, np.uint32)
    return Traces(set(), set(), set(), set(), set(), set(), {}, hours)


class Sample(NamedTuple):
    """Fingerprints as columns, one row a request that was read."""

    facts: npt.NDArray[np.float16]
    vectors: npt.NDArray[np.int8]
    marks: npt.NDArray[np.uint32]
    edges: npt.NDArray[np.uint32]

    def __len__(self) -> int:
        return len(self.facts)

    def take(self, rows: npt.NDArray[np.intp] | npt.NDArray[np.bool_] | slice) -> "Sample":
        """Some of the rows."""
        return Sample(self.facts[rows], self.vectors[rows], self.marks[rows], self.edges[rows])

    @property
    def nbytes(self) -> int:
        """Memory of the sample."""
        return sum(int(part.nbytes) for part in self)


class SketchedDay(Protocol):
    """An account-day without its text, be it in memory or read back from a file."""

    @property
    def account(self) -> str:
        """Whose day it is."""

    @property
    def day(self) -> str:
        """Which one."""

    @property
    def totals(self) -> MeterTotals:
        """Of every request."""

    @property
    def traces(self) -> Traces:
        """What the meter saw besides text."""

    @property
    def sample(self) -> Sample:
        """The fingerprints kept."""

    @property
    def sampled_fraction(self) -> float:
        """Share of the day's requests in the sample."""


class KeptDay(NamedTuple):
    """An account-day read back: the meter's totals, and the sample that a watcher kept."""

    account: str
    day: str
    totals: MeterTotals
    traces: Traces
    sample: Sample

    @property
    def sampled_fraction(self) -> float:
        """Share of the day's requests in the sample."""
        requests = self.totals.requests
        return min(1.0, len(self.sample) / requests) if requests else 1.0

    def usual(self, rows: npt.NDArray[np.intp]) -> "KeptDay":
        """The day with these rows of its sample alone."""
        return self._replace(sample=self.sample.take(rows))


class DaySketch:
    """One account's day without its text.

    Args:
        account: whose day it is.
        day: which one; part of what the draw hangs on.
        observer: reads the requests that are drawn.
        key: the deployment's key, so that nobody foresees the draw.
    """

    def __init__(self, account: str, day: str, observer: Observer, key: bytes) -> None:
        self.account = account
        self.day = day
        self.totals = MeterTotals()
        self.read = 0
        self._observer = observer
        self._draw = blake2b(f"{account}\0{day}".encode("utf-8", "replace"), key=key, digest_size=8)
        self.traces = no_traces()
        self._key = key
        self._kept = empty(SAMPLE)
        self._sealed = False
        self._registers = np.zeros(REGISTERS, dtype=np.uint8)
        self._cells = np.zeros(CELLS, dtype=np.uint32)

    def add(self, request: Request) -> None:
        """Count a request, and read it if it is drawn."""
        assert not self._sealed, "the day is sealed"
        at = self.totals.requests
        self.totals = self.totals.plus(request)
        if request.meter is not None:
            self._trace(request.meter)
        slot = at if at < SAMPLE else self._slot(at)
        if slot >= SAMPLE:
            return
        print_ = self._observer.observe(request)
        self.read += 1
        kept = self._kept
        kept.facts[slot], kept.vectors[slot] = print_.facts, print_.vector
        kept.marks[slot], kept.edges[slot] = print_.marks, print_.edges
        self._count(print_)

    @property
    def sample(self) -> Sample:
        """The fingerprints kept."""
        if self._sealed:
            return self._kept
        return self._kept.take(np.arange(min(SAMPLE, self.totals.requests)))

    @property
    def sampled_fraction(self) -> float:
        """Share of the day's requests in the sample."""
        return len(self.sample) / self.totals.requests if self.totals.requests else 1.0

    @property
    def distinct_read(self) -> float:
        """About how many different prompts were read (HyperLogLog, within some 7 %)."""
        zeros = int((self._registers == 0).sum())
        if zeros > REGISTERS // 8:  # linear counting is the better estimate for small counts
            return REGISTERS * math.log(REGISTERS / zeros)
        harmonic = float((2.0 ** -self._registers.astype(np.float64)).sum())
        return 0.7213 / (1 + 1.079 / REGISTERS) * REGISTERS**2 / harmonic

    @property
    def cells(self) -> npt.NDArray[np.uint32]:
        """How many of the requests read fell into each cell of the space of topics."""
        return self._cells.copy()

    @property
    def nbytes(self) -> int:
        """Memory of the day's sketches, without the observer that all accounts share."""
        held = self.traces
        # 4 bytes a trace where it is stored; a set in memory takes more, but is bounded as well.
        traced = 4 * sum(len(seen) for seen in held[:6]) + sum(len(m) + 4 for m in held.models)
        arrays = self._registers.nbytes + self._cells.nbytes + held.half_hours.nbytes
        return self._kept.nbytes + int(arrays) + traced

    def seal(self, rows: npt.NDArray[np.intp] | None = None) -> "DaySketch":
        """End the day: keep the given rows of the sample, or all, and give back other room."""
        kept = self.sample
        self._kept = kept if rows is None else kept.take(rows)
        self._sealed = True
        return self

    def _trace(self, meter: Meter) -> None:
        held = self.traces
        named = (
            meter.payment, meter.key, meter.network, meter.client, meter.end_user,
            settings_of(meter),
        )  # fmt: skip
        for seen, name in zip(held[:6], named, strict=True):
            if name is not None and len(seen) < TRACES:
                seen.add(hashed_name(name, self._key))
        if meter.model is not None:
            known = meter.model in held.models or len(held.models) < MODELS_MAX
            model = meter.model if known else "other models"
            held.models[model] = held.models.get(model, 0) + 1
        if meter.second_of_day is not None:
            held.half_hours[meter.second_of_day // 1800 % HALF_HOURS] += 1

    def _slot(self, at: int) -> int:
        drawn = self._draw.copy()
        drawn.update(at.to_bytes(8, "little"))
        return int.from_bytes(drawn.digest(), "little") % (at + 1)

    def _count(self, print_: Fingerprint) -> None:
        whole = int(print_.edges[0])
        rest = whole >> 8
        rank = REGISTER_HASH_BITS + 1 - rest.bit_length()
        register = whole & (REGISTERS - 1)
        self._registers[register] = max(int(self._registers[register]), rank)
        self._cells[int((print_.vector[:DIRECTIONS] > 0) @ (1 << np.arange(DIRECTIONS)))] += 1


def settings_of(meter: Meter) -> str | None:
    """Temperature, token limit and number of answers as one value; None where none is given."""
    given = meter.temperature, meter.max_tokens, meter.n
    return None if given == (None, None, None) else f"{given}"


def hashed_name(name: str, key: bytes) -> int:
    """A keyed hash of a key, network or client: equal names are equal, and that is all it says."""
    digest = blake2b(name.encode("utf-8", "replace"), key=key, digest_size=4).digest()
    return int.from_bytes(digest, "little")


def empty(rows: int) -> Sample:
    """Room for `rows` fingerprints."""
    return Sample(
        np.zeros((rows, len(FIELDS)), dtype=np.float16),
        np.zeros((rows, VECTOR_SIZE), dtype=np.int8),
        np.zeros((rows, MARKS), dtype=np.uint32),
        np.zeros((rows, 3), dtype=np.uint32),
    )


def stacked(prints: Iterable[Fingerprint]) -> Sample:
    """Fingerprints as columns."""
    rows = list(prints)
    if not rows:
        return empty(0)
    return Sample(*(np.stack(column) for column in zip(*rows, strict=True)))


def joined(samples: Iterable[Sample]) -> Sample:
    """Several samples as one."""
    parts = list(samples)
    if not parts:
        return empty(0)
    return Sample(*(np.concatenate(column) for column in zip(*parts, strict=True)))


def sketched(day: AccountDay, observer: Observer, key: bytes) -> DaySketch:
    """The sketch of a whole account-day."""
    sketch = DaySketch(day.account, day.day, observer, key)
    for request in day.requests:
        sketch.add(request)
    return sketch
