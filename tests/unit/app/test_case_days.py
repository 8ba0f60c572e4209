"""A file of account-days becomes a case's evidence: judged day by day, with the extent measured."""

from pathlib import Path

import msgspec
import pytest
from click.testing import CliRunner

from quartermaster.app.case_days import evidence_of_file
from quartermaster.cli.main import cli
from quartermaster.conduct.extent import extent
from quartermaster.kernel.errors import DataError
from quartermaster.kernel.price import Price, PriceBook
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


def test_the_extent_holds_money_where_everything_has_a_price(days: Path) -> None:
    models = ("small-model", "large-model")
    prices = [Price(model, axis, "2") for model in models for axis in ("input", "output")]
    book = PriceBook("list", 1, "USD", 0, tuple(prices))
    found = evidence_of_file(days, CUSTOMER, prices=book, key=bytes(32)).evidence
    (whole,) = extent(found.strata)
    money = whole.of("minor")
    assert whole.currency == "USD"
    assert money is not None
    tokens = sum(
        (request.meter.input_tokens or 0) + (request.meter.output_tokens or 0)
        for day in campaign_days(**SMALL)
        if day.account == CUSTOMER and day.day in {one.day for one in found.strata}
        for request in day.requests
        if request.meter is not None
    )
    assert money.total == pytest.approx(tokens * 200 / 1e6)
    assert 0 < money.amount.point < money.total
    fewer = PriceBook("list", 1, "USD", 0, tuple(prices[:2]))
    unpriced = evidence_of_file(days, CUSTOMER, prices=fewer, key=bytes(32)).evidence
    assert extent(unpriced.strata)[0].of("minor") is None


def test_an_ordinary_tenant_has_no_finding_that_leads_anywhere(days: Path) -> None:
    evidence = evidence_of_file(days, "Tenant 01", suspects=[CUSTOMER], key=bytes(32)).evidence
    assert not evidence.actionable
    assert extent(evidence.strata) == ()


def test_who_is_not_in_the_file_is_refused(days: Path) -> None:
    with pytest.raises(DataError, match="enough of a past"):
        evidence_of_file(days, "nobody", key=bytes(32))


@pytest.mark.parametrize("name", ["", "day 07", "2026-11-31", "20261130"])
def test_what_is_no_day_is_refused_before_a_journal_keeps_it(tmp_path: Path, name: str) -> None:
    path = tmp_path / "days.jsonl"
    made = msgspec.structs.replace(next(campaign_days(**SMALL)), day=name)
    path.write_bytes(msgspec.json.encode(made) + b"\n")
    with pytest.raises(DataError, match="is no day"):
        evidence_of_file(path, CUSTOMER, key=bytes(32))


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
