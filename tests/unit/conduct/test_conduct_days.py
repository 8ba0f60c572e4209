"""`conduct days`: pasts, ranks among ordinary tenants, evidence, contracts."""

import datetime as dt
import json
from pathlib import Path

import pytest
from click.testing import CliRunner
from tests.unit.conduct.conduct_made_up import campaign, support

from quartermaster.cli.main import cli, run
from quartermaster.conduct.records import Request


def line(account: str, day: int, requests: tuple[Request, ...]) -> str:
    rows = [{"system": r.system, "turns": list(r.turns)} for r in requests]
    date_of = dt.date(2026, 9, 1) + dt.timedelta(day)
    return json.dumps({"account": account, "day": date_of.isoformat(), "requests": rows})


def usual(account: int, day: int) -> tuple[Request, ...]:
    held = support()
    return tuple(held[(account + day + at * 3) % 25] for at in range(8))


@pytest.fixture
def files(tmp_path: Path) -> Path:
    made = campaign()
    others = [line(f"o{a}", d, usual(a, d)) for d in range(1, 9) for a in range(20)]
    (tmp_path / "ordinary.jsonl").write_text("\n".join(others), "utf-8")
    days = [line("acme", d, usual(0, d)) for d in range(1, 30)]
    days += [line("acme", d, (*usual(0, d), *made[d % 4 :: 4])) for d in range(30, 38)]
    (tmp_path / "days.jsonl").write_text("\n".join(days), "utf-8")
    (tmp_path / "uses.toml").write_text(
        '[accounts.acme]\npermitted_uses = ["synthetic_data_own_use"]\n', "utf-8"
    )
    return tmp_path


def shown(folder: Path, *options: str) -> list[dict[str, dict[str, object]]]:
    arguments = ["conduct", "days", str(folder / "days.jsonl"), "--json", *options]
    result = CliRunner().invoke(cli, arguments)
    assert result.exit_code == 0, result.output
    return [json.loads(one) for one in result.stdout.splitlines()]


def test_evidence_grows_on_the_days_of_a_campaign(files: Path) -> None:
    found = shown(files, "--ordinary", str(files / "ordinary.jsonl"))
    values = [float(str(one["evidence"]["value"])) for one in found]
    days = [str(one["found"]["day"]) for one in found]
    began = days.index("2026-10-01")
    assert max(values[:began]) < 2
    assert values[-1] > 5 * values[began - 1]
    assert all(float(str(one["found"]["newness"])) > 3 for one in found[began:])
    assert found[-1]["evidence"]["p_population"] == pytest.approx(1 / 21)


def test_a_permitted_use_keeps_evidence_from_growing(files: Path) -> None:
    options = ("--ordinary", str(files / "ordinary.jsonl"), "--uses", str(files / "uses.toml"))
    found = shown(files, *options)
    began = [str(one["found"]["day"]) for one in found].index("2026-10-01")
    assert found[began]["found"]["explained"] is True
    newness = [float(str(one["found"]["newness"])) for one in found[began:]]
    assert newness[-1] < 3 < newness[0]  # it becomes usual traffic
    assert float(str(found[-1]["evidence"]["value"])) < 1.5


def test_words_name_the_new_requests_and_the_contract(files: Path) -> None:
    arguments = ["conduct", "days", str(files / "days.jsonl"), "--uses", str(files / "uses.toml")]
    words = CliRunner().invoke(cli, arguments).stdout
    assert "requests new" in words
    assert "meta_generation is explained: the contract permits synthetic_data_own_use" in words


def test_days_out_of_order_few_tenants_and_bad_terms_are_refused(
    files: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    days = str(files / "days.jsonl")
    lines = (files / "days.jsonl").read_text("utf-8").splitlines()
    (files / "back.jsonl").write_text("\n".join(reversed(lines)), "utf-8")
    assert run(["conduct", "days", str(files / "back.jsonl")]) == 1
    assert "comes after" in capsys.readouterr().err
    assert run(["conduct", "days", days, "--ordinary", days]) == 1
    assert "ranks need 19" in capsys.readouterr().err
    (files / "uses.toml").write_text('[accounts.acme]\npermitted_uses = ["all"]\n', "utf-8")
    assert run(["conduct", "days", days, "--uses", str(files / "uses.toml")]) == 1
    assert "permitted_uses" in capsys.readouterr().err
    (files / "first.jsonl").write_text(lines[0], "utf-8")
    assert run(["conduct", "days", str(files / "first.jsonl")]) == 0
    shown = capsys.readouterr()
    assert (shown.out, shown.err) == (
        "",
        "no day has enough of the same account's days before it\n",
    )
