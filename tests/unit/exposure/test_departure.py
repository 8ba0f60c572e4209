"""A departure case from its file to its probability, as a user meets it."""

import json
import tomllib
from importlib import resources
from pathlib import Path
from typing import Any, get_args

import pytest

from quartermaster.cli.main import run
from quartermaster.console.format import LANGS
from quartermaster.console.language import flattened
from quartermaster.exposure.departure import Case, Opinion, opinion, parse_case
from quartermaster.exposure.departure_prior import PooledSegment, Prior, believe
from quartermaster.exposure.evidence_kinds import BLOCKS, KINDS
from quartermaster.exposure.replay import Finding
from quartermaster.exposure.report import input_file
from quartermaster.exposure.sec_losses import Fate
from quartermaster.kernel.errors import DataError, UsageError

HEAD = """\
schema = "quartermaster.departure/1"
id = "acme"
subject = "Acme"
seller = "Us"
event = "Acme halves what it buys"
"""
EMPTIED = """
[[evidence]]
kind = "workload_emptied"
on = "2024-05-02"
fact = "Two of three workloads are empty."
source = "our meters"
"""
ALARM = """
[[evidence]]
kind = "usage_alarm"
on = "2024-03-01"
fact = "The 28/84 ratio fell under its threshold."
source = "our meters"
alarm = { found = 33, tried = 33, false_alarms = 66, series_years = 132 }
"""
POOLED = 'by = "pooled"\nsegments = [{ name = "a", customer_years = 9, losses = 1 }]\n'
GONE = """
[outcome]
happened = true
on = "2024-09-01"
fact = "Acme left."
source = "our books"
"""


def case(*parts: str) -> Case:
    return parse_case("".join((HEAD, *parts)).encode(), "acme.toml")


def stated(*parts: str, as_of: str | None = None) -> Opinion:
    return opinion(case(*parts), input_file("acme.toml", b""), as_of)


# --- statements -----------------------------------------------------------------------------


def test_a_statement_uses_only_what_was_known_and_fresh() -> None:
    found = stated(ALARM, EMPTIED)
    assert found.on == "2024-05-02"
    assert [one.on for one in found.history] == ["2024-03-01", "2024-05-02"]
    before = stated(ALARM, EMPTIED, as_of="2024-02-29")
    assert before.ledger.lines == ()
    assert before.stated.probability == pytest.approx(0.133, abs=1e-3)
    late = stated(ALARM, EMPTIED, as_of="2024-06-30")
    assert [piece.kind for piece in late.ledger.stale] == ["usage_alarm"]
    assert [line.evidence.kind for line in late.ledger.lines] == ["workload_emptied"]


def test_what_comes_later_does_not_change_what_was_said() -> None:
    with_later, without = stated(ALARM, EMPTIED), stated(ALARM)
    assert with_later.history[0] == without.history[0]
    assert stated(ALARM, GONE).stated == without.stated


def test_the_alarm_day_is_the_first_at_even_chances() -> None:
    assert stated(ALARM, EMPTIED).alarm_on == "2024-03-01"
    assert stated(EMPTIED).alarm_on == ""


def test_sensitivity_to_the_prior() -> None:
    found = stated(EMPTIED)
    assert [one.prior_at for one in found.sensitivity] == ["p10", "median", "mean", "p90"]
    by_name = {one.prior_at: one for one in found.sensitivity}
    assert by_name["median"].prior == pytest.approx(0.10, abs=1e-4)
    assert by_name["mean"].posterior == pytest.approx(found.stated.probability)
    tip = found.tipping_prior
    assert tip / (1 - tip) * found.ledger.joint.central == pytest.approx(1)


def test_a_shorter_horizon_is_less_likely() -> None:
    short = stated("horizon_months = 6\n", EMPTIED).stated.probability
    assert short < stated(EMPTIED).stated.probability


def test_after_the_outcome_there_is_nothing_to_state() -> None:
    with pytest.raises(UsageError, match="outcome"):
        stated(EMPTIED, GONE, as_of="2024-09-01")
    with pytest.raises(UsageError, match="no evidence"):
        stated()


