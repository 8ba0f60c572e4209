"""Usage panels from files: every way they can be wrong has words."""

import gzip
from datetime import date
from pathlib import Path

import numpy as np
import pytest

from quartermaster.exposure.panel import Use, make_panel
from quartermaster.exposure.panel_file import csv_uses, read_panel, swf_uses
from quartermaster.kernel.errors import DataError

CSV = b"date,amount,tenant\n2024-01-01,1.5,a\n2024-01-03T10:00:00Z,2,b\n2024-01-01,0.5,a\n"
JOB = "1 {submit} 5 3600 4 3600 -1 8 3600 -1 1 17 1 -1 -1 -1 -1 -1\n"


def test_amounts_of_a_day_add_up_and_gaps_are_zero() -> None:
    panel = make_panel(csv_uses(CSV, "p.csv"), "p.csv")
    assert panel.tenants == ("a", "b")
    assert (panel.first_day, panel.last_day) == (date(2024, 1, 1), date(2024, 1, 3))
    assert panel.daily.tolist() == [[2.0, 0.0, 0.0], [0.0, 0.0, 2.0]]


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (b"", "'tenant' is missing"),
        (b"tenant,day,amount\n", "'date' is missing"),
        (b"tenant,date,amount\n", "holds no usage"),
        (b"tenant,date,amount\na,2024-13-01,1\n", "line 2"),
        (b"tenant,date,amount\na,01.02.2024,1\n", "not YYYY-MM-DD"),
        (b"tenant,date,amount\na,2024-01-01,-1\n", "from zero to"),
        (b"tenant,date,amount\na,2024-01-01,nan\n", "from zero to"),
        (b"tenant,date,amount\na,2024-01-01,x\n", "not a number"),
        (b"tenant,date,amount\n,2024-01-01,1\n", "tenant is empty"),
        (b"tenant,date,amount\na,2024-01-01\n", "2 fields"),
        (b"tenant,date,amount\na,0001-01-01,1\nb,9999-01-01,1\n" + b"", "too"),
        (b"tenant,date,amount\n\xff,2024-01-01,1\n", "not UTF-8"),
        (b"tenant,date,amount\na,2023-02-30,1\n", "'2023-02-30' is not in the calendar"),
        (b"tenant,date,amount\na,2024-01-01,1\na,2204-01-01,1\n", "2204-01-01 are more than"),
        (b'tenant,date,amount\na,2024-01-01,"1,5"\n', "1 row cannot .*\n.*--decimal-comma"),
    ],
)
def test_what_is_wrong_is_said(tmp_path: Path, data: bytes, says: str) -> None:
    path = tmp_path / "p.csv"
    if says == "too":
        rows = b"".join(b"t%d,2024-01-01,1\n" % n for n in range(20))
        data, says = data + rows, "more than"
    path.write_bytes(data)
    with pytest.raises(DataError, match=says):
        read_panel(path)


def test_a_workload_log(tmp_path: Path) -> None:
    text = "; UnixStartTime: 1704067200\n" + JOB.format(submit=0) + JOB.format(submit=90_000)
    text += "3 5 5 0 4 1 -1 8 1 -1 1 18 1 -1 -1 -1 -1 -1\n"
    path = tmp_path / "log.swf.gz"
    path.write_bytes(gzip.compress(text.encode()))
    panel = read_panel(path)
    assert panel.tenants == ("user 17",)
    assert panel.first_day == date(2024, 1, 1)
    assert panel.daily.tolist() == [[4.0, 4.0]]


def test_a_broken_log_names_its_line() -> None:
    with pytest.raises(DataError, match=r"x.swf, line 2: 3 fields"):
        swf_uses(b"; note\n1 2 3\n", "x.swf")
    with pytest.raises(DataError, match=r"line 1"):
        swf_uses(JOB.format(submit="soon").encode(), "x.swf")


def test_a_broken_archive_is_said(tmp_path: Path) -> None:
    path = tmp_path / "log.csv.gz"
    path.write_bytes(b"not packed")
    with pytest.raises(DataError, match="cannot be unpacked"):
        read_panel(path)


def test_weeks_end_on_the_last_day() -> None:
    uses = [Use("a", date.fromordinal(738_000 + day), float(day)) for day in range(17)]
    panel = make_panel(uses, "p")
    weeks = panel.by_week()
    assert panel.weeks == 2
    assert weeks.shape == (1, 2, 7)
    assert np.array_equal(weeks[0, 1], np.arange(10.0, 17.0))


@pytest.mark.parametrize("separator", [b";", b"\t", b"|"])
def test_a_spreadsheet_elsewhere_writes_semicolons_and_commas(
    tmp_path: Path, separator: bytes
) -> None:
    path = tmp_path / "p.csv"
    path.write_bytes(
        b"\xef\xbb\xbftenant;date;amount\r\na;2024-01-01;1,5\r\n".replace(b";", separator)
    )
    assert read_panel(path, decimal_comma=True).daily.tolist() == [[1.5]]
    path.write_bytes(b"tenant;date;amount\na;2024-01-01;1.000,5\n")
    with pytest.raises(DataError, match="not a number"):
        read_panel(path, decimal_comma=True)
