"""`quartermaster up`: one real request becomes money and risk, and a second start keeps it."""

import http.client
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from openai import OpenAI

from quartermaster.app import live
from quartermaster.app.rooms import Rooms
from quartermaster.config import load

DEADLINE_S = 60.0


@pytest.fixture(scope="module")
def environ(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """An own data folder and own ports, with the toy model; each start goes on from the last."""
    ports = {}
    holders = []
    for section in ("GATEWAY", "CONSOLE", "MODEL"):
        holder = socket.socket()
        holder.bind(("127.0.0.1", 0))
        holders.append(holder)
        ports[f"QUARTERMASTER_{section}__PORT"] = str(holder.getsockname()[1])
    for holder in holders:
        holder.close()
    kept = {k: v for k, v in os.environ.items() if not k.startswith("QUARTERMASTER_")}
    return {
        **kept,
        **ports,
        "QUARTERMASTER_VAR": str(tmp_path_factory.mktemp("up") / "var"),
        "QUARTERMASTER_MODEL__ENGINE": "toy",
        "QUARTERMASTER_USAGE__SEAL_SECONDS": "0.2",
        "QUARTERMASTER_CLERK__SHIP_SECONDS": "0.1",
        "PYTHONPATH": os.pathsep.join(sys.path),
    }


def _command(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "quartermaster", *arguments]


def _up(environ: dict[str, str], *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        _command("up", *arguments),
        env=environ,
        capture_output=True,
        text=True,
        timeout=DEADLINE_S,
        check=False,
    )


@pytest.fixture(scope="module")
def running(environ: dict[str, str]) -> Iterator[tuple[subprocess.Popen[str], list[str]]]:
    """`quartermaster up`, ready, with what it printed so far."""
    with subprocess.Popen(
        _command("up"), env=environ, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stderr is not None
        assert process.stdout is not None
        try:
            for line in process.stderr:
                if line.startswith("running"):
                    break
            os.set_blocking(process.stdout.fileno(), False)
            yield process, (process.stdout.read() or "").splitlines()
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(DEADLINE_S)


def test_one_request_becomes_money_and_risk_and_is_kept(environ: dict[str, str]) -> None:
    first = _up(environ, "--once")
    assert first.returncode == 0, first.stderr
    lines = first.stdout.splitlines()
    assert lines[0].startswith("Answer       toy: ")
    assert re.search(r"^Usage fact   req_\w{26} closed: \d+ input, \d+ output tokens", lines[1])
    assert re.search(r"^Rated line   \d+ input x [\d.]+ USD per 1M tokens = 0\.0\d+ USD$", lines[2])
    assert "First customer 100.0%" in first.stdout
    assert "ByteDance is 24.0% of the revenue of Azure OpenAI, sample book" in first.stdout

    # What another version left, or a torn write, does not stop the next start.
    var = Path(environ["QUARTERMASTER_VAR"])
    live.live_path(var).write_text("{")
    left = var / "status" / "gateway-9.json"
    left.write_text("{}")
    second = _up(environ, "--once", "--empty")
    assert second.returncode == 0, second.stderr
    assert "sample" not in second.stdout.lower()
    assert not left.exists()
    book = live.read(var)
    assert book is not None
    assert [(row.customer, row.requests) for row in book.revenue] == [("first-customer", 2)]
    assert len({event.opened.request_id for event in book.recent}) == 2
    settings, _ = load(environ={"QUARTERMASTER_VAR": environ["QUARTERMASTER_VAR"]})
    assert [who.sample for who in Rooms(settings).book.view().customers.values()] == [False]


def test_a_taken_port_is_named_with_its_remedy(environ: dict[str, str]) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", int(environ["QUARTERMASTER_CONSOLE__PORT"])))
        taken.listen()
        result = _up(environ, "--once")
    assert result.returncode == 1
    assert "console: cannot listen on 127.0.0.1:" in result.stderr
    assert "QUARTERMASTER_CONSOLE__PORT" in result.stderr
    assert "Traceback" not in result.stderr


@pytest.mark.skipif(not shutil.which("curl"), reason="no curl; on Debian: apt-get install curl")
def test_the_line_for_a_shell_works_as_pasted(
    running: tuple[subprocess.Popen[str], list[str]],
) -> None:
    _, lines = running
    curl = next(line for line in lines if line.lstrip().startswith("curl"))
    answer = subprocess.run(
        ["bash", "-c", curl],
        capture_output=True,
        text=True,
        timeout=DEADLINE_S,
        check=True,
    )
    assert '"chat.completion"' in answer.stdout


def test_the_lines_for_python_work_as_pasted(
    running: tuple[subprocess.Popen[str], list[str]], environ: dict[str, str]
) -> None:
    process, lines = running
    after = lines[lines.index("Or into Python (pip install openai):") + 1 :]
    snippet = "\n".join(line[2:] for line in after[: after.index("")])
    pasted = subprocess.run(
        [sys.executable, "-c", snippet],
        capture_output=True,
        text=True,
        timeout=DEADLINE_S,
        check=True,
    )
    assert "completion_tokens=" in pasted.stdout

    key = re.search(r'api_key="(\S+?)"', snippet)
    assert key is not None
    client = OpenAI(
        base_url=f"http://127.0.0.1:{environ['QUARTERMASTER_GATEWAY__PORT']}/v1",
        api_key=key.group(1),
    )
    chunks = client.chat.completions.create(
        model="toy", messages=[{"role": "user", "content": "Hello"}], stream=True
    )
    assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices)

    link = next(line for line in lines if "/join/" in line).strip()
    address, path = link.removeprefix("http://").split("/", 1)
    connection = http.client.HTTPConnection(address, timeout=DEADLINE_S)
    connection.request("GET", f"/{path}")
    page = connection.getresponse()
    assert (page.status, b"<form" in page.read()) == (200, True)
    connection.close()
    assert process.poll() is None


def test_a_killed_gateway_comes_back_and_stop_is_clean(
    running: tuple[subprocess.Popen[str], list[str]], environ: dict[str, str]
) -> None:
    process, _ = running
    port = int(environ["QUARTERMASTER_GATEWAY__PORT"])
    children = _children(process.pid)
    os.kill(children["gateway"], signal.SIGKILL)
    end = time.monotonic() + DEADLINE_S
    while _children(process.pid).get("gateway") in (None, children["gateway"]) or not _ready(port):
        assert time.monotonic() < end
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    assert process.wait(DEADLINE_S) == 0
    assert not _children(process.pid)
    assert not _ready(port)


def _ready(port: int) -> bool:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=1)
    try:
        connection.request("GET", "/readyz")
        return connection.getresponse().status == 200
    except OSError:
        return False
    finally:
        connection.close()


def _children(parent: int) -> dict[str, int]:
    """Living child processes by role."""
    found = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text().rsplit(") ", 1)[1].split()
            words = (stat.parent / "cmdline").read_text().split("\0")
        except (FileNotFoundError, ProcessLookupError):
            continue
        if int(fields[1]) == parent and fields[0] != "Z" and "--role" in words:
            found[words[words.index("--role") + 1]] = int(stat.parent.name)
    return found