# --- priors ---------------------------------------------------------------------------------


def test_priors() -> None:
    assert believe(Prior()).belief.mean == pytest.approx(0.133, abs=1e-3)
    counted = believe(Prior(by="losses", losses=0, customer_years=20))
    assert counted.belief.mean == pytest.approx(1 / 22)
    assert counted.figures["bound"] == pytest.approx(0.139, abs=1e-3)
    assert believe(Prior(by="beta", a=1, b=9)).belief.mean == pytest.approx(0.1)
    segments = tuple(
        PooledSegment(name=name, customer_years=100, losses=lost)
        for name, lost in (("large", 5), ("small", 30))
    )
    large = believe(Prior(by="pooled", segment="large", segments=segments)).belief.mean
    new = believe(Prior(by="pooled", segments=segments)).belief.mean
    assert 0.05 < large < new


@pytest.mark.parametrize(
    ("prior", "says"),
    [
        (Prior(median=0.3, p90=0.1), "do not rise"),
        (Prior(by="losses", losses=1), "needs losses"),
        (Prior(by="losses", losses=2, customer_years=1), "cannot be"),
        (Prior(by="losses", losses=0, customer_years=9, correlation=1), "correlation"),
        (Prior(by="beta", a=1), "needs a and b"),
        (Prior(by="beta", a=0, b=1), "between"),
        (Prior(by="pooled"), "segments"),
        (Prior(by="pooled", segment="x"), "not there once"),
    ],
)
def test_priors_that_cannot_be(prior: Prior, says: str) -> None:
    with pytest.raises(UsageError, match=says):
        believe(prior)


# --- files ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("x", "not TOML"),
        (HEAD + "extra = 1\n", "extra"),
        (HEAD.replace("/1", "/2"), "schema"),
        (HEAD.replace('"Acme"', '""'), "subject"),
        (HEAD + "horizon_months = 0\n", "horizon_months"),
        (HEAD + "[prior]\nmedian = 0.9\n", "prior: quantiles"),
        (HEAD + "[rule]\noverlap = 0.5\n", "rule: an overlap below 1"),
        (HEAD + EMPTIED.replace("workload_emptied", "mood"), r"evidence 1 \(mood\)"),
        (HEAD + EMPTIED.replace("2024-05-02", "May"), "not a date"),
        (HEAD + EMPTIED.replace("our meters", ""), "its source"),
        (HEAD + ALARM.replace("33,", "34,", 1), "cannot|found <= tried"),
        (HEAD + EMPTIED.replace("2024-05-02", "2024-09-02") + GONE, "not from before"),
        (HEAD + EMPTIED + GONE.replace("true", "false"), "still open"),
        (HEAD + GONE.replace("2024-09-01", "soon"), "outcome: 'soon'"),
    ],
)
def test_files_that_cannot_be_used(text: str, says: str) -> None:
    with pytest.raises(DataError, match=says):
        parse_case(text.encode(), "acme.toml")


def test_all_problems_are_listed_at_once() -> None:
    with pytest.raises(DataError) as caught:
        case(
            "horizon_months = 99\n",
            EMPTIED.replace("workload_emptied", "mood"),
            "[rule]\noverlap = 2\n",
        )
    assert caught.value.message.startswith("acme.toml: 3 entries")


# --- the commands ---------------------------------------------------------------------------


@pytest.fixture
def acme(tmp_path: Path) -> Path:
    path = tmp_path / "acme.toml"
    path.write_text(HEAD + ALARM + EMPTIED, "utf-8")
    return path


def test_the_command_as_json(acme: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["departure", str(acme), "--json"]) == 0
    (found,) = json.loads(capsys.readouterr().out)["cases"]
    assert found["probability"] == pytest.approx(0.765, abs=0.01)
    assert found["low"] < found["probability"] < found["high"]
    assert found["stated_on"] == "2024-05-02"
    assert [line["kind"] for line in found["ledger"]] == ["usage_alarm", "workload_emptied"]
    assert [line["counted"] for line in found["ledger"]][1] == 1
    assert found["if_independent"] > found["probability"]
    assert len(found["data_sha256"]) == 64
    assert found["sensitivity"]


