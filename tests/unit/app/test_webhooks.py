"""Alerts: signed, repeated, given up, and never sent into a network that is not public."""

import base64
import hmac
import json
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import msgspec
import pytest

from quartermaster.app.rooms import Rooms
from quartermaster.app.webhooks import (
    PAUSES_S,
    NotTakenError,
    OwnWebhooks,
    Webhooks,
    deliver,
    is_public,
    secrets_folder,
    signature,
)
from quartermaster.cli.main import run
from quartermaster.commands import webhook as webhooks
from quartermaster.commands.actor import OPERATOR
from quartermaster.commands.customer import add_customer
from quartermaster.commands.webhook_record import read_delivered, read_record
from quartermaster.config import Settings
from quartermaster.kernel.clock import US_PER_S, Instant
from quartermaster.kernel.contract import Customer
from quartermaster.kernel.errors import ConflictError, NotFoundError, UsageError
from quartermaster.kernel.events import BudgetCrossed
from quartermaster.kernel.webhook_facts import WebhookAdded

NOW = Instant(1_700_000_000 * US_PER_S)
CROSSED = BudgetCrossed(
    scope="group",
    name="acme",
    epoch="2026-11@1",
    label="2026-11",
    percent=80,
    spent_minor=40_012,
    amount_minor=50_000,
    currency="USD",
)


