"""`/v1/organization`: what a customer used and what it costs, as OpenAI's usage API tells it.

The organisation is the customer whose key asks: all its projects and keys, and nobody else's.
"""

import base64
import binascii
from collections import defaultdict
from collections.abc import Callable, Iterable
from decimal import Decimal
from typing import Any, Final, Literal

import msgspec
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response

from quartermaster.api.relayed import Answering, Asking, Row, answered
from quartermaster.kernel.clock import US_PER_S
from quartermaster.kernel.errors import UsageError
from quartermaster.kernel.events import Endpoint
from quartermaster.usage.bucket_rows import BucketColumn, BucketRow, BucketsAsked, DayCost

WIDTHS: Final = {"1m": 60, "1h": 3_600, "1d": 86_400}
LIMITS: Final = {"1m": (60, 1_440), "1h": (24, 168), "1d": (7, 31)}
"""Default and most buckets of a page, as at OpenAI."""
COST_LIMIT, COST_LIMIT_MAX = 7, 180
"""As at OpenAI."""
TIME_MAX: Final = 253_402_300_799
"""The last second of the year 9999."""
_TIERS: Final = {"standard": "default"}
"""What OpenAI calls our service classes, where it calls them otherwise."""
_COLUMNS: Final[dict[str, BucketColumn]] = {
    "project_id": "project",
    "api_key_id": "key_id",
    "model": "model",
    "batch": "service_class",
    "service_tier": "service_class",
    "source": "endpoint",
}
_SOURCES: Final[dict[str, tuple[Endpoint, ...]]] = {
    "image.generation": ("images.generations",),
    "image.edit": ("images.edits",),
    "image.variation": ("images.variations",),
}
_SOURCE_NAMES: Final[dict[str | None, str]] = {
    at: name for name, endpoints in _SOURCES.items() for at in endpoints
}
_API, _UNLABELLED = "api_source", "unlabeled"
"""Nothing here comes of OpenAI's Agents API, which is what it tells apart."""
_COMMON: Final = ("project_id", "user_id", "api_key_id", "model")
_TIME: Final = ("start_time", "end_time", "bucket_width", "limit", "page")


class Amount(msgspec.Struct, frozen=True):
    """Money; the value is exact, with every digit."""

    value: Decimal
    currency: str


Result = dict[str, Any]
"""One group of one bucket, as OpenAI's `Usage...Result` or `CostsResult`."""


class Bucket(msgspec.Struct, frozen=True, kw_only=True):
    """One span of time, half-open, in seconds since 1970."""

    object: Literal["bucket"] = "bucket"
    start_time: int
    end_time: int
    results: list[Result]


class UsagePage(msgspec.Struct, frozen=True, kw_only=True):
    """Buckets in the order of time."""

    object: Literal["page"] = "page"
    data: list[Bucket]
    has_more: bool
    next_page: str | None


class Kind(msgspec.Struct, frozen=True, kw_only=True):
    """One of the usage addresses: whose requests, what may be asked, and what is told."""

    name: str
    endpoints: tuple[Endpoint, ...] = ()
    """Without any it is not served, and nobody has used it."""
    groups: tuple[str, ...] = _COMMON
    filters: tuple[str, ...] = ("project_ids", "user_ids", "api_key_ids", "models")
    told: Callable[[BucketRow], dict[str, int]] = lambda _: {}


class _Span(msgspec.Struct, frozen=True):
    """The buckets of one page."""

    first_s: int
    page_end_s: int
    """Where this page ends."""
    end_s: int
    """Where the question ends."""
    width_s: int

    def buckets(self) -> list[tuple[int, int, int]]:
        """By its aligned second: where each bucket begins and ends, cut to what was asked."""
        aligned = range(self.first_s - self.first_s % self.width_s, self.page_end_s, self.width_s)
        return [
            (at, max(at, self.first_s), min(at + self.width_s, self.page_end_s)) for at in aligned
        ]


def usage_of(kind: Kind) -> Answering:
    """What answers one of the usage addresses."""

    async def answer(asking: Asking, request: Request) -> Response:
        del request
        asking.only(*_TIME, "group_by", *kind.filters)
        groups = _groups(asking, kind.groups)
        width = asking.choice("bucket_width", "1d", tuple(WIDTHS))
        span = _span(asking, WIDTHS[width], *LIMITS[width])
        asked = msgspec.structs.replace(
            _asked(asking, span),
            endpoints=_endpoints(asking, kind),
            by=tuple(sorted({_COLUMNS[name] for name in groups if name in _COLUMNS})),
        )
        if not asked.endpoints:  # to the table it would be all of them
            return answered(_page(span, {}))
        customer = asking.holder.customer
        async with asking.turn:
            rows = await run_in_threadpool(asking.ports.usage.buckets, customer, asked)
        merged = _merged(rows, groups, kind)
        return answered(_page(span, merged))

    return answer


