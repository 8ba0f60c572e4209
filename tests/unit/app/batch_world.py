"""A book with two customers, a vault, and a gateway that answers as a test wants."""

import json
import threading
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from starlette.testclient import TestClient

from quartermaster.api.relayed import RelayedPorts, build
from quartermaster.api.settings import ApiSettings
from quartermaster.app.api_relayed import ROWS, key_of, model_error, standing_of
from quartermaster.app.batch_ending import Ending
from quartermaster.app.batch_gateway import Answered, Outgoing
from quartermaster.app.batch_runner import Runner
from quartermaster.app.rooms import Rooms
from quartermaster.book.batch_states import Batch
from quartermaster.book.batches import Line
from quartermaster.book.sealed_files import Vault
from quartermaster.commands import contract as contracts
from quartermaster.commands import key as keys
from quartermaster.commands import price_book as price_books
from quartermaster.commands.actor import OPERATOR
from quartermaster.commands.customer import add_customer
from quartermaster.commands.deployment import set_deployment
from quartermaster.commands.key_holder import KeyRing
from quartermaster.config import Settings
from quartermaster.kernel.clock import US_PER_S, Instant, month
from quartermaster.kernel.contract import Contract, Customer
from quartermaster.kernel.events import DeploymentSet
from quartermaster.kernel.price import TEXT_AXES, Price, PriceBook
from quartermaster.kernel.units import ServiceClass
from quartermaster.usage.bucket_rows import BucketRow, BucketsAsked, DayCost

NOW = Instant(month(2026, 11, "UTC").start + 10**12)
PEPPER = b"p" * 32
CUSTOMERS = ("acme", "globex")
CLASSES: tuple[ServiceClass, ...] = ("standard", "batch")
STEP_S = 5
"""Time between two rounds of a runner; below its claim."""
CHAT = "/v1/chat/completions"

Reply = Callable[[Outgoing], Answered]


def said(line: Outgoing, text: str = "Hello") -> Answered:
    """An ordinary answer."""
    body = {
        "id": "chatcmpl-1",
        "choices": [{"index": 0, "message": {"role": "assistant", "content": text}}],
        "usage": {"prompt_tokens": 5, "completion_tokens": 2, "total_tokens": 7},
    }
    # Indented as some model servers answer: the files must still be one line each.
    return Answered(line, "answered", 200, json.dumps(body, indent=2).encode())


def refused(line: Outgoing, status: int, retry_after_s: float | None = None) -> Answered:
    """An error of the gateway."""
    body = {"error": {"message": "no", "type": "x", "param": None, "code": "y"}}
    return Answered(line, "answered", status, json.dumps(body).encode(), retry_after_s)


def request(number: int, **fields: Any) -> dict[str, Any]:
    """One line of an input file."""
    body = {"model": "m", "messages": [{"role": "user", "content": f"Question {number}"}]}
    return {"custom_id": f"q{number}", "method": "POST", "url": CHAT, "body": body, **fields}


def jsonl(*lines: Any) -> bytes:
    """An input file."""
    return b"".join(json.dumps(line).encode() + b"\n" for line in lines)


class Usage:
    """No usage; remembers what it was asked."""

    def __init__(self) -> None:
        self.rows: list[BucketRow] = []
        self.costly: list[DayCost] = []
        self.asked: list[tuple[str, BucketsAsked]] = []

    def buckets(self, customer: str, asked: BucketsAsked) -> list[BucketRow]:
        self.asked.append((customer, asked))
        return self.rows

    def costs(self, customer: str, asked: BucketsAsked) -> list[DayCost]:
        self.asked.append((customer, asked))
        return self.costly


