"""`/v1/files`: what customers upload for batches, and what batches leave for them."""

import asyncio
from collections.abc import AsyncIterator
from typing import Final, Literal

import msgspec
from starlette.concurrency import run_in_threadpool
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response, StreamingResponse

from quartermaster.api.files_upload import Upload
from quartermaster.api.relayed import Asking, Row, answered
from quartermaster.book.files import StoredFile
from quartermaster.book.sealed_files import SealedReader, SealedWriter, Vault
from quartermaster.commands import file as files
from quartermaster.commands.batch import PURPOSE
from quartermaster.gateway.refusals import refused
from quartermaster.kernel.clock import US_PER_S, Instant
from quartermaster.kernel.errors import DataError, UsageError

PAGE_MAX: Final = 10_000
"""As at OpenAI, where it is the default as well."""
BLOCK_BYTES: Final = 256 * 1_024
"""What is sealed or read in one go in a thread: a millisecond of work, and a bounded buffer."""
_ANCHOR, _SECONDS = "expires_after[anchor]", "expires_after[seconds]"
_KNOWN: Final = ("purpose", _ANCHOR, _SECONDS)


class FileShown(msgspec.Struct, frozen=True, kw_only=True):
    """A file, as OpenAI's `OpenAIFile`."""

    id: str
    object: Literal["file"] = "file"
    bytes: int
    created_at: int
    expires_at: int
    filename: str
    purpose: str
    status: Literal["processed"] = "processed"


class FileList(msgspec.Struct, frozen=True, kw_only=True):
    """A page of files."""

    object: Literal["list"] = "list"
    data: list[FileShown]
    first_id: str
    last_id: str
    has_more: bool


class FileDeleted(msgspec.Struct, frozen=True, kw_only=True):
    """A file that is gone."""

    id: str
    object: Literal["file"] = "file"
    deleted: Literal[True] = True


async def upload(asking: Asking, request: Request) -> Response:
    """Take a file."""
    ports, seconds = asking.ports, asking.ports.settings.upload_seconds_max
    vault, file_id = ports.vault(), files.new_file_id()
    space = files.Space(
        ports.book,
        asking.holder,
        file_id,
        quota=ports.settings.customer_file_bytes_max,
        until=Instant(asking.now + seconds * US_PER_S),
    )
    writer = await run_in_threadpool(vault.writer, file_id)
    try:
        async with asyncio.timeout(seconds):
            form = await _arrived(asking, request, space, writer)
        # Not within the time: what is given up must not be recorded by a thread that goes on.
        file = await _kept(asking, space, writer, form)
    except BaseException as error:
        await run_in_threadpool(_undone, space, writer, vault)
        if isinstance(error, TimeoutError):
            raise refused("request_timeout", "The file did not arrive in time.") from error
        raise
    return answered(_shown(file))


def _undone(space: files.Space, writer: SealedWriter, vault: Vault) -> None:
    """Leave nothing of an upload behind."""
    writer.abandon()
    space.give_back()
    vault.delete(space.file_id)


async def list_files(asking: Asking, request: Request) -> Response:
    """The project's files."""
    del request
    asking.only("purpose", "limit", "order", "after")
    limit = asking.number("limit", PAGE_MAX, 1, PAGE_MAX)
    order = asking.choice("order", "desc", ("asc", "desc"))

    def found() -> list[StoredFile]:
        with asking.ports.book.reading() as unit:
            return unit.files.page(
                asking.holder.tenant,
                purpose=asking.one("purpose"),
                after=asking.one("after"),
                limit=limit,
                newest_first=order == "desc",
            )

    page = await run_in_threadpool(found)
    data = [_shown(file) for file in page[:limit]]
    ends = (data[0].id, data[-1].id) if data else ("", "")
    return answered(
        FileList(data=data, first_id=ends[0], last_id=ends[1], has_more=len(page) > limit)
    )


async def show(asking: Asking, request: Request) -> Response:
    """What is known of a file."""
    del request
    return answered(_shown(await _found(asking)))


