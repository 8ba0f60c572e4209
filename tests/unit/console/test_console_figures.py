"""Figures: well-formed, named, escaped, themed, and refusing what cannot be drawn."""

from decimal import Decimal
from xml.etree import ElementTree as ET

import pytest
from hypothesis import given
from hypothesis import strategies as st

from quartermaster.console import figures, svg
from quartermaster.console.figures import GuidanceBand, RankedBar, RatePoint, ShareSegment
from quartermaster.kernel.errors import UsageError

SVG = "{http://www.w3.org/2000/svg}"
HOSTILE = "</text><script>alert(1)</script>\"'&\x00\x1b]"


def segment(label: str, share: str, kind: figures.ShareKind = "named") -> ShareSegment:
    return ShareSegment(label, int(Decimal(share) * 10**9), Decimal(share), kind)


def bar(*segments: ShareSegment, width: int = 960, **words: str) -> str:
    texts = {"title": "Title", "desc": "Desc", "name": "figure"} | words
    return figures.share_bar(
        segments, lang="en", currency="USD", width=width, title=texts["title"], desc=texts["desc"]
    )


def line(points: list[RatePoint], guidance: GuidanceBand | None = None, width: int = 960) -> str:
    return figures.run_rate_line(
        points,
        guidance=guidance,
        title="Title",
        desc="Desc",
        lang="en",
        currency="USD",
        width=width,
    )


def texts(figure: str) -> list[str]:
    root = ET.fromstring(figure)
    return [element.text or "" for element in root.iter(f"{SVG}text")]


RATES = [RatePoint(f"2024-{month:02d}", 10**9 * (50 + month)) for month in range(1, 13)]
BAND = GuidanceBand("2025-01", "2025-06", 60 * 10**9, 70 * 10**9, "Guidance", "G")


@pytest.mark.parametrize(
    "figure",
    [
        bar(segment("A", "0.6", "largest"), segment("B", "0.4")),
        line(RATES, BAND),
        line(RATES[:1]),
        figures.ranked_bars([RankedBar("A", Decimal("0.5"), "50%")], title="Title", desc="Desc"),
        figures.sparkline([1, 3, 2], title="Title", desc="Desc"),
    ],
)
def test_every_figure_is_a_named_image(figure: str) -> None:
    root = ET.fromstring(figure)
    assert root.get("role") == "img"
    ids = (root.get("aria-labelledby") or "").split()
    named = {element.get("id"): element.text for element in root if element.get("id")}
    assert [named[key] for key in ids] == ["Title", "Desc"]
    assert "style=" not in figure
    assert "<style" not in figure


@pytest.mark.parametrize("width", [320, 960])
def test_hostile_words_stay_words(width: int) -> None:
    figure = bar(
        segment(HOSTILE, "0.6", "largest"),
        segment(HOSTILE, "0.4", "rest"),
        width=width,
        title=HOSTILE,
        desc=HOSTILE,
    )
    root = ET.fromstring(figure)
    assert root.find(f".//{SVG}script") is None
    assert "<script" not in figure
    assert "\x00" not in figure
    ranked = [RankedBar(HOSTILE, Decimal(1), HOSTILE)]
    assert "<script" not in figures.ranked_bars(ranked, title="t", desc="d", width=width)


def test_every_colour_is_a_class_with_a_fallback_and_a_variable() -> None:
    sheet = figures.stylesheet()
    for css in [*svg.FALLBACK_FILL, *svg.FALLBACK_STROKE]:
        assert f".fig .{css} {{" in sheet
    assert "light-dark(" in sheet
    assert 'class="risk" fill="#' in bar(segment("A", "1", "largest"))


def test_a_figure_alone_carries_its_colours() -> None:
    alone = figures.standalone(bar(segment("A", "1", "largest")))
    root = ET.fromstring(alone.encode())
    style = root.find(f"{SVG}style")
    assert style is not None
    assert style.text == figures.stylesheet()


