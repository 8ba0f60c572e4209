"""The SEC importer on small made-up files in both formats."""

import json
import tracemalloc
from collections.abc import Iterable
from pathlib import Path

import pytest

from quartermaster.cli.main import run
from quartermaster.exposure.sec_facts import LINE_BYTES_MAX, read_sec
from quartermaster.exposure.sec_losses import Losses, losses
from quartermaster.kernel.errors import DataError
from quartermaster.stats.beta_prior import upper_bound

SUB = ("adsh", "cik", "name", "form", "period", "fy", "fp", "filed")
NUM = ("adsh", "tag", "version", "ddate", "qtrs", "uom", "segments", "coreg", "value", "footnote")
TAG = "ConcentrationRiskPercentage1"
REVENUE = (
    "ConcentrationRiskByBenchmark=SalesRevenueNet;"
    "ConcentrationRiskByType=CustomerConcentrationRisk;"
)
RECEIVABLES = REVENUE.replace("SalesRevenueNet", "AccountsReceivable")


def filing(filer: int, year: int, form: str = "10-K", filed: str = "") -> tuple[str, ...]:
    period = f"{year}1231"
    return (adsh(f"{filer}/{year}"), str(filer), f"Filer {filer}", form, period, str(year), "FY",
            filed or f"{year + 1}0301")  # fmt: skip


def adsh(name: str) -> str:
    filer, _, year = name.partition("/")
    return f"{int(filer):010d}-{int(year) % 100:02d}-000001"


def fact(
    name: str,
    year: int,
    customer: str,
    share: float | str,
    *,
    segments: str = REVENUE,
    tag: str = TAG,
    qtrs: int = 4,
    coreg: str = "",
) -> tuple[str, ...]:
    """A line of num.txt; `name` is filer and filing, such as `1/2021`."""
    axes = f"{segments}MajorCustomers={customer};"
    return (adsh(name), tag, "us-gaap/2022", f"{year}1231", str(qtrs), "pure", axes, coreg,
            str(share), "")  # fmt: skip


def write(folder: Path, name: str, header: Iterable[str], rows: Iterable[Iterable[str]]) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / name
    path.write_text("".join("\t".join(row) + "\n" for row in (header, *rows)), "utf-8")
    return path


def made(
    folder: Path, filings: Iterable[tuple[str, ...]], facts: Iterable[tuple[str, ...]]
) -> Path:
    write(folder, "sub.txt", SUB, filings)
    write(folder, "num.txt", NUM, facts)
    write(folder, "tag.txt", ("tag", "version", "custom", "abstract"), [(TAG, "us-gaap", "0", "0")])
    return folder


def counted(folder: Path) -> Losses:
    return losses(read_sec(folder))


# --- what became of a customer --------------------------------------------------------------

FATES: list[tuple[str, list[tuple[str, ...]], dict[str, int]]] = [
    ("kept", [fact("1/2022", 2022, "Acme", 0.25)], {"kept": 1}),
    ("half is kept", [fact("1/2022", 2022, "Acme", 0.15)], {"kept": 1}),
    ("below half", [fact("1/2022", 2022, "Acme", 0.14)], {"below_half": 1}),
    (
        "another is reported, and half of 30 % would be too",
        [fact("1/2022", 2022, "Bolt", 0.20)],
        {"gone": 1},
    ),
    ("nothing is reported at all", [], {"no_figures": 1}),
    (
        "the next filing repeats last year and leaves this year out",
        [fact("1/2022", 2021, "Acme", 0.30), fact("1/2022", 2022, "Bolt", 0.20)],
        {"gone": 1},
    ),
    (
        "the letter went to another customer, who is found by its share",
        [
            fact("1/2022", 2021, "Acme", 0.11),
            fact("1/2022", 2021, "CustomerB", 0.30),
            fact("1/2022", 2022, "CustomerB", 0.28),
        ],
        {"kept": 1},
    ),
    (
        "the customer got a name, and was halved",
        [fact("1/2022", 2021, "CustomerX", 0.30), fact("1/2022", 2022, "CustomerX", 0.12)],
        {"below_half": 1},
    ),
    (
        "the letter went to another customer, and nobody has the share",
        [fact("1/2022", 2021, "Acme", 0.12), fact("1/2022", 2022, "Acme", 0.12)],
        {"unclear": 1},
    ),
    (
        "two had the same share last year",
        [
            fact("1/2022", 2021, "Acme", 0.12),
            fact("1/2022", 2021, "B", 0.30),
            fact("1/2022", 2021, "C", 0.30),
            fact("1/2022", 2022, "B", 0.30),
        ],
        {"unclear": 1},
    ),
]


