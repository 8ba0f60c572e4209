"""A suspension on two real gateway workers, with no clerk running: what customers see, and when."""

import http.client
import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from signal import SIGCONT, SIGSTOP
from typing import Any

import pytest
from tests.contract.gateway_process import DEADLINE_S, ModelServer, until

from quartermaster.app.rooms import Rooms
from quartermaster.book.pepper import load_pepper
from quartermaster.cli.main import run
from quartermaster.commands import contract as contracts
from quartermaster.commands import key as keys
from quartermaster.commands import price_book as price_books
from quartermaster.commands.actor import OPERATOR
from quartermaster.commands.customer import add_customer
from quartermaster.commands.deployment import set_deployment
from quartermaster.commands.publish import publish
from quartermaster.config import load
from quartermaster.gateway.status import read_status
from quartermaster.kernel.clock import US_PER_HOUR, Instant
from quartermaster.kernel.contract import Contract, Customer
from quartermaster.kernel.events import DeploymentSet
from quartermaster.kernel.price import TEXT_AXES, Price, PriceBook

WITHIN_S = 1.0
TRIES_MAX = 3
"""The machine that runs the tests has other work, too: the product is held to its best of three."""
WORKERS = 2
SERVE = """
import json, sys
from pathlib import Path
from quartermaster.gateway.settings import GatewaySettings
from quartermaster.gateway.worker import run
settings = GatewaySettings(port=0, workers=2, **json.loads(sys.argv[3]))
sys.exit(run(settings, var=Path(sys.argv[1]), worker=int(sys.argv[2])))
"""
HELLO = [{"role": "user", "content": "Say a sentence."}]
ASKED: dict[str, tuple[str, dict[str, Any]]] = {
    "chat": ("/v1/chat/completions", {"messages": HELLO}),
    "azure": (
        "/openai/deployments/babble/chat/completions?api-version=2024-10-21",
        {"messages": HELLO},
    ),
    "responses": ("/v1/responses", {"input": "Say a sentence."}),
    "messages": ("/v1/messages", {"messages": HELLO, "max_tokens": 100}),
}
BODY = {"model": "babble", "stream": True, "pause": 0.02}


class Stream:
    """One customer's stream, read in a thread until it ends."""

    def __init__(self, port: int, dialect: str, secret: str) -> None:
        path, body = ASKED[dialect]
        self.connection = http.client.HTTPConnection("127.0.0.1", port, timeout=DEADLINE_S)
        headers = {"authorization": f"Bearer {secret}", "content-type": "application/json"}
        self.connection.request("POST", path, json.dumps(BODY | body), headers)
        self.response = self.connection.getresponse()
        self.status = self.response.status
        self.lines: list[bytes] = []
        self.ended_at: float | None = None
        self.thread = threading.Thread(target=self._read, daemon=True)
        self.thread.start()

    def _read(self) -> None:
        try:
            for line in self.response:
                if line.strip():
                    self.lines.append(line.strip())
        except (http.client.IncompleteRead, OSError):
            pass  # a broken stream has no proper end, so that nobody takes it for a whole one
        self.ended_at = time.time()

    @property
    def last(self) -> Any:
        """The data of the last event."""
        return json.loads(self.lines[-1].removeprefix(b"data: "))


class Site:
    """A book, two workers and two customers' keys; no clerk and no console."""

    def __init__(self, var: Path, upstream: ModelServer, shared_limits_url: str = "") -> None:
        settings, _ = load(None, str(var), {"QUARTERMASTER_BOOK": ""})
        rooms = Rooms(settings)
        self.var, self.book = var, rooms.book
        now = rooms.now()
        book, hour = rooms.book, Instant(now - now % US_PER_HOUR)
        prices = tuple(Price("babble", axis, "1") for axis in TEXT_AXES)
        price_books.publish(book, OPERATOR, PriceBook("list", 1, "USD", hour, prices), now)
        url = f"http://127.0.0.1:{upstream.port}/v1"
        deployment = DeploymentSet(name="d", model="babble", url=url, upstream_model="babble")
        set_deployment(book, OPERATOR, deployment, now)
        pepper = load_pepper(var / "secrets" / "key_pepper")
        self.secrets = {}
        for who in ("acme", "globex"):
            add_customer(book, OPERATOR, Customer(who, who, who), now)
            contract = Contract(who, 1, who, "list", "USD", "UTC", hour)
            contracts.sign(book, OPERATOR, contract, now)
            issued = keys.issue(book, OPERATOR, contract=who, pepper=pepper, now=now)
            self.secrets[who] = issued.secret
        publish(book, var / "snapshot.json", now)
        self.workers = [launch(var, number, shared_limits_url) for number in range(WORKERS)]
        until(lambda: all(self.serves(number) for number in range(WORKERS)))
        self.ports = [read_status(self.status_path(number)).port for number in range(WORKERS)]

    def status_path(self, number: int) -> Path:
        return var_status(self.var, number)

    def serves(self, number: int) -> bool:
        path = self.status_path(number)
        return path.exists() and read_status(path).state == "serving"

    def set(self, *arguments: str) -> int:
        return run(["--var", str(self.var), "customer", "standing", *arguments])

    def ask(self, number: int, who: str) -> Stream:
        return Stream(self.ports[number], "chat", self.secrets[who])