class Receiver(HTTPServer):
    """Keeps what it was sent and answers as it is told."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.status = 204
        self.got: list[tuple[dict[str, str], bytes]] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/hook?x=1"


class Handler(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        assert isinstance(self.server, Receiver)
        body = self.rfile.read(int(self.headers["content-length"]))
        headers = {name.lower(): value for name, value in self.headers.items()}
        self.server.got.append((headers, body))
        self.send_response(self.server.status)
        self.send_header("location", "http://127.0.0.1:1/")
        self.end_headers()

    def log_message(self, *args: Any) -> None:
        """Say nothing."""


@contextmanager
def receiving() -> Iterator[Receiver]:
    with Receiver() as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.fixture
def rooms(tmp_path: Path) -> Rooms:
    found = Rooms(Settings(var=str(tmp_path)))
    for name in ("acme", "globex"):
        add_customer(found.book, OPERATOR, Customer(name, name, name), NOW)
    return found


def added(rooms: Rooms, url: str, group: str = "") -> webhooks.AddedWebhook:
    folder = secrets_folder(rooms.var)
    return webhooks.add(rooms.book, OPERATOR, url, folder, NOW, group=group, allow_private=True)


def test_an_alert_is_signed_and_sent_once_to_whom_it_concerns(rooms: Rooms) -> None:
    with receiving() as receiver:
        hook = added(rooms, receiver.url, "acme")
        added(rooms, receiver.url, "globex")
        office = Webhooks(rooms.var, rooms.book, lambda: NOW)
        for _ in range(2):
            office.announce(CROSSED)
        for _ in range(2):
            office.send_due()
        ((headers, body),) = receiver.got
    signed = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.".encode() + body
    key = base64.b64decode(hook.secret.removeprefix("whsec_"))
    expected = base64.b64encode(hmac.digest(key, signed, "sha256")).decode()
    assert headers["webhook-signature"] == f"v1,{expected}"
    assert headers["webhook-timestamp"] == "1700000000"
    told = json.loads(body)
    assert told["type"] == "budget.threshold_reached"
    assert told["data"] == {
        "budget": "group:acme",
        "period": "2026-11",
        "percent": 80,
        "spent": "400.12",
        "amount": "500.00",
        "currency": "USD",
    }
    assert read_delivered(rooms.var, hook.webhook).delivered == 1


def test_the_signature_is_the_specification_s_own_example() -> None:
    # standardwebhooks.com, reference libraries: the test vector of all of them.
    secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
    found = signature(secret, "msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330, '{"test": 2432232314}')
    assert found == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


def test_what_is_not_taken_is_tried_again_under_the_same_id(rooms: Rooms) -> None:
    now = [NOW]
    with receiving() as receiver:
        hook = added(rooms, receiver.url)
        office = Webhooks(rooms.var, rooms.book, lambda: now[0])
        office.announce(CROSSED)
        receiver.status = 500
        for tries in range(1, 3):
            for _ in range(2):
                office.send_due()
            assert len(receiver.got) == tries
            now[0] = Instant(now[0] + PAUSES_S[tries - 1] * US_PER_S)
        assert "status 500" in read_delivered(rooms.var, hook.webhook).error
        receiver.status = 200
        # Another process goes on where this one died.
        Webhooks(rooms.var, rooms.book, lambda: now[0]).send_due()
        office.send_due()
    assert len(receiver.got) == 3
    assert len({headers["webhook-id"] for headers, _ in receiver.got}) == 1
    state = read_delivered(rooms.var, hook.webhook)
    assert (state.delivered, state.given_up, state.error) == (1, 0, "")


@pytest.mark.parametrize(("status", "tries"), [(410, 1), (302, len(PAUSES_S) + 1)])
def test_it_ends_when_nobody_wants_it(rooms: Rooms, status: int, tries: int) -> None:
    now = [NOW]
    with receiving() as receiver:
        hook = added(rooms, receiver.url)
        office = Webhooks(rooms.var, rooms.book, lambda: now[0])
        office.announce(CROSSED)
        receiver.status = status
        for pause_s in (*PAUSES_S, 10, 10):
            office.send_due()
            now[0] = Instant(now[0] + pause_s * US_PER_S)
    assert len(receiver.got) == tries
    assert read_delivered(rooms.var, hook.webhook).given_up == 1


def test_one_damaged_alert_or_secret_silences_nobody_else(rooms: Rooms) -> None:
    with receiving() as receiver:
        broken = added(rooms, receiver.url)
        whole = added(rooms, receiver.url + "&y=2")
        spoiled = added(rooms, receiver.url + "&z=3")
        office = Webhooks(rooms.var, rooms.book, lambda: NOW)
        office.announce(CROSSED)
        outbox = rooms.var / "webhooks" / "outbox"
        (torn,) = outbox.glob(f"*.{broken.webhook}.json")
        torn.write_bytes(b"")
        (secrets_folder(rooms.var) / spoiled.webhook).write_text("whsec_!")
        (rooms.var / "webhooks" / f"{spoiled.webhook}.json").write_bytes(b"{")
        for _ in range(2):
            office.send_due()
        assert read_delivered(rooms.var, whole.webhook).delivered == 1
        assert len(receiver.got) == 1
        assert not torn.exists()
        # As it is laid aside, somebody can look what it was.
        assert torn.with_suffix(".damaged").exists()


def test_a_damaged_record_keeps_no_alert_back(rooms: Rooms) -> None:
    with receiving() as receiver:
        hook = added(rooms, receiver.url)
        office = Webhooks(rooms.var, rooms.book, lambda: NOW)
        office.announce(CROSSED)
        record = rooms.var / "webhooks" / f"{hook.webhook}.json"
        record.write_bytes(b"{")
        office.send_due()
        assert read_delivered(rooms.var, hook.webhook).delivered == len(receiver.got) == 1
        assert record.with_suffix(".damaged").read_bytes() == b"{"


def test_who_answers_by_the_byte_is_hung_up_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("quartermaster.app.webhooks.TIMEOUT_S", 0.5)
    stopping = threading.Event()

    def drip(listener: socket.socket) -> None:
        with listener.accept()[0] as connection:
            connection.sendall(b"HTTP/1.1 200 OK\r\nx: ")
            while not stopping.wait(0.05):
                try:
                    connection.sendall(b"y")
                except OSError:
                    return

    with socket.create_server(("127.0.0.1", 0)) as listener:
        dripping = threading.Thread(target=drip, args=(listener,), daemon=True)
        dripping.start()
        url = f"http://127.0.0.1:{listener.getsockname()[1]}/"
        hook = WebhookAdded(webhook="w", url=url, allow_private=True)
        began_s = time.monotonic()
        threading.Timer(4, stopping.set).start()
        with suppress(NotTakenError):  # how its end looks depends on what was under way
            deliver(hook, ("whsec_AAAA",), "msg_1", "{}", NOW)
        assert time.monotonic() - began_s < 3
        stopping.set()
        dripping.join()


def test_a_turned_secret_signs_beside_the_one_before_for_a_day(rooms: Rooms) -> None:
    with receiving() as receiver:
        hook = added(rooms, receiver.url)
        folder = secrets_folder(rooms.var)
        turned = webhooks.rotate(rooms.book, OPERATOR, hook.webhook, folder, NOW)
        desk, known = OwnWebhooks(rooms.var), rooms.book.view().webhooks[hook.webhook]
        for at in (NOW, Instant(NOW + webhooks.SECRET_OVERLAP_US)):
            assert desk.test(known.added, at).error == ""
        signed = [
            [
                signature(
                    secret, heads["webhook-id"], int(heads["webhook-timestamp"]), raw.decode()
                )
                for secret in (turned.secret, hook.secret)
            ]
            for heads, raw in receiver.got
        ]
        got = [heads["webhook-signature"].split() for heads, _ in receiver.got]
    assert got == [signed[0], signed[1][:1]]
    assert (folder / hook.webhook).stat().st_mode & 0o777 == 0o600


def test_a_paused_address_is_told_nothing_and_afterwards_what_waited(rooms: Rooms) -> None:
    with receiving() as receiver:
        hook = added(rooms, receiver.url)
        office = Webhooks(rooms.var, rooms.book, lambda: NOW)
        office.announce(CROSSED)
        webhooks.pause(rooms.book, OPERATOR, hook.webhook, NOW, paused=True)
        office.announce(msgspec.structs.replace(CROSSED, percent=100))
        office.send_due()
        assert receiver.got == []
        (waiting,) = read_record(rooms.var, hook.webhook).waiting
        assert (waiting.kind, waiting.attempts) == ("budget.threshold_reached", 0)
        webhooks.pause(rooms.book, OPERATOR, hook.webhook, NOW, paused=False)
        receiver.status = 500
        office.send_due()
        record = read_record(rooms.var, hook.webhook)
    assert len(receiver.got) == len(record.waiting) == 1
    assert [(one.attempt, one.error) for one in record.delivered.recent] == [
        (1, "answered with status 500")
    ]


def test_a_private_network_is_not_called_unless_it_was_allowed() -> None:
    with receiving() as receiver:
        hook = WebhookAdded(webhook="w", url=f"https://localhost:{receiver.server_port}/")
        with pytest.raises(NotTakenError, match="not public"):
            deliver(hook, ("whsec_AAAA",), "msg_1", "{}", NOW)
        assert receiver.got == []


def test_a_name_is_looked_up_once(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    def changing(host: str, port: int, **_: object) -> list[Any]:
        asked.append(host)
        address = "127.0.0.1" if len(asked) > 1 else "203.0.113.9"
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port))]

    called = []

    def call(address: tuple[str, int], *_: object, **__: object) -> None:
        called.append(address[0])
        raise OSError("unreachable")

    monkeypatch.setattr("quartermaster.app.webhooks.is_public", lambda ip: ip == "203.0.113.9")
    monkeypatch.setattr("socket.getaddrinfo", changing)
    monkeypatch.setattr("socket.create_connection", call)
    with pytest.raises(NotTakenError, match="no answer"):
        deliver(WebhookAdded(webhook="w", url="https://x.io/"), ("whsec_AAAA",), "m", "{}", NOW)
    assert (asked, called) == (["x.io"], ["203.0.113.9"])


@pytest.mark.parametrize(
    ("address", "public"),
    [
        ("8.8.8.8", True),
        ("2606:4700::1111", True),
        ("10.0.0.1", False),
        ("127.0.0.1", False),
        ("169.254.169.254", False),
        ("100.64.0.1", False),
        ("0.0.0.0", False),
        ("224.0.0.1", False),
        ("::1", False),
        ("fe80::1%eth0", False),
        ("fd00::1", False),
        ("::ffff:10.0.0.1", False),
        ("64:ff9b::a00:1", False),
        ("2002:a00:1::1", False),
        ("::10.0.0.1", False),
        ("::ffff:0:10.0.0.1", False),
        ("64:ff9b:1::a00:1", False),
        ("fec0::1", False),
        ("64:ff9b::808:808", True),
    ],
)
def test_which_addresses_are_public(address: str, public: bool) -> None:
    assert is_public(address) is public


def test_webhooks_are_added_listed_and_removed(
    rooms: Rooms, capsys: pytest.CaptureFixture[str]
) -> None:
    var = str(rooms.var)
    with receiving() as receiver:
        line = ["--var", var, "webhook", "add", receiver.url, "--allow-private"]
        assert run(line) == 0
        assert capsys.readouterr().out.startswith("whsec_")
        (hook,) = rooms.book.view().webhooks
        secret = secrets_folder(rooms.var) / hook
        assert secret.stat().st_mode & 0o777 == 0o600
        assert run(["--var", var, "webhook", "test", hook]) == 0
        assert json.loads(receiver.got[0][1])["type"] == "webhook.test"
        capsys.readouterr()
        assert run(["--var", var, "webhook", "list", "--json"]) == 0
        (listed,) = json.loads(capsys.readouterr().out)
        assert (listed["webhook"], listed["url"]) == (hook, receiver.url)
        assert run(["--var", var, "webhook", "list"]) == 0
        assert "0 delivered, 0 waiting, 0 given up, last: none yet" in capsys.readouterr().out
        with pytest.raises(ConflictError):
            added(rooms, receiver.url)
        assert run(["--var", var, "webhook", "remove", hook]) == 0
    assert not secret.exists()
    assert rooms.book.view().webhooks == {}
    with pytest.raises(NotFoundError):
        added(rooms, "https://example.com/", "nobody")
    for url in ("ftp://x.io/", "https://", "https://x.io/#a", "https://x.io:0/", "http://a b/"):
        with pytest.raises(UsageError):
            added(rooms, url)


def test_an_alert_is_sent_again_under_its_id(rooms: Rooms) -> None:
    with receiving() as receiver:
        hook = added(rooms, receiver.url, "acme")
        office, own = Webhooks(rooms.var, rooms.book, lambda: NOW), OwnWebhooks(rooms.var)
        office.announce(CROSSED)
        receiver.status = 500
        for _ in range(2):
            office.send_due()
        assert len(receiver.got) == 1, "its next try is not due"
        (waiting,) = own.record(hook.webhook).waiting
        assert own.redeliver(hook.webhook, waiting.message).attempts == 1
        receiver.status = 204
        office.send_due()
        assert own.record(hook.webhook).waiting == ()
        words = ["webhook", "redeliver", hook.webhook, waiting.message]
        assert run(["--var", str(rooms.var), *words]) == 0
        office.send_due()
        assert {headers["webhook-id"] for headers, _ in receiver.got} == {waiting.message}
        assert len({body for _, body in receiver.got}) == 1
        assert len(receiver.got) == 3
    assert [one.attempt for one in own.record(hook.webhook).delivered.recent] == [1, 2, 1]
    with pytest.raises(NotFoundError):
        own.redeliver(hook.webhook, "msg_none")
