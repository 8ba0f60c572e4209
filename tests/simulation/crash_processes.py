"""The processes of the crash test: a real gateway worker and a clerk that ships, both to be killed.

Run as `python tests/simulation/crash_processes.py gateway|clerk VAR [PORT]`.
"""

import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

from quartermaster.kernel.ids import PEPPER_BYTES, key_hash, new_key_secret
from quartermaster.kernel.snapshot import Deployment, KeyGrant, Snapshot, write

ROOT = Path(__file__).resolve().parent.parent.parent
MODEL = "crash"
SEAL_SECONDS = 0.3
"""Short, so that kills meet rotation, sealing and shipping."""
SHIP_PAUSE_S = 0.05
START_S = 30.0


def run_gateway(var: Path, port: int) -> int:
    """One real worker."""
    from quartermaster.gateway.settings import GatewaySettings
    from quartermaster.gateway.worker import run
    from quartermaster.usage.settings import UsageSettings

    usage = UsageSettings(seal_seconds=SEAL_SECONDS)
    return run(GatewaySettings(port=port), var=var, worker=0, usage=usage)


def run_clerk(var: Path) -> int:
    """Ship for ever."""
    from quartermaster.usage.ship import ship_sealed
    from quartermaster.usage.table import UsageTable

    table = UsageTable(var / "usage")
    while True:
        ship_sealed(var / "wal", table)
        time.sleep(SHIP_PAUSE_S)


def prepare(var: Path, upstream_port: int) -> str:
    """A data folder with one key and one deployment; returns the key."""
    key, pepper = new_key_secret(), os.urandom(PEPPER_BYTES)
    (var / "secrets").mkdir(parents=True)
    (var / "secrets" / "key_pepper").write_bytes(pepper)
    grant = KeyGrant(
        key_id="key_crash",
        key_hash=key_hash(key.encode(), pepper).hex(),
        customer="cus_crash",
        group="grp_crash",
        project="default",
        contract="con_crash",
        contract_version=1,
        price_book="pb_crash",
        price_book_version=1,
        cancelled_stream="bill_delivered",
    )
    url = f"http://127.0.0.1:{upstream_port}/v1"
    deployment = Deployment("crash@test", MODEL, url, MODEL)
    write(var / "snapshot.json", Snapshot(1, 0, (grant,), {}, (deployment,)))
    return key


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


class Victim:
    """A process that is killed without warning and started again."""

    def __init__(self, role: str, var: Path, port: int | None = None) -> None:
        self.role = role
        self._log = (var / f"{role}.log").open("ab")
        self._command = [sys.executable, __file__, role, str(var)]
        self._command += [] if port is None else [str(port)]
        self._process = self._start()

    def _start(self) -> "subprocess.Popen[bytes]":
        environment = {**os.environ, "PYTHONPATH": f"{ROOT / 'src'}{os.pathsep}{ROOT}"}
        return subprocess.Popen(self._command, env=environment, stdout=self._log, stderr=self._log)

    @property
    def alive(self) -> bool:
        """Whether it runs; it must, whenever we did not kill it."""
        return self._process.poll() is None

    def kill(self) -> None:
        """SIGKILL: no handler, no buffer written."""
        self._process.kill()
        self._process.wait()

    def restart(self) -> None:
        """Start it again."""
        self._process = self._start()

    def stop(self) -> int:
        """SIGTERM, and the exit code."""
        if self.alive:
            self._process.send_signal(signal.SIGTERM)
        code = self._process.wait(START_S)
        self._log.close()
        return code


if __name__ == "__main__":
    role, var = sys.argv[1], Path(sys.argv[2])
    sys.exit(run_gateway(var, int(sys.argv[3])) if role == "gateway" else run_clerk(var))
