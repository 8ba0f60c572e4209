"""Read a fleet: pools of GPUs, what they cost, who reserved them, and what was measured on them."""

from collections import Counter
from collections.abc import Iterable, Iterator
from decimal import Decimal
from typing import Annotated, Any, Literal, TypeVar

import msgspec

from quartermaster.kernel.errors import DataError, UsageError
from quartermaster.kernel.money import exact_decimal, exponent
from quartermaster.kernel.toml import parse_toml

FLEET_BYTES_MAX = 1024 * 1024
"""A thousand pools and points of a kilobyte; a person writes and reviews the file."""
GPUS_MAX = 10_000_000
"""More than any operator has announced; a larger count is a typing error."""
MONTHS_MAX = 240
"""Twenty years: no accelerator is written off over a longer time."""
TOKENS_MAX = 10_000_000
"""Ten million tokens: the longest contexts that are sold."""
BATCH_MAX = 65_536
"""Concurrent sequences of one replica; engines stop at a few thousand."""
PERCENT_MAX = 1_000
"""Ten times the peak: more is not headroom but another fleet."""

_ID = r"^[a-z0-9][a-z0-9._-]{0,63}$"
_LENGTH_MAX = 200
"""Longer than any registered company name."""

Id = Annotated[str, msgspec.Meta(pattern=_ID)]
Name = Annotated[str, msgspec.Meta(min_length=1, max_length=_LENGTH_MAX)]
Gpus = Annotated[int, msgspec.Meta(ge=1, le=GPUS_MAX)]
Months = Annotated[int, msgspec.Meta(ge=0, le=MONTHS_MAX)]
Tokens = Annotated[int, msgspec.Meta(ge=1, le=TOKENS_MAX)]
Batch = Annotated[int, msgspec.Meta(ge=1, le=BATCH_MAX)]
Percent = Annotated[int, msgspec.Meta(ge=0, le=PERCENT_MAX)]
Quantity = Annotated[float, msgspec.Meta(ge=1e-3, le=1e9)]
"""Milliseconds, or a figure of a data sheet; never money. A thousandth to a billion: what lies
outside is a mistaken unit, and products inside stay far from infinity."""


