"""Files, batches and usage through a real gateway, a real API process and the unmodified SDK.

Last, both processes are killed in the middle of a batch: every line is answered once and paid once.
"""

import asyncio
import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import openai
import pyarrow.compute as pc
import pytest
from tests.contract.gateway_process import (
    DEADLINE_S,
    SCRIPTS,
    USAGE,
    WORDS,
    Alive,
    Asked,
    ModelServer,
    free_port,
    talk,
    until,
)
from tests.contract.raw_client import Raw

from quartermaster.app.own_gateway import connect
from quartermaster.app.rooms import Rooms
from quartermaster.book.pepper import load_pepper
from quartermaster.commands import contract as contracts
from quartermaster.commands import key as keys
from quartermaster.commands import price_book as price_books
from quartermaster.commands.actor import OPERATOR
from quartermaster.commands.customer import add_customer
from quartermaster.commands.deployment import set_deployment
from quartermaster.commands.publish import publish
from quartermaster.config import Settings
from quartermaster.gateway.settings import GatewaySettings
from quartermaster.kernel.batch_run import BatchRun, sign
from quartermaster.kernel.clock import US_PER_HOUR, US_PER_S, system_clock
from quartermaster.kernel.contract import Contract, Customer
from quartermaster.kernel.events import DeploymentSet, HourlyUsage
from quartermaster.kernel.price import TEXT_AXES, Price, PriceBook
from quartermaster.usage.cut import current_cut
from quartermaster.usage.delta import read
from quartermaster.usage.query import hourly, usage_rows
from quartermaster.usage.ship import ship_sealed

CUSTOMERS = ("acme", "globex")
CHAT = "/v1/chat/completions"
MODELS = ("talk", "slow", "slower")
UPLOAD_BYTES = 3 * 1024 * 1024
"""Over the body limit that these gateways have, so it must pass through unheld."""


async def slow(asked: Asked, writer: asyncio.StreamWriter, alive: Alive) -> None:
    """A model that takes a moment, so that kills meet requests on their way."""
    await asyncio.sleep(0.05 + random.random() * 0.1)
    await talk(asked, writer, alive)