async def costs(asking: Asking, request: Request) -> Response:
    """What it comes to, by day, at the prices of the contract."""
    del request
    asking.only(*_TIME, "group_by", "project_ids", "api_key_ids", "line_items")
    groups = _groups(asking, ("project_id", "user_id", "line_item", "api_key_id", _API))
    asking.choice("bucket_width", "1d", ("1d",))
    span = _span(asking, WIDTHS["1d"], COST_LIMIT, COST_LIMIT_MAX)
    asked = msgspec.structs.replace(
        _asked(asking, span),
        by=tuple(sorted({_COLUMNS[name] for name in groups if name in _COLUMNS})),
        by_line="line_item" in groups,
        lines=asking.query.get("line_items", ()),
    )
    async with asking.turn:
        rows = await run_in_threadpool(asking.ports.usage.costs, asking.holder.customer, asked)
    found: dict[int, list[Result]] = defaultdict(list)
    for row in rows:
        found[row.start_s].append(_cost(row, groups))
    return answered(_page(span, found))


def _cost(row: DayCost, groups: tuple[str, ...]) -> Result:
    return {
        "object": "organization.costs.result",
        "amount": Amount(row.amount, row.currency.lower()),
        "line_item": row.line,
        "quantity": row.quantity,
        "quantity_unit": row.unit,
        "project_id": row.project,
        "user_id": None,
        "api_key_id": row.key_id,
        _API: _UNLABELLED if _API in groups else None,
    }


def _groups(asking: Asking, known: tuple[str, ...]) -> tuple[str, ...]:
    groups = asking.query.get("group_by", ())
    for name in groups:
        if name not in known:
            raise UsageError(
                f"Invalid value for 'group_by': '{name}'.",
                hint=f"Use {', '.join(known)}.",
                field="group_by",
            )
    return tuple(dict.fromkeys(groups))


