"""The setting by which machines share, and the command that shows and releases them."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner
from tests.redis_server import RedisServer, running_redis

from quartermaster.app.part_store import RedisParts, machine_name, open_parts, open_shares
from quartermaster.cli.main import cli
from quartermaster.gateway.limits_store import RedisStore
from quartermaster.gateway.settings import GatewaySettings
from quartermaster.kernel.errors import ConfigError, UnavailableError
from quartermaster.kernel.shared_store import StoreAddress, store_address, store_secret

URL = "gateway.shared_limits_url"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    with running_redis(tmp_path_factory.mktemp("redis")) as running:
        yield running


def test_an_address_is_taken_apart() -> None:
    assert store_address("redis://h", URL) == StoreAddress("h", 6379, 0, False)
    assert store_address("rediss://h.example:6380/2", URL) == StoreAddress(
        "h.example", 6380, 2, True
    )


@pytest.mark.parametrize(
    "url",
    [
        "http://h",
        "redis://",
        "redis://h/none",
        "redis://h:99999",
        "redis://h/0?db=1",
        "redis://:pass@h",
        "redis://user@h",
    ],
)
def test_a_wrong_address_is_refused_when_the_settings_are_read(url: str) -> None:
    with pytest.raises(ConfigError) as caught:
        GatewaySettings(shared_limits_url=url)
    assert caught.value.field == URL
    assert "pass" not in caught.value.message.replace("password", "")


def test_a_password_comes_from_a_file(tmp_path: Path) -> None:
    path = tmp_path / "redis"
    path.write_text("seller:s3:cret\n")
    assert store_secret(path) == ("seller", "s3:cret")
    path.write_text("s3cret")
    assert store_secret(path) == ("", "s3cret")
    with pytest.raises(ConfigError, match="cannot be read"):
        store_secret(tmp_path / "nothing")


def test_a_password_is_used_and_a_wrong_one_is_said(server: RedisServer, tmp_path: Path) -> None:
    settings = GatewaySettings(
        shared_limits_url=server.url, shared_limits_secret_file="secrets/redis"
    )
    (tmp_path / "secrets").mkdir()
    secret = tmp_path / "secrets" / "redis"
    with server.client() as client:
        client.config_set("requirepass", "s3cret")
        try:
            secret.write_text("s3cret\n")
            assert open_parts(settings, tmp_path).machines() == []
            secret.write_text("wrong\n")
            with pytest.raises(UnavailableError, match="does not answer"):
                open_parts(settings, tmp_path).machines()
        finally:
            client.config_set("requirepass", "")


def test_without_the_setting_nothing_is_shared(tmp_path: Path) -> None:
    assert open_shares(GatewaySettings(), tmp_path) is None
    ran = CliRunner().invoke(cli, ["--var", str(tmp_path), "shared", "show"])
    assert isinstance(ran.exception, ConfigError)


def test_machines_are_shown_and_released(
    server: RedisServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("QUARTERMASTER_GATEWAY__SHARED_LIMITS_URL", server.url)
    own = machine_name(tmp_path)
    assert machine_name(tmp_path) == own
    with server.client() as client:
        client.flushall()
        store = RedisParts(client)
        store.join(own, ["gone-1"])
    run = CliRunner().invoke
    shown = run(cli, ["--var", str(tmp_path), "shared", "show", "--json"])
    assert json.loads(shown.stdout) == {"machine": own, "machines": sorted([own, "gone-1"])}
    assert f"{own} (this one)" in run(cli, ["--var", str(tmp_path), "shared", "show"]).stdout
    assert run(cli, ["--var", str(tmp_path), "shared", "release", "gone-1"]).exit_code == 0
    again = run(cli, ["--var", str(tmp_path), "shared", "release", "gone-1"])
    assert again.exception is not None
    assert "no machine gone-1" in str(again.exception)


def test_a_client_that_is_not_installed_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(__import__("sys").modules, "redis", None)
    settings = GatewaySettings(shared_limits_url="redis://127.0.0.1:1")
    with pytest.raises(UnavailableError) as parts:
        open_parts(settings, tmp_path)
    with pytest.raises(UnavailableError) as limits:
        RedisStore(settings, tmp_path)
    assert "quartermaster-ai[shared]" in parts.value.hint
    assert "quartermaster-ai[shared]" in limits.value.hint
