"""`/v1/batches`: many requests in one file, answered within a day at the batch price."""

from typing import Final, Literal

import msgspec
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response

from quartermaster.api.relayed import Asking, Row, answered, json_body
from quartermaster.book.batch_states import Batch, BatchStatus
from quartermaster.commands import batch as batches
from quartermaster.commands.file import lifetime_s
from quartermaster.kernel.clock import US_PER_S

PAGE: Final = 20
PAGE_MAX: Final = 100
"""Both as at OpenAI."""


class ExpiresAfter(msgspec.Struct, frozen=True):
    """When files are deleted that a batch leaves."""

    anchor: Literal["created_at"]
    seconds: int


class CreateBatch(msgspec.Struct, frozen=True):
    """What a customer asks for."""

    input_file_id: str
    endpoint: str
    completion_window: str
    metadata: dict[str, str] | None = None
    output_expires_after: ExpiresAfter | None = None


class ErrorShown(msgspec.Struct, frozen=True):
    """Why a batch failed, and at which line of its input."""

    code: str
    message: str
    param: str | None
    line: int | None


class ErrorsShown(msgspec.Struct, frozen=True, kw_only=True):
    """Everything that was found wrong with an input."""

    object: Literal["list"] = "list"
    data: tuple[ErrorShown, ...]


class CountsShown(msgspec.Struct, frozen=True):
    """Requests of a batch."""

    total: int
    completed: int
    failed: int


class CachedShown(msgspec.Struct, frozen=True):
    """Part of the input."""

    cached_tokens: int


class ReasoningShown(msgspec.Struct, frozen=True):
    """Part of the output."""

    reasoning_tokens: int


class UsageShown(msgspec.Struct, frozen=True):
    """What the answers of a finished batch say they used."""

    input_tokens: int
    input_tokens_details: CachedShown
    output_tokens: int
    output_tokens_details: ReasoningShown
    total_tokens: int


class BatchShown(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A batch, as OpenAI's `Batch`; what is not there yet is left out."""

    id: str
    object: Literal["batch"]
    endpoint: str
    input_file_id: str
    completion_window: str
    status: BatchStatus
    created_at: int
    expires_at: int
    request_counts: CountsShown
    model: str | None = None
    errors: ErrorsShown | None = None
    output_file_id: str | None = None
    error_file_id: str | None = None
    in_progress_at: int | None = None
    finalizing_at: int | None = None
    completed_at: int | None = None
    failed_at: int | None = None
    expired_at: int | None = None
    cancelling_at: int | None = None
    cancelled_at: int | None = None
    usage: UsageShown | None = None
    metadata: dict[str, str] | None = None


class BatchList(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A page of batches."""

    object: Literal["list"]
    data: list[BatchShown]
    has_more: bool
    first_id: str | None = None
    last_id: str | None = None


async def create(asking: Asking, request: Request) -> Response:
    """Queue a batch."""
    body = await json_body(request, CreateBatch)
    assert isinstance(body, CreateBatch), "asked for as this"
    ports = asking.ports
    after = body.output_expires_after
    new = batches.NewBatch(
        input_file_id=body.input_file_id,
        endpoint=body.endpoint,
        completion_window=body.completion_window,
        metadata=body.metadata,
        output_lifetime_s=None
        if after is None
        else lifetime_s(after.seconds, ports.settings.file_days),
    )

    def queued() -> Batch:
        return batches.create(
            ports.book,
            ports.vault(),
            asking.holder,
            new,
            open_max=ports.settings.open_batches_max,
            now=ports.clock(),
        )

    batch = await run_in_threadpool(queued)
    ports.queued()
    return answered(shown(batch))


async def list_batches(asking: Asking, request: Request) -> Response:
    """The project's batches, newest first."""
    del request
    asking.only("limit", "after")
    limit = asking.number("limit", PAGE, 1, PAGE_MAX)

    def found() -> list[Batch]:
        with asking.ports.book.reading() as unit:
            return unit.batches.page(asking.holder.tenant, after=asking.one("after"), limit=limit)

    page = await run_in_threadpool(found)
    data = [shown(batch) for batch in page[:limit]]
    first, last = (data[0].id, data[-1].id) if data else (None, None)
    return answered(
        BatchList(
            object="list", data=data, has_more=len(page) > limit, first_id=first, last_id=last
        )
    )


async def show(asking: Asking, request: Request) -> Response:
    """A batch as it is now."""
    del request
    ports, tenant = asking.ports, asking.holder.tenant
    found = await run_in_threadpool(batches.find, ports.book, tenant, asking.path["batch_id"])
    return answered(shown(found))


async def cancel(asking: Asking, request: Request) -> Response:
    """Send no more of a batch."""
    del request
    ports, tenant, batch_id = asking.ports, asking.holder.tenant, asking.path["batch_id"]
    now = ports.clock()
    batch = await run_in_threadpool(batches.cancel, ports.book, tenant, batch_id, now)
    ports.queued()
    return answered(shown(batch))


def shown(batch: Batch) -> BatchShown:
    """The batch in OpenAI's shape."""
    reached = {status: at // US_PER_S for status, at in batch.reached.items()}
    errors = tuple(
        ErrorShown(error.code, error.message, error.param, error.line) for error in batch.errors
    )
    used = batch.tokens
    return BatchShown(
        id=batch.id,
        object="batch",
        endpoint=batch.endpoint,
        input_file_id=batch.input_file,
        completion_window=batches.WINDOW,
        status=batch.status,
        created_at=batch.created_at // US_PER_S,
        expires_at=batch.expires_at // US_PER_S,
        request_counts=CountsShown(batch.total, batch.completed, batch.failed),
        model=batch.model or None,
        errors=ErrorsShown(data=errors) if errors else None,
        output_file_id=batch.output_file or None,
        error_file_id=batch.error_file or None,
        in_progress_at=reached.get("in_progress"),
        finalizing_at=reached.get("finalizing"),
        completed_at=reached.get("completed"),
        failed_at=reached.get("failed"),
        expired_at=reached.get("expired"),
        cancelling_at=reached.get("cancelling"),
        cancelled_at=reached.get("cancelled"),
        usage=None
        if batch.open or not batch.completed
        else UsageShown(
            used.input,
            CachedShown(used.cached),
            used.output,
            ReasoningShown(used.reasoning),
            used.input + used.output,
        ),
        metadata=batch.metadata,
    )


ROWS = (
    Row("POST", "/batches", create),
    Row("GET", "/batches", list_batches),
    Row("GET", "/batches/{batch_id}", show),
    Row("POST", "/batches/{batch_id}/cancel", cancel),
)
