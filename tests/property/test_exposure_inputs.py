"""Whatever a file holds, it is read as a whole or refused in words; never a traceback."""

from pathlib import Path

from hypothesis import example, given
from hypothesis import strategies as st

from quartermaster.exposure.book import scenario_exposure
from quartermaster.exposure.check import check
from quartermaster.exposure.csv_rows import read_csv
from quartermaster.exposure.rollup import measure
from quartermaster.exposure.rows import RevenueRow
from quartermaster.exposure.scenario import parse_scenario
from quartermaster.kernel.errors import DataError

REFERENCE = Path(__file__).resolve().parents[2] / "examples/azure-openai-2024.toml"
LINES = REFERENCE.read_text("utf-8").splitlines()
HEADER = "customer,group,month,revenue,currency"

REPLACEMENTS = [
    "",
    'value = "0"',
    'value = "999999999999999"',
    'unit = "%"',
    'unit = "JPY"',
    'low = "0"',
    'period = "2024-01/2024-02"',
    'part_of = "azure-openai"',
    "seed = -1",
    'scope = "azure"',
    'measure = "growth"',
    'role = "guidance"',
    'hedge = "up to"',
    'time = "until"',
]

FIELD = st.sampled_from(
    [
        "a",
        "b",
        "",
        '"',
        '"a',
        "2024-01",
        "2024-13",
        "1",
        "-1",
        "1.5",
        "1,5",
        "USD",
        "EUR",
        "\0",
        "𝟙",
    ]
) | st.text(max_size=6)
LINE = st.lists(FIELD, max_size=7).map(",".join)


def read(data: bytes) -> tuple[RevenueRow, ...] | None:
    """The rows, or None where the file is refused; every other exception is a failure."""
    try:
        return read_csv(data, "f.csv")
    except DataError:
        return None


@given(st.binary(max_size=200))
@example(b"\xff\xfe")
@example(b'customer,month,revenue,currency\n"')
def test_any_bytes_as_csv(data: bytes) -> None:
    read(data)


@given(st.lists(LINE, max_size=8), st.sampled_from(["\n", "\r\n", "\r"]))
def test_any_lines_under_a_header(lines: list[str], newline: str) -> None:
    rows = read(newline.join([HEADER, *lines]).encode("utf-8", "surrogatepass"))
    if rows is None:
        return
    assert len(rows) >= 1
    assert len({row.currency for row in rows}) == 1
    try:
        found = measure(rows, scope="x")
    except DataError:
        return
    assert abs(sum(group.share for group in found.groups) - 1) < 1e-9


@given(st.binary(max_size=200))
def test_any_bytes_as_a_scenario(data: bytes) -> None:
    try:
        parse_scenario(data, "f.toml")
    except DataError:
        return


@given(
    st.integers(0, len(LINES) - 1),
    st.sampled_from(REPLACEMENTS),
)
def test_a_scenario_with_one_line_replaced(at: int, line: str) -> None:
    """Either refused, or every check and the book run through."""
    text = "\n".join([*LINES[:at], line, *LINES[at + 1 :]])
    try:
        scenario = parse_scenario(text.encode(), "f.toml")
    except DataError:
        return
    check(scenario)
    try:
        scenario_exposure(scenario)
    except DataError:
        return
