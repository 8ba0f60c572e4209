"""The exposure page as a reader gets it: findings, conditions, state, tables, refusals."""

import csv
import io
import json
import re
import string
import tomllib
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path

import pytest
from msgspec.structs import replace
from starlette.testclient import TestClient
from tests.unit.console.exposure_fakes import FakeExposure, exposure_facts

import quartermaster.console
from quartermaster.console import language
from quartermaster.console.exposure_state import FIELDS, query_of
from quartermaster.console.exposure_tables import COLUMNS, TABLES
from quartermaster.console.figures_loss import LossBar, loss_bars
from quartermaster.console.format import LANGS
from quartermaster.console.pages.exposure import LOADING_S
from quartermaster.kernel.errors import UsageError

CONSOLE = Path(quartermaster.console.__file__).parent
CATALOGUES = {
    lang: language.flattened(
        tomllib.loads((CONSOLE / f"locale/exposure.{lang}.toml").read_text("utf-8"))
    )
    for lang in LANGS
}
HOSTILE = "<script>alert(1)</script>\"'&{{ 7*7 }}{0}"


def page(client: TestClient, path: str = "/exposure", **headers: str) -> str:
    answer = client.get(path, headers=headers)
    assert answer.status_code == 200, answer.text
    return answer.text


def section(html: str, heading: str) -> str:
    return html.split(f'aria-labelledby="{heading}"')[1].split("</section>")[0]


def test_question_finding_picture_table_definition_in_this_order(viewer: TestClient) -> None:
    html = page(viewer)
    marks = [
        "What if they go?",
        "ByteDance brings 24.0% of the revenue of Azure OpenAI, April 2023 to March 2024",
        "ByteDance is 73% of the loss in the worst 5% of scenarios over 24 months, if it leaves",
        "at a rate of 35% a year and the others at 10%; at 16% for everybody it is 56%.",
        "Without ByteDance the next 12 months bring $800K instead of $1.08M.",
        'role="img"',
        "<table>",
        "One customer&#39;s revenue divided by the total",
    ]
    places = [html.index(mark) for mark in marks]
    assert places == sorted(places)


@pytest.mark.parametrize("lang", LANGS)
def test_no_share_of_the_loss_without_its_conditions(viewer: TestClient, lang: str) -> None:
    """Wherever it stands: beside it the rates, the horizon, the quantile, the equal-rate share."""
    html = page(viewer, "/exposure", **{"accept-language": lang}).replace("\N{NO-BREAK SPACE}", " ")
    space = " " if lang == "de" else ""
    conditions = (f"35{space}%", f"10{space}%", "24", f"56{space}%")
    tiles = html.split('<dl class="tiles">')[1].split("</dl>")[0]
    said = [block for block in re.findall(r"<p class=\"finding\">.*?</p>", html) if "73" in block]
    said += [tile for tile in tiles.split('<div class="tile') if f"73{space}%" in tile]
    loss = section(html, "loss-title")
    said += re.findall(r"<figcaption>.*?</figcaption>|<desc.*?</desc>", loss, flags=re.DOTALL)
    assert len(said) == 5  # finding, tile, caption, and the descriptions of both sizes
    for block in said:
        assert all(condition in block for condition in conditions), block
    table = loss.split("<table>")[1]
    assert all(condition in table.split("</caption>")[0] for condition in conditions[:3])
    assert ("95-%-Quantil" if lang == "de" else "95%") in table


def test_the_bands_are_said(viewer: TestClient, exposure: FakeExposure) -> None:
    assert "to be reported from 10%, a breach from 25%" in page(viewer)
    facts = exposure_facts()
    breach = replace(facts.groups[0], band="breach")
    exposure.facts = replace(facts, groups=(breach, *facts.groups[1:]))
    assert "a breach, which begins at 25%" in page(viewer)


def test_german(viewer: TestClient) -> None:
    html = page(viewer, **{"accept-language": "de"})
    assert "Und wenn sie gehen?" in html
    assert "Klumpenrisiko" in html
    assert "24,0\N{NO-BREAK SPACE}%" in html


def test_a_sample_says_so_in_every_part(viewer: TestClient, exposure: FakeExposure) -> None:
    html = page(viewer)
    headings = ("shares-title", "history-title", "loss-title", "fan-title")
    for heading in headings:
        part = section(html, heading)
        assert '<span class="badge sample">' in part
        assert part.count("<figcaption>Sample data. ") == 1
        for table in part.split("<table>")[1:]:
            assert "Sample" in table.split("</caption>")[0]
    assert html.count("<desc") == html.count(">Sample data. ") - len(headings)
    exposure.facts = exposure_facts(sample=False)
    assert "Sample" not in page(viewer)


