"""The board report in words and pages: finding first, conditions beside shares, two languages."""

import json
import re
import shutil
import string
import tomllib
from datetime import date
from importlib.resources import files
from pathlib import Path

import pytest
from msgspec.structs import replace

from quartermaster.app.board import (
    Assumed,
    Revenue,
    assumed_of,
    facts_of,
    file_revenue,
    scenario_revenue,
    shown_revenue,
)
from quartermaster.app.console_book import sample_shown
from quartermaster.app.pdf import BROWSERS, printed
from quartermaster.cli.main import run
from quartermaster.console.board_facts import BoardFacts, Given
from quartermaster.console.board_page import page
from quartermaster.console.board_text import as_json, text
from quartermaster.console.board_view import BoardView, view_of
from quartermaster.console.format import LANGS, Lang
from quartermaster.console.language import flattened
from quartermaster.console.report_words import catalogue, refusal
from quartermaster.exposure.departure_statements import parse_statements, record
from quartermaster.exposure.revenue_file import Reading, parse_revenue
from quartermaster.exposure.risk_assumptions import REFUSALS, Assumptions, Hazards
from quartermaster.exposure.scenario import read_scenario
from quartermaster.revenue.guidance_rows import read_guidance
from quartermaster.revenue.scorecard import scorecard

ROOT = Path(__file__).parents[3]
EXAMPLES = ROOT / "examples"
MADE = date(2024, 8, 1)
MONTHS = [f"{2023 + at // 12}-{at % 12 + 1:02}" for at in range(24)]
PAGES = re.compile(rb"/Type\s*/Page\b(?!s)")
MARKUP = "<b>&\"'"


def csv_bytes(largest: str = "Acme", customers: int = 40) -> bytes:
    rows = ["customer,month,revenue,currency"]
    for month in MONTHS:
        rows.append(f'"{largest.replace(chr(34), chr(34) * 2)}",{month},1234567.00,EUR')
        rows += [f"Customer {n},{month},{90_000 + 3_000 * n}.50,EUR" for n in range(customers)]
    return ("\n".join(rows) + "\n").encode()


def revenue(largest: str = "Acme") -> Revenue:
    return file_revenue(parse_revenue(csv_bytes(largest), "revenue.csv", Reading()))


def asked(top: float = 0.35) -> Assumed:
    assumptions = Assumptions(hazard_per_year=Hazards(top=top, rest=0.10))
    return assumed_of(assumptions, chosen=True, sample=False)


@pytest.fixture(scope="module")
def from_csv() -> BoardFacts:
    return facts_of(revenue(), asked(), made_on=MADE, threads=1)


@pytest.fixture(scope="module")
def from_scenario() -> BoardFacts:
    scenario, _ = read_scenario(EXAMPLES / "azure-openai-2024.toml")
    found = scenario_revenue(scenario, None)
    assumed = assumed_of(Assumptions(), chosen=False, sample=True)
    return facts_of(found, assumed, made_on=MADE, threads=1)


@pytest.fixture(scope="module")
def from_sample() -> BoardFacts:
    assumed = assumed_of(Assumptions(), chosen=False, sample=True)
    return facts_of(shown_revenue(sample_shown()), assumed, made_on=MADE, threads=1)


def ids(view: BoardView) -> list[str]:
    return [section.id for section in view.sections]


def test_the_finding_comes_first_with_everything_it_hangs_on(from_csv: BoardFacts) -> None:
    view = view_of(from_csv, "en")
    first = view.findings[0]
    assert first.startswith("Acme is 1")
    for condition in ("35% a year", "others at 10%", "24 months", "worst 5%", "for everybody"):
        assert condition in first
    html = page(from_csv, "en")
    assert html.index(first) < html.index("<svg") < html.index("<table") < html.index("<dl>")


def test_one_rate_for_all_is_one_figure_and_says_so() -> None:
    facts = facts_of(revenue(), asked(0.10), made_on=MADE, threads=1)
    first = view_of(facts, "en").findings[0]
    assert "same rate of 10% a year" in first
    assert first.count("of the loss") == 1


def test_every_share_of_the_loss_stands_beside_its_conditions(from_csv: BoardFacts) -> None:
    section = view_of(from_csv, "en").sections[0]
    assert section.picture is not None
    assert section.table is not None
    for said in (section.picture.desk, section.table.caption):
        assert all(part in said for part in ("35%", "10%", "24 months"))
    assert "at equal rates" in section.table.head


def test_the_table_adds_up(from_csv: BoardFacts) -> None:
    table = view_of(from_csv, "en").sections[0].table
    assert table is not None
    at = table.head.index("of the loss")
    shares = [float(line.cells[at].rstrip("%")) for line in table.lines]
    assert shares[-1] == 100.0
    assert sum(shares[:-1]) == pytest.approx(100.0, abs=0.5)