class World:
    """The face and the runner over one data folder."""

    def __init__(self, folder: Path, **settings: Any) -> None:
        self.folder = folder
        self.now: int = NOW
        self.settings = ApiSettings(**settings)
        self.rooms = Rooms(Settings(var=str(folder)))
        self.rooms.now = lambda: Instant(self.now)  # type: ignore[method-assign]
        self.book = self.rooms.book
        self.vault = Vault(folder / "files", PEPPER)
        self.usage = Usage()
        self.secrets: dict[str, str] = {}
        self.key_ids: dict[str, str] = {}
        self.voided: list[tuple[str, list[Line]]] = []
        self.reply: Reply = said
        self.sent: list[Outgoing] = []
        self.hung_up = threading.Event()
        self._agree()
        ports = RelayedPorts(
            book=self.book,
            vault=lambda: self.vault,
            ring=KeyRing(self.book, PEPPER),
            usage=self.usage,
            settings=self.settings,
            clock=lambda: Instant(self.now),
            hosts=frozenset({"localhost"}),
            queued=lambda: None,
        )
        self.app = build(ports, ROWS)

    def client(self, who: str = "acme") -> TestClient:
        """A customer's program."""
        headers = {"authorization": f"Bearer {self.secrets.get(who, who)}"}
        return TestClient(
            self.app, "http://localhost", headers=headers, raise_server_exceptions=False
        )

    def runner(self, *, claim_s: int = 10) -> Runner:
        """A runner that nobody has killed yet."""
        ending = Ending(
            book=self.book,
            vault=self.vault,
            void=self._void,
            settings=self.settings,
            clock=lambda: Instant(self.now),
        )
        return Runner(
            book=self.book,
            vault=self.vault,
            send=self._send,
            hang_up=self.hung_up.set,
            ending=ending,
            model_error=partial(model_error, self.rooms),
            key_of=partial(key_of, self.rooms),
            standing_of=partial(standing_of, self.rooms),
            settings=self.settings,
            line_bytes_max=10_000,
            clock=lambda: Instant(self.now),
            claim_s=claim_s,
        )

    def let(self, runner: Runner, steps: int) -> None:
        """So many rounds of a runner, a second each."""
        for _ in range(steps):
            runner.step()
            self.now += US_PER_S

    def run(self, runner: Runner, batch_id: str) -> dict[str, Any]:
        """Let time pass until the batch is over."""
        for _ in range(400):
            runner.step()
            self.now += STEP_S * US_PER_S
            found: dict[str, Any] = self.client().get(f"/v1/batches/{batch_id}").json()
            if found["status"] in ("completed", "failed", "expired", "cancelled"):
                return found
        raise AssertionError(f"not over: {found}")

    def upload(self, data: bytes, who: str = "acme", **fields: str) -> str:
        """The id of an uploaded file."""
        answer = self.client(who).post(
            "/v1/files", files={"file": ("in.jsonl", data)}, data={"purpose": "batch", **fields}
        )
        assert answer.status_code == 200, answer.text
        return str(answer.json()["id"])

    def queue(self, *lines: Any, **fields: Any) -> str:
        """The id of a batch of these lines."""
        asked = {
            "input_file_id": self.upload(jsonl(*lines)),
            "endpoint": CHAT,
            "completion_window": "24h",
            **fields,
        }
        answer = self.client().post("/v1/batches", json=asked)
        assert answer.status_code == 200, answer.text
        return str(answer.json()["id"])

    def lines_of(self, file_id: str) -> dict[str, dict[str, Any]]:
        """The lines of an output or error file by `custom_id`."""
        data = self.client().get(f"/v1/files/{file_id}/content").content
        lines = [json.loads(line) for line in data.splitlines()]
        assert len({line["custom_id"] for line in lines}) == len(lines)
        return {line["custom_id"]: line for line in lines}

    def _send(self, line: Outgoing) -> Answered:
        self.sent.append(line)
        return self.reply(line)

    def _void(self, batch: Batch, lines: Any) -> None:
        self.voided.append((batch.id, list(lines)))

    def _agree(self) -> None:
        prices = [Price("m", axis, "1.00") for axis in TEXT_AXES]
        prices += [Price("m", axis, "0.50", service_class="batch") for axis in TEXT_AXES]
        prices += [Price("dear", axis, "1.00") for axis in TEXT_AXES]
        list_ = PriceBook("list", 1, "USD", 0, tuple(prices))
        price_books.publish(self.book, OPERATOR, list_, NOW)
        for model in ("m", "dear"):
            fact = DeploymentSet(
                name=f"d-{model}", model=model, url="http://127.0.0.1:1/v1", upstream_model=model
            )
            set_deployment(self.book, OPERATOR, fact, NOW)
        for who in CUSTOMERS:
            add_customer(self.book, OPERATOR, Customer(who, who.title(), who), NOW)
            agreed = Contract(
                f"{who}-1", 1, who, "list", "USD", "UTC", month(2026, 11, "UTC").start
            )
            contracts.sign(self.book, OPERATOR, agreed, NOW)
            issued = keys.issue(self.book, OPERATOR, contract=agreed.id, pepper=PEPPER, now=NOW)
            self.secrets[who], self.key_ids[who] = issued.secret, issued.key_id