def _span(asking: Asking, width_s: int, default: int, most: int) -> _Span:
    if not asking.one("start_time"):
        raise UsageError("Missing required parameter: 'start_time'.", field="start_time")
    start = asking.number("start_time", 0, 0, TIME_MAX)
    # Until the end of this second, so that what has just been used is in it.
    end = asking.number("end_time", asking.now // US_PER_S + 1, 0, TIME_MAX)
    if end <= start:
        raise UsageError("'end_time' must be after 'start_time'.", field="end_time")
    limit = asking.number("limit", default, 1, most)
    first = start
    cursor = asking.one("page")
    if cursor:
        first = _first_of(cursor)
        if not start < first < end or first % width_s:
            raise UsageError("'page' is no cursor of this question.", field="page")
    page_end = min(end, first - first % width_s + limit * width_s)
    return _Span(first, page_end, end, width_s)


def _first_of(cursor: str) -> int:
    try:
        text = base64.urlsafe_b64decode(cursor.removeprefix("page_").encode("ascii"))
        return msgspec.json.decode(text, type=int)
    except (UnicodeError, binascii.Error, msgspec.DecodeError, ValueError) as error:
        raise UsageError("'page' is no cursor.", field="page") from error


def _asked(asking: Asking, span: _Span) -> BucketsAsked:
    if asking.query.get("user_ids"):
        raise UsageError(
            "Keys belong to projects here, not to users.",
            hint="Use project_ids or api_key_ids.",
            field="user_ids",
        )
    if asking.query.get("sizes"):
        raise UsageError("Sizes of images are not metered here.", field="sizes")
    batch = asking.one("batch")
    if batch not in ("", "true", "false"):
        raise UsageError("'batch' must be true or false.", field="batch")
    return BucketsAsked(
        first_s=span.first_s,
        end_s=span.page_end_s,
        width_s=span.width_s,
        projects=asking.query.get("project_ids", ()),
        keys=asking.query.get("api_key_ids", ()),
        models=asking.query.get("models", ()),
        batch=None if not batch else batch == "true",
    )


def _endpoints(asking: Asking, kind: Kind) -> tuple[Endpoint, ...]:
    sources = asking.query.get("sources", ())
    for source in sources:
        if source not in _SOURCES:
            raise UsageError(
                f"Invalid value for 'sources': '{source}'.",
                hint=f"Use {', '.join(_SOURCES)}.",
                field="sources",
            )
    if not sources:
        return kind.endpoints
    return tuple(endpoint for source in sources for endpoint in _SOURCES[source])


def _merged(
    rows: Iterable[BucketRow], groups: tuple[str, ...], kind: Kind
) -> dict[int, list[Result]]:
    """Rows by bucket; rows that only a column apart from the asked groups tells apart, as one."""
    sums: dict[int, dict[tuple[tuple[str, str | bool | None], ...], dict[str, int]]] = {}
    for row in rows:
        labels = tuple(
            (name, _label(row, name) if name in groups else None) for name in kind.groups
        )
        into = sums.setdefault(row.start_s, {}).setdefault(labels, defaultdict(int))
        into["num_model_requests"] += row.requests
        for name, quantity in kind.told(row).items():
            into[name] += quantity
    return {
        start: [
            {"object": f"organization.usage.{kind.name}.result", **dict(labels), **told}
            for labels, told in groups_of.items()
        ]
        for start, groups_of in sums.items()
    }


def _label(row: BucketRow, name: str) -> str | bool | None:
    if name == "project_id":
        return row.project
    if name == "api_key_id":
        return row.key_id
    if name == "model":
        return row.model
    if name == "batch":
        return row.service_class == "batch"
    if name == "service_tier":
        return _TIERS.get(row.service_class or "", row.service_class)
    if name == "source":
        return _SOURCE_NAMES[row.endpoint]
    if name == _API:
        return _UNLABELLED
    return None  # a key has no user, and of an image no size is metered


def _page(span: _Span, found: dict[int, list[Result]]) -> UsagePage:
    data = [
        Bucket(start_time=start, end_time=end, results=found.get(at, []))
        for at, start, end in span.buckets()
    ]
    more = span.page_end_s < span.end_s
    cursor = base64.urlsafe_b64encode(msgspec.json.encode(span.page_end_s)).decode()
    return UsagePage(data=data, has_more=more, next_page=f"page_{cursor}" if more else None)


def _completions(row: BucketRow) -> dict[str, int]:
    counts = row.counts
    fresh = counts.input + counts.audio_input
    return {
        "input_tokens": fresh + counts.cached_read + counts.cache_write,
        "input_cached_tokens": counts.cached_read,
        "input_cache_write_tokens": counts.cache_write,
        "input_uncached_tokens": fresh,
        "input_audio_tokens": counts.audio_input,
        "output_tokens": counts.output + counts.reasoning + counts.audio_output,
        "output_audio_tokens": counts.audio_output,
    }


KINDS: Final = (
    Kind(
        name="completions",
        endpoints=("chat.completions", "completions", "responses", "messages"),
        groups=(*_COMMON, "batch", "service_tier", _API),
        filters=("project_ids", "user_ids", "api_key_ids", "models", "batch"),
        told=_completions,
    ),
    Kind(
        name="embeddings",
        endpoints=("embeddings",),
        told=lambda row: {"input_tokens": row.counts.input + row.counts.cached_read},
    ),
    Kind(
        name="moderations",
        endpoints=("moderations",),
        told=lambda row: {"input_tokens": row.counts.input},
    ),
    Kind(
        name="images",
        endpoints=("images.generations", "images.edits", "images.variations"),
        groups=(*_COMMON, "source", "size"),
        filters=("project_ids", "user_ids", "api_key_ids", "models", "sources", "sizes"),
        told=lambda row: {"images": row.counts.image + row.measured},
    ),
    Kind(
        name="audio_speeches",
        endpoints=("audio.speech",),
        told=lambda row: {"characters": row.measured},
    ),
    Kind(
        name="audio_transcriptions",
        endpoints=("audio.transcriptions", "audio.translations"),
        told=lambda row: {"seconds": row.measured},
    ),
    Kind(
        name="code_interpreter_sessions",
        groups=("project_id",),
        filters=("project_ids",),
    ),
    Kind(
        name="decisions",
        groups=(*_COMMON, "batch", "service_tier", _API),
        filters=("project_ids", "user_ids", "api_key_ids", "models", "batch"),
    ),
    Kind(
        name="file_search_calls",
        groups=("project_id", "user_id", "api_key_id", "vector_store_id"),
        filters=("project_ids", "user_ids", "api_key_ids", "vector_store_ids"),
    ),
    Kind(name="vector_stores", groups=("project_id",), filters=("project_ids",)),
    Kind(
        name="web_search_calls",
        groups=(*_COMMON, "context_level", _API),
        filters=("project_ids", "user_ids", "api_key_ids", "models", "context_levels"),
    ),
)

ROWS = (
    *(Row("GET", f"/organization/usage/{kind.name}", usage_of(kind)) for kind in KINDS),
    Row("GET", "/organization/costs", costs),
)