class Site:
    """A data folder with two customers, and the two processes over it."""

    def __init__(self, var: Path, upstream_port: int) -> None:
        self.var = var
        self.ports = {"GATEWAY": free_port(), "CONSOLE": free_port()}
        self.rooms = Rooms(Settings(var=str(var)))
        self.pepper = load_pepper(var / "secrets" / "key_pepper")
        self.secrets: dict[str, str] = {}
        self.key_ids: dict[str, str] = {}
        self._agree(f"http://127.0.0.1:{upstream_port}/v1")
        self.processes: dict[str, subprocess.Popen[bytes]] = {}
        for role in ("gateway", "console"):
            self.start(role)
        for role in ("gateway", "console"):
            self.ready(role)

    def start(self, role: str) -> None:
        """Start one of the two."""
        kept = {k: v for k, v in os.environ.items() if not k.startswith("QUARTERMASTER_")}
        ports = {f"QUARTERMASTER_{name}__PORT": str(port) for name, port in self.ports.items()}
        environ = {
            **kept,
            **ports,
            "QUARTERMASTER_VAR": str(self.var),
            "QUARTERMASTER_USAGE__SEAL_SECONDS": "0.1",
            "QUARTERMASTER_GATEWAY__BODY_BYTES_MAX": "1000000",
            "QUARTERMASTER_API__FILE_BYTES_MAX": "4000000",
            "PYTHONPATH": os.pathsep.join(sys.path),
        }
        command = [sys.executable, "-m", "quartermaster", "up", "--role", role]
        with (self.var / f"{role}.log").open("ab") as log:
            self.processes[role] = subprocess.Popen(command, env=environ, stdout=log, stderr=log)

    def ready(self, role: str) -> None:
        """Wait until it answers."""
        port, path = self.ports[role.upper()], {"gateway": "/readyz", "console": "/healthz"}[role]

        def answers() -> bool:
            assert self.processes[role].poll() is None, (self.var / f"{role}.log").read_text()
            with suppress(OSError):
                connection = connect(GatewaySettings(port=port), timeout_s=5.0)
                connection.request("GET", path)
                return connection.getresponse().status == 200
            return False

        until(answers)

    def kill(self, role: str) -> None:
        """SIGKILL: no handler, no buffer written."""
        self.processes[role].kill()
        self.processes[role].wait()

    def stop(self) -> None:
        """End both."""
        for process in self.processes.values():
            process.send_signal(signal.SIGTERM)
        for process in self.processes.values():
            try:
                process.wait(DEADLINE_S)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()

    def client(self, who: str = "acme") -> openai.OpenAI:
        """The SDK, with a customer's key."""
        url = f"http://127.0.0.1:{self.ports['GATEWAY']}/v1"
        secret = self.secrets.get(who, who)
        return openai.OpenAI(base_url=url, api_key=secret, admin_api_key=secret, max_retries=0)

    def shipped(self, request_ids: Iterable[str]) -> None:
        """Wait until the usage table holds what was served under these ids."""
        table, wanted = self.rooms.usage, set(request_ids)
        deadline = time.monotonic() + DEADLINE_S
        while wanted:
            assert time.monotonic() < deadline, f"{wanted} not shipped"
            time.sleep(0.1)
            if not ship_sealed(self.var / "wal", table):
                continue
            rows = read(
                table.files(), ["request_id", "http_status"], pc.field("http_status") == 200
            )
            if rows is not None:
                wanted -= set(rows["request_id"].to_pylist())

    def _agree(self, upstream: str) -> None:
        book, now = self.rooms.book, self.rooms.now()
        prices = [Price(m, axis, "1.00") for m in MODELS for axis in TEXT_AXES]
        prices += [
            Price(m, axis, "0.50", service_class="batch") for m in MODELS for axis in TEXT_AXES
        ]
        price_books.publish(book, OPERATOR, PriceBook("list", 1, "USD", 0, tuple(prices)), now)
        for model in MODELS:
            fact = DeploymentSet(name=model, model=model, url=upstream, upstream_model=model)
            set_deployment(book, OPERATOR, fact, now)
        start = now - now % US_PER_HOUR
        for who in CUSTOMERS:
            add_customer(book, OPERATOR, Customer(who, who, who), now)
            agreed = Contract(f"{who}-1", 1, who, "list", "USD", "UTC", start)
            contracts.sign(book, OPERATOR, agreed, now)
            issued = keys.issue(book, OPERATOR, contract=agreed.id, pepper=self.pepper, now=now)
            self.secrets[who], self.key_ids[who] = issued.secret, issued.key_id
        for who, network in (("here", "127.0.0.0/8"), ("elsewhere", "203.0.113.0/24")):
            issued = keys.issue(
                book,
                OPERATOR,
                contract="acme-1",
                pepper=self.pepper,
                now=now,
                networks=(network,),
            )
            self.secrets[who] = issued.secret
        publish(book, self.var / "snapshot.json", now)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    scripts = {"slow": slow, "slower": slow}
    SCRIPTS.update(scripts)
    server = ModelServer()
    with server.running():
        running = Site(tmp_path_factory.mktemp("relayed"), server.port)
        try:
            yield running
        finally:
            running.stop()
            for name in scripts:
                del SCRIPTS[name]


def line(number: int, model: str = "talk") -> dict[str, Any]:
    body = {"model": model, "messages": [{"role": "user", "content": f"Question {number}"}]}
    return {"custom_id": f"q{number}", "method": "POST", "url": CHAT, "body": body}


def jsonl(lines: list[dict[str, Any]]) -> bytes:
    return b"".join(json.dumps(one).encode() + b"\n" for one in lines)


