"""A real worker's content tap: who consents is sampled into memory, others never, text is wiped."""

import json
import signal
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.contract.gateway_process import DEADLINE_S, Gateway, ModelServer, running_gateway, until

from quartermaster.conduct.content import answer_of, request_of
from quartermaster.kernel import ring
from quartermaster.kernel.ids import new_key_secret
from quartermaster.kernel.tapped import Content, Tally, decode

pytestmark = pytest.mark.skipif(not ring.SHARED_MEMORY.is_dir(), reason="no shared memory here")
CANARY = "zanzibar-quokka"


@pytest.fixture
def gateway(tmp_path: Path) -> Iterator[Gateway]:
    with (
        ModelServer().running() as upstream,
        running_gateway(tmp_path / "var", upstream) as found,
    ):
        yield found
    folder = ring.folder_of(tmp_path / "var")
    for left in folder.glob("*"):
        left.unlink()  # of workers that a test has killed
    if folder.exists():
        folder.rmdir()


def ask(gateway: Gateway, key: str, text: str, *, stream: bool = False, path: str = "") -> None:
    turn = {"role": "user", "content": f"{text} {CANARY}"}
    body = {"model": "talk", "messages": [turn], "stream": stream, "max_tokens": 50}
    url = f"{gateway.url}/{path or 'chat/completions'}"
    headers = {"authorization": f"Bearer {key}", "content-type": "application/json"}
    asked = urllib.request.Request(url, json.dumps(body).encode(), headers)
    with urllib.request.urlopen(asked, timeout=DEADLINE_S) as reply:
        assert b"fox" in reply.read()


def ring_path(gateway: Gateway) -> Path:
    return ring.folder_of(gateway.var) / f"{gateway.app_id}{ring.SUFFIX}"


def test_only_who_consents_is_read_in_every_way_of_asking(gateway: Gateway) -> None:
    ask(gateway, gateway.key, "Nobody reads this.")
    path = ring_path(gateway)
    assert not path.exists(), "no consent in any contract, no ring"
    consenting = new_key_secret()
    gateway.publish(gateway.grant(consenting, customer="cus_2", group="cus_2", watched=True))
    until(path.exists)
    ask(gateway, gateway.key, "Nobody reads this.")
    ask(gateway, consenting, "Plain.")
    ask(gateway, consenting, "Streamed.", stream=True)
    ask(gateway, consenting, "Translated.", path="messages")
    reader = ring.attach(path)
    assert reader is not None
    told = [decode(frame.payload) for frame in reader.frames()]
    # At its end a worker says the last figures, and waits a moment for who reads.
    gateway.process.send_signal(signal.SIGTERM)

    def all_told() -> bool:
        told.extend(decode(frame.payload) for frame in reader.frames())
        return isinstance(told[-1], Tally)

    until(all_told)
    tally = told[-1]
    assert isinstance(tally, Tally)
    assert (tally.customer, tally.seen, tally.drawn) == ("cus_2", 3, 3)
    found = [one for one in told if isinstance(one, Content)]
    requests = [request_of(one) for one in found]
    assert [one and one.turns[-1] for one in requests] == [
        f"{text} {CANARY}" for text in ("Plain.", "Streamed.", "Translated.")
    ]
    assert [" ".join(answer_of(one).split()) for one in found] == ["The quick fox"] * 3
    assert {one.customer for one in found} == {"cus_2"}
    assert [one.endpoint for one in found] == ["chat.completions", "chat.completions", "messages"]
    assert [one.request_id for one in found] == [
        row.opened.request_id for row in gateway.stop_was_asked() if row.opened.customer == "cus_2"
    ]
    reader.close()
    assert not path.exists(), "the ring goes with its worker"
    for held in gateway.var.rglob("*"):
        assert not held.is_file() or CANARY.encode() not in held.read_bytes(), held


def test_read_text_is_wiped_and_consent_that_ends_takes_the_ring_away(gateway: Gateway) -> None:
    consenting = new_key_secret()
    gateway.publish(gateway.grant(consenting, watched=True))
    path = ring_path(gateway)
    until(path.exists)
    ask(gateway, consenting, "Read me.")
    assert CANARY.encode() in path.read_bytes()
    reader = ring.attach(path)
    assert reader is not None
    list(reader.frames())
    until(lambda: CANARY.encode() not in path.read_bytes())
    gateway.publish(gateway.grant(consenting))
    until(lambda: not path.exists())
    ask(gateway, consenting, "Nobody reads this.")
    reader.close()
    gateway.process.kill()


def test_a_killed_worker_s_text_is_gone_when_its_successor_serves(gateway: Gateway) -> None:
    consenting = new_key_secret()
    gateway.publish(gateway.grant(consenting, watched=True))
    path = ring_path(gateway)
    until(path.exists)
    ask(gateway, consenting, "Left behind.")
    gateway.process.kill()
    gateway.process.communicate()
    assert CANARY.encode() in path.read_bytes()
    gateway.publish(gateway.grant(consenting))
    gateway.start({})
    assert not path.exists(), "also where nobody consents any more"
    gateway.stop()
