"""The what-if page as a reader gets it: findings, conditions, state, tables, refusals."""

import csv
import io
import json
import re
import string
import threading
import time
import tomllib
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from pathlib import Path

import pytest
from msgspec.structs import replace
from starlette.testclient import TestClient
from tests.unit.console.what_if_fakes import FakeWhatIf, reader_of, what_if_facts

import quartermaster.console
from quartermaster.console import language
from quartermaster.console.format import LANGS
from quartermaster.console.pages.exposure import LOADING_S
from quartermaster.console.ports_what_if import LEVERS, PRICED, WhatIfFacts, WhatIfQuestion
from quartermaster.console.what_if_state import ASSUMED, OF_LEVER
from quartermaster.console.what_if_tables import COLUMNS, TABLES
from quartermaster.kernel.clock import Instant

CONSOLE = Path(quartermaster.console.__file__).parent
NAMES = ("capacity", "risk", "what_if")
CATALOGUES = {
    (name, lang): language.flattened(
        tomllib.loads((CONSOLE / f"locale/{name}.{lang}.toml").read_text("utf-8"))
    )
    for name in NAMES
    for lang in LANGS
}
LONG_S = 60
"""A loaded machine answers in seconds."""
HOSTILE = "<script>alert(1)</script>\"'&{{ 7*7 }}{0}"


@pytest.fixture
def book() -> FakeWhatIf:
    return FakeWhatIf(what_if_facts())


@pytest.fixture
def reader(book: FakeWhatIf) -> TestClient:
    return reader_of(book)


def page(client: TestClient, path: str = "/what-if", **headers: str) -> str:
    answer = client.get(path, headers=headers)
    assert answer.status_code == 200, answer.text
    return answer.text


def section(html: str, heading: str) -> str:
    return html.split(f'aria-labelledby="{heading}"')[1].split("</section>")[0]


def test_question_finding_picture_table_definition_in_this_order(reader: TestClient) -> None:
    html = page(reader)
    marks = [
        "What would one change do",
        "ByteDance gives notice in month 0.",
        "$2M of revenue over 24 months become $1.6M: $400K less.",
        "The expected shortfall goes from $900K to $1.17M, by +$270K ± $700",
        "if ByteDance leaves at 35% a year and the others at 10%.",
        'role="img"',
        "<table>",
        "Both sides draw the same random numbers",
    ]
    places = [html.index(mark) for mark in marks]
    assert places == sorted(places)


@pytest.mark.parametrize("lang", LANGS)
def test_no_figure_without_its_conditions(reader: TestClient, lang: str) -> None:
    """Every section, caption and tile of the loss names rates, horizon and quantile."""
    html = page(reader, **{"accept-language": lang}).replace("\N{NO-BREAK SPACE}", " ")
    space = " " if lang == "de" else ""
    # In German the figure is part of a compound in some places: "95-%-Quantil".
    html = html.replace("95-%-Quantil", "95 %-Quantil")
    conditions = (f"35{space}%", f"10{space}%", "24", f"95{space}%")
    for heading in ("loss-title", "bridge-title", "tornado-title"):
        part = section(html, heading)
        said = part.split('<p class="conditions">')[1].split("</p>")[0]
        assert all(condition in said for condition in conditions), said
    for heading in ("loss-title", "tornado-title"):
        part = section(html, heading)
        for block in re.findall(r"<figcaption>.*?</figcaption>|<desc.*?</desc>", part, re.DOTALL):
            assert all(condition in block for condition in conditions), block
        for caption in re.findall(r"<caption.*?</caption>", part, re.DOTALL):
            assert all(condition in caption for condition in conditions), caption
    tiles = html.split('<dl class="tiles">')[1].split("</dl>")[0].split('<div class="tile')
    share = next(tile for tile in tiles if f"73{space}%" in tile)
    assert all(condition in share for condition in (*conditions, f"56{space}%"))


def test_a_month_that_has_only_begun_is_said(reader: TestClient, book: FakeWhatIf) -> None:
    assert "is still open" not in page(reader)
    book.facts = replace(what_if_facts(), first="2024-03", still_open=True)
    assert "March 2024 is still open: a month is what came of it so far" in page(reader)
    assert json.loads(page(reader, "/what-if?format=json"))["still_open"] is True


def test_a_book_of_one_customer_does_not_offer_a_smaller_share(
    reader: TestClient, book: FakeWhatIf
) -> None:
    assert "lever=diversify" in page(reader)
    facts = what_if_facts()
    book.facts = replace(facts, choices=facts.choices[:1])
    assert "lever=diversify" not in page(reader)
    assert "lever=commit" in page(reader)