def launch(var: Path, number: int, shared_limits_url: str = "") -> subprocess.Popen[bytes]:
    """Start a worker of a data folder."""
    given = json.dumps({"shared_limits_url": shared_limits_url, "app_prefix": "gateway"})
    return subprocess.Popen([sys.executable, "-c", SERVE, str(var), str(number), given])


def var_status(var: Path, number: int) -> Path:
    return var / "status" / f"gateway-{number}.json"


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    var = tmp_path_factory.mktemp("standing") / "var"
    with ModelServer().running() as upstream:
        site = Site(var, upstream)
        try:
            yield site
        finally:
            for worker in site.workers:
                os.kill(worker.pid, SIGCONT)
                worker.kill()
                worker.wait()
            site.book.close()


@pytest.fixture(autouse=True)
def one_person(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("QUARTERMASTER_STANDING__SIGN_OFF_SHARE", "1")


def suspended_within(site: Site) -> tuple[float, dict[tuple[int, str], Stream], Stream]:
    """Seconds from the command until the last stream had ended, and what all of them read."""
    streams = {
        (number, dialect): Stream(port, dialect, site.secrets["acme"])
        for number, port in enumerate(site.ports)
        for dialect in ASKED
    }
    other = site.ask(0, "globex")
    until(lambda: all(stream.lines for stream in (*streams.values(), other)))
    began = time.time()
    assert site.set("acme", "suspended", "--reason", "mass extraction") == 0
    until(lambda: all(stream.ended_at is not None for stream in streams.values()))
    return max(one.ended_at or 0 for one in streams.values()) - began, streams, other


def test_a_suspension_ends_every_stream_on_every_worker_within_a_second(
    site: Site, capsys: pytest.CaptureFixture[str]
) -> None:
    for _ in range(TRIES_MAX):
        seconds, streams, other = suspended_within(site)
        said = capsys.readouterr()
        assert "served by gateway-0, gateway-1" in said.err
        assert "warning" not in said.err
        for number in range(WORKERS):
            assert streams[number, "chat"].last["error"]["code"] == "account_suspended"
            assert streams[number, "azure"].last["error"]["code"] == "account_suspended"
            assert streams[number, "responses"].last["type"] in ("error", "response.failed")
            assert streams[number, "messages"].last["type"] == "error"
            # What comes now is refused before anything is asked upstream.
            assert site.ask(number, "acme").status == 403
        assert other.ended_at is None, "another customer's stream goes on"
        # Reinstatement is one action.
        assert site.set("acme", "active", "--reason", "settled") == 0
        assert [site.ask(number, "acme").status for number in range(WORKERS)] == [200, 200]
        if seconds <= WITHIN_S:
            break
    print(f"suspended, and {len(streams)} streams on {WORKERS} workers ended: {seconds:.2f} s")
    assert seconds <= WITHIN_S


def revoked_within(site: Site) -> tuple[float, list[Stream]]:
    """Seconds from the command until the last stream of a new key had ended."""
    pepper = load_pepper(site.var / "secrets" / "key_pepper")
    now = Rooms(load(None, str(site.var), {})[0]).now()
    issued = keys.issue(site.book, OPERATOR, contract="acme", pepper=pepper, now=now)
    site.secrets["new"] = issued.secret
    publish(site.book, site.var / "snapshot.json", now)
    until(lambda: all(site.ask(number, "new").status == 200 for number in range(WORKERS)))
    streams = [site.ask(number, "new") for number in range(WORKERS)]
    until(lambda: all(stream.lines for stream in streams))
    began = time.time()
    assert run(["--var", str(site.var), "key", "revoke", issued.key_id, "--reason", "leak"]) == 0
    until(lambda: all(stream.ended_at is not None for stream in streams))
    return max(one.ended_at or 0 for one in streams) - began, streams


def test_a_revoked_key_stops_on_every_worker_within_a_second(site: Site) -> None:
    for _ in range(TRIES_MAX):
        seconds, streams = revoked_within(site)
        assert [stream.last["error"]["code"] for stream in streams] == ["invalid_api_key"] * 2
        assert [site.ask(number, "new").status for number in range(WORKERS)] == [401, 401]
        if seconds <= WITHIN_S:
            break
    print(f"a revoked key's streams on {WORKERS} workers ended after {seconds:.2f} s")
    assert seconds <= WITHIN_S


@pytest.mark.long
def test_a_worker_that_does_not_obey_is_named(
    site: Site, capsys: pytest.CaptureFixture[str]
) -> None:
    stream = site.ask(1, "acme")
    until(lambda: bool(stream.lines))
    os.kill(site.workers[1].pid, SIGSTOP)
    assert site.set("acme", "suspended", "--reason", "again") == 0
    said = capsys.readouterr().err
    assert "served by gateway-0" in said
    assert "gateway-1 does not serve it yet" in said
    assert stream.ended_at is None
    os.kill(site.workers[1].pid, SIGCONT)
    until(lambda: stream.ended_at is not None)
    assert stream.last["error"]["code"] == "account_suspended"
    assert site.set("acme", "active", "--reason", "settled") == 0