def test_the_state_is_the_address(viewer: TestClient, exposure: FakeExposure) -> None:
    query = "customer=grp_1&hazard=0.2&others=5%25&horizon=36&quantile=0.9"
    html = page(viewer, f"/exposure?{query}")
    asked = exposure.asked[-1]
    assert (asked.customer, asked.hazard, asked.others) == (
        "grp_1",
        Decimal("0.2"),
        Decimal("0.05"),
    )
    assert (asked.horizon_months, asked.quantile) == (36, Decimal("0.9"))
    assert "Fabrikam leaves at 20% a year, everybody else at 5%; horizon 36 months" in html
    assert '<option value="grp_1" selected>' in html
    assert 'name="hazard" type="number"' in html
    link = re.search(r'href="/exposure\?([^"]*)&amp;format=csv&amp;table=loss"', html)
    assert link is not None
    page(viewer, "/exposure?" + link[1].replace("&amp;", "&"))
    assert exposure.asked[-1] == asked  # the link asks the same again


def test_an_empty_field_is_as_if_it_were_not_there(
    viewer: TestClient, exposure: FakeExposure
) -> None:
    page(viewer)
    page(viewer, "/exposure?customer=&hazard=&others=&horizon=&quantile=")
    assert exposure.asked[0] == exposure.asked[1]


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("hazard=35", "hazard"),
        ("hazard=0", "hazard"),
        ("hazard=nan", "hazard"),
        ("hazard=1e9", "hazard"),
        ("hazard=-0.1", "hazard"),
        ("hazard=٣", "hazard"),
        ("others=600%25", "others"),
        ("horizon=0", "horizon"),
        ("horizon=61", "horizon"),
        ("horizon=2.5", "horizon"),
        ("quantile=1", "quantile"),
        ("quantile=0.995", "quantile"),
        ("customer=nobody", "customer"),
        ("hazrd=0.1", "hazrd"),
    ],
)
@pytest.mark.parametrize("lang", LANGS)
def test_what_cannot_be_asked_is_refused_by_name(
    viewer: TestClient, query: str, field: str, lang: str
) -> None:
    answer = viewer.get(f"/exposure?{query}&lang={lang}")
    assert answer.status_code == 400
    assert field in answer.text.split("<main")[1]
    assert "Traceback" not in answer.text


def test_every_bound_can_be_asked(viewer: TestClient, exposure: FakeExposure) -> None:
    for number in FIELDS:
        for bound in (number.low, number.high):
            page(viewer, f"/exposure?{number.name}={bound}")
    assert len(exposure.asked) == 2 * len(FIELDS)


def test_hostile_names_stay_text(viewer: TestClient, exposure: FakeExposure) -> None:
    exposure.facts = exposure_facts(HOSTILE)
    html = page(viewer)
    assert "<script>alert" not in html
    assert "7*7" in html
    answer = viewer.get("/exposure", params={"customer": HOSTILE})
    assert answer.status_code == 400
    assert "<script>alert" not in answer.text


def test_every_table_as_csv(viewer: TestClient) -> None:
    found = {}
    for table in TABLES:
        answer = viewer.get(f"/exposure?format=csv&table={table}")
        assert answer.headers["content-type"].startswith("text/csv")
        found[table] = list(csv.DictReader(io.StringIO(answer.text)))
        assert tuple(found[table][0]) == COLUMNS[table]
        assert {row["sample"] for row in found[table]} == {"true"}
    shares = sum((Decimal(row["share"]) for row in found["shares"]), Decimal(0))
    assert shares.quantize(Decimal("0.0001")) == 1
    assert sum(Decimal(row["shortfall_share"]) for row in found["loss"]) == 1
    for row in found["loss"]:
        assert row["asked_hazard_per_year"] == "0.35"
        assert (row["horizon_months"], row["quantile"]) == ("24", "0.95")
        assert row["shortfall_share_at_equal_hazard"]
    assert len(found["forecast"]) == 12


def test_json_holds_every_table_and_waits_for_the_loss(
    viewer: TestClient, exposure: FakeExposure
) -> None:
    body = json.loads(viewer.get("/exposure?format=json").content)
    assert body["schema"] == "exposure/1"
    assert set(TABLES) <= set(body)
    assert body["asked"]["hazard"] == "0.35"
    assert body["loss_totals"]["expected_shortfall"] == "900000.00"
    page(viewer)
    assert exposure.waited == [True, False]


@pytest.mark.parametrize("query", ["format=xml", "format=csv&table=nothing"])
def test_an_unknown_form_is_refused(viewer: TestClient, query: str) -> None:
    assert viewer.get(f"/exposure?{query}").status_code == 400


def test_a_missing_simulation_says_what_to_install(
    viewer: TestClient, exposure: FakeExposure
) -> None:
    facts = replace(exposure_facts(), loss=None, loss_missing="not_installed")
    exposure.facts = replace(facts, loss_reason="pip install 'quartermaster-ai[risk]'")
    html = page(viewer)
    loss = section(html, "loss-title")
    assert "<code>pip install &#39;quartermaster-ai[risk]&#39;</code>" in loss
    assert "<svg" not in loss
    assert "<svg" in section(html, "fan-title")
    assert "of the loss" not in html.split("<main")[1].split("<form")[0]


