"""LiteLLM and Portkey as they are, each in an environment of its own, pinned by hash.

They lie in `.cache/peers` and are made on request only. The pins are those that install and run
together: an unpinned Portkey answers streams with 500, and the newest LiteLLM needs a certificate
bundle that is newer than the newest.
"""

import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from bench.gateway_parts.processes import PROXY_CPU, Pinned, free_port, started

PARTS = Path(__file__).resolve().parent
CACHE = PARTS.parent.parent / ".cache" / "peers"
LITELLM = CACHE / "litellm"
PORTKEY = CACHE / "portkey"
# LiteLLM imports for ten seconds on an idle machine.
START_S = 120.0
MASTER_KEY = "sk-bench-master"


class AbsentError(Exception):
    """A peer cannot be measured here; the message says what to do."""


class Peer(NamedTuple):
    """A peer that runs: where, and what it wants to hear with every request."""

    pinned: Pinned
    key: str
    headers: dict[str, str]


def install() -> list[str]:
    """Make both environments; what could not be made, with the reason."""
    troubles = []
    for name, make in (("LiteLLM", _install_litellm), ("Portkey", _install_portkey)):
        try:
            make()
        except (AbsentError, subprocess.CalledProcessError) as error:
            troubles.append(f"{name}: {error}")
    return troubles


def _install_litellm() -> None:
    subprocess.run(
        [sys.executable, "-m", "venv", "--clear", "--without-pip", str(LITELLM)], check=True
    )
    lock, python = str(PARTS / "litellm.lock"), str(LITELLM / "bin" / "python")
    uv = shutil.which("uv")
    command = [sys.executable, "-m", "pip", "--python", python, "install", "-qq", "--no-deps"]
    command += ["--disable-pip-version-check", "--require-hashes", "-r", lock]
    if uv is not None:
        command = [uv, "pip", "sync", "--quiet", "--require-hashes", "--python", python, lock]
    subprocess.run(command, check=True)


def _install_portkey() -> None:
    npm = shutil.which("npm")
    if npm is None:
        raise AbsentError("node and npm are not installed; on Debian: apt-get install nodejs npm")
    shutil.rmtree(PORTKEY, ignore_errors=True)
    shutil.copytree(PARTS / "portkey", PORTKEY)
    # Scripts of packages are not run: what is measured needs none of them.
    subprocess.run([npm, "ci", "--ignore-scripts", "--silent"], cwd=PORTKEY, check=True)


@contextmanager
def litellm(folder: Path, urls: dict[str, str]) -> Iterator[Peer]:
    """LiteLLM's proxy, one worker, a master key, no database, no logging of requests.

    Args:
        folder: where its settings are written.
        urls: model servers by model.

    Raises:
        AbsentError: it is not installed.
    """
    program = LITELLM / "bin" / "litellm"
    if not program.exists():
        raise AbsentError("LiteLLM is not installed; run: ./run bench peers --install")
    config = folder / "litellm.yaml"
    models = [
        {
            "model_name": model,
            "litellm_params": {"model": f"openai/{model}", "api_base": url, "api_key": "sk-none"},
        }
        for model, url in urls.items()
    ]
    settings = {"model_list": models, "general_settings": {"master_key": MASTER_KEY}}
    config.write_text(json.dumps(settings))  # JSON is YAML
    # It imports from two folders above wherever it is started; nothing but ours may lie there.
    home = folder / "litellm" / "here"
    home.mkdir(parents=True)
    port = free_port()
    command = ["env", "-C", str(home), "-u", "PYTHONPATH"]
    command += ["LITELLM_LOCAL_MODEL_COST_MAP=True", "LITELLM_LOG=ERROR"]
    command += [str(program), "--config", str(config), "--host", "127.0.0.1", "--port", str(port)]
    command += ["--num_workers", "1", "--telemetry", "False"]
    with started(command, port, PROXY_CPU, START_S) as process:
        yield Peer(Pinned(process.pid, port), MASTER_KEY, {})


@contextmanager
def portkey(url: str) -> Iterator[Peer]:
    """Portkey's gateway, one process; it checks no keys.

    Args:
        url: the one model server that its requests name.

    Raises:
        AbsentError: it, or node, is not installed.
    """
    node = shutil.which("node")
    if node is None:
        raise AbsentError("node is not installed; on Debian: apt-get install nodejs npm")
    program = PORTKEY / "node_modules" / "@portkey-ai" / "gateway" / "build" / "start-server.js"
    if not program.exists():
        raise AbsentError("Portkey is not installed; run: ./run bench peers --install")
    port = free_port()
    command = [node, str(program), "--headless", f"--port={port}"]
    headers = {"x-portkey-provider": "openai", "x-portkey-custom-host": url}
    with started(command, port, PROXY_CPU, START_S) as process:
        yield Peer(Pinned(process.pid, port), "sk-none", headers)