def test_a_suspension_says_what_it_costs_us(reader: TestClient) -> None:
    html = page(reader, "/what-if?lever=leave&suspend=1")
    assert "ByteDance is suspended in month 0." in html
    assert "A suspension is also a departure, and this is what it costs us: $90K ± $600" in html
    assert "after a suspension: nothing" in html
    assert 'name="suspend" value="1" checked' in html
    assert "A suspension is also" not in page(reader)


def test_what_is_stranded_is_the_last_step(reader: TestClient, book: FakeWhatIf) -> None:
    part = section(page(reader), "bridge-title")
    rows = re.findall(r'<th scope="row">(.*?)</th><td class="num">(.*?)</td>', part)
    assert rows[0] == ("Revenue now, over 24 months", "$2M")
    assert rows[-2:] == [("Capacity stranded", "-$280K"), ("After what is stranded", "$1.32M")]
    assert "Stranded: $14K a month" in part
    book.facts = replace(what_if_facts(), stranded=None)
    part = section(page(reader), "bridge-title")
    assert "Capacity stranded" not in part
    assert "no fleet is described" in part
    book.facts = replace(what_if_facts(), stranded=None, stranded_reason="fleet.toml: 2 problems")
    assert "cannot be said: fleet.toml: 2 problems" in page(reader)


@pytest.mark.parametrize(
    ("query", "said"),
    [
        ("lever=cut&size=0.5&month=3", "ByteDance cuts its usage by 50% from month 3"),
        ("lever=price&size=-0.1", "The price of ByteDance changes by -10% from month 0"),
        ("lever=price&size=0.125&everybody=1", "All prices change by +12.5% from month 0"),
        ("lever=commit&size=80%25&until=12", "ByteDance commits to 80% of plan for 12 months"),
        ("lever=diversify&size=0.12", "ByteDance is 12% of the same revenue"),
        ("lever=leave&customer=grp_1&month=6", "Fabrikam gives notice in month 6"),
    ],
)
def test_every_lever_is_said_and_has_its_form(reader: TestClient, query: str, said: str) -> None:
    html = page(reader, f"/what-if?{query}")
    assert said in html
    assert 'aria-current="page">' in html.split('class="tabs"')[1]
    assert ('aria-labelledby="bridge-title"' in html) == query.startswith("lever=leave")


def test_the_state_is_the_address(reader: TestClient, book: FakeWhatIf) -> None:
    query = (
        "lever=commit&customer=grp_1&size=0.4&until=18&discount=0.05&hazard=0.2&others=5%25"
        "&horizon=36&quantile=0.9&notice=3&ramp=2&backfill=0.25&owed=1000&owed_months=6"
        "&cost_notice=2500.5"
    )
    html = page(reader, f"/what-if?{query}")
    asked = book.asked[-1]
    assert (asked.lever, asked.customer, asked.size) == ("commit", "grp_1", Decimal("0.4"))
    assert (asked.until, asked.discount, asked.month) == (18, Decimal("0.05"), 0)
    assert [asked.notice, asked.ramp, asked.backfill] == [3, 2, Decimal("0.25")]
    assert [asked.owed, asked.owed_months] == [1000, 6]
    assert asked.costs == (("notice", Decimal("2500.5")),)
    for table in TABLES[:1]:
        link = re.search(rf'href="/what-if\?([^"]*)&amp;format=csv&amp;table={table}"', html)
        assert link is not None
        page(reader, "/what-if?" + link[1].replace("&amp;", "&"))
        assert book.asked[-1] == replace(asked, size=Decimal("0.4"))
    tab = re.search(r'href="/what-if\?(lever=leave[^"]*)"', html)
    assert tab is not None
    page(reader, "/what-if?" + tab[1].replace("&amp;", "&"))
    # Another lever keeps the customer and every assumption, and takes its own usual size.
    kept = replace(asked, lever="leave", size=None, until=24, discount=Decimal(0))
    assert book.asked[-1] == kept


def test_an_empty_field_is_as_if_it_were_not_there(reader: TestClient, book: FakeWhatIf) -> None:
    page(reader)
    names = {field.name for fields in OF_LEVER.values() for field in fields}
    names |= {field.name for field in ASSUMED} | {f"cost_{name}" for name in PRICED}
    page(reader, "/what-if?" + "&".join(f"{name}=" for name in sorted(names)))
    assert book.asked[0] == book.asked[1]


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("lever=run", "lever"),
        ("hazard=35", "hazard"),
        ("lever=cut&size=1.5", "size"),
        ("lever=cut&size=nan", "size"),
        ("lever=price&size=-1", "size"),
        ("month=2.5", "month"),
        ("month=99", "month"),
        ("elasticity=-11&lever=price", "elasticity"),
        ("suspend=yes", "suspend"),
        ("owed=1e9", "owed"),
        ("cost_notice=-1", "cost_notice"),
        ("cost_magic=1", "cost_magic"),
        ("customer=nobody", "customer"),
        ("discount=٣", "discount"),
    ],
)
@pytest.mark.parametrize("lang", LANGS)
def test_what_cannot_be_asked_is_refused_by_name(
    reader: TestClient, query: str, field: str, lang: str
) -> None:
    answer = reader.get(f"/what-if?{query}&lang={lang}")
    assert answer.status_code == 400
    assert field in answer.text.split("<main")[1]
    part = reader.get(f"/what-if?{query}", headers={"hx-request": "true"})
    assert part.headers["hx-redirect"] == f"/what-if?{query.replace('٣', '%D9%A3')}"
    assert part.text == ""


