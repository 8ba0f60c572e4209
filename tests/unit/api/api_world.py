"""A small book with two customers, a token for each role, and fakes for what is outside of it."""

from collections.abc import Mapping, Sequence
from decimal import Decimal
from functools import partial
from pathlib import Path

import msgspec
from starlette.applications import Starlette
from starlette.testclient import TestClient

from quartermaster.api.ports import Ports, Published
from quartermaster.api.routes import OPERATIONS
from quartermaster.api.server import build
from quartermaster.app.api_answers import RoomAnswers
from quartermaster.app.case_files import assembled
from quartermaster.app.rooms import Rooms
from quartermaster.app.webhooks import OwnWebhooks, secrets_folder
from quartermaster.billing.invoice import Invoice
from quartermaster.book.store import Book, open_book
from quartermaster.commands import api_token as tokens
from quartermaster.commands import contract as contracts
from quartermaster.commands import invoice as invoices
from quartermaster.commands import key as keys
from quartermaster.commands import price_book as price_books
from quartermaster.commands import webhook as webhooks
from quartermaster.commands.actor import OPERATOR, Actor
from quartermaster.commands.case import Rules
from quartermaster.commands.case_read import read
from quartermaster.commands.customer import add_customer
from quartermaster.commands.deployment import set_deployment
from quartermaster.commands.publish import Acknowledgement
from quartermaster.commands.standing import RevenueShare
from quartermaster.conduct.case_file import CaseFile
from quartermaster.conduct.cases_settings import CaseSettings
from quartermaster.conduct.cases_step import Due
from quartermaster.config import Settings
from quartermaster.gateway.status import WorkerStatus
from quartermaster.kernel.case import CaseEvidence, CaseStake
from quartermaster.kernel.clock import US_PER_HOUR, Instant, Period, month
from quartermaster.kernel.contract import Contract, Customer
from quartermaster.kernel.events import (
    Closed,
    Cut,
    DeploymentSet,
    HourlyUsage,
    Opened,
    UsageEvent,
    UserAdded,
)
from quartermaster.kernel.price import Price, PriceBook
from quartermaster.kernel.units import Counts

NOVEMBER = month(2026, 11, "UTC")
NOW = Instant(NOVEMBER.start + 500 * US_PER_HOUR)
PEPPER = b"p" * 32
STAFF = ("viewer", "finance", "trust", "admin")
CUSTOMERS = ("acme", "globex")
HOOK = "http://127.0.0.1:9/"
"""The port that throws away what it is sent: nothing listens there."""
CUT: Cut = {"gateway-0": 4}


class FakeUsage:
    """Three hours of each customer, and one request of each, called `req_<customer>`."""

    def __init__(self, book: Book) -> None:
        self._book = book

    def cut(self) -> Cut:
        return CUT

    def hourly(self, cut: Cut, *, customer: str | None, period: Period) -> list[HourlyUsage]:
        rows = [
            _hour(who, NOVEMBER.start + number * US_PER_HOUR)
            for who in CUSTOMERS
            for number in range(3)
        ]
        return [row for row in rows if customer in (None, row.customer) and row.hour in period]

    def request(self, request_id: str) -> list[UsageEvent]:
        return [_event(who) for who in CUSTOMERS if request_id == f"req_{who}"]

    def invoice(self, contract: str, period: str) -> Invoice:
        view = self._book.view()
        agreed, months = invoices.contract_of(view, contract, period)
        rows = self.hourly(CUT, customer=agreed.customer, period=months)
        return invoices.compute(view, agreed, months, CUT, rows, until=NOW)


class FakeGateways:
    """One worker that serves every snapshot at once; `published` counts them."""

    def __init__(self) -> None:
        self.published = 0

    def statuses(self) -> list[WorkerStatus]:
        return [
            WorkerStatus(
                "gateway-0",
                0,
                1,
                "127.0.0.1",
                8471,
                "serving",
                NOW,
                NOW,
                self.published,
                "",
                False,
                True,
                1,
                1,
                0,
                7,
                3,
                {"unknown_key": 2},
                {},
            )
        ]

    def workers(self) -> int:
        return len(self.statuses())

    def publish(self, now: Instant) -> Published:
        self.published += 1
        return Published(self.published, Acknowledgement(("gateway-0",), (), ()))


class FakeWeights:
    """Acme is a quarter of revenue, nobody else is a tenth."""

    sign_off_share = Decimal("0.10")

    def share(self, group: str) -> RevenueShare:
        return RevenueShare(Decimal("0.24" if group == "acme" else "0.01"), "USD")


class FakeDesk:
    """Ten dollars a day of each group; nothing is known of what is at stake."""

    def __init__(self, book: Book) -> None:
        self._book = book

    def rules(self, group: str) -> Rules:
        dues = (Due(group, f"c-{group}", "2026-11", "USD", 1_000),) if group else ()
        return Rules(settings=CaseSettings(), sign_off_share=Decimal("0.10"), dues=dues)

    def stake(self, group: str, evidence: CaseEvidence) -> CaseStake | None:
        return None

    def file(self, case_id: str, now: Instant) -> CaseFile:
        case = read(self._book, case_id)
        return assembled(case, now, sign_off_share=0.1, group_name=case.group, persons={})


