"""Deployments: what part each takes, where data may go, and taking one out of service."""

import threading
import time
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest
from tests.unit.commands.signed_book import signed_book

from quartermaster.book.store import Book
from quartermaster.cli.main import run
from quartermaster.commands.actor import OPERATOR, Actor
from quartermaster.commands.deployment import Drained, set_deployment, set_drained
from quartermaster.commands.publish import build_snapshot
from quartermaster.gateway.status import CircuitShown, WorkerStatus, write_status
from quartermaster.kernel.clock import US_PER_HOUR, Instant, system_clock
from quartermaster.kernel.contract import Contract
from quartermaster.kernel.errors import NotAllowedError, NotFoundError, UsageError
from quartermaster.kernel.events import DeploymentSet
from quartermaster.kernel.routing import Routing
from quartermaster.kernel.snapshot import decode, encode

NOW = Instant(1_000 * US_PER_HOUR)


@pytest.fixture
def book(tmp_path: Path) -> Iterator[Book]:
    with signed_book(tmp_path, NOW, {"acme": "c"}, data_zone="EU") as book:
        yield book


def deploy(book: Book, name: str, routing: Routing = Routing(), cost_book: str = "") -> None:  # noqa: B008 - a frozen struct
    deployment = DeploymentSet(
        name=name,
        model="m",
        url="http://127.0.0.1:8472/v1",
        upstream_model="m",
        routing=routing,
        cost_book=cost_book,
    )
    set_deployment(book, OPERATOR, deployment, NOW)


def test_how_a_deployment_is_routed_to_reaches_the_gateways(book: Book) -> None:
    routing = Routing(weight=3, priority=1, zones=("EU", "DE"), first_byte_s=20)
    deploy(book, "vllm-a", routing)
    (deployed,) = decode(encode(build_snapshot(book.view(), NOW, 1))).deployments
    assert (deployed.routing, deployed.drained) == (routing, False)


def test_a_drained_deployment_stays_drained_when_it_is_set_anew(book: Book) -> None:
    deploy(book, "vllm-a")
    deploy(book, "vllm-b")
    done = set_drained(book, OPERATOR, "vllm-a", NOW, drained=True, reason="new weights")
    assert done == Drained("vllm-a", True, "m", 1)
    deploy(book, "vllm-a", Routing(weight=2))
    drained = {one.name: one.drained for one in build_snapshot(book.view(), NOW, 1).deployments}
    assert drained == {"vllm-a": True, "vllm-b": False}
    assert set_drained(book, OPERATOR, "vllm-b", NOW, drained=True, reason="both").others == 0
    set_drained(book, OPERATOR, "vllm-a", NOW, drained=False, reason="done")
    assert build_snapshot(book.view(), NOW, 1).deployments[0].drained is False


def test_saying_what_is_so_already_writes_nothing(book: Book) -> None:
    deploy(book, "vllm-a")
    before = book.view().seq
    set_drained(book, OPERATOR, "vllm-a", NOW, drained=False, reason="it was never drained")
    assert book.view().seq == before


def test_who_may_drain_and_what(book: Book) -> None:
    deploy(book, "vllm-a")
    with pytest.raises(NotAllowedError):
        set_drained(book, Actor("u", ("trust",)), "vllm-a", NOW, drained=True, reason="r")
    with pytest.raises(NotFoundError):
        set_drained(book, OPERATOR, "vllm-x", NOW, drained=True, reason="r")
    with pytest.raises(UsageError):
        set_drained(book, OPERATOR, "vllm-a", NOW, drained=True, reason=" ")
    with pytest.raises(NotFoundError, match="price book"):
        deploy(book, "vllm-b", cost_book="nobody")


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("weight", 0),
        ("weight", 1_001),
        ("priority", -1),
        ("first_byte_s", 0),
        ("total_s", 86_401),
        ("zones", ("eu",)),
        ("zones", ("EU",) * 9),
    ],
)
def test_what_no_routing_can_be(field: str, value: object) -> None:
    with pytest.raises(UsageError) as caught:
        msgspec.structs.replace(Routing(), **{field: value})
    assert caught.value.field == field