def queued(client: openai.OpenAI, lines: list[dict[str, Any]]) -> str:
    file = client.files.create(file=("in.jsonl", jsonl(lines)), purpose="batch")
    batch = client.batches.create(
        input_file_id=file.id,
        endpoint="/v1/chat/completions",
        completion_window="24h",
        metadata={"job": "nightly"},
    )
    return batch.id


def over(client: openai.OpenAI, batch_id: str, *, lines: int = 0) -> Any:
    deadline = time.monotonic() + DEADLINE_S + lines / 10
    while True:
        batch = client.batches.retrieve(batch_id)
        if batch.status in ("completed", "failed", "expired", "cancelled"):
            return batch
        assert time.monotonic() < deadline, batch
        time.sleep(0.05)


def answers(client: openai.OpenAI, file_id: str) -> dict[str, Any]:
    lines = [json.loads(one) for one in client.files.content(file_id).text.splitlines()]
    assert len({one["custom_id"] for one in lines}) == len(lines)
    return {one["custom_id"]: one for one in lines}


def test_files_with_the_sdk(site: Site) -> None:
    client = site.client()
    data = jsonl([line(n) for n in range(UPLOAD_BYTES // 200)])
    assert len(data) > UPLOAD_BYTES / 2 > 1_000_000
    file = client.files.create(
        file=("big.jsonl", data),
        purpose="batch",
        expires_after={"anchor": "created_at", "seconds": 3600},
    )
    assert (file.bytes, file.filename, file.purpose) == (len(data), "big.jsonl", "batch")
    assert file.expires_at == file.created_at + 3600
    assert client.files.retrieve(file.id) == file
    assert client.files.content(file.id).content == data
    assert file.id in [one.id for one in client.files.list()]
    with pytest.raises(openai.NotFoundError):
        site.client("globex").files.content(file.id)
    assert site.client("globex").files.list().data == []
    assert client.files.delete(file.id).deleted
    with pytest.raises(openai.NotFoundError) as gone:
        client.files.retrieve(file.id)
    assert gone.value.request_id is not None
    assert gone.value.request_id.startswith("req_")


def test_what_is_refused_on_the_way(site: Site) -> None:
    client = site.client()
    with pytest.raises(openai.BadRequestError) as bad:
        client.files.create(file=("a.jsonl", b"x"), purpose="fine-tune")
    assert bad.value.param == "purpose"
    with pytest.raises(openai.APIStatusError) as large:
        client.files.create(file=("a.jsonl", b"x" * 4_500_000), purpose="batch")
    assert large.value.status_code == 413
    with pytest.raises(openai.AuthenticationError):
        site.client("qm-wrong").files.list()
    with pytest.raises(openai.AuthenticationError):
        site.client("qm-wrong").files.create(file=("a", b"x" * 3_000_000), purpose="batch")
    with pytest.raises(openai.NotFoundError):
        client.batches.retrieve("batch_none")
    with pytest.raises(openai.BadRequestError) as many:
        client.admin.organization.usage.completions(start_time=1, limit=32)
    assert many.value.param == "limit"
    # The connection that was refused early is not reused, and the next one works.
    assert client.files.list().data == []
    run = BatchRun(site.key_ids["acme"], "req_X", 1, system_clock() + US_PER_S)
    for forged in (
        sign(run, b"q" * 32),
        sign(BatchRun(site.key_ids["acme"], "req_X", 1, system_clock() - 1), site.pepper),
        sign(BatchRun("key_none", "req_X", 1, system_clock() + US_PER_S), site.pepper),
        site.secrets["acme"],
    ):
        with connected(site) as connection:
            body = json.dumps(line(0)["body"])
            headers = {"authorization": f"Bearer {forged}"}
            connection.request("POST", "/batch/v1/chat/completions", body, headers)
            assert connection.getresponse().status == 401
    # The runner's credential opens nothing else.
    with pytest.raises(openai.AuthenticationError):
        site.client(sign(run, site.pepper)).models.list()


def test_a_key_held_to_networks_is_good_through_the_gateway_only(site: Site) -> None:
    assert site.client("here").files.list().data == []
    with pytest.raises(openai.PermissionDeniedError):
        site.client("elsewhere").files.list()
    past = connect(GatewaySettings(port=site.ports["CONSOLE"]), timeout_s=30.0)
    for who, status in (("here", 403), ("elsewhere", 403), ("acme", 200)):
        past.request("GET", "/v1/files", headers={"authorization": f"Bearer {site.secrets[who]}"})
        answer = past.getresponse()
        assert (who, answer.status) == (who, status)
        answer.read()
    past.close()


class connected:  # noqa: N801 - reads as a block
    """A plain connection to the gateway."""

    def __init__(self, site: Site) -> None:
        self._connection = connect(GatewaySettings(port=site.ports["GATEWAY"]), timeout_s=30.0)

    def __enter__(self) -> Any:
        return self._connection

    def __exit__(self, *_: object) -> None:
        self._connection.close()


def test_uploads_that_stop_in_the_middle_leave_nothing(site: Site) -> None:
    head = (
        f"POST /v1/files HTTP/1.1\r\nhost: g\r\nauthorization: Bearer {site.secrets['acme']}\r\n"
        "content-length: 2000000\r\n\r\n--b\r\n"
    ).encode()
    raw = Raw.__new__(Raw)
    import socket

    raw.socket = socket.create_connection(("127.0.0.1", site.ports["GATEWAY"]), DEADLINE_S)
    raw.rest = b""
    raw.send(head + b'content-disposition: form-data; name="file"; filename="x"\r\n\r\n')
    raw.send(b"x" * 300_000)
    until(lambda: len(list((site.var / "files").glob("*.part"))) == 1)
    raw.socket.close()
    until(lambda: not list((site.var / "files").glob("*.part")))
    assert site.client().files.list().data == []


def test_a_batch_with_the_sdk(site: Site) -> None:
    client = site.client()
    batch_id = queued(client, [line(n) for n in range(12)])
    with pytest.raises(openai.NotFoundError):
        site.client("globex").batches.retrieve(batch_id)
    batch = over(client, batch_id)
    assert batch.status == "completed"
    assert batch.metadata == {"job": "nightly"}
    assert batch.request_counts.model_dump() == {"total": 12, "completed": 12, "failed": 0}
    assert batch.usage.total_tokens == 12 * USAGE["total_tokens"]  # type: ignore[operator]
    found = answers(client, batch.output_file_id)
    assert len(found) == 12
    body = found["q7"]["response"]["body"]
    assert body["choices"][0]["message"]["content"] == "".join(WORDS)
    assert batch_id in [one.id for one in client.batches.list()]
    site.shipped(one["response"]["request_id"] for one in found.values())
    rows = billed(site)
    (row,) = [row for row in rows if row.service_class == "batch"]
    assert (row.requests, row.counts.tokens) == (12, 12 * USAGE["total_tokens"])  # type: ignore[operator]
    assert (row.customer, row.key_id) == ("acme", site.key_ids["acme"])
    (event,) = usage_rows(site.rooms.usage, request_id=found["q7"]["response"]["request_id"])
    assert event.opened.attempt == 1


def test_cancelling_with_the_sdk(site: Site) -> None:
    client = site.client("globex")
    batch_id = queued(client, [line(n, "slow") for n in range(60)])
    until(lambda: client.batches.retrieve(batch_id).status == "in_progress")
    assert client.batches.cancel(batch_id).status == "cancelling"
    batch = over(client, batch_id)
    assert batch.status == "cancelled"
    done = answers(client, batch.output_file_id) if batch.output_file_id else {}
    errors = answers(client, batch.error_file_id)
    assert len(done) + len(errors) == 60
    assert {one["error"]["code"] for one in errors.values()} == {"batch_cancelled"}


@pytest.mark.long
def test_usage_and_costs_with_the_sdk(site: Site) -> None:
    """A batch and a chat, told and priced apart; the engine takes seconds to load."""
    client = site.client()
    start_s = system_clock() // US_PER_S
    batch = over(client, queued(client, [line(n) for n in range(12)]))
    lines = answers(client, batch.output_file_id).values()
    site.shipped(one["response"]["request_id"] for one in lines)
    chat = client.chat.completions.with_raw_response.create(
        model="talk", messages=[{"role": "user", "content": "Hi"}]
    )
    site.shipped([chat.headers["x-request-id"]])
    page = client.admin.organization.usage.completions(
        start_time=start_s, bucket_width="1h", group_by=["batch", "model"], models=["talk"]
    )
    found: dict[bool, list[int]] = {False: [0, 0, 0], True: [0, 0, 0]}
    for bucket in page.data:
        for result in bucket.results:
            told = result.to_dict()
            sums = found[bool(told["batch"])]
            for at, name in enumerate(("num_model_requests", "input_tokens", "output_tokens")):
                sums[at] += int(str(told[name]))
    assert found == {False: [1, 11, 3], True: [12, 132, 36]}
    with connected(site) as connection:
        headers = {"authorization": f"Bearer {site.secrets['acme']}"}
        path = f"/v1/organization/costs?start_time={start_s}&group_by[]=line_item"
        connection.request("GET", path, headers=headers)
        response = connection.getresponse()
        assert response.status == 200
        costs = [r for b in json.loads(response.read())["data"] for r in b["results"]]
    amounts: dict[str, float] = {}
    for result in costs:
        name = result["line_item"]
        amounts[name] = amounts.get(name, 0) + result["amount"]["value"]
    assert amounts["talk, output"] == pytest.approx(2e-6)
    assert amounts["talk, batch output"] == pytest.approx(12 * 2 * 0.5e-6)
    other = site.client("globex").admin.organization.usage.completions(
        start_time=start_s, bucket_width="1h", models=["talk"]
    )
    assert [bucket.results for bucket in other.data if bucket.results] == []


def test_kills_in_the_middle_of_a_batch_lose_and_double_nothing(site: Site) -> None:
    crash(site, "slow", lines=24, kills=("console",))


@pytest.mark.long
def test_many_kills_in_the_middle_of_a_batch(site: Site) -> None:
    luck = random.Random(7)
    crash(site, "slower", lines=600, kills=[luck.choice(("console", "gateway")) for _ in range(8)])


def crash(site: Site, model: str, *, lines: int, kills: Any) -> None:
    """Kill processes while lines are on their way; every line is answered and billed once."""
    client = site.client()
    batch_id = queued(client, [line(n, model) for n in range(lines)])
    done = 0
    for role in kills:

        def moved(since: int = done) -> bool:
            with suppress(openai.APIError):
                counts = client.batches.retrieve(batch_id).request_counts
                return counts is not None and counts.completed > since
            return False

        until(moved)
        site.kill(role)
        site.start(role)
        site.ready(role)
        counts = client.batches.retrieve(batch_id).request_counts
        assert counts is not None
        done = counts.completed
    batch = over(client, batch_id, lines=lines)
    assert batch.request_counts.model_dump() == {"total": lines, "completed": lines, "failed": 0}
    found = answers(client, batch.output_file_id)
    assert found.keys() == {f"q{n}" for n in range(lines)}
    request_ids = {one["response"]["request_id"] for one in found.values()}
    site.shipped(request_ids)
    rows = [row for row in billed(site) if row.model == model]
    assert sum(row.requests for row in rows) == lines
    assert sum(row.counts.tokens for row in rows) == lines * int(str(USAGE["total_tokens"]))
    table = site.rooms.usage
    every = read(table.files(), ["request_id", "model"], pc.field("model") == model)
    assert every is not None
    attempts = [name for name in every["request_id"].to_pylist() if name in request_ids]
    print(f"{lines} lines, {len(kills)} kills, {len(attempts)} attempts metered")
    assert len(attempts) > lines, "no kill met a line on its way"


def billed(site: Site) -> list[HourlyUsage]:
    """What Acme is to pay for."""
    table = site.rooms.usage
    return hourly(table, current_cut(table), customer="acme")