@pytest.mark.parametrize(("facts", "fates"), [f[1:] for f in FATES], ids=[f[0] for f in FATES])
def test_the_fate_of_a_customer_of_30_percent(
    tmp_path: Path, facts: list[tuple[str, ...]], fates: dict[str, int]
) -> None:
    before = fact("1/2021", 2021, "Acme", 0.30)
    found = counted(made(tmp_path, [filing(1, 2021), filing(1, 2022)], [before, *facts]))
    assert found.fates == fates
    clear = sum(count for fate, count in fates.items() if fate != "unclear")
    assert (found.at_most.customer_years if found.at_most else 0) == clear


def test_below_20_percent_absence_says_gone_or_under_10(tmp_path: Path) -> None:
    facts = [fact("1/2021", 2021, "Acme", 0.15), fact("1/2022", 2022, "Bolt", 0.12)]
    found = counted(made(tmp_path, [filing(1, 2021), filing(1, 2022)], facts))
    assert found.fates == {"not_reported": 1}
    assert found.at_least is not None
    assert found.at_most is not None
    assert (found.at_least.losses, found.at_most.losses) == (0, 1)


def test_who_files_no_more_is_not_a_loss(tmp_path: Path) -> None:
    found = counted(made(tmp_path, [filing(1, 2021)], [fact("1/2021", 2021, "Acme", 0.30)]))
    assert found.not_followed == 1
    assert found.at_least is None
    assert found.fates == {}


def test_a_year_that_ends_a_week_later_still_follows(tmp_path: Path) -> None:
    rows = [filing(1, 2021), filing(1, 2022)]
    late = [list(row) for row in rows]
    late[1][4] = "20230131"
    after = list(fact("1/2022", 2022, "Acme", 0.25))
    after[3] = "20230131"
    facts = [fact("1/2021", 2021, "Acme", 0.30), tuple(after)]
    assert counted(made(tmp_path, [tuple(r) for r in late], facts)).fates == {"kept": 1}


def test_rates_have_wilsons_interval_and_the_prudent_bound(tmp_path: Path) -> None:
    """40 filers with one customer of 30 %; four of them lose it."""
    filings, facts = [], []
    for filer in range(1, 41):
        filings += [filing(filer, 2021), filing(filer, 2022)]
        facts += [fact(f"{filer}/2021", 2021, "Acme", 0.30)]
        customer = "Bolt" if filer <= 4 else "Acme"
        facts += [fact(f"{filer}/2022", 2022, customer, 0.30)]
    found = counted(made(tmp_path, filings, facts))
    assert found.at_least is not None
    assert (found.at_least.losses, found.at_least.customer_years) == (4, 40)
    assert found.at_least.share.low < 0.1 < found.at_least.share.high
    assert found.at_least.upper_bound == pytest.approx(upper_bound(4, 40, 0.95))
    assert (found.filers, found.customers, found.not_followed) == (40, 80, 40)
    assert [(y.year, y.customer_years, y.at_least) for y in found.years] == [(2021, 40, 4)]


# --- which facts count ----------------------------------------------------------------------

ALONE = [filing(1, 2021)]


@pytest.mark.parametrize(
    ("entry", "reason"),
    [
        (
            fact("1/2021", 2021, "A", 0.3, segments=REVENUE + "BusinessSegments=Cloud;"),
            "part_of_filer",
        ),
        (
            fact("1/2021", 2021, "A", 0.3, segments=RECEIVABLES),
            "not_revenue",
        ),
        (fact("1/2021", 2021, "A", 0.3, segments=""), "no_benchmark"),
        (
            fact("1/2021", 2021, "A", 0.3, segments=REVENUE.replace("CustomerConc", "CreditConc")),
            "other_risk",
        ),
        (fact("1/2021", 2021, "TwoCustomers", 0.3), "collective"),
        (fact("1/2021", 2021, "A", 30), "not_a_share"),
        (fact("1/2021", 2021, "A", "nan"), "not_a_share"),
        (fact("1/2021", 2021, "A", 0.3, coreg="Sub1"), "co_registrant"),
    ],
)  # fmt: skip
def test_facts_that_do_not_count_are_counted(
    tmp_path: Path, entry: tuple[str, ...], reason: str
) -> None:
    kept = fact("1/2021", 2021, "Acme", 0.2)
    found = read_sec(made(tmp_path, ALONE, [kept, entry]))
    assert found.left_out == {reason: 1}
    assert found.shares == {adsh("1/2021"): {2021 * 12 + 11: {"Acme": 0.2}}}