def test_a_contract_names_a_data_zone_or_none() -> None:
    with pytest.raises(UsageError, match="is not a data zone"):
        Contract("c", 1, "acme", "list", "USD", "UTC", 0, data_zone="Europe")


# -- the command line --------------------------------------------------------------------------


def a_status(var: Path, version: int, **more: object) -> None:
    given: dict[str, object] = {
        "app_id": "gateway-0",
        "worker": 0,
        "pid": 1,
        "host": "h",
        "port": 1,
        "state": "serving",
        "started_at": 0,
        "at": system_clock(),
        "snapshot_version": version,
        "snapshot_error": "",
        "out_of_contact": False,
        "wal_writable": True,
        "connections": 0,
        "upstream_connections": 0,
        "in_flight": 0,
        "requests": 0,
        "requests_per_s": 0,
        "refusals": {},
        "failures": {},
        **more,
    }
    (var / "status").mkdir(exist_ok=True)
    write_status(var / "status" / "gateway-0.json", msgspec.convert(given, WorkerStatus))


def cli(var: Path, *words: str) -> int:
    return run(["--var", str(var), "deployment", *words])


SET = ("set", "vllm-a", "--model", "m", "--url", "http://127.0.0.1:1/v1")


def test_set_list_drain_and_undrain(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    routing = ("--weight", "3", "--zone", "EU", "--zone", "DE", "--first-byte-timeout", "20")
    assert cli(tmp_path, *SET, *routing) == 0
    assert cli(tmp_path, "drain", "vllm-a", "--reason", "new weights") == 0
    assert "nothing else serves m" in capsys.readouterr().err
    assert cli(tmp_path, "list") == 0
    assert "weight 3, priority 0, zones EU DE, drained" in capsys.readouterr().out
    assert cli(tmp_path, "undrain", "vllm-a", "--reason", "done") == 0
    assert cli(tmp_path, "list", "--json") == 0
    (shown,) = msgspec.json.decode(capsys.readouterr().out)
    assert (shown["drained"], shown["routing"]["first_byte_s"]) == (False, 20)


def test_drain_waits_for_requests_that_still_run(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli(tmp_path, *SET) == 0
    running: dict[str, object] = {"running": {"vllm-a": 2}}
    a_status(tmp_path, 9, **running)
    assert cli(tmp_path, "drain", "vllm-a", "--reason", "r", "--wait", "1") == 3
    assert "2 requests still run after 1 s" in capsys.readouterr().err

    def end_soon() -> None:
        time.sleep(0.3)
        a_status(tmp_path, 9)

    ending = threading.Thread(target=end_soon)
    ending.start()
    assert cli(tmp_path, "drain", "vllm-a", "--reason", "r", "--wait", "20") == 0
    ending.join()
    assert "nothing runs there any more" in capsys.readouterr().err


def test_health_names_who_rests(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    circuits = {"vllm-a": CircuitShown("half_open", 0.0, 3)}
    a_status(tmp_path, 1, circuits=msgspec.to_builtins(circuits), circuits_opened=2)
    assert cli(tmp_path, "health") == 0
    assert "gateway-0: vllm-a half-open for 0.0 s" in capsys.readouterr().out
    assert cli(tmp_path, "health", "--json") == 0
    shown = msgspec.json.decode(capsys.readouterr().out)
    assert (shown["opened"], shown["circuits"]["vllm-a"]["failures"]) == (2, 3)


def test_health_says_nothing_of_a_worker_that_has_ended(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    circuits = msgspec.to_builtins({"vllm-a": CircuitShown("open", 0.8, 3)})
    for gone in ({"state": "stopped"}, {"at": system_clock() - 60_000_000}):
        a_status(tmp_path, 1, circuits=circuits, **gone)
        assert cli(tmp_path, "health") == 0
        assert capsys.readouterr().out == ""