def test_every_bound_can_be_asked(reader: TestClient, book: FakeWhatIf) -> None:
    bounds = 0
    for lever in LEVERS:
        for field in (*OF_LEVER[lever], *ASSUMED):
            for bound in (field.low, field.high):
                page(reader, f"/what-if?lever={lever}&{field.name}={bound}")
                bounds += 1
    assert len(book.asked) == bounds


def test_costs_of_levers_are_said_per_unit(reader: TestClient) -> None:
    part = section(page(reader, "/what-if?cost_notice=225000"), "tornado-title")
    assert 'name="cost_notice" id="cost_notice"' in part
    assert 'value="225000"' in part
    rows = part.split("<tbody>")[1].split("<tr>")
    row = next(row for row in rows if "6 months of notice" in row)
    assert ">1.00<" in row
    assert row.count("±") == 2


def test_a_sample_says_so_in_every_part(reader: TestClient, book: FakeWhatIf) -> None:
    html = page(reader)
    for heading in ("loss-title", "bridge-title", "tornado-title"):
        part = section(html, heading)
        assert '<span class="badge sample">' in part
        assert part.count("<figcaption>Sample data. ") == 1
        for table in part.split("<table>")[1:]:
            assert "Sample" in table.split("</caption>")[0]
    book.facts = what_if_facts(sample=False)
    assert "Sample" not in page(reader)


def test_hostile_names_stay_text(reader: TestClient, book: FakeWhatIf) -> None:
    book.facts = what_if_facts(HOSTILE)
    html = page(reader)
    assert "<script>alert" not in html
    assert "7*7" in html
    answer = reader.get("/what-if", params={"customer": HOSTILE})
    assert answer.status_code == 400
    assert "<script>alert" not in answer.text


def test_every_table_as_csv(reader: TestClient) -> None:
    found = {}
    for table in TABLES:
        answer = reader.get(f"/what-if?format=csv&table={table}")
        assert answer.headers["content-type"].startswith("text/csv")
        found[table] = list(csv.DictReader(io.StringIO(answer.text)))
        assert tuple(found[table][0]) == COLUMNS[table]
        for row in found[table]:
            assert (row["hazard_per_year"], row["others_hazard_per_year"]) == ("0.35", "0.1")
            assert (row["horizon_months"], row["quantile"]) == ("24", "0.95")
    assert [row["role"] for row in found["worlds"]] == ["as it stands", "asked"] + ["lever"] * 7
    steps = {row["step"]: Decimal(row["amount"]) for row in found["bridge"]}
    parts = sum(steps[name] for name in steps if name not in {"after", "stranded"})
    assert parts == steps["after"]


def test_json_holds_every_table_and_waits(reader: TestClient, book: FakeWhatIf) -> None:
    body = json.loads(reader.get("/what-if?lever=cut&format=json").content)
    assert body["schema"] == "what-if/1"
    assert set(TABLES) <= set(body)
    assert body["asked"]["question"]["lever"] == "cut"
    assert body["bridge"] == []
    page(reader)
    assert book.waited == [True, False]


def test_a_loading_simulation_makes_page_and_part_ask_again(
    reader: TestClient, book: FakeWhatIf
) -> None:
    assert "refresh" not in reader.get("/what-if").headers
    book.facts = replace(what_if_facts(), missing="loading", base=None, tornado=(), bridge=None)
    answer = reader.get("/what-if")
    assert answer.headers["refresh"] == str(LOADING_S)
    assert "is being loaded" in answer.text
    assert "hx-trigger" not in answer.text
    part = reader.get("/what-if", headers={"hx-request": "true"})
    assert "refresh" not in part.headers
    assert f"load delay:{LOADING_S}s" in part.text


def test_a_missing_simulation_says_what_to_install(reader: TestClient, book: FakeWhatIf) -> None:
    facts = replace(what_if_facts(), missing="not_installed", base=None, tornado=(), bridge=None)
    book.facts = replace(facts, reason="pip install 'quartermaster-ai[risk]'")
    html = page(reader)
    assert "<code>pip install &#39;quartermaster-ai[risk]&#39;</code>" in html
    assert '<svg class="fig"' not in html