class Reservation(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """GPUs of a pool that are kept for one customer, used or not."""

    customer: Name
    gpus: Gpus


class Pool(
    msgspec.Struct,
    frozen=True,
    forbid_unknown_fields=True,
    kw_only=True,
    rename={"reservations": "reservation"},
):
    """GPUs of one type that serve one model. Amounts are decimal strings in the fleet's currency.

    Owned GPUs have `capex_per_gpu` and `depreciation_months`, leased ones `lease_per_gpu_hour`.
    """

    id: Id
    gpu: Name
    model: Name
    gpus: Gpus
    tensor_parallel: Gpus = 1
    batch: Batch
    """Concurrent sequences of a replica while it is busy, as its engine reports them."""
    prompt_tokens: Tokens
    """Of a typical request; used where the demand does not count requests."""
    output_tokens: Tokens
    headroom_percent: Percent = 0
    """Kept free above the peak hour, because a mean of an hour hides its minutes."""
    capex_per_gpu: str = ""
    depreciation_months: Months = 0
    lease_per_gpu_hour: str = ""
    power_kw_per_gpu: str = "0"
    """Mean draw with its share of the server, before cooling."""
    pue: str = "1"
    """Power usage effectiveness: what the site draws over what its servers draw."""
    power_price_per_kwh: str = "0"
    reservations: tuple[Reservation, ...] = ()

    def amount(self, field: str) -> Decimal:
        """The decimal in a field; zero where it is empty."""
        text: str = getattr(self, field)
        return exact_decimal(text) if text else Decimal(0)


class Point(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One measurement of the operator's own engine, in milliseconds.

    `prefill_ms` reads `prefill_batch` prompts of `prompt_tokens` together, as many as `batch`
    unless told; `decode_ms` is one step, that is one token for each of `batch` sequences.
    """

    model: Name
    gpu: Name
    tensor_parallel: Gpus
    prompt_tokens: Tokens
    batch: Batch
    prefill_ms: Quantity
    decode_ms: Quantity
    output_tokens: Annotated[int, msgspec.Meta(ge=0, le=TOKENS_MAX)] = 0
    prefill_batch: Batch | None = None

    @property
    def read_tokens(self) -> int:
        """Prompt tokens that `prefill_ms` read."""
        return self.prompt_tokens * (self.prefill_batch or self.batch)

    @property
    def context_tokens(self) -> float:
        """Mean length of a sequence while it is written: its prompt and half of its output."""
        return self.prompt_tokens + self.output_tokens / 2


class GpuType(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What a vendor's data sheet says: dense 16-bit arithmetic and memory bandwidth."""

    id: Name
    tflops: Quantity
    memory_gb_per_s: Quantity


class ModelShape(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What a model card says; needed only where nothing is measured yet."""

    id: Name
    parameters_billion: Quantity
    kv_bytes_per_token: Annotated[int, msgspec.Meta(ge=0, le=10**9)]
    """2 x layers x key-value heads x head dimension x bytes of a number."""
    bytes_per_parameter: Quantity = 2.0


class Fleet(msgspec.Struct, frozen=True, kw_only=True):
    """Everything that was built or leased, checked."""

    name: str
    currency: str
    pools: tuple[Pool, ...]
    points: tuple[Point, ...] = ()
    gpus: tuple[GpuType, ...] = ()
    models: tuple[ModelShape, ...] = ()
    elsewhere: tuple[str, ...] = ()
    """Models in the demand that other people's capacity serves."""


class _Head(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The fields outside the lists."""

    schema: Literal["quartermaster.fleet/1"]
    name: Name
    currency: str
    elsewhere: tuple[Name, ...] = ()


_Entry = TypeVar("_Entry", Pool, Point, GpuType, ModelShape)


def parse_fleet(data: bytes, name: str) -> Fleet:
    """The fleet in a TOML file.

    Raises:
        DataError: names the file, and for each problem the entry and the field.
    """
    tree = parse_toml(data, name)
    bad: list[str] = []
    pools = _entries(tree.pop("pool", []), "pool", Pool, bad)
    points = _entries(tree.pop("point", []), "point", Point, bad)
    gpus = _entries(tree.pop("gpu", []), "gpu", GpuType, bad)
    models = _entries(tree.pop("model", []), "model", ModelShape, bad)
    head: _Head | None = None
    try:
        head = msgspec.convert(tree, _Head)
        exponent(head.currency)
    except msgspec.ValidationError as error:
        bad.append(said_of(error))
    except UsageError as error:
        bad.append(f"currency: {error.message} ({error.hint})")
    bad += _unprintable(head, (*pools, *points, *gpus, *models))
    if not bad:
        bad += _problems(pools, gpus, models)
        both = set(pool_models(pools)).intersection(head.elsewhere if head else ())
        bad += [f"elsewhere: {model!r} is served by a pool" for model in sorted(both)]
    if bad or head is None:
        count = "1 problem" if len(bad) == 1 else f"{len(bad)} problems"
        listed = "".join(f"\n  {line}" for line in bad)
        raise DataError(f"{name}: {count}{listed}", hint="docs/reference/capacity-input.md")
    return Fleet(
        name=head.name,
        currency=head.currency,
        elsewhere=head.elsewhere,
        pools=pools,
        points=points,
        gpus=gpus,
        models=models,
    )


def _entries(found: Any, kind: str, of: type[_Entry], bad: list[str]) -> tuple[_Entry, ...]:  # noqa: ANN401 - TOML
    """Entries of one list; what cannot be read is added to `bad` with its place and field."""
    if not isinstance(found, list):
        bad.append(f"{kind}: write each one as [[{kind}]]")
        return ()
    read: list[_Entry] = []
    for place, entry in enumerate(found, start=1):
        try:
            read.append(msgspec.convert(entry, of))
        except msgspec.ValidationError as error:
            bad.append(f"{_called(kind, place, entry)}: {said_of(error)}")
    return tuple(read)


def _unprintable(
    head: _Head | None, entries: Iterable[Pool | Point | GpuType | ModelShape]
) -> Iterator[str]:
    """Names that would steer a terminal instead of standing in it."""
    names = [] if head is None else [head.name, *head.elsewhere]
    for entry in entries:
        names += [text for text in msgspec.structs.astuple(entry) if isinstance(text, str)]
        if isinstance(entry, Pool):
            names += [reservation.customer for reservation in entry.reservations]
    yield from (f"{name!r} holds a control character" for name in names if not name.isprintable())


def _called(kind: str, place: int, entry: object) -> str:
    identity = entry.get("id") if isinstance(entry, dict) else None
    return f"{kind} {identity!r}" if isinstance(identity, str) and identity else f"{kind} {place}"


def said_of(error: msgspec.ValidationError) -> str:
    """The field first, then what is wrong with it."""
    words, _, path = str(error).partition(" - at `$")
    field = path.rstrip("`").lstrip(".")
    words = words.replace("`", "")
    return f"{field}: {words[0].lower()}{words[1:]}" if field else f"{words[0].lower()}{words[1:]}"


def _problems(
    pools: tuple[Pool, ...], gpus: tuple[GpuType, ...], models: tuple[ModelShape, ...]
) -> Iterator[str]:
    if not pools:
        yield "pool: there is none"
    lists = (("pool", [p.id for p in pools]), ("gpu", [g.id for g in gpus]))
    for kind, ids in (*lists, ("model", [m.id for m in models])):
        yield from (
            f"{kind} {id_!r} is there {n} times" for id_, n in Counter(ids).items() if n > 1
        )
    for pool in pools:
        yield from (f"pool {pool.id!r}: {reason}" for reason in _pool_problems(pool))


def _pool_problems(pool: Pool) -> Iterator[str]:
    for field in _AMOUNTS:
        yield from _amount_problem(pool, field)
    owned, leased = bool(pool.capex_per_gpu), bool(pool.lease_per_gpu_hour)
    if not (owned or leased):
        yield "capex_per_gpu or lease_per_gpu_hour: one of them is needed"
    if owned and not pool.depreciation_months:
        yield "depreciation_months: needed with capex_per_gpu"
    if pool.depreciation_months and not owned:
        yield "depreciation_months: only with capex_per_gpu"
    if pool.gpus % pool.tensor_parallel:
        yield f"gpus: {pool.gpus} is not a multiple of tensor_parallel {pool.tensor_parallel}"
    reserved = sum(reservation.gpus for reservation in pool.reservations)
    if reserved > pool.gpus:
        yield f"reservation: {reserved} GPUs are reserved of {pool.gpus}"
    names = Counter(reservation.customer for reservation in pool.reservations)
    yield from (f"reservation: {who!r} is there {n} times" for who, n in names.items() if n > 1)


_AMOUNTS = (
    *("capex_per_gpu", "lease_per_gpu_hour"),
    *("power_kw_per_gpu", "pue", "power_price_per_kwh"),
)
_AMOUNT_MAX = Decimal(10) ** 9
"""A billion for one GPU: products with all GPUs and hours stay within 38 digits."""
_FACTOR_MAX = Decimal(1_000)
"""A GPU that draws a megawatt, or a site that wastes all but a thousandth: a wrong unit."""
_DECIMALS_MAX = 12
"""A price of a kilowatt-hour has four."""


_FACTORS = ("power_kw_per_gpu", "pue")


def _amount_problem(pool: Pool, field: str) -> Iterator[str]:
    try:
        amount = pool.amount(field)
    except UsageError as error:
        yield f"{field}: {error.message} ({error.hint})"
        return
    limit = _FACTOR_MAX if field in _FACTORS else _AMOUNT_MAX
    if not 0 <= amount <= limit:
        yield f"{field}: {amount} is not between 0 and {limit:,f}"
    elif -int(amount.as_tuple().exponent) > _DECIMALS_MAX:
        yield f"{field}: more than {_DECIMALS_MAX} decimals"
    elif field == "pue" and amount < 1:
        yield f"pue: {amount} is under 1; a site draws at least what its servers draw"


def pool_models(pools: Iterable[Pool]) -> tuple[str, ...]:
    """The models that these pools serve, each once."""
    return tuple(dict.fromkeys(pool.model for pool in pools))
