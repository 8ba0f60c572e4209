"""The words and pictures of cases: the same in both languages, all used, and safe to show."""

import re
import string
from datetime import date, timedelta
from pathlib import Path
from typing import get_args

import pytest

import quartermaster.console as console
from quartermaster.conduct.case_file import EXEMPLAR_CHARS_MAX, redacted
from quartermaster.conduct.cases_step import REFUSALS
from quartermaster.conduct.cases_table import ROWS, STATES
from quartermaster.conduct.detectors import Kind
from quartermaster.conduct.features import NAMES
from quartermaster.conduct.notice import kind_words
from quartermaster.console import figures_case as figures
from quartermaster.console.figures_case import DayBar, Edge, Marked, Node, TopicRow
from quartermaster.console.language import flattened
from quartermaster.console.report_words import catalogue
from quartermaster.kernel.errors import UsageError

ROOT = Path(next(iter(console.__path__)))
DAY = date(2024, 3, 1)
NASTY = "<script>alert('&')</script>"


def messages(lang: str) -> dict[str, str]:
    import tomllib

    return flattened(tomllib.loads((ROOT / f"locale/case.{lang}.toml").read_text("utf-8")))


def places(message: str) -> set[str]:
    return {name for _, name, _, _ in string.Formatter().parse(message) if name}


def test_both_languages_say_the_same() -> None:
    german, english = messages("de"), messages("en")
    assert german.keys() == english.keys()
    assert {key for key in german if places(german[key]) != places(english[key])} == set()


def test_no_words_are_left_over() -> None:
    files = [*ROOT.glob("case_*.py"), *ROOT.glob("pages/*.py"), *ROOT.glob("templates/*.html")]
    files.append(ROOT.parent / "app/case_sample.py")
    text = "\n".join(path.read_text("utf-8") for path in files)
    whole = set(re.findall(r'"([a-z0-9_]+(?:\.[a-z0-9_]+)+)"', text)) | {"and", "or"}
    joined = tuple(set(re.findall(r'f"([a-z_]+\.)\{', text)) | {"tour."})
    assert {
        key for key in messages("en") if key not in whole and not key.startswith(joined)
    } == set()


def test_everything_that_is_shown_by_key_has_its_words() -> None:
    words = catalogue("case", "de")
    for state in STATES:
        assert words.has(f"state.{state}")
    for move in {row.move for row in ROWS}:
        assert words.has(f"move.{move}")
    for code in (*REFUSALS, "move"):
        assert words.has(f"refused.{code}")
    for name in NAMES:
        assert words.has(f"feature.{name}")
    for kind in get_args(Kind):
        for lang in ("de", "en"):
            assert kind_words(kind, lang) != kind


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("Mail bob@corp.example now.", "Mail [address] now."),
        ("See https://corp.example/x?y=1 and go.", "See [address] and go."),
        ('Say "our secret plan" twice.', "Say [quotation] twice."),
        ("Call 0171 2345 at 9.", "Call # # at #."),
        ("Write a poem about Kestrel Shop.", "Write a poem about [name] [name]."),
        ("Write a poem about rivers.", "Write a poem about rivers."),
    ],
)
def test_a_request_is_shown_without_what_it_is_about(text: str, shown: str) -> None:
    assert redacted(text) == shown


def test_a_long_request_is_cut() -> None:
    assert len(redacted("word " * 500)) <= EXEMPLAR_CHARS_MAX + 1


def days(count: int) -> list[date]:
    return [DAY + timedelta(days=at) for at in range(count)]


@pytest.mark.parametrize("width", [350, 720])
def test_figures_hold_what_they_are_given_and_escape_it(width: int) -> None:
    drawn = [
        figures.day_bars(
            [DayBar(on, 10, 3, NASTY) for on in days(40)],
            [Marked(DAY, NASTY)], title=NASTY, desc=NASTY, width=width,
        ),
        figures.evidence_curve(
            [(on, 1.5**at) for at, on in enumerate(days(40))],
            line=100.0, line_label=NASTY, title=NASTY, desc=NASTY, width=width,
        ),
        figures.percentile_strip(
            [-2.0, -1.0, 0.5], 4.0, line=3.0, labels=(NASTY, NASTY, NASTY), title=NASTY,
            desc=NASTY, width=width,
        ),
        figures.topic_map(
            [TopicRow(NASTY, [5, 0, 1]), TopicRow(NASTY, [0, 2, 2], risk=True)],
            title=NASTY, desc=NASTY, width=width,
        ),
        figures.link_graph(
            [Node(NASTY, True), Node("b", False)], [Edge(NASTY, "b", True, NASTY)],
            title=NASTY, desc=NASTY, width=width,
        ),
    ]  # fmt: skip
    for svg in drawn:
        assert "<script" not in svg
        assert f'viewBox="0 0 {width} ' in svg
        inside = [float(x) for x in re.findall(r' x="(-?[\d.]+)"', svg)]
        assert min(inside) >= -1
        assert max(inside) <= width + 1


def test_the_curve_rises_where_the_evidence_does() -> None:
    svg = figures.evidence_curve(
        [(on, 10.0**at) for at, on in enumerate(days(4))],
        line=100.0, line_label="line", title="t", desc="d", width=720,
    )  # fmt: skip
    points = re.search(r'points="([^"]+)"', svg)
    assert points is not None
    heights = [float(pair.split(",")[1]) for pair in points[1].split()]
    assert heights == sorted(heights, reverse=True)


def test_too_much_is_refused() -> None:
    with pytest.raises(UsageError):
        figures.link_graph(
            [Node(str(at), False) for at in range(99)], [], title="t", desc="d", width=350
        )
    with pytest.raises(UsageError):
        figures.day_bars([], [], title="t", desc="d", width=350)