@pytest.mark.parametrize(
    "entry",
    [
        fact("1/2021", 2021, "A", 0.3, tag="Revenues"),
        fact("1/2021", 2021, "A", 0.3, qtrs=1),
        (*fact("1/2021", 2021, "A", 0.3)[:2], adsh("1/2021"), *fact("1/2021", 2021, "A", 0.3)[3:]),
        fact("1/2021", 2021, "A", ""),
        fact("9/2021", 2021, "A", 0.3),
    ],
)
def test_other_facts_are_passed_over(tmp_path: Path, entry: tuple[str, ...]) -> None:
    found = read_sec(made(tmp_path, ALONE, [entry]))
    assert found.shares == {}
    assert found.left_out == {}
    with pytest.raises(DataError, match="10 %"):
        losses(found)


def test_a_quarterly_report_is_no_year(tmp_path: Path) -> None:
    folder = made(tmp_path, [filing(1, 2021, form="10-Q")], [fact("1/2021", 2021, "A", 0.3)])
    assert read_sec(folder).shares == {}


def test_suffixes_and_prefixes_are_the_same_axis(tmp_path: Path) -> None:
    row = list(fact("1/2021", 2021, "Acme", 0.2))
    row[6] = (
        "us-gaap:ConcentrationRiskByBenchmarkAxis=SalesRevenueNetMember;"
        "srt:MajorCustomersAxis=AcmeMember;"
    )
    found = read_sec(made(tmp_path, ALONE, [tuple(row)]))
    assert found.shares == {adsh("1/2021"): {2021 * 12 + 11: {"Acme": 0.2}}}


def test_an_amendment_replaces_and_one_without_figures_does_not(tmp_path: Path) -> None:
    first, second = filing(1, 2021), filing(1, 2022)
    amended = (adsh("1/2099"), *second[1:3], "10-K/A", *second[4:7], "20230601")
    silent = (adsh("1/2098"), *second[1:3], "10-K/A", *second[4:7], "20230901")
    facts = [
        fact("1/2021", 2021, "Acme", 0.30),
        fact("1/2022", 2022, "Acme", 0.10),
        fact("1/2099", 2022, "Acme", 0.28),
    ]
    found = counted(made(tmp_path, [first, second, amended, silent], facts))
    assert found.fates == {"kept": 1}


def test_the_notes_format_with_dimensions_by_hash(tmp_path: Path) -> None:
    header = ("adsh", "tag", "version", "ddate", "qtrs", "uom", "dimh", "iprx", "value", "coreg")
    write(tmp_path / "2022_01", "sub.tsv", SUB, [filing(1, 2021)])
    write(
        tmp_path / "2022_01",
        "dim.tsv",
        ("dimhash", "segments", "segt"),
        [
            ("0xaa", REVENUE + "MajorCustomers=Acme;", "0"),
            ("0xbb", "BusinessSegments=Cloud;", "0"),
        ],
    )
    rows = [
        (adsh("1/2021"), TAG, "us-gaap/2022", "20211231", "4", "pure", h, i, v, "")
        for h, i, v in (("0xaa", "1", "0.2"), ("0xaa", "0", "0.3"), ("0xbb", "0", "0.9"))
    ]
    write(tmp_path / "2022_01", "num.tsv", header, rows)
    made(tmp_path / "2023q1", [filing(1, 2022)], [fact("1/2022", 2022, "Acme", 0.12)])
    found = counted(tmp_path)
    assert (found.sets, found.fates) == (2, {"below_half": 1})


# --- files that cannot be read --------------------------------------------------------------