def test_parts_stand_only_where_their_data_are(
    from_csv: BoardFacts, from_scenario: BoardFacts
) -> None:
    assert ids(view_of(from_csv, "en")) == [
        *("loss", "definitions", "bands", "history", "fan", "leaving", "levers"),
    ]
    scenario = view_of(from_scenario, "en")
    assert {"claims", "findings"} <= set(ids(scenario))
    assert "history" not in ids(scenario)
    fan = next(section for section in scenario.sections if section.id == "fan")
    assert fan.picture is None
    assert "no forecast: a scenario states one figure for all months" in fan.lead[0]
    assert [part.key for part in scenario.missing] == [
        *("rates", "history", "bands", "guidance", "warning", "statements", "capacity"),
    ]
    assert all(part.what and part.how for part in scenario.missing)


def test_what_was_given_is_shown_and_no_longer_missing(from_csv: BoardFacts) -> None:
    guidance = (EXAMPLES / "azure-guidance-2024.csv").read_bytes()
    said = {
        "stated_on": "2020-01-01",
        "subject": "A",
        "event": "leaves",
        "horizon_months": 12,
        "probability": 0.4,
        "low": 0.1,
        "high": 0.8,
        "outcome": False,
        "resolved_on": "2021-01-02",
    }
    given = Given(
        guidance=scorecard(read_guidance(guidance, "g.csv")),
        statements=record(parse_statements(json.dumps(said).encode(), "s.jsonl")),
    )
    view = view_of(replace(from_csv, given=given), "de")
    assert {"guidance", "statements"} <= set(ids(view))
    assert [part.key for part in view.missing] == ["bands", "warning", "capacity"]
    verdicts = next(section for section in view.sections if section.id == "guidance").table
    assert verdicts is not None
    assert [line.cells[-1] for line in verdicts.lines][:3] == [
        *("übertroffen", "übertroffen", "untere Hälfte"),
    ]


def test_a_record_that_chance_does_not_explain_is_called_wrong(from_csv: BoardFacts) -> None:
    lines = [
        json.dumps(
            {
                "stated_on": "2020-01-01",
                "subject": f"customer {at}",
                "event": "leaves",
                "horizon_months": 12,
                "probability": 0.3,
                "low": 0.2,
                "high": 0.4,
                "outcome": at < 3,
                "resolved_on": "2021-01-01",
            }
        )
        for at in range(40)
    ]
    told = record(parse_statements("\n".join(lines).encode(), "s.jsonl"))
    facts = replace(from_csv, given=Given(statements=told))
    told_in: tuple[tuple[Lang, str], ...] = (("en", "were too high"), ("de", "waren zu hoch"))
    for lang, words in told_in:
        view = view_of(facts, lang)
        section = next(section for section in view.sections if section.id == "statements")
        assert words in " ".join(section.lead)


def test_why_nothing_is_lost_is_said_in_the_readers_words() -> None:
    nobody = Assumptions(hazard_per_year=Hazards(top=0, rest=0))
    never = assumed_of(nobody, chosen=True, sample=False)
    facts = facts_of(revenue(), never, made_on=MADE, threads=1)
    assert facts.risk_missing == "refused"
    why = {
        lang: next(part.how for part in view_of(facts, lang).missing if part.key == "loss")
        for lang in LANGS
    }
    assert "nobody leaves in the worst scenarios" in why["en"]
    assert "Bei diesen Raten geht auch in den schlechtesten Szenarien niemand" in why["de"]
    for lang in LANGS:
        assert all(catalogue("risk", lang).has(f"refused.{known}") for known in REFUSALS)
    assert refusal("x.toml: no [fx]", "de") == "Die Rechnung meldet „x.toml: no [fx]“"


def test_what_a_departed_customer_still_owes_is_named_under_the_fan(from_csv: BoardFacts) -> None:
    assert from_csv.fan is not None
    owing = replace(from_csv, fan=replace(from_csv.fan, owed_minor=1_200_000))
    told_in: tuple[tuple[Lang, str], ...] = (
        ("en", "what Acme owes under its"),
        ("de", "was Acme aus Zusagen schuldet"),
    )
    for lang, said in told_in:
        for facts, shown in ((from_csv, False), (owing, True)):
            section = next(one for one in view_of(facts, lang).sections if one.id == "fan")
            assert section.picture is not None
            assert (said in section.picture.caption) == shown


def test_german_compounds_of_a_percentage_have_hyphens_throughout(from_csv: BoardFacts) -> None:
    shown = text(view_of(from_csv, "de"))
    assert "95-%-Quantil" in page(from_csv, "de")
    assert not re.search("%-[A-Z]", re.sub("[0-9]-%-[A-Z]", "", shown + page(from_csv, "de")))