def test_a_loading_simulation_makes_the_page_ask_again(
    viewer: TestClient, exposure: FakeExposure
) -> None:
    assert "refresh" not in viewer.get("/exposure").headers
    exposure.facts = replace(exposure_facts(), loss=None, loss_missing="loading")
    answer = viewer.get("/exposure")
    assert answer.headers["refresh"] == str(LOADING_S)
    assert "is being loaded" in answer.text


def test_a_refused_loss_says_why(viewer: TestClient, exposure: FakeExposure) -> None:
    facts = replace(exposure_facts(), loss=None, loss_missing="refused")
    exposure.facts = replace(facts, loss_reason="nothing is lost")
    assert "No loss can be shown for this question: nothing is lost." in page(viewer)
    exposure.facts = replace(facts, loss_reason="hazard")
    assert "at these rates nobody leaves in the worst scenarios." in page(viewer)


def test_what_a_departed_customer_still_owes_is_named_in_the_fan(
    viewer: TestClient, exposure: FakeExposure
) -> None:
    facts = exposure_facts()
    assert facts.fan is not None
    assert "still holds" not in section(page(viewer), "fan-title")
    exposure.facts = replace(facts, fan=replace(facts.fan, owed_minor=12_000_000))
    said = "still holds $120K: what"
    assert said in section(page(viewer), "fan-title")
    german = section(page(viewer, **{"accept-language": "de"}), "fan-title")
    assert "aus Zusagen schuldet, genutzt oder nicht" in german


def test_a_short_book_says_what_is_missing(viewer: TestClient, exposure: FakeExposure) -> None:
    facts = replace(exposure_facts(), fan=None, history=None, fan_months_known=3)
    exposure.facts = replace(facts, first="2024-03", still_open=True)
    html = page(viewer)
    assert "at least 6, and there are 3" in html
    assert "A share over time needs two full windows" in html
    assert "March 2024 is still open" in html


def test_without_revenue_there_is_an_empty_page(viewer: TestClient, exposure: FakeExposure) -> None:
    exposure.facts = None
    assert "No revenue yet" in page(viewer)
    assert json.loads(viewer.get("/exposure?format=json").content)["shares"] == []


@pytest.mark.parametrize(
    ("role", "status"), [("finance", 200), ("admin", 200), ("viewer", 200), ("customer", 403)]
)
def test_staff_only(signed_in: Callable[..., TestClient], role: str, status: int) -> None:
    assert signed_in(role).get("/exposure").status_code == status


def test_strangers_go_to_the_door(stranger: TestClient) -> None:
    answer = stranger.get("/exposure?hazard=0.2")
    assert answer.status_code == 303
    assert answer.headers["location"] == "/sign-in?next=%2Fexposure%3Fhazard%3D0.2"


def test_a_query_is_written_as_it_is_read() -> None:
    asked = exposure_facts().asked
    assert query_of(asked, format="csv") == (
        "customer=grp_0&hazard=0.35&others=0.1&horizon=24&quantile=0.95&format=csv"
    )


def test_both_catalogues_say_the_same() -> None:
    def places(message: str) -> set[str]:
        return {name for _, name, _, _ in string.Formatter().parse(message) if name}

    assert CATALOGUES["de"].keys() == CATALOGUES["en"].keys()
    for key, message in CATALOGUES["en"].items():
        assert places(message) == places(CATALOGUES["de"][key]), key


def test_every_key_is_used() -> None:
    sources = [*CONSOLE.glob("*.py"), *CONSOLE.glob("pages/*.py")]
    text = "\n".join(
        path.read_text("utf-8") for path in [*sources, CONSOLE / "templates/exposure.html"]
    )
    joined = ("define.", "form.", "band.", "finding.share_", "loss.engine_", "loss.")
    unused = {key for key in CATALOGUES["en"] if not re.search(f"[\"']{key}[\"']", text)}
    assert {key for key in unused if not key.startswith(joined)} == set()


def test_a_figure_of_nobody_is_refused() -> None:
    with pytest.raises(UsageError):
        loss_bars([], legend=("a", "b", "c"), title="t", desc="d", width=300)


def test_a_narrow_legend_is_never_cut() -> None:
    bar = LossBar(
        label="Acme",
        revenue=Decimal("0.2"),
        loss=Decimal("0.7"),
        equal=Decimal("-0.01"),
        revenue_text="20%",
        loss_text="70%",
        equal_text="-1%",
    )
    long = "of the loss at 35% and 10% a year, 24 months, 95% quantile and more words"
    drawn = loss_bars([bar], legend=("a", long, "c"), title="t", desc="d", width=200)
    assert "…" not in drawn
    assert 'width="-' not in drawn