def test_without_revenue_there_is_an_empty_page(reader: TestClient, book: FakeWhatIf) -> None:
    book.facts = None
    assert "No revenue yet" in page(reader)
    assert json.loads(reader.get("/what-if?format=json").content)["worlds"] == []


@pytest.mark.parametrize("query", ["format=xml", "format=csv&table=nothing"])
def test_an_unknown_form_is_refused(reader: TestClient, query: str) -> None:
    assert reader.get(f"/what-if?{query}").status_code == 400


@pytest.mark.parametrize("path", ["/what-if", "/capacity"])
def test_staff_only(book: FakeWhatIf, path: str) -> None:
    for role, status in (("finance", 200), ("trust", 200), ("customer", 403)):
        assert reader_of(book, role=role).get(path).status_code == status
    stranger = reader_of(book)
    stranger.cookies.clear()
    answer = stranger.get(f"{path}?lang=de")
    assert (answer.status_code, answer.headers["location"].split("?")[0]) == (303, "/sign-in")


def test_the_exposure_page_shows_the_same_waterfall_and_tornado(
    reader: TestClient, book: FakeWhatIf
) -> None:
    html = page(reader, "/exposure?customer=grp_1&hazard=0.2&horizon=36")
    asked = book.asked[-1]
    assert (asked.lever, asked.customer) == ("leave", "grp_1")
    assert (asked.hazard, asked.horizon_months) == (Decimal("0.2"), 36)
    for heading in ("bridge-title", "tornado-title"):
        part = section(html, heading)
        assert "leaves at 20% a year" in part.split('class="conditions">')[1].split("</p>")[0]
        assert part.count("<svg") == 2
    assert 'name="cost_notice"' not in html
    link = re.search(r'href="/what-if\?([^"]*)">', section(html, "tornado-title"))
    assert link is not None
    page(reader, "/what-if?" + link[1].replace("&amp;", "&"))
    assert (book.asked[-1].hazard, book.asked[-1].customer) == (Decimal("0.2"), "grp_1")
    book.facts = replace(what_if_facts(), missing="loading", base=None, tornado=(), bridge=None)
    answer = reader.get("/exposure")
    assert "bridge-title" not in answer.text
    assert answer.headers["refresh"] == str(LOADING_S)


@pytest.mark.parametrize("name", NAMES)
def test_both_catalogues_say_the_same(name: str) -> None:
    def places(message: str) -> set[str]:
        return {place for _, place, _, _ in string.Formatter().parse(message) if place}

    english, german = CATALOGUES[name, "en"], CATALOGUES[name, "de"]
    assert german.keys() == english.keys()
    for key, message in english.items():
        assert places(message) == places(german[key]), key


@pytest.mark.parametrize("name", NAMES)
def test_every_key_is_used(name: str) -> None:
    sources = [*CONSOLE.glob("*.py"), *CONSOLE.glob("pages/*.py"), *CONSOLE.glob("templates/*")]
    sources += [CONSOLE.parent / "cli/capacity.py"]
    text = "\n".join(path.read_text("utf-8") for path in sources)
    joined = {
        "what_if": (
            "bridge.",
            "change.",
            "define.",
            "form.",
            "lever.",
            "loss.",
            "refusal.",
            "tile.",
        ),
        "capacity": (
            *("define.", "cli.", "page.no", "refusal.", "remark.", "use.", "batch.basis_"),
            "hours.caption_",
        ),
        "risk": ("parts.", "unit.", "tail.against_", "check.engine_", "refused."),
    }[name]
    keys = {key for key in CATALOGUES[name, "en"] if not key.startswith(joined)}
    assert {key for key in keys if not re.search(f"[\"']{re.escape(key)}[\"']", text)} == set()


class SlowWhatIf(FakeWhatIf):
    """Answers when the test lets it."""

    def __init__(self) -> None:
        super().__init__(what_if_facts())
        self.begun = threading.Semaphore(0)
        self.free = threading.Event()

    def what_if(
        self, question: WhatIfQuestion, now: Instant, *, wait: bool = False
    ) -> WhatIfFacts | None:
        self.begun.release()
        self.free.wait(LONG_S)
        return super().what_if(question, now, wait=wait)


def test_readers_of_other_pages_do_not_wait_for_questions() -> None:
    slow = SlowWhatIf()
    with reader_of(slow) as client, ThreadPoolExecutor(46) as threads:
        asked = [threads.submit(client.get, f"/what-if?month={at}") for at in range(45)]
        try:
            assert slow.begun.acquire(timeout=LONG_S)
            time.sleep(0.5)  # as many as will have begun by then
            other = threads.submit(client.get, "/").result(LONG_S / 2)
        finally:
            slow.free.set()
        assert other.status_code == 200
        assert {answer.result(LONG_S).status_code for answer in asked} == {200}