def test_without_the_simulation_the_share_is_the_finding() -> None:
    facts = facts_of(revenue(), asked(), made_on=MADE, threads=None)
    view = view_of(facts, "de")
    assert "des Verlusts" not in " ".join(view.findings)
    assert view.findings[0].startswith("Acme: ")
    assert view.sections[0].picture is not None
    assert view.missing[0].key == "loss"
    assert "geladen" in view.missing[0].how


def test_numbers_and_days_are_of_the_readers_language(from_csv: BoardFacts) -> None:
    german, english = page(from_csv, "de"), page(from_csv, "en")
    assert "01.08.2024" in german
    assert "1 Aug 2024" in english
    assert "14,8\N{NO-BREAK SPACE}Mio.\N{NO-BREAK SPACE}€" in german
    assert "€14.8M" in english
    assert "Mär 2025" in german


def test_a_sample_says_so_on_every_page_and_under_every_figure(from_sample: BoardFacts) -> None:
    view = view_of(from_sample, "en")
    assert view.sample
    assert "Sample data" in view.banners[0]
    assert "SAMPLE DATA" in view.running
    for section in view.sections:
        if section.picture is not None:
            assert section.picture.caption.startswith("Sample data:")


@pytest.mark.parametrize("lang", LANGS)
def test_the_same_facts_give_the_same_bytes(from_csv: BoardFacts, lang: Lang) -> None:
    again = facts_of(revenue(), asked(), made_on=MADE, threads=2)
    assert page(again, lang) == page(from_csv, lang)


def test_names_are_text_and_nothing_is_loaded() -> None:
    html = page(facts_of(revenue(MARKUP), asked(), made_on=MADE, threads=1), "en")
    assert "<b>" not in html
    assert "&lt;b&gt;&amp;" in html
    assert "<script" not in html
    assert re.findall(r"(?:src|href)=|url\(", html) == []


def test_the_data_hash_and_the_files_are_on_the_report(from_csv: BoardFacts) -> None:
    view = view_of(from_csv, "en")
    shown = " ".join(value for _, value in view.closing[-1].entries)
    assert from_csv.report.exposure.data_sha256 in shown
    assert from_csv.report.input is not None
    assert f"revenue.csv, SHA-256 {from_csv.report.input.sha256}" in shown
    assert from_csv.report.exposure.data_sha256[:12] in view.running


def test_the_json_holds_what_the_page_rounds(from_csv: BoardFacts) -> None:
    document = json.loads(json.dumps(as_json(from_csv)))
    assert document["schema"] == "quartermaster.board/1"
    assert document["made_on"] == "2024-08-01"
    assert document["risk"]["customers"][0]["group"] == "Acme"
    assert document["missing"] == ["bands", "guidance", "warning", "statements", "capacity"]


def test_a_terminal_gets_the_finding(from_csv: BoardFacts) -> None:
    shown = text(view_of(from_csv, "en"))
    assert shown.splitlines()[0] == "Customer concentration: report to the board"
    assert "of the loss" in shown


# --- words ----------------------------------------------------------------------------------


def catalogue_of(lang: Lang) -> dict[str, str]:
    source = files("quartermaster.console") / f"locale/board.{lang}.toml"
    return flattened(tomllib.loads(source.read_text("utf-8")))


def places(message: str) -> set[str]:
    return {name for _, name, _, _ in string.Formatter().parse(message) if name}


def test_both_languages_say_the_same() -> None:
    german, english = catalogue_of("de"), catalogue_of("en")
    assert german.keys() == english.keys()
    assert [key for key in german if places(german[key]) != places(english[key])] == []


def test_a_forecast_without_an_interval_shows_none(from_csv: BoardFacts) -> None:
    fan = from_csv.fan
    assert fan is not None
    bare = replace(
        fan,
        whole_total=replace(fan.whole_total, low=None, high=None),
        without_total=replace(fan.without_total, low=None, high=None),
    )
    view = view_of(replace(from_csv, fan=bare), "en")
    lead = next(section for section in view.sections if section.id == "fan").lead[0]
    assert "interval —" not in lead
    assert "No past window is long enough" in lead


def test_every_word_is_used() -> None:
    console = Path(str(files("quartermaster.console")))
    sources = "\n".join(
        path.read_text("utf-8")
        for path in [
            *console.rglob("*board*.py"),
            *console.rglob("*board*.html"),
            console / "what_if_words.py",
        ]
    )
    whole = set(re.findall(r'"([a-z_]+(?:\.[a-z_]+)*)"', sources))
    joined = tuple(re.findall(r'f"([a-z_]+\.)[a-z_]*\{', sources))
    heads = {f"{table}.{key}" for table in ("shares", "warning", "statements") for key in whole}
    unused = [
        key for key in catalogue_of("en") if key not in whole | heads and not key.startswith(joined)
    ]
    assert unused == []