def test_the_command_in_words(acme: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["departure", str(acme)]) == 0
    said = capsys.readouterr().out
    assert "leaving is likelier than staying" in said.splitlines()[0]
    assert "counts 1" in said
    assert "had every piece counted in full" in said
    assert run(["departure", str(acme), "--as-of", "2024-01-01"]) == 0
    assert "no evidence, this is the prior" in capsys.readouterr().out


def test_weak_evidence_is_said_to_be_too_weak(
    acme: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    weak = EMPTIED + 'low = 0.5\nhigh = 4\nwhy = "nobody counted"\n'
    acme.write_text(HEAD + weak, "utf-8")
    assert run(["departure", str(acme)]) == 0
    assert "not enough evidence to move from the prior" in capsys.readouterr().out


def test_the_kinds_are_listed(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["departure", "--kinds"]) == 0
    assert (
        "cheapest_model x1.2 to x3 (judgement, usage and conduct, 6 months)"
        in capsys.readouterr().out
    )
    assert run(["departure", "--kinds", "--json"]) == 0
    assert len(json.loads(capsys.readouterr().out)) > 10


def test_mistakes_have_an_exit_code_and_a_sentence(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["departure"]) == 2
    assert run(["departure", str(tmp_path / "absent.toml")]) == 1
    assert "absent.toml cannot be read" in capsys.readouterr().err


def test_the_same_file_gives_the_same_bytes(acme: Path, capsys: pytest.CaptureFixture[str]) -> None:
    outputs = []
    for _ in range(2):
        run(["departure", str(acme), "--json"])
        outputs.append(capsys.readouterr().out)
    assert outputs[0] == outputs[1]


def test_the_same_in_german(acme: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["departure", str(acme), "--lang", "de"]) == 0
    said = capsys.readouterr().out
    assert "Gehen ist wahrscheinlicher als Bleiben" in said.splitlines()[0]
    assert "binnen 12 Monaten ab 02.05.2024" in said
    assert "hätte jeder Hinweis voll gezählt" in said
    assert run(["departure", "--kinds", "--lang", "de"]) == 0
    assert "Einschätzung" in capsys.readouterr().out


def test_both_languages_know_every_word() -> None:
    tables = {lang: set(flattened(_catalogue(lang))) for lang in LANGS}
    assert tables["de"] == tables["en"]
    wanted = {f"origin.{kind.origin}" for kind in KINDS} | {f"block.{block}" for block in BLOCKS}
    wanted |= {"origin.override", "origin.default"}
    wanted |= {f"finding.{name}" for name in get_args(Finding)}
    wanted |= {f"sec.fates.{name}" for name in get_args(Fate)}
    assert wanted <= tables["en"]
    for lang in LANGS:
        for kind in KINDS:
            assert all(kind.said(lang))
    assert all(kind.said("de") != kind.said("en") for kind in KINDS)


@pytest.mark.parametrize(
    "prior",
    [
        'by = "losses"\nlosses = 1\ncustomer_years = 30\n',
        'by = "beta"\na = 2\nb = 9\n',
        POOLED,
        POOLED + 'segment = "a"\n',
    ],
)
@pytest.mark.parametrize("lang", LANGS)
def test_every_prior_has_its_words(
    acme: Path, prior: str, lang: str, capsys: pytest.CaptureFixture[str]
) -> None:
    acme.write_text(HEAD + EMPTIED + "[prior]\n" + prior, "utf-8")
    assert run(["departure", str(acme), "--lang", lang]) == 0
    assert "{" not in capsys.readouterr().out


def _catalogue(lang: str) -> dict[str, Any]:
    folder = resources.files("quartermaster.console") / "locale"
    return tomllib.loads((folder / f"departure.{lang}.toml").read_text("utf-8"))
