"""A file of account-days becomes a case's evidence: judged day by day, with the extent measured."""

from pathlib import Path

import msgspec
import pytest
from click.testing import CliRunner

from quartermaster.app.case_days import evidence_of_file
from quartermaster.cli.main import cli
from quartermaster.conduct.extent import extent
from quartermaster.kernel.errors import DataError
from quartermaster.sim.campaign import CUSTOMER, HARVESTED_SHARE, campaign_days

SMALL = {"tenants": 3, "quiet_days": 6, "harvest_days": 3, "asked": 8}


@pytest.fixture(scope="module")
def days(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("days") / "days.jsonl"
    made = campaign_days(**SMALL)
    path.write_bytes(b"".join(msgspec.json.encode(day) + b"\n" for day in made))
    return path


def test_the_harvest_is_found_and_measured(days: Path) -> None:
    found = evidence_of_file(days, CUSTOMER, key=bytes(32))
    evidence = found.evidence
    assert evidence.findings[0].kind in {"meta_generation", "answer_harvest"}
    assert evidence.actionable
    (whole,) = extent(evidence.strata)
    requests, tokens = whole.of("requests"), whole.of("output_tokens")
    assert requests is not None
    assert tokens is not None
    assert abs(requests.share.point - HARVESTED_SHARE) < 0.15
    assert tokens.share.point > requests.share.point
    assert evidence.source_sha256
    assert found.asked_anew
    assert all("topic" not in text for text in found.asked_anew)


def test_an_ordinary_tenant_has_no_finding_that_leads_anywhere(days: Path) -> None:
    evidence = evidence_of_file(days, "Tenant 01", suspects=[CUSTOMER], key=bytes(32)).evidence
    assert not evidence.actionable
    assert extent(evidence.strata) == ()


def test_who_is_not_in_the_file_is_refused(days: Path) -> None:
    with pytest.raises(DataError, match="enough of a past"):
        evidence_of_file(days, "nobody", key=bytes(32))


def test_the_command_line_opens_a_case_from_a_file(days: Path, tmp_path: Path) -> None:
    def run(*arguments: str) -> str:
        done = CliRunner().invoke(cli, ["--var", str(tmp_path), *arguments])
        assert done.exit_code == 0, done.output
        return done.stdout

    run("customer", "add", "bytedance", "--name", CUSTOMER)
    asked = ["case", "open", "bytedance", "--reason", "r", "--days", str(days), "--json"]
    opened = msgspec.json.decode(run(*asked, "--account", CUSTOMER))
    case = opened["summary"]["id"]
    assert opened["extent"][0]["measures"][0]["name"] == "requests"
    run("case", "note", case, "called them")
    run("case", "add", case, "--reported", "Partner Ltd, by letter")
    shown = msgspec.json.decode(run("case", "show", case, "--json"))
    assert shown["evidence"]["findings"][-1]["source"] == "Partner Ltd, by letter"
    page = tmp_path / "case.html"
    text = run("case", "file", case, "--html", str(page), "--lang", "de")
    assert "Fallakte" in text
    assert page.read_text("utf-8").count("<svg") >= 4
    run("case", "step", case, "dismiss", "--reason", "explained")
    assert msgspec.json.decode(run("case", "list", "--open", "--json")) == []