class World:
    """The API over its fakes, and a client for each token."""

    def __init__(self, folder: Path) -> None:
        self.now = NOW
        self.book = open_book(f"sqlite:///{folder / 'book.sqlite'}")
        self.gateways = FakeGateways()
        self.weights = FakeWeights()
        self.keys = _agreements(self.book)
        self.webhook = webhooks.add(
            self.book, OPERATOR, HOOK, secrets_folder(folder), NOW, allow_private=True
        ).webhook
        self.secrets = {role: self._user(role) for role in STAFF}
        self.secrets |= {who: self._customer(who) for who in CUSTOMERS}
        self.secrets["customer"] = self.secrets["acme"]
        self.app: Starlette = build(
            Ports(
                book=self.book,
                pepper=PEPPER,
                usage=FakeUsage(self.book),
                gateways=self.gateways,
                answers=RoomAnswers(Rooms(Settings(var=str(folder)))),
                weights=self.weights,
                cases=FakeDesk(self.book),
                webhooks=OwnWebhooks(folder),
                clock=lambda: self.now,
                hosts=frozenset({"localhost"}),
            ),
            OPERATIONS,
        )

    def client(self, who: str | None = None, **headers: str) -> TestClient:
        """A program with the token of a role or a customer; without one, nobody."""
        token = {} if who is None else {"authorization": f"Bearer {self.secrets[who]}"}
        return TestClient(
            self.app, "http://localhost", headers=token | headers, raise_server_exceptions=False
        )

    def _user(self, role: str) -> str:
        actor = Actor(f"usr_{role}", (role,))
        added = UserAdded(user=actor.id, name=role.title(), roles=actor.roles)
        self.book.append(added, actor=OPERATOR, now=NOW)
        return tokens.make_for_user(
            self.book,
            actor,
            user=actor.id,
            name=f"a {role}'s",
            roles=(role,),
            expires_at=NOW + 24 * US_PER_HOUR,
            pepper=PEPPER,
            now=NOW,
        ).secret

    def _customer(self, customer: str) -> str:
        return tokens.make_for_customer(
            self.book,
            OPERATOR,
            customer=customer,
            name=f"{customer}'s own",
            expires_at=NOW + 24 * US_PER_HOUR,
            pepper=PEPPER,
            now=NOW,
        ).secret


def _agreements(book: Book) -> Mapping[str, str]:
    """Two customers with a contract, a key and a draft each; ids of the keys by customer."""
    prices = tuple(Price("m", axis, "0.15") for axis in ("input", "output"))
    price_books.publish(book, OPERATOR, PriceBook("list", 1, "USD", 0, prices), NOW)
    deployment = DeploymentSet(name="d", model="m", url="http://127.0.0.1:1/v1", upstream_model="m")
    set_deployment(book, OPERATOR, deployment, NOW)
    issued = {}
    for who in CUSTOMERS:
        add_customer(book, OPERATOR, Customer(who, who.title(), who), NOW)
        contract = Contract(f"{who}-1", 1, who, "list", "USD", "UTC", NOVEMBER.start)
        contracts.sign(book, OPERATOR, contract, NOW)
        key = keys.issue(book, OPERATOR, contract=contract.id, pepper=PEPPER, now=NOW)
        issued[who] = key.key_id
        rows = [_hour(who, NOVEMBER.start)]
        read = partial(_read, rows)
        invoices.draft(book, OPERATOR, contract=contract.id, period="2026-11", read=read, now=NOW)
    return issued


def _read(rows: Sequence[HourlyUsage], _: Contract, span: Period) -> invoices.UsageAtCut:
    return invoices.UsageAtCut(CUT, span, rows)


def _hour(who: str, hour: int) -> HourlyUsage:
    return HourlyUsage(
        who, f"{who}-1", 1, "list", "default", f"key_{who}", "m", "d", "standard", hour, 5,
        Counts(input=1_000_000, output=2_000_000),
    )  # fmt: skip


def _event(who: str) -> UsageEvent:
    at = NOVEMBER.start
    opened = Opened(
        f"req_{who}", 1, at, who, "default", f"key_{who}", f"{who}-1", 1, "list", 1, "m", "d",
        "chat.completions", "standard", False, "bill_delivered", 100,
    )  # fmt: skip
    closed = Closed(at + 9, at + 5, 200, Counts(input=3, output=4), "engine", "stop", "u", b"{}")
    return UsageEvent("gateway-0", 1, 1, "closed", opened, closed, "0" * 64)


def json_of(data: bytes) -> object:
    """Any JSON."""
    return msgspec.json.decode(data)