# --- pages ----------------------------------------------------------------------------------

needs_browser = pytest.mark.skipif(
    not any(shutil.which(name) for name in BROWSERS), reason="no Chromium prints here"
)


LONGER_LANGUAGE_FIRST = ["de", pytest.param("en", marks=pytest.mark.long)]


@needs_browser
@pytest.mark.parametrize("lang", LONGER_LANGUAGE_FIRST)
@pytest.mark.parametrize("source", ["from_csv", "from_scenario", "from_sample"])
def test_it_is_two_to_four_pages(source: str, lang: Lang, request: pytest.FixtureRequest) -> None:
    facts: BoardFacts = request.getfixturevalue(source)
    assert 2 <= len(PAGES.findall(printed(page(facts, lang)))) <= 4


@needs_browser
@pytest.mark.parametrize("lang", LONGER_LANGUAGE_FIRST)
def test_everything_that_can_be_given_still_fits_on_four_pages(lang: Lang, tmp_path: Path) -> None:
    (tmp_path / "revenue.csv").write_bytes(csv_bytes("TikTok"))
    fleet = (EXAMPLES / "fleet-sample.toml").read_text("utf-8").replace('"USD"', '"EUR"')
    (tmp_path / "fleet.toml").write_text(fleet, "utf-8")
    usage = ["tenant,date,amount"]
    usage += [
        f"{who},{2023 + day // 365}-{day % 365 // 31 + 1:02}-{day % 365 % 31 % 28 + 1:02},{size}"
        for who, size in (("TikTok", 900), ("Customer 1", 300))
        for day in range(0, 700, 31)
    ]
    (tmp_path / "usage.csv").write_text("\n".join(dict.fromkeys(usage)) + "\n", "utf-8")
    said = '{"stated_on":"2024-01-01","subject":"A","event":"e","horizon_months":12,'
    said += '"probability":0.4,"low":0.1,"high":0.8,"outcome":true,"resolved_on":"2024-05-01"}\n'
    (tmp_path / "statements.jsonl").write_text(said, "utf-8")
    (tmp_path / "bands.toml").write_text(
        '[bands.absorbing]\nwhat = "margin"\namount = "5000000"\ncurrency = "EUR"\n', "utf-8"
    )
    pdf = tmp_path / "report.pdf"
    arguments = ["report", str(tmp_path / "revenue.csv"), "--lang", lang, "--pdf", str(pdf)]
    arguments += ["--guidance", str(EXAMPLES / "azure-guidance-2024.csv")]
    arguments += ["--usage", str(tmp_path / "usage.csv"), "--hazard", "top=35%"]
    arguments += ["--statements", str(tmp_path / "statements.jsonl")]
    arguments += ["--capacity", str(tmp_path / "fleet.toml"), "--contribution", "30%"]
    arguments += ["--demand", str(EXAMPLES / "fleet-demand.csv")]
    arguments += ["--bands", str(tmp_path / "bands.toml"), "--commitment", "TikTok=500000:12"]
    assert run(arguments) == 0
    assert 2 <= len(PAGES.findall(pdf.read_bytes())) <= 4


# --- the command ----------------------------------------------------------------------------


def test_the_command_writes_the_same_page_twice(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source, html = tmp_path / "revenue.csv", tmp_path / "report.html"
    source.write_bytes(csv_bytes())
    written = []
    for threads in ("1", "2"):
        arguments = ["report", str(source), "--html", str(html), "--made-on", "2024-08-01"]
        assert run([*arguments, "--threads", threads]) == 0
        written.append(html.read_bytes())
    assert written[0] == written[1]
    assert "1 Aug 2024" in written[0].decode()
    assert "of the loss" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ([], "report of what?"),
        (["--sample", "--live"], "report of what?"),
        (["--sample", "--months", "3"], "CSV only"),
        (["--sample", "--demand", "d.csv"], "go with --capacity"),
        (["--sample", "--made-on", "yesterday"], "is not a day"),
        (["--sample", "--hazard", "Nobody=5%"], "no customer 'Nobody'"),
        (["--sample", "--bands", "no.toml"], "no.toml"),
    ],
)
def test_what_cannot_be_meant_is_refused_in_words(
    arguments: list[str], says: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["report", *arguments]) != 0
    assert says in capsys.readouterr().err


def test_a_live_book_without_revenue_says_so(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["--var", str(tmp_path / "var"), "report", "--live"]) == 2
    assert "no revenue yet" in capsys.readouterr().err
