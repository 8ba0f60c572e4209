"""Load for the gateway bench: wrk for throughput, a raw socket for the first byte."""

import json
import os
import re
import socket
import subprocess
import time
from pathlib import Path
from typing import NamedTuple

from bench.gateway_parts.processes import LOAD_CPU, tool

SCRIPT = """\
wrk.method = "POST"
wrk.headers["Content-Type"] = "application/json"
wrk.headers["Authorization"] = "Bearer {key}"
wrk.body = {body}
"""
HEADER = 'wrk.headers["{name}"] = "{value}"\n'
MESSAGES = [
    {"role": "system", "content": "You are a helpful assistant."},
    {"role": "user", "content": "Write one sentence about the sea, the moon and a quick fox."},
]
# A slow gateway is slow, not broken.
ANSWER_TIMEOUT_S = 60


class Run(NamedTuple):
    """What one run of wrk saw."""

    requests: int
    seconds: float
    failures: int
    p50_ms: float
    p99_ms: float

    @property
    def requests_per_s(self) -> float:
        """Throughput."""
        return self.requests / self.seconds


# English has about four tokens for three words, and about five letters a word.
SENTENCE = "a contract says that its customer pays for what was served and for nothing besides"
DOCUMENT_SENTENCES = 52
"""Make a body of about 1,000 tokens, 4 KB: a customer's request is seldom a single line."""


def chat_body(model: str, *, stream: bool, document_sentences: int = 0) -> str:
    """A chat completion request: a question of thirty tokens, and a document to ask it about."""
    lines = (f"{at}: {SENTENCE}." for at in range(document_sentences))
    document = {"role": "user", "content": " ".join(lines)}
    messages = [*MESSAGES, document] if document_sentences else MESSAGES
    body: dict[str, object] = {"model": model, "messages": messages, "max_tokens": 64}
    if stream:
        body["stream"] = True
    return json.dumps(body)


def wrk(
    url: str,
    key: str,
    body: str,
    folder: Path,
    *,
    connections: int,
    seconds: int,
    headers: dict[str, str] | None = None,
) -> Run:
    """Drive a closed loop from the load CPU, with more headers where they are given."""
    script = folder / "post.lua"
    more = "".join(HEADER.format(name=n, value=v) for n, v in (headers or {}).items())
    script.write_text(SCRIPT.format(key=key, body=json.dumps(body)) + more)
    command = [tool("wrk"), "-t1", f"-c{connections}", f"-d{seconds}s", "--latency"]
    command += ["--timeout", f"{ANSWER_TIMEOUT_S}s"]
    cpus = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {LOAD_CPU} & cpus or cpus)
    try:
        done = subprocess.run(
            [*command, "-s", str(script), url], capture_output=True, text=True, check=True
        )
    finally:
        os.sched_setaffinity(0, cpus)
    return read_report(done.stdout)


def read_report(text: str) -> Run:
    """The figures in wrk's report."""
    total = re.search(r"(\d+) requests in ([\d.]+)(m?s)", text)
    if total is None:
        raise RuntimeError(f"wrk printed no total:\n{text}")
    bad = re.search(r"Non-2xx or 3xx responses: (\d+)", text)
    errors = re.search(r"connect (\d+), read (\d+), write (\d+), timeout (\d+)", text)
    failures = int(bad[1]) if bad else 0
    failures += sum(int(count) for count in errors.groups()) if errors else 0
    seconds = float(total[2]) / (1000 if total[3] == "ms" else 1)
    return Run(int(total[1]), seconds, failures, _percentile(text, 50), _percentile(text, 99))


def _percentile(text: str, which: int) -> float:
    found = re.search(rf"{which}%\s+([\d.]+)(us|ms|s)\b", text)
    if found is None:
        raise RuntimeError(f"wrk printed no {which}% latency:\n{text}")
    return float(found[1]) * {"us": 0.001, "ms": 1.0, "s": 1000.0}[found[2]]


def first_byte_ms(port: int, path: str, key: str, body: str) -> float:
    """Time from sending a streaming request to the first byte of its first frame, in ms."""
    request = (
        f"POST {path} HTTP/1.1\r\nhost: bench\r\ncontent-type: application/json\r\n"
        f"authorization: Bearer {key}\r\ncontent-length: {len(body)}\r\nconnection: close\r\n\r\n"
        f"{body}"
    ).encode()
    with socket.create_connection(("127.0.0.1", port)) as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        began = time.perf_counter()
        connection.sendall(request)
        seen = b""
        while b"data: " not in seen:
            data = connection.recv(65536)
            if not data:
                raise RuntimeError(f"no stream on port {port}: {seen[:200]!r}")
            seen += data
        first = time.perf_counter() - began
        while b"[DONE]" not in seen[-200:]:
            data = connection.recv(65536)
            if not data:
                break
            seen = seen[-200:] + data
    return first * 1000