async def content(asking: Asking, request: Request) -> Response:
    """A file's content."""
    del request
    file = await _found(asking)
    reader = await run_in_threadpool(asking.ports.vault().reader, file.id, file.sealed)
    return StreamingResponse(
        _blocks(reader, file.sealed.size),
        media_type="application/octet-stream",
        headers={"content-length": str(file.sealed.size)},
    )


async def delete(asking: Asking, request: Request) -> Response:
    """Delete a file."""
    del request
    ports, file_id = asking.ports, asking.path["file_id"]
    await run_in_threadpool(files.remove, ports.book, ports.vault(), asking.holder.tenant, file_id)
    return answered(FileDeleted(id=file_id))


async def _arrived(
    asking: Asking, request: Request, space: files.Space, writer: SealedWriter
) -> Upload:
    ports, settings = asking.ports, asking.ports.settings
    form = Upload(
        writer, settings.file_bytes_max, lambda size: space.cover(size, Instant(ports.clock()))
    )
    block = bytearray()
    try:
        async for chunk in request.stream():
            block += chunk
            if len(block) >= BLOCK_BYTES:
                await run_in_threadpool(form.feed, bytes(block))
                block.clear()
        await run_in_threadpool(form.feed, bytes(block))
    except ClientDisconnect as error:
        raise DataError("The request ended before its body did.") from error
    form.finish()
    return form


async def _kept(
    asking: Asking, space: files.Space, writer: SealedWriter, form: Upload
) -> StoredFile:
    ports = asking.ports
    purpose, lifetime = _fields(form.fields, ports.settings.file_days)

    def kept() -> StoredFile:
        return files.add(
            ports.book,
            space,
            filename=form.filename or "",
            purpose=purpose,
            sealed=writer.finish(),
            lifetime=lifetime,
            now=ports.clock(),
        )

    return await run_in_threadpool(kept)


def _fields(fields: dict[str, str], days_max: int) -> tuple[str, int]:
    """The purpose, and the seconds that the file is kept."""
    for name in fields:
        if name not in _KNOWN:
            raise UsageError(f"Unknown parameter: '{name}'.", field=name)
    purpose = fields.get("purpose", "")
    if not purpose:
        raise UsageError("Missing required parameter: 'purpose'.", field="purpose")
    if purpose != PURPOSE:
        raise UsageError(
            f"Files with the purpose '{purpose}' are not kept here.",
            hint=f"Use '{PURPOSE}'.",
            field="purpose",
        )
    if fields.get(_ANCHOR, "created_at") != "created_at":
        raise UsageError("expires_after.anchor must be 'created_at'.", field="expires_after")
    seconds = fields.get(_SECONDS)
    if (seconds is None) != (_ANCHOR not in fields):
        raise UsageError("expires_after needs an anchor and seconds.", field="expires_after")
    if seconds is None:
        return purpose, files.lifetime_s(None, days_max)
    digits = len(str(files.LIFETIME_S_MAX))
    if not (seconds.isascii() and seconds.isdecimal() and len(seconds) <= digits):
        raise UsageError("expires_after.seconds is not a whole number.", field="expires_after")
    return purpose, files.lifetime_s(int(seconds), days_max)


async def _found(asking: Asking) -> StoredFile:
    ports, tenant = asking.ports, asking.holder.tenant
    return await run_in_threadpool(files.find, ports.book, tenant, asking.path["file_id"])


async def _blocks(reader: SealedReader, size: int) -> AsyncIterator[bytes]:
    try:
        for offset in range(0, size, BLOCK_BYTES):
            yield await run_in_threadpool(reader.read, offset, BLOCK_BYTES)
    finally:
        reader.close()


def _shown(file: StoredFile) -> FileShown:
    return FileShown(
        id=file.id,
        bytes=file.sealed.size,
        created_at=file.created_at // US_PER_S,
        expires_at=file.expires_at // US_PER_S,
        filename=file.filename,
        purpose=file.purpose,
    )


ROWS = (
    Row("POST", "/files", upload),
    Row("GET", "/files", list_files),
    Row("GET", "/files/{file_id}", show),
    Row("DELETE", "/files/{file_id}", delete),
    Row("GET", "/files/{file_id}/content", content),
)
