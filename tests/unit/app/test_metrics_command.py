"""`quartermaster metrics`: the counters without a port, and settings that turn watching on."""

import json
from pathlib import Path

import pytest
from tests.unit.app.test_live_traffic import END, a_worker

from quartermaster.capacity.scrapes import read_scrape
from quartermaster.cli.main import run
from quartermaster.config import load
from quartermaster.gateway import metrics_text
from quartermaster.kernel.errors import ConfigError


def test_it_prints_what_all_workers_counted(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    a_worker(tmp_path, "gateway-0", a_second=1)
    a_worker(tmp_path, "gateway-1", a_second=2)
    assert run(["--var", str(tmp_path), "metrics"]) == 0
    text = capsys.readouterr().out
    assert read_scrape(text, "out")[metrics_text.REQUESTS] == 78
    assert "worker=" not in text
    assert run(["--var", str(tmp_path), "metrics", "--by-worker"]) == 0
    assert 'worker="gateway-1"' in capsys.readouterr().out
    assert run(["--var", str(tmp_path), "metrics", "--json"]) == 0
    first, second = json.loads(capsys.readouterr().out)
    assert (first["app_id"], second["at"]) == ("gateway-0", END)


def test_a_torn_file_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "metrics").mkdir()
    (tmp_path / "metrics" / "gateway-0.json").write_text("{")
    assert run(["--var", str(tmp_path), "metrics"]) == 5
    assert "gateway-0.json" in capsys.readouterr().err


def test_before_the_first_start_there_is_nothing_to_say(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["--var", str(tmp_path), "metrics"]) == 0
    assert capsys.readouterr().out.strip() == ""


def test_watching_is_turned_on_by_settings() -> None:
    environ = {
        "QUARTERMASTER_GATEWAY__METRICS_PORT": "8473",
        "QUARTERMASTER_GATEWAY__ACCESS_LOG": "true",
        "QUARTERMASTER_GATEWAY__OTLP_SHARE": "0.25",
    }
    gateway = load(environ=environ)[0].gateway
    assert (gateway.metrics_port, gateway.access_log, gateway.otlp_share) == (8473, True, 0.25)


@pytest.mark.parametrize(
    ("name", "value"), [("METRICS_PORT", "70000"), ("OTLP_SHARE", "nan"), ("ACCESS_LOG_FILES", "0")]
)
def test_a_setting_that_cannot_be_used_is_named(name: str, value: str) -> None:
    with pytest.raises(ConfigError, match=name.lower()):
        load(environ={f"QUARTERMASTER_GATEWAY__{name}": value})
