"""`warn` and `backtest` from file to words."""

import json
from datetime import date
from pathlib import Path

import msgspec
import numpy as np
import numpy.typing as npt
import pytest

from quartermaster.cli.main import run
from quartermaster.exposure.panel import Panel
from quartermaster.exposure.warning import Change, warn, warnings_json
from quartermaster.kernel.errors import DataError


def fading_panel() -> Panel:
    """Sixty tenants for two years; t000 falls to zero over the last seven weeks."""
    draw = np.random.default_rng(31)
    days = 84 * 7
    week = np.where(np.arange(days) % 7 < 5, 1.0, 0.4)
    daily = draw.lognormal(2, 1, (60, 1)) * week * draw.lognormal(0, 0.2, (60, days))
    for tenant in range(1, 60):
        start = int(draw.integers(100, 4 * days))
        if start < days:
            daily[tenant, start:] *= np.clip(1 - np.arange(days - start) / 60, 0, 1)
    daily[0] *= 20
    daily[0, -49:] *= np.linspace(0.95, 0.05, 49)
    return Panel(tuple(f"t{n:03}" for n in range(60)), date(2022, 1, 3), daily)


def test_a_leaving_tenant_stands_first_with_reasons() -> None:
    found = warn(fading_panel())
    first = found.tenants[0]
    assert first.tenant == "t000"
    assert first.probability is not None
    assert found.base_rate is not None
    assert first.probability > 2 * found.base_rate
    assert first.alarms
    assert all(0 <= (found.as_of - alarm.since).days < 49 for alarm in first.alarms)
    assert first.change is not None
    assert first.change.ratio < 0.7
    assert 0 <= (found.as_of - first.change.week_from).days <= 49
    assert any("raises" in reason.words for reason in first.reasons)
    quiet = [w for w in found.tenants if w.tenant != "t000" and not w.alarms]
    assert len(quiet) > len(found.tenants) / 2


def test_a_short_panel_says_what_is_missing() -> None:
    panel = fading_panel()
    found = warn(panel._replace(daily=panel.daily[:, :100]))
    assert len(found.notes) == 2
    assert all(w.probability is None and not w.alarms for w in found.tenants)
    with pytest.raises(DataError, match="whole week"):
        warn(panel._replace(daily=panel.daily[:, :6]))


@pytest.fixture(scope="module")
def panel_csv(tmp_path_factory: pytest.TempPathFactory) -> Path:
    panel = fading_panel()
    path = tmp_path_factory.mktemp("panel") / "usage.csv"
    lines = ["tenant,date,amount"]
    for tenant, row in zip(panel.tenants, panel.daily, strict=True):
        for day, amount in enumerate(row):
            if amount > 0:
                when = np.datetime64(panel.first_day) + day
                lines.append(f"{tenant},{when},{amount:.3f}")
    path.write_text("\n".join(lines) + "\n")
    return path


def test_warn_as_json_and_words(panel_csv: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["warn", str(panel_csv), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["schema"] == "quartermaster.warnings/1"
    assert found["tenants"][0]["tenant"] == "t000"
    assert 0 < found["tenants"][0]["probability"] < 1
    assert run(["warn", str(panel_csv), "--top", "1"]) == 0
    text = capsys.readouterr().out
    assert "t000: " in text
    assert "alarm " in text
    assert "t001" not in text


def test_a_level_that_rose_from_nothing_is_no_number_to_programs() -> None:
    daily = np.zeros((2, 420))
    daily[0], daily[1, :7], daily[1, 210:] = 5.0, 1e-9, 100.0
    found = warn(Panel(("even", "woke"), date(2024, 1, 1), daily))
    woke = next(one for one in found.tenants if one.tenant == "woke")
    assert woke.change is not None
    silent = msgspec.structs.replace(woke, change=Change(date(2024, 7, 29), float("inf")))
    shown = warnings_json(msgspec.structs.replace(found, tenants=(silent,)))
    assert shown["tenants"][0]["change"] == {"week_from": "2024-07-29", "ratio": None}


def test_backtest_as_json_and_table(panel_csv: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["backtest", str(panel_csv), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["schema"] == "quartermaster.backtest/1"
    assert found["scores"][0]["method"] == "pooled hazard"
    assert sum(count for _, _, count in found["reliability"]) == found["rows"]
    assert run(["backtest", str(panel_csv)]) == 0
    assert "naive trend" in capsys.readouterr().out


def test_a_missing_file_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["warn", "nowhere.csv"]) == 1
    assert capsys.readouterr().err.startswith("error: nowhere.csv")


@pytest.mark.parametrize(
    "use",
    [
        np.zeros((3, 700)),
        np.ones((4, 700)),
        np.pad(np.ones((5, 400)), ((0, 0), (0, 200))),
        np.pad(np.ones((5, 100)), ((0, 0), (500, 0))),
        np.random.default_rng(8).random((50, 700)) < 0.01,
    ],
    ids=["silent", "constant", "all left", "all new", "sparse"],
)
def test_degenerate_panels_are_answered(use: npt.NDArray[np.float64]) -> None:
    tenants = tuple(f"t{n}" for n in range(len(use)))
    found = warn(Panel(tenants, date(2022, 1, 3), use.astype(np.float64)))
    assert all(w.probability is None or 0 < w.probability < 1 for w in found.tenants)
