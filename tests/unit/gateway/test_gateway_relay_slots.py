"""Places for relayed requests: shared fairly, and not held by those who move nothing."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import cast

import pytest
from tests.unit.gateway.gateway_fakes import PEPPER, Bench, FakeClient, a_grant, an_index

from quartermaster.gateway import relay_control
from quartermaster.gateway.relay_control import Control, ControlExchange, UploadClient
from quartermaster.gateway.relay_slots import (
    RELAYED_MAX,
    RELAYED_OF_CUSTOMER_MAX,
    UPLOADS_MAX,
    UPLOADS_OF_CUSTOMER_MAX,
    Slots,
)
from quartermaster.gateway.requests import Request
from quartermaster.kernel.contract import Standing
from quartermaster.kernel.errors import RefusedError

LOOK_S = 0.05
ENOUGH = 50_000
"""Bytes that are more than is asked for between two looks of these tests."""


def fill(slots: Slots, customer: str, *, upload: bool) -> int:
    """How many places somebody gets who takes all that there are."""
    for number in range(RELAYED_MAX + 1):
        try:
            slots.take(customer, upload=upload)
        except RefusedError:
            return number
    raise AssertionError("nothing ended it")


def test_a_customer_has_its_part_of_the_places() -> None:
    slots = Slots()
    assert fill(slots, "acme", upload=True) == UPLOADS_OF_CUSTOMER_MAX
    # Its own questions are answered while its files arrive.
    assert fill(slots, "acme", upload=False) == RELAYED_OF_CUSTOMER_MAX - UPLOADS_OF_CUSTOMER_MAX
    slots.give_back("acme", upload=True)
    assert fill(slots, "acme", upload=True) == 1


def test_however_many_flood_it_the_next_one_gets_in() -> None:
    slots = Slots()
    flood = [fill(slots, f"flood-{number}", upload=False) for number in range(4)]
    assert sum(flood) < RELAYED_MAX
    for number in range(RELAYED_MAX - sum(flood)):
        slots.take(f"small-{number}", upload=False)
    with pytest.raises(RefusedError, match="under way"):
        slots.take("one-too-many", upload=False)


def test_uploads_leave_places_to_questions() -> None:
    slots = Slots()
    for number in range(UPLOADS_MAX):
        slots.take(f"customer-{number}", upload=True)
    with pytest.raises(RefusedError):
        slots.take("late", upload=True)
    slots.take("late", upload=False)


class Client(FakeClient):
    """A client that is told when to wait, as the connection of an upload is."""

    upload: ControlExchange | None = None
    unread = False

    def hold(self) -> None:
        """Wait."""

    def go_on(self) -> None:
        """Go on."""

    def finish_unread(self, data: bytes) -> None:
        """Answered before its file was there."""
        self.write(data)
        self.unread = True


Scene = Callable[[Control, Client], Awaitable[None]]


def played(scene: Scene, monkeypatch: pytest.MonkeyPatch, *, answers: bytes = b"") -> Bench:
    """Play a scene before an API that reads what comes, and says what it is told to say."""
    monkeypatch.setattr(relay_control, "LOOK_S", LOOK_S)
    bench = Bench()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(answers)
        while await reader.read(65_536):
            pass
        writer.close()

    async def play() -> None:
        server = await asyncio.start_server(serve, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        loop = asyncio.get_running_loop()
        control = Control(loop, f"http://127.0.0.1:{port}", bench.relay)
        await scene(control, Client(bench.story))
        server.close()

    asyncio.run(play())
    return bench


def begun(control: Control, client: Client, *, whole: bool) -> ControlExchange:
    """A request that is relayed."""
    request = Request(method=b"POST", target=b"/v1/files", keep_alive=True)
    return control.begin(
        cast(UploadClient, client), request, b"/v1/files", a_grant(), "req_1", PEPPER, whole=whole
    )


def test_a_file_that_trickles_in_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """A byte now and then kept the place for as long as somebody liked."""

    async def scene(control: Control, client: Client) -> None:
        exchange = begun(control, client, whole=False)
        for _ in range(60):
            await asyncio.sleep(LOOK_S / 5)
            exchange.body(b"x")
            if client.unread:
                break
        assert client.status == 408
        assert client.error["code"] == "request_timeout"
        assert fill(control.slots, "acme", upload=True) == UPLOADS_OF_CUSTOMER_MAX

    bench = played(scene, monkeypatch)
    assert bench.tallies.refusals == {"request_timeout": 1}


def test_a_file_that_comes_at_an_ordinary_pace_is_not(monkeypatch: pytest.MonkeyPatch) -> None:
    async def scene(control: Control, client: Client) -> None:
        exchange = begun(control, client, whole=False)
        for _ in range(20):
            await asyncio.sleep(LOOK_S / 5)
            exchange.body(b"x" * ENOUGH)
        exchange.body_end(keep_alive=True, http_1_0=False)
        # The API may think for as long as it likes: the client owes nothing more.
        await asyncio.sleep(LOOK_S * 4)
        assert client.data == b""
        exchange.client_gone()

    assert played(scene, monkeypatch).tallies.refusals == {}


def test_an_answer_that_nobody_takes_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    async def scene(control: Control, client: Client) -> None:
        exchange = begun(control, client, whole=True)
        while not client.data:
            await asyncio.sleep(LOOK_S / 5)
        await asyncio.sleep(LOOK_S * 3)
        assert not client.aborted, "it takes all that there is"
        exchange.pause()
        await asyncio.sleep(LOOK_S * 3)
        assert client.aborted

    head = b"HTTP/1.1 200 OK\r\ncontent-length: 5000\r\n\r\nxx"
    bench = played(scene, monkeypatch, answers=head)
    assert bench.tallies.refusals == {"request_timeout": 1}


@pytest.mark.parametrize("how", ["suspended", "revoked"])
@pytest.mark.parametrize("when", ["uploading", "asking", "downloading"])
def test_who_may_not_be_served_any_more_neither_sends_nor_takes_a_file(
    how: str, when: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A suspension ends what is under way, as it ends a stream."""

    async def scene(control: Control, client: Client) -> None:
        exchange = begun(control, client, whole=when != "uploading")
        while when == "downloading" and not client.data:
            await asyncio.sleep(LOOK_S / 5)
        control.end_barred(an_index())
        assert not any((client.aborted, client.unread, client.done))
        standing: dict[str, Standing] = {"grp_1": "suspended"}
        grant = a_grant() if how == "suspended" else a_grant(key_id="key_2")
        control.end_barred(an_index(grant, standing=standing))
        if when == "downloading":
            assert client.aborted
        else:
            assert client.status == (403 if how == "suspended" else 401)
            assert client.unread is (when == "uploading")
        assert control.active == {}
        exchange.body(b"more")
        assert fill(control.slots, "acme", upload=True) == UPLOADS_OF_CUSTOMER_MAX

    head = b"HTTP/1.1 200 OK\r\ncontent-length: 5000\r\n\r\nxx"
    played(scene, monkeypatch, answers=head if when == "downloading" else b"")
