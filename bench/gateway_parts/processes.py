"""The processes of the gateway bench: nginx twice, our worker, the streaming mock; each pinned."""

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from bench.gateway_parts.upstream import ANSWER
from quartermaster.kernel.ids import PEPPER_BYTES, key_hash, new_key_secret
from quartermaster.kernel.limit import Limits
from quartermaster.kernel.snapshot import Deployment, KeyGrant, Snapshot, write

ROOT = Path(__file__).resolve().parent.parent.parent
# Debian puts nginx where a user's PATH does not look.
SEARCH = f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin"
LOAD_CPU = 0
PROXY_CPU = 1
# A process that does not listen after this has failed to start.
START_S = 15.0
STOP_S = 30.0
PLAIN_MODEL = "bench-plain"
STREAM_MODEL = "bench-stream"
LONG_MODEL = "bench-long"

NGINX = """\
daemon off; master_process off; pid {folder}/nginx.pid; error_log {folder}/error.log warn;
events {{ worker_connections 4096; }}
http {{
  access_log off; keepalive_requests 100000000; default_type application/json;
  client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy;
  fastcgi_temp_path {folder}/f; uwsgi_temp_path {folder}/u; scgi_temp_path {folder}/s;
  tcp_nodelay on;
  {body}
}}
"""
NGINX_MOCK = (
    "server {{ listen 127.0.0.1:{port} backlog=1024; location / {{ return 200 '{answer}'; }} }}"
)
NGINX_PROXY = """\
  upstream plain {{ server 127.0.0.1:{plain}; keepalive 256; keepalive_requests 100000000; }}
  upstream stream {{ server 127.0.0.1:{stream}; keepalive 256; keepalive_requests 100000000; }}
  server {{
    listen 127.0.0.1:{port} backlog=1024;
    proxy_http_version 1.1; proxy_set_header Connection "";
    location / {{ proxy_pass http://plain; }}
    location /stream/ {{ proxy_buffering off; proxy_pass http://stream/; }}
  }}
"""


class MissingToolError(Exception):
    """A program that the bench needs is not installed."""


class Pinned(NamedTuple):
    """A running process and where it listens."""

    pid: int
    port: int


def tool(name: str) -> str:
    """The path of a program.

    Raises:
        MissingToolError: it is not installed.
    """
    found = shutil.which(name, path=SEARCH)
    if found is None:
        raise MissingToolError(f"{name} is not installed; on Debian: apt-get install wrk nginx")
    return found


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def cpu_ms(pid: int) -> int:
    """CPU time of a process and its threads so far, in ms (user and system)."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) * 1000 // os.sysconf("SC_CLK_TCK")


def cpu_us(pid: int) -> int:
    """CPU time of a process and its threads so far, in microseconds, from the scheduler's clock.

    Where `cpu_ms` counts in hundredths of a second, this tells apart a few milliseconds; threads
    that have ended are missing.
    """
    tasks = Path(f"/proc/{pid}/task").glob("*/schedstat")
    return sum(int(task.read_text().split()[0]) for task in tasks) // 1_000


def resident_mb(pid: int) -> float:
    """Memory of a process that is in RAM, in MB."""
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6


def _await_port(process: "subprocess.Popen[str]", port: int, name: str, start_s: float) -> None:
    deadline = time.monotonic() + start_s
    while time.monotonic() < deadline:
        if process.poll() is not None:
            break
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.02)
    raise RuntimeError(f"{name} did not start on port {port}")


@contextmanager
def started(
    command: list[str], port: int, cpu: int, start_s: float = START_S
) -> Iterator["subprocess.Popen[str]"]:
    """Run a process on one CPU until the block ends; it must listen within `start_s`."""
    cpus = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {cpu} & cpus or cpus)  # children inherit it
    try:
        process = subprocess.Popen(
            command, stdout=subprocess.PIPE, text=True, env={**os.environ, "PYTHONPATH": _paths()}
        )
    finally:
        os.sched_setaffinity(0, cpus)
    try:
        _await_port(process, port, command[0], start_s)
        yield process
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
        try:
            process.wait(STOP_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _paths() -> str:
    return os.pathsep.join((str(ROOT / "src"), str(ROOT)))


@contextmanager
def nginx(folder: Path, body: str, port: int, cpu: int) -> Iterator[Pinned]:
    """An nginx of one process."""
    folder.mkdir()
    config = folder / "nginx.conf"
    config.write_text(NGINX.format(folder=folder, body=body))
    with started([tool("nginx"), "-c", str(config), "-p", str(folder)], port, cpu) as process:
        yield Pinned(process.pid, port)


@contextmanager
def plain_mock(folder: Path, answer: bytes = ANSWER) -> Iterator[Pinned]:
    """A mock model server that answers in one piece; an nginx, so that it is no bottleneck."""
    port = free_port()
    body = NGINX_MOCK.format(port=port, answer=answer.decode())
    with nginx(folder, body, port, LOAD_CPU) as made:
        yield made


@contextmanager
def stream_mock(chunks: int, pause_ms: float = 0.0, *, burst: bool = False) -> Iterator[Pinned]:
    """The streaming mock model server."""
    port = free_port()
    script = ROOT / "bench" / "gateway_parts" / "upstream.py"
    options = ["--port", str(port), "--chunks", str(chunks), "--pause-ms", str(pause_ms)]
    options += ["--burst"] if burst else []
    with started([sys.executable, str(script), *options], port, LOAD_CPU) as process:
        yield Pinned(process.pid, port)


class Gateway(NamedTuple):
    """Our worker under test."""

    process: "subprocess.Popen[str]"
    pid: int
    port: int
    key: str

    def stop(self) -> None:
        """Stop it; its last status stays in its file."""
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(STOP_S)


def lay_out(var: Path, urls: dict[str, str], limits: Limits | None = None) -> str:
    """A data folder with one key, which is returned, and one deployment a model of `urls`."""
    key = new_key_secret()
    pepper = os.urandom(PEPPER_BYTES)
    secrets = var / "secrets"
    secrets.mkdir(parents=True)
    (secrets / "key_pepper").write_bytes(pepper)
    grant = KeyGrant(
        key_id="key_bench",
        key_hash=key_hash(key.encode(), pepper).hex(),
        customer="cus_bench",
        group="grp_bench",
        project="default",
        contract="con_bench",
        contract_version=1,
        price_book="pb_bench",
        price_book_version=1,
        cancelled_stream="bill_delivered",
        limits=limits,
    )
    deployments = tuple(Deployment(f"{m}@mock", m, url, m) for m, url in urls.items())
    write(var / "snapshot.json", Snapshot(1, 0, (grant,), {}, deployments))
    return key


def worker_command(var: Path, port: int, *options: str) -> list[str]:
    """What starts a worker over a data folder."""
    command = [sys.executable, "-m", "bench.gateway_parts.worker"]
    return [*command, "--port", str(port), "--var", str(var), *options]


@contextmanager
def gateway(
    var: Path, urls: dict[str, str], *options: str, limits: Limits | None = None
) -> Iterator[Gateway]:
    """Our worker with one key and one deployment a model; `urls` by model."""
    key = lay_out(var, urls, limits)
    port = free_port()
    with started(worker_command(var, port, *options), port, PROXY_CPU) as process:
        yield Gateway(process, process.pid, port, key)
