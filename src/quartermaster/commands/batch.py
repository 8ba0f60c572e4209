"""Batches: queued, cancelled, looked at. The runner does the rest."""

import secrets
from typing import Final

import msgspec

from quartermaster.book.batch_states import Batch
from quartermaster.book.files import Tenant
from quartermaster.book.sealed_files import KEY_BYTES, Vault
from quartermaster.commands.key_holder import KeyHolder
from quartermaster.commands.ports import Book
from quartermaster.kernel.clock import US_PER_S, Instant
from quartermaster.kernel.errors import ConflictError, NotFoundError, RefusedError, UsageError
from quartermaster.kernel.ids import new_id

ENDPOINTS: Final = (
    "/v1/chat/completions",
    "/v1/completions",
    "/v1/embeddings",
    "/v1/responses",
    "/v1/moderations",
    "/v1/images/generations",
    "/v1/images/edits",
)
"""Whose requests are JSON and answered in JSON, as at OpenAI but for its videos: variations of
images and audio are forms or files, there and here."""
PURPOSE: Final = "batch"
"""Of files that a batch can read."""
WINDOW: Final = "24h"
WINDOW_S: Final = 24 * 3_600
# OpenAI's bounds of `metadata`: 16 pairs, keys of 64 characters, values of 512.
METADATA_PAIRS_MAX: Final = 16
METADATA_KEY_CHARS_MAX: Final = 64
METADATA_VALUE_CHARS_MAX: Final = 512
TOO_MANY_REQUESTS = 429


class NewBatch(msgspec.Struct, frozen=True, kw_only=True):
    """What a customer asks for."""

    input_file_id: str
    endpoint: str
    completion_window: str
    metadata: dict[str, str] | None = None
    output_lifetime_s: int | None = None


def create(
    book: Book, vault: Vault, holder: KeyHolder, new: NewBatch, *, open_max: int, now: Instant
) -> Batch:
    """Queue a batch; its input is read by the runner.

    Args:
        book: where it is queued.
        vault: keeps the key to its answers.
        holder: who asks.
        new: what is asked.
        open_max: how many batches of a customer may be under way.
        now: microseconds UTC.

    Raises:
        UsageError: an endpoint, a window or metadata that is not served.
        NotFoundError: no such file of this project.
        RefusedError: 429, too many batches are under way.
    """
    _check(new)
    batch_id = new_id("batch")
    batch = Batch(
        id=batch_id,
        tenant=holder.tenant,
        key_id=holder.key_id,
        endpoint=new.endpoint,
        input_file=new.input_file_id,
        created_at=now,
        expires_at=now + WINDOW_S * US_PER_S,
        key=vault.wrap(secrets.token_bytes(KEY_BYTES), batch_id),
        metadata=new.metadata,
        output_lifetime_s=new.output_lifetime_s,
    )
    with book.writing() as unit:
        file = unit.files.find(new.input_file_id, holder.tenant)
        if file is None:
            raise NotFoundError(f"No such File object: {new.input_file_id}", field="input_file_id")
        if file.purpose != PURPOSE:
            raise UsageError(
                f"The file's purpose is '{file.purpose}', not '{PURPOSE}'.", field="input_file_id"
            )
        if unit.batches.open_of(holder.customer) >= open_max:
            raise RefusedError(
                f"{open_max} batches are under way, which is as many as may be.",
                code="batches_limit_reached",
                http_status=TOO_MANY_REQUESTS,
                hint="Wait for one of them, or cancel one.",
            )
        unit.batches.add(batch)
    return batch


def find(book: Book, tenant: Tenant, batch_id: str) -> Batch:
    """A batch of a tenant, with its counts as they are now.

    Raises:
        NotFoundError: there is none, or it is somebody else's: nobody learns which.
    """
    with book.reading() as unit:
        batch = unit.batches.find(batch_id, tenant)
    if batch is None:
        raise NotFoundError(f"No batch found with id '{batch_id}'.", field="batch_id")
    return batch


def find_any(book: Book, batch_id: str) -> Batch:
    """A batch, whoever's it is, for the operator.

    Raises:
        NotFoundError: there is none.
    """
    with book.reading() as unit:
        batch = unit.batches.find(batch_id)
    if batch is None:
        raise NotFoundError(f"there is no batch {batch_id!r}", field="batch")
    return batch


def cancel(book: Book, tenant: Tenant, batch_id: str, now: Instant) -> Batch:
    """Send no more of a batch; what is under way is finished and written to its files.

    Raises:
        NotFoundError: there is none, or it is somebody else's.
        ConflictError: it is over, or its files are being written.
    """
    with book.writing() as unit:
        batch = unit.batches.find(batch_id, tenant)
        if batch is None:
            raise NotFoundError(f"No batch found with id '{batch_id}'.", field="batch_id")
        if batch.status == "cancelling":
            return batch
        if batch.status not in ("validating", "in_progress"):
            raise ConflictError(
                f"A batch with status '{batch.status}' cannot be cancelled.", field="batch_id"
            )
        batch = batch.moved("cancelling", now)
        unit.batches.put(batch)
    return batch


def _check(new: NewBatch) -> None:
    if new.endpoint not in ENDPOINTS:
        raise UsageError(
            f"Invalid endpoint: '{new.endpoint}'.",
            hint=f"Served are {', '.join(ENDPOINTS)}.",
            field="endpoint",
        )
    if new.completion_window != WINDOW:
        raise UsageError(
            f"Invalid completion_window: '{new.completion_window}'.",
            hint=f"Only '{WINDOW}' is served.",
            field="completion_window",
        )
    metadata = new.metadata or {}
    if len(metadata) > METADATA_PAIRS_MAX:
        raise UsageError(f"metadata has more than {METADATA_PAIRS_MAX} pairs", field="metadata")
    for key, value in metadata.items():
        if len(key) > METADATA_KEY_CHARS_MAX or len(value) > METADATA_VALUE_CHARS_MAX:
            raise UsageError(
                f"metadata keys have at most {METADATA_KEY_CHARS_MAX} characters, "
                f"values {METADATA_VALUE_CHARS_MAX}",
                field="metadata",
            )
