"""Customers' files: uploaded, listed, read, deleted; sealed on disk; nobody else's."""

import asyncio
import errno
import json
import time
from collections.abc import AsyncIterator, Awaitable, Callable, MutableMapping
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient
from tests.unit.app.batch_world import PEPPER, World, jsonl, request

from quartermaster.book.sealed_files import CHUNK_BYTES, Sealed, SealedWriter, Vault
from quartermaster.commands import file as files
from quartermaster.commands.actor import OPERATOR
from quartermaster.commands.key import issue, revoke
from quartermaster.kernel.clock import US_PER_S, Instant
from quartermaster.kernel.errors import IntegrityError
from quartermaster.kernel.relayed_key import HEADER, VALID_S, prove

DAY_S = 86_400


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> World:
    """Of tests that leave nothing in it."""
    return World(tmp_path_factory.mktemp("shared"))


def error_of(answer: Any) -> tuple[int, str | None, str | None]:
    error = answer.json()["error"]
    assert set(error) == {"message", "type", "param", "code"}
    assert not error["message"][:1].islower()
    return answer.status_code, error["code"], error["param"]


def test_a_file_comes_back_as_it_went(world: World) -> None:
    data = b"".join(b"%07d\n" % n for n in range(3 * CHUNK_BYTES // 8)) + b"end"
    file_id = world.upload(data)
    client = world.client()
    shown = client.get(f"/v1/files/{file_id}").json()
    assert shown["bytes"] == len(data)
    assert shown["filename"] == "in.jsonl"
    assert shown["purpose"] == "batch"
    assert shown["expires_at"] - shown["created_at"] == 30 * DAY_S
    content = client.get(f"/v1/files/{file_id}/content")
    assert content.content == data
    assert content.headers["content-length"] == str(len(data))
    (stored,) = (world.folder / "files").iterdir()
    assert b"0000001" not in stored.read_bytes()
    assert oct(stored.stat().st_mode)[-3:] == "600"
    deleted = client.delete(f"/v1/files/{file_id}")
    assert deleted.json() == {"id": file_id, "object": "file", "deleted": True}
    assert list((world.folder / "files").iterdir()) == []
    assert error_of(client.get(f"/v1/files/{file_id}/content")) == (404, None, "id")


def test_nobody_sees_another_customer_s_files_or_batches(world: World) -> None:
    file_id = world.upload(jsonl(request(0)))
    batch_id = world.queue(request(0))
    other = world.client("globex")
    for method, path in (
        ("GET", f"/v1/files/{file_id}"),
        ("GET", f"/v1/files/{file_id}/content"),
        ("DELETE", f"/v1/files/{file_id}"),
        ("GET", f"/v1/batches/{batch_id}"),
        ("POST", f"/v1/batches/{batch_id}/cancel"),
    ):
        assert other.request(method, path).status_code == 404, path
        missing = other.request(method, path.replace("0", "1"))
        assert missing.status_code == 404
    assert other.get("/v1/files").json()["data"] == []
    assert other.get("/v1/batches").json()["data"] == []
    asked = {"endpoint": "/v1/chat/completions", "completion_window": "24h"}
    stolen = other.post("/v1/batches", json={"input_file_id": file_id, **asked})
    assert error_of(stolen) == (404, None, "input_file_id")
    mine = world.client()
    assert mine.get(f"/v1/files/{file_id}").status_code == 200
    assert mine.get(f"/v1/batches/{batch_id}").json()["status"] == "validating"


def test_who_asks(world: World) -> None:
    assert error_of(world.client("qm-nobody").get("/v1/files")) == (401, "invalid_api_key", None)
    bare = world.client()
    del bare.headers["authorization"]
    assert error_of(bare.get("/v1/batches")) == (401, "invalid_api_key", None)
    bare.headers["api-key"] = world.secrets["acme"]
    assert bare.get("/v1/batches").status_code == 200
    revoke(world.book, OPERATOR, world.key_ids["acme"], "left", Instant(world.now))
    assert error_of(world.client().get("/v1/files"))[0] == 401
    bare.headers["host"] = "evil.example"
    assert bare.get("/v1/files").status_code == 421


def test_what_a_key_is_held_to_holds_past_the_gateway(world: World) -> None:
    """Whoever found a key that works in one network must not read files from another."""

    def client(**scope: Any) -> TestClient:
        now = Instant(world.now)
        made = issue(world.book, OPERATOR, contract="acme-1", pepper=PEPPER, now=now, **scope)
        world.secrets["held"], world.key_ids["held"] = made.secret, made.key_id
        return world.client("held")

    held = client(networks=("203.0.113.0/24",))
    paths = ("/v1/files", "/v1/batches", "/v1/organization/costs?start_time=1793491200")
    for path in paths:
        assert error_of(held.get(path)) == (403, "address_not_allowed", None)
    held.headers[HEADER] = prove(world.key_ids["held"], PEPPER, world.now)
    assert [held.get(path).status_code for path in paths] == [200, 200, 200]
    world.now += VALID_S * US_PER_S
    for proof in (
        held.headers[HEADER],
        prove(world.key_ids["acme"], PEPPER, world.now),
        prove(world.key_ids["held"], b"q" * 32, world.now),
        "9" * 20 + ".",
        "9" * 5_000,
        ".",
    ):
        held.headers[HEADER] = proof
        assert error_of(held.get("/v1/files")) == (403, "address_not_allowed", None)
    held = client(endpoints=("embeddings",))
    for path in paths:
        assert error_of(held.get(path)) == (403, "endpoint_not_allowed", None)
    held = client(endpoints=("embeddings", "files", "usage"))
    assert [held.get(path).status_code for path in paths] == [200, 403, 200]


def test_files_in_pages(world: World) -> None:
    ids = [world.upload(jsonl(request(n))) for n in range(5)]
    client = world.client()

    def page(**asked: Any) -> dict[str, Any]:
        answer = client.get("/v1/files", params=asked)
        assert answer.status_code == 200, answer.text
        found: dict[str, Any] = answer.json()
        return found

    assert [file["id"] for file in page()["data"]] == ids[::-1]
    first = page(limit=2, order="asc")
    assert [file["id"] for file in first["data"]] == ids[:2]
    assert (first["first_id"], first["last_id"], first["has_more"]) == (ids[0], ids[1], True)
    rest = page(limit=3, order="asc", after=ids[1])
    assert [file["id"] for file in rest["data"]] == ids[2:]
    assert rest["has_more"] is False
    assert page(purpose="batch_output")["data"] == []
    for wrong in ({"limit": 0}, {"limit": "x"}, {"order": "up"}, {"color": "red"}):
        assert client.get("/v1/files", params=wrong).status_code == 400


def test_files_go_when_their_time_is_over(world: World) -> None:
    seconds = {"expires_after[anchor]": "created_at", "expires_after[seconds]": "3600"}
    short, long = world.upload(b"x\n", **seconds), world.upload(b"y\n")
    shown = world.client().get(f"/v1/files/{short}").json()
    assert shown["expires_at"] - shown["created_at"] == 3_600
    world.now += 3_599 * US_PER_S
    assert files.sweep(world.book, world.vault, Instant(world.now)) == 0
    world.now += US_PER_S
    assert files.sweep(world.book, world.vault, Instant(world.now)) == 1
    assert world.client().get(f"/v1/files/{short}").status_code == 404
    assert [path.name for path in (world.folder / "files").iterdir()] == [long]


def test_a_file_that_a_batch_reads_stays(world: World) -> None:
    batch_id = world.queue(request(0))
    file_id = world.client().get(f"/v1/batches/{batch_id}").json()["input_file_id"]
    assert error_of(world.client().delete(f"/v1/files/{file_id}"))[0] == 409
    world.now += 31 * DAY_S * US_PER_S
    assert files.sweep(world.book, world.vault, Instant(world.now)) == 0
    world.run(world.runner(), batch_id)
    assert files.sweep(world.book, world.vault, Instant(world.now)) == 1


def form(*parts: bytes, end: bytes = b"--b--\r\n") -> bytes:
    return b"".join(b"--b\r\n" + part + b"\r\n" for part in parts) + end


PURPOSE = b'Content-Disposition: form-data; name="purpose"\r\n\r\nbatch'
FILE = b'Content-Disposition: form-data; name="file"; filename="a.jsonl"\r\n\r\nx\n'
BROKEN = [
    b"",
    b"{}",
    b"--b",
    form(PURPOSE, FILE, end=b""),
    form(PURPOSE, FILE)[:-12],
    form(PURPOSE),
    form(FILE),
    form(PURPOSE, FILE, FILE),
    form(PURPOSE, PURPOSE, FILE),
    form(PURPOSE, b'Content-Disposition: form-data; name="file"\r\n\r\nx\n'),
    form(PURPOSE, b"Content-Disposition: form-data\r\n\r\nx\n", FILE),
    form(PURPOSE, b'X-Long: "' + b"x" * 5_000 + b'"\r\n\r\nx\n', FILE),
    form(PURPOSE, b'Content-Disposition: form-data; name="model"\r\n\r\nm', FILE),
    form(PURPOSE.replace(b"batch", b"fine-tune"), FILE),
    form(PURPOSE.replace(b"batch", b"b" * 2_000), FILE),
    form(PURPOSE, FILE.replace(b"x\n", b"")),
    form(PURPOSE, FILE.replace(b"a.jsonl", b"")),
    form(*[PURPOSE.replace(b"purpose", b"p%d" % n) for n in range(40)], FILE),
    form(PURPOSE, PURPOSE.replace(b"purpose", b"expires_after[seconds]"), FILE),
]


@pytest.mark.parametrize("body", BROKEN, ids=[f"{n}" for n in range(len(BROKEN))])
def test_forms_that_are_none_leave_nothing(shared: World, body: bytes) -> None:
    world = shared
    before = world.client("globex").get("/v1/files").json()
    answer = world.client("globex").post("/v1/files", content=body)
    assert error_of(answer)[0] == 400
    kept = {path.name for path in (world.folder / "files").glob("*")}
    with world.book.reading() as unit:
        assert kept == unit.files.ids()
    assert world.client("globex").get("/v1/files").json() == before


def test_a_form_is_read_however_it_is_cut(world: World) -> None:
    body = form(FILE, PURPOSE)

    def cut(size: int) -> Any:
        return (body[at : at + size] for at in range(0, len(body), size))

    for size in (1, 2, 3, 7, 50):
        answer = world.client().post("/v1/files", content=cut(size))
        assert answer.status_code == 200, (size, answer.text)
        content = world.client().get(f"/v1/files/{answer.json()['id']}/content")
        assert content.content == b"x\n"


def test_sizes_are_bounded(tmp_path: Path) -> None:
    world = World(tmp_path, file_bytes_max=1_000, customer_file_bytes_max=1_500)
    big = world.client().post(
        "/v1/files", files={"file": ("a", b"x" * 1_001)}, data={"purpose": "batch"}
    )
    assert error_of(big) == (413, "request_too_large", "file")
    world.upload(b"x" * 900)
    full = world.client().post(
        "/v1/files", files={"file": ("a", b"x" * 900)}, data={"purpose": "batch"}
    )
    assert error_of(full) == (413, "quota_exceeded", "file")
    assert len(list((tmp_path / "files").iterdir())) == 1
    world.upload(b"x" * 900, "globex")


MEGABYTE = 1_048_576


def space_of(world: World, who: str = "acme") -> int:
    """What the customer's files take, and what is reserved for them."""
    with world.book.reading() as unit:
        return unit.files.bytes_of(who, world.now)


async def upload_slowly(world: World, parts: int, pause: Callable[[], Awaitable[None]]) -> int:
    """The status of an upload of so many megabytes, each of which waits for the others'."""

    async def body() -> AsyncIterator[bytes]:
        yield form(PURPOSE, FILE, end=b"").removesuffix(b"\r\n")
        for _ in range(parts):
            await pause()
            yield b"x" * MEGABYTE
        yield b"\r\n--b--\r\n"

    chunks, told = body(), list[MutableMapping[str, Any]]()

    async def receive() -> dict[str, Any]:
        chunk = await anext(chunks, None)
        return {"type": "http.request", "body": chunk or b"", "more_body": chunk is not None}

    async def send(message: MutableMapping[str, Any]) -> None:
        told.append(message)

    headers = {"host": "localhost", "authorization": f"Bearer {world.secrets['acme']}"}
    scope = {
        "type": "http",
        "method": "POST",
        "path": "/v1/files",
        "query_string": b"",
        "headers": [(name.encode(), value.encode()) for name, value in headers.items()],
    }
    await world.app(scope, receive, send)
    return int(told[0]["status"])


def test_two_uploads_at_once_find_no_more_room_than_there_is(tmp_path: Path) -> None:
    """Checked at its end only, each of them would have written all that it has."""
    world = World(tmp_path, customer_file_bytes_max=4 * MEGABYTE)
    on_disk = []

    async def pause() -> None:
        await asyncio.sleep(0)
        on_disk.append(sum(path.stat().st_size for path in (tmp_path / "files").glob("*")))

    async def race() -> list[int]:
        return await asyncio.gather(*(upload_slowly(world, 3, pause) for _ in range(3)))

    told = asyncio.run(race())
    # Where all ask for the last of it before one gives up, none has enough.
    assert sorted(told) in ([200, 413, 413], [413, 413, 413])
    assert max(on_disk) <= 4 * MEGABYTE
    # Nothing is left of the others, neither on the disk nor in the book.
    assert space_of(world) == told.count(200) * (3 * MEGABYTE + len(b"x\n"))
    world.upload(b"x" * (MEGABYTE - 2))
    assert world.client().get("/v1/files").json()["data"][0]["bytes"] == MEGABYTE - 2


def test_room_is_free_again_after_a_failure_and_after_a_crash(tmp_path: Path) -> None:
    world = World(tmp_path, customer_file_bytes_max=4 * MEGABYTE)
    broken = form(PURPOSE, FILE.replace(b"x\n", b"x" * 3 * MEGABYTE), end=b"")
    assert error_of(world.client().post("/v1/files", content=broken))[0] == 400
    assert space_of(world) == 0
    with world.book.writing() as unit:
        # Of a process that died; nobody comes back for it.
        unit.files.reserve("file-gone", "acme", 3 * MEGABYTE, world.now + 60 * US_PER_S)
    big = {"file": ("a", b"x" * 2 * MEGABYTE)}
    refused = world.client().post("/v1/files", files=big, data={"purpose": "batch"})
    assert error_of(refused) == (413, "quota_exceeded", "file")
    world.now += 60 * US_PER_S
    world.upload(b"x" * 2 * MEGABYTE)
    files.sweep(world.book, world.vault, Instant(world.now))
    world.now -= 60 * US_PER_S
    assert space_of(world) == 2 * MEGABYTE


def test_an_upload_that_takes_too_long_is_given_up(tmp_path: Path) -> None:
    world = World(tmp_path, upload_seconds_max=1)

    async def pause() -> None:
        await asyncio.sleep(0.7)

    assert asyncio.run(upload_slowly(world, 5, pause)) == 408
    assert space_of(world) == 0
    assert list((tmp_path / "files").iterdir()) == []


def test_a_file_that_is_here_is_kept_however_long_the_disk_takes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Given up while it was being recorded, it stayed in the book without its content."""
    world, finish = World(tmp_path, upload_seconds_max=1), SealedWriter.finish

    def slowly(writer: SealedWriter) -> Sealed:
        sealed = finish(writer)
        time.sleep(1.2)
        return sealed

    monkeypatch.setattr(SealedWriter, "finish", slowly)

    async def pause() -> None:
        await asyncio.sleep(0)

    assert asyncio.run(upload_slowly(world, 1, pause)) == 200
    (kept,) = world.client().get("/v1/files").json()["data"]
    content = world.client().get(f"/v1/files/{kept['id']}/content")
    assert (content.status_code, len(content.content)) == (200, kept["bytes"])


def test_what_does_not_fit_on_the_disk_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Closing writes what is buffered, so on a full disk it fails, too."""
    vault = Vault(tmp_path, b"p" * 32)
    writer = vault.writer("file-1")
    writer.write(b"a" * (CHUNK_BYTES + 5))

    class Full:
        def close(self) -> None:
            raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(writer, "_file", Full())
    writer.abandon()
    assert list(tmp_path.iterdir()) == []


def test_sealed_files_notice_every_change(tmp_path: Path) -> None:
    vault = Vault(tmp_path, b"p" * 32)
    writer = vault.writer("file-1")
    writer.write(b"a" * (2 * CHUNK_BYTES + 5))
    sealed = writer.finish()
    reader = vault.reader("file-1", sealed)
    assert reader.read(CHUNK_BYTES - 2, 4) == b"aaaa"
    assert reader.read(2 * CHUNK_BYTES, 100) == b"aaaaa"
    path = tmp_path / "file-1"
    whole = path.read_bytes()
    for damaged in (
        whole[:100] + bytes([whole[100] ^ 1]) + whole[101:],
        whole[: len(whole) // 2],
        whole[CHUNK_BYTES + 16 : 2 * (CHUNK_BYTES + 16)] + whole,
    ):
        path.write_bytes(damaged)
        with pytest.raises(IntegrityError):
            list(vault.reader("file-1", sealed).chunks())
    path.write_bytes(whole)
    with pytest.raises(IntegrityError):
        list(Vault(tmp_path, b"q" * 32).reader("file-1", sealed).chunks())
    path.rename(tmp_path / "file-2")
    with pytest.raises(IntegrityError):
        vault.reader("file-2", sealed)


CREATE: list[tuple[dict[str, Any], int, str]] = [
    ({"endpoint": "/v1/videos"}, 400, "endpoint"),
    ({"endpoint": "/v1/images/variations"}, 400, "endpoint"),
    ({"completion_window": "1h"}, 400, "completion_window"),
    ({"input_file_id": "file-none"}, 404, "input_file_id"),
    ({"input_file_id": 7}, 400, "input_file_id"),
    ({"endpoint": None}, 400, "endpoint"),
    ({"metadata": {str(n): "" for n in range(17)}}, 400, "metadata"),
    ({"metadata": {"a": "x" * 513}}, 400, "metadata"),
    ({"metadata": {"a": 1}}, 400, "metadata[...]"),
    (
        {"output_expires_after": {"anchor": "created_at", "seconds": 5}},
        400,
        "expires_after.seconds",
    ),
]


@pytest.mark.parametrize(("change", "status", "param"), CREATE)
def test_batches_that_cannot_be(
    shared: World, change: dict[str, Any], status: int, param: str
) -> None:
    world = shared
    asked = {
        "input_file_id": world.upload(jsonl(request(0))),
        "endpoint": "/v1/chat/completions",
        "completion_window": "24h",
    }
    answer = world.client().post("/v1/batches", json={**asked, **change})
    assert (answer.status_code, error_of(answer)[2]) == (status, param)
    assert world.client().get("/v1/batches").json()["data"] == []


def test_bodies_that_are_no_json(shared: World) -> None:
    client = shared.client()
    for body in (b"", b"{", b"[]", b'{"metadata":{"a":"' + b"x" * 70_000 + b'"}}', b"[" * 9_000):
        answer = client.post("/v1/batches", content=body)
        assert answer.status_code in (400, 413), body[:20]
        json.loads(answer.content)
    assert client.put("/v1/batches").status_code == 405
    assert error_of(client.get("/v1/nothing"))[0] == 404


def test_a_customer_s_batches_are_bounded(tmp_path: Path) -> None:
    world = World(tmp_path, open_batches_max=1)
    batch_id = world.queue(request(0))
    asked = {
        "input_file_id": world.upload(jsonl(request(0))),
        "endpoint": "/v1/chat/completions",
        "completion_window": "24h",
    }
    refused = world.client().post("/v1/batches", json=asked)
    assert error_of(refused) == (429, "batches_limit_reached", None)
    world.run(world.runner(), batch_id)
    assert world.client().post("/v1/batches", json=asked).status_code == 200


def test_batches_in_pages(world: World) -> None:
    ids = [world.queue(request(0)) for _ in range(3)]
    client = world.client()
    page = client.get("/v1/batches", params={"limit": 2}).json()
    assert [batch["id"] for batch in page["data"]] == [ids[2], ids[1]]
    assert page["has_more"] is True
    rest = client.get("/v1/batches", params={"after": page["last_id"]}).json()
    assert [batch["id"] for batch in rest["data"]] == [ids[0]]


def test_output_files_go_when_the_customer_said(world: World) -> None:
    after = {"anchor": "created_at", "seconds": 7_200}
    done = world.run(world.runner(), world.queue(request(0), output_expires_after=after))
    shown = world.client().get(f"/v1/files/{done['output_file_id']}").json()
    assert shown["expires_at"] - shown["created_at"] == 7_200
    assert shown["purpose"] == "batch_output"
    assert shown["filename"] == f"{done['id']}_output.jsonl"