@given(st.lists(st.integers(1, 10**9), min_size=1, max_size=30))
def test_the_bar_is_the_whole(weights: list[int]) -> None:
    whole = sum(weights)
    parts = [ShareSegment("x", weight, Decimal(weight) / whole) for weight in weights]
    root = ET.fromstring(bar(*parts))
    drawn = [float(rect.get("width", "0")) for rect in root.iter(f"{SVG}rect")]
    starts = [float(rect.get("x", "0")) for rect in root.iter(f"{SVG}rect")]
    assert len(drawn) == len(weights)
    assert all(width > 0 for width in drawn)
    assert starts == sorted(starts)
    assert starts[-1] + drawn[-1] <= 960.5


def test_the_largest_is_always_labelled_and_a_small_part_never_cut_to_letters() -> None:
    shown = texts(bar(segment("Big", "0.02", "largest"), segment("Rest", "0.98", "rest")))
    assert "Big" in shown
    shown = texts(bar(segment("Big", "0.95", "largest"), segment("Northwind Traders", "0.05")))
    assert not any(text.startswith("N") for text in shown)


def test_a_largest_at_the_right_edge_keeps_its_label_inside() -> None:
    figure = bar(segment("Rest", "0.9", "rest"), segment("Largest of them all", "0.1", "largest"))
    root = ET.fromstring(figure)
    labels = [e for e in root.iter(f"{SVG}text") if e.text == "Largest of them all"]
    assert labels[0].get("text-anchor") == "end"


def test_the_line_ends_with_its_amount_and_the_band_has_its_words() -> None:
    assert {"$620M", "Guidance"} <= set(texts(line(RATES, BAND)))


@pytest.mark.parametrize("width", [320, 960])
@pytest.mark.parametrize("guidance", [BAND, None])
def test_nothing_is_drawn_outside(width: int, guidance: GuidanceBand | None) -> None:
    root = ET.fromstring(line(RATES, guidance, width))
    for element in root.iter(f"{SVG}text"):
        size = float(element.get("font-size", "0"))
        reach = svg.text_width(element.text or "", size)
        x = float(element.get("x", "0"))
        left, right = {
            None: (x, x + reach),
            "end": (x - reach, x),
            "middle": (x - reach / 2, x + reach / 2),
        }[element.get("text-anchor")]
        assert left >= -1
        assert right <= width + 1


def test_a_short_label_stands_in_where_the_long_one_does_not_fit() -> None:
    band = GuidanceBand("2025-01", "2025-06", 1, 2, "Guidance " * 9, "Short")
    assert "Short" in texts(line(RATES, band, 320))


@pytest.mark.parametrize(
    "parts",
    [
        [],
        [segment("A", "0.5"), segment("B", "0.4")],
        [segment("A", "1.5"), segment("B", "-0.5")],
        [segment("A", "0.02")] * 50,
    ],
)
def test_shares_that_cannot_be_drawn_are_refused(parts: list[ShareSegment]) -> None:
    with pytest.raises(UsageError):
        bar(*parts)


@pytest.mark.parametrize(
    ("points", "guidance"),
    [
        ([], None),
        ([RATES[1], RATES[0]], None),
        ([RATES[0], RATES[0]], None),
        ([RatePoint("2024-01", 1)] * 301, None),
        (RATES, GuidanceBand("2025-01", "2024-01", 1, 2, "")),
        (RATES, GuidanceBand("2025-01", "2025-01", 2, 1, "")),
    ],
)
def test_rates_that_cannot_be_drawn_are_refused(
    points: list[RatePoint], guidance: GuidanceBand | None
) -> None:
    with pytest.raises(UsageError):
        line(points, guidance)


def test_other_figures_refuse_too() -> None:
    with pytest.raises(UsageError):
        figures.ranked_bars([RankedBar("A", Decimal(2), "")], title="t", desc="d")
    with pytest.raises(UsageError):
        figures.ranked_bars([], title="t", desc="d")
    with pytest.raises(UsageError):
        figures.sparkline([], title="t", desc="d")
    with pytest.raises(UsageError):
        figures.sparkline([-1], title="t", desc="d")
