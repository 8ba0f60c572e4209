"""TLS on both sides of a real worker."""

import asyncio
import shutil
import socket
import ssl
import subprocess
import urllib.request
from pathlib import Path
from typing import cast

import pytest
import uvloop
from tests.contract.gateway_process import ModelServer, running_gateway

from quartermaster.app import own_gateway
from quartermaster.app.up import answers
from quartermaster.gateway import process
from quartermaster.gateway.process import tls_of
from quartermaster.gateway.settings import GatewaySettings
from quartermaster.gateway.worker import run
from quartermaster.kernel.errors import ConfigError


@pytest.fixture
def certificate(tmp_path: Path) -> tuple[Path, Path]:
    openssl = shutil.which("openssl")
    if openssl is None:
        pytest.skip("needs the openssl program to make a certificate")
    chain, key = tmp_path / "chain.pem", tmp_path / "key.pem"
    command = [openssl, "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"]
    command += ["-nodes", "-days", "1", "-subj", "/CN=127.0.0.1"]
    command += ["-addext", "subjectAltName=IP:127.0.0.1", "-keyout", str(key), "-out", str(chain)]
    subprocess.run(command, check=True, capture_output=True)
    return chain, key


def test_clients_are_served_over_tls(certificate: tuple[Path, Path], tmp_path: Path) -> None:
    chain, key = certificate
    with (
        ModelServer().running() as upstream,
        running_gateway(
            tmp_path / "var", upstream, tls_certificate=str(chain), tls_key=str(key)
        ) as gateway,
    ):
        trust = ssl.create_default_context(cafile=str(chain))
        request = urllib.request.Request(
            f"https://127.0.0.1:{gateway.port}/v1/chat/completions",
            b'{"model":"talk","messages":[{"role":"user","content":"Hello"}]}',
            {"authorization": f"Bearer {gateway.key}"},
        )
        with urllib.request.urlopen(request, context=trust) as response:
            assert b"The quick fox" in response.read()
        settings = GatewaySettings(port=gateway.port, tls_certificate=str(chain))
        assert own_gateway.base_url(settings) == f"https://127.0.0.1:{gateway.port}/v1"
        connection = own_gateway.connect(settings, timeout_s=5.0)
        assert answers(connection, "/readyz")
        assert not answers(connection, "/nowhere")
        other = own_gateway.connect(
            GatewaySettings(port=gateway.port, tls_certificate=ssl_default()), timeout_s=5.0
        )
        assert not answers(other, "/readyz")
        (row,) = gateway.stop()
        assert row.status == "closed"


class Greeter(asyncio.Protocol):
    """Says one word to whoever is there."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Somebody has shaken hands."""
        cast(asyncio.Transport, transport).write(b"hello")


def test_strangers_in_the_queue_do_not_keep_a_worker_from_ending(
    certificate: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A worker closes its port: in the queue are a customer, one that speaks no TLS, one mute."""
    monkeypatch.setattr(process, "HANDSHAKE_S", 0.5)
    chain, key = certificate
    tls = tls_of(GatewaySettings(tls_certificate=str(chain), tls_key=str(key)))
    trust = ssl.create_default_context(cafile=str(chain))

    def greeted(client: socket.socket) -> bytes:
        with trust.wrap_socket(client, server_hostname="127.0.0.1") as secure:
            return secure.recv(5)

    async def end() -> bytes:
        loop = asyncio.get_running_loop()
        failures: list[dict[str, object]] = []
        loop.set_exception_handler(lambda _, context: failures.append(context))
        with socket.create_server(("127.0.0.1", 0)) as port:
            clients = [socket.create_connection(port.getsockname()) for _ in range(3)]
            waiting = [port.accept()[0] for _ in clients]
        clients[0].sendall(b"GET / HTTP/1.1\r\nhost: a\r\n\r\n")
        customer = loop.run_in_executor(None, greeted, clients[2])
        began_s = loop.time()
        await process.adopt(loop, waiting, Greeter, tls)
        assert loop.time() - began_s < 5.0
        assert failures == []
        word = await customer
        clients[0].close()
        clients[1].close()
        return word

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        assert runner.run(end()) == b"hello"


def ssl_default() -> str:
    """Certificates that are not the gateway's."""
    found = ssl.get_default_verify_paths().cafile
    if found is None:
        pytest.skip("needs the system's certificates")
    return found


def test_a_missing_certificate_is_a_configuration_error(tmp_path: Path) -> None:
    (tmp_path / "secrets").mkdir()
    (tmp_path / "secrets" / "key_pepper").write_bytes(bytes(32))
    with pytest.raises(ConfigError, match="nowhere"):
        run(GatewaySettings(port=0, tls_certificate="nowhere.pem"), var=tmp_path, worker=0)