def test_errors_name_the_file_and_the_line(tmp_path: Path) -> None:
    folder = made(tmp_path, ALONE, [fact("1/2021", 2021, "A", 0.2), fact("1/2021", 2021, "B", "x")])
    with pytest.raises(DataError, match=r"num\.txt, line 3: value 'x' is not a number"):
        read_sec(folder)


def test_a_cut_line_is_found_even_where_it_does_not_matter(tmp_path: Path) -> None:
    folder = made(tmp_path, ALONE, [("1", "Revenues", "us-gaap"), fact("1/2021", 2021, "A", 0.2)])
    with pytest.raises(DataError, match=r"num\.txt, line 2: 3 fields instead of 10"):
        read_sec(folder)


@pytest.mark.parametrize(
    ("file", "content", "says"),
    [
        ("sub.txt", "adsh\tcik\n", r"sub\.txt, line 1: no column 'form'"),
        ("num.txt", "adsh\ttag\tversion\tddate\tqtrs\tvalue\n", "no column 'segments'"),
        ("num.txt", "", "no column 'adsh'"),
        (
            "sub.txt",
            "\t".join(SUB) + "\n" + "\t".join(("a", "one", "n", "10-K", "20211231", "", "", "2022"))
            + "\n",
            r"line 2: cik 'one' is not a number",
        ),
        (
            "sub.txt",
            "\t".join(SUB) + "\n" + "\t".join(("a", "1", "n", "10-K", "20211331", "", "", "2022"))
            + "\n",
            r"line 2: period '20211331' is not a date",
        ),
    ],
)  # fmt: skip
def test_columns_and_figures_that_do_not_fit(
    tmp_path: Path, file: str, content: str, says: str
) -> None:
    made(tmp_path, ALONE, [fact("1/2021", 2021, "A", 0.2)])
    (tmp_path / file).write_text(content, "utf-8")
    with pytest.raises(DataError, match=says):
        read_sec(tmp_path)


def test_an_endless_line_ends(tmp_path: Path) -> None:
    folder = made(tmp_path, ALONE, [])
    with (folder / "num.txt").open("ab") as file:
        file.write(b"x" * (LINE_BYTES_MAX + 2))
    with pytest.raises(DataError, match="line 2: longer than"):
        read_sec(folder)


def test_folders_without_a_set(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no sub and num file"):
        read_sec(tmp_path)
    with pytest.raises(DataError, match="not a folder"):
        read_sec(tmp_path / "absent")
    write(tmp_path, "sub.txt", SUB, [])
    with pytest.raises(DataError, match=r"no num\.txt"):
        read_sec(tmp_path)


def test_memory_does_not_grow_with_lines_that_do_not_count(tmp_path: Path) -> None:
    """20 MB of other facts: what is held stays under 2 MB."""
    folder = made(tmp_path, ALONE, [fact("1/2021", 2021, "Acme", 0.2)])
    other = "\t".join(fact("1/2021", 2021, "A", 12345, tag="Revenues")) + "\n"
    with (folder / "num.txt").open("a", encoding="utf-8") as file:
        for _ in range(100):
            file.write(other * 1_200)
    assert (folder / "num.txt").stat().st_size > 20_000_000
    tracemalloc.start()
    found = read_sec(folder)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert len(found.shares) == 1
    assert peak < 2_000_000


# --- the command ----------------------------------------------------------------------------


def test_the_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    facts = [fact("1/2021", 2021, "CustomerA", 0.30), fact("1/2022", 2022, "Bolt", 0.28)]
    folder = made(tmp_path, [filing(1, 2021), filing(1, 2022)], facts)
    assert run(["sec-losses", str(folder), "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert document["schema"] == "quartermaster.sec-losses/1"
    assert document["at_least"]["losses"] == 1
    assert document["at_least"]["share"]["share"] == 1.0
    assert document["anonymous"] == 1
    assert run(["sec-losses", str(folder)]) == 0
    assert "at least: 100.0%" in capsys.readouterr().out
    assert run(["sec-losses", str(folder), "--lang", "de"]) == 0
    assert "mindestens: 100,0" in capsys.readouterr().out
    assert run(["sec-losses", str(tmp_path / "absent")]) == 1
    assert "not a folder" in capsys.readouterr().err
