"""A CSV is read whole or refused with every bad line."""

from pathlib import Path

import pytest

from quartermaster.exposure import csv_rows
from quartermaster.exposure.csv_rows import read_bytes, read_csv
from quartermaster.exposure.rows import RevenueRow
from quartermaster.kernel.errors import DataError

HEADER = "customer,month,revenue,currency\n"


def read(text: str | bytes, *, decimal_comma: bool = False, ignore: str = "") -> list[RevenueRow]:
    data = text.encode() if isinstance(text, str) else text
    ignored = [ignore] if ignore else []
    return list(read_csv(data, "r.csv", decimal_comma=decimal_comma, ignore_columns=ignored))


def refusal(text: str | bytes) -> str:
    with pytest.raises(DataError) as caught:
        read(text)
    return caught.value.message


def test_a_plain_file() -> None:
    rows = read(
        "customer,group,product,month,revenue,currency\n"
        'TikTok,ByteDance,gpt-4,2024-03,20000000.00,USD\n"Smith, Inc.",,,2024-03,1234.5,USD\n'
    )
    assert rows == [
        RevenueRow("TikTok", "ByteDance", "2024-03", 2_000_000_000, "USD", "gpt-4", line=2),
        RevenueRow("Smith, Inc.", "Smith, Inc.", "2024-03", 123_450, "USD", line=3),
    ]


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
@pytest.mark.parametrize("bom", [b"", b"\xef\xbb\xbf"])
@pytest.mark.parametrize("newline", ["\n", "\r\n", "\r"])
def test_delimiters_marks_and_line_ends(delimiter: str, bom: bytes, newline: str) -> None:
    lines = ["Customer,Month,Revenue,Currency", "a,2024-01,1,USD", "", "b,2024-01,2,USD"]
    text = newline.join(lines).replace(",", delimiter)
    assert [row.minor for row in read(bom + text.encode())] == [100, 200]


def test_decimal_comma_is_asked_for_never_guessed() -> None:
    text = "customer;month;revenue;currency\na;2024-01;1234,56;EUR\n"
    assert "--decimal-comma" in refusal(text)
    assert read(text, decimal_comma=True)[0].minor == 123_456
    with pytest.raises(DataError, match=r"'1\.234,56' is not a plain decimal"):
        read("customer;month;revenue;currency\na;2024-01;1.234,56;EUR\n", decimal_comma=True)


def test_currencies_keep_their_own_minor_units() -> None:
    assert read(HEADER + "a,2024-01,5,JPY\n")[0].minor == 5
    assert read(HEADER + "a,2024-01,5.001,KWD\n")[0].minor == 5_001
    assert "more decimals than JPY (0)" in refusal(HEADER + "a,2024-01,5.1,JPY\n")


def test_credits_are_negative() -> None:
    assert read(HEADER + "a,2024-01,-5.25,USD\n")[0].minor == -525


def test_every_bad_row_is_named_with_line_and_reason() -> None:
    message = refusal(
        HEADER
        + "a,2024-01,1.00,USD\n"
        + ",2024-01,1,USD\n"
        + "b,March 2024,1,USD\n"
        + 'c,2024-01,"1,000.00",USD\n'
        + "d,2024-01,1.005,USD\n"
        + "e,2024-01,1,usd\n"
        + "f,2024-01,1,EUR\n"
        + "a,2024-01,2.00,USD\n"
        + "g,2024-01,1\n"
        + "h\x1b[31m,2024-01,1,USD\n"
        + "i,2024-01,1e3,USD\n"
        + "j,2024-01,NaN,USD\n"
        + "k,2024-13,1,USD\n"
        + "l,9999-01,1,USD\n"
    )
    expected = {
        3: "customer is empty",
        4: "'March 2024' is not a month",
        5: "'1,000.00' is not a plain decimal",
        6: "more decimals than USD (2)",
        7: "'usd' is not an ISO 4217 code",
        8: "EUR in a file that begins in USD",
        9: "the same customer, product and month as line 2",
        10: "3 fields where the header has 4",
        11: "control character",
        12: "'1e3' is not a plain decimal",
        13: "'NaN' is not a plain decimal",
        14: "'2024-13' is not a month",
        15: "outside 1970 to 2199",
    }
    lines = message.splitlines()
    assert lines[0] == "r.csv: 13 rows cannot be used"
    for shown, (line, reason) in zip(lines[1:], expected.items(), strict=True):
        assert shown.startswith(f"  line {line}: ")
        assert reason in shown


def test_lines_are_counted_in_the_file_not_in_rows() -> None:
    text = HEADER + '\n"two\nlines",2024-01,1,USD\nb,2024-01,x,USD\n'
    message = refusal(text)
    assert "line 3: customer holds a control character" in message
    assert "line 5: revenue 'x'" in message


def test_a_customer_cannot_change_its_group_inside_a_file() -> None:
    message = refusal(
        "customer,group,month,revenue,currency\na,A,2024-01,1,USD\na,B,2024-02,1,USD\n"
    )
    assert "line 3: 'a' is in group 'B' here and in 'A' at line 2" in message


def test_the_same_month_of_two_products_is_no_duplicate() -> None:
    text = "customer,product,month,revenue,currency\na,x,2024-01,1,USD\na,y,2024-01,1,USD\n"
    assert len(read(text)) == 2


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "is empty"),
        ("\n  \n", "is empty"),
        (HEADER, "no rows"),
        ("customer,month,revenue\na,2024-01,1\n", "column 'currency' is missing"),
        ("customer,month,revenue,currency,groups\n", "unknown column 'groups'"),
        ("customer,customer,month,revenue,currency\n", "'customer' is there twice"),
        (HEADER + 'a,"2024-01,1,USD\n', "line 2: not readable as CSV"),
        (HEADER + '"a"b,2024-01,1,USD\n', "line 2: not readable as CSV"),
        (HEADER + "a\0,2024-01,1,USD\n", "line 2"),
    ],
)
def test_files_that_cannot_be_read(text: str, reason: str) -> None:
    assert reason in refusal(text)


def test_other_encodings_are_refused_by_line() -> None:
    assert "r.csv, line 2: not UTF-8" in refusal(HEADER.encode() + "Müller,2024".encode("latin-1"))
    assert "not UTF-8" in refusal((HEADER + "a,2024-01,1,USD\n").encode("utf-16"))


def test_a_column_can_be_left_out_by_name() -> None:
    text = "customer,month,revenue,currency,segment\na,2024-01,1,USD,eu\n"
    assert "unknown column 'segment'" in refusal(text)
    assert read(text, ignore="Segment")[0].customer == "a"


def test_equal_names_in_two_spellings_of_unicode_are_one() -> None:
    rows = read(HEADER + "Müller,2024-01,1,USD\nMu\u0308ller,2024-02,1,USD\n")
    assert len({row.customer for row in rows}) == 1


def test_sizes_are_bounded(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(csv_rows, "CSV_ROWS_MAX", 2)
    text = HEADER + "".join(f"c{n},2024-01,1,USD\n" for n in range(3))
    assert "more than 2 rows" in refusal(text)
    file = tmp_path / "big.csv"
    file.write_bytes(b"x" * (1024 * 1024 + 1))
    with pytest.raises(DataError, match=r"big\.csv is larger than 1 MiB"):
        read_bytes(file, 1024 * 1024)
    assert len(read_bytes(file, 1024 * 1024 + 1)) == 1024 * 1024 + 1


def test_paths_that_cannot_be_read(tmp_path: Path) -> None:
    for path in (tmp_path / "missing.csv", tmp_path):
        with pytest.raises(DataError, match="cannot be read"):
            read_bytes(path, 10)


def test_region_and_contract_end_are_read_and_tell_rows_apart() -> None:
    rows = read(
        "customer,month,revenue,currency,region,contract_end\n"
        "a,2024-01,1,USD,eu,2025-03-31\na,2024-01,2,USD,us,2025-03\nb,2024-01,3,USD,,\n"
    )
    assert [(row.region, row.contract_end) for row in rows] == [
        ("eu", "2025-03"),
        ("us", "2025-03"),
        ("", ""),
    ]
    head = "customer,month,revenue,currency,contract_end\n"
    assert "'2025-13' is not a month" in refusal(head + "a,2024-01,1,USD,2025-13-01\n")
    assert "'2025-02-32' is not a month" in refusal(head + "a,2024-01,1,USD,2025-02-32\n")


def test_other_ways_to_write_an_amount_are_named() -> None:
    assert "leave thousands separators out" in refusal(HEADER + 'a,2024-03,"1,000.00",USD\n')
    assert "more than 15 digits" in refusal(HEADER + "a,2024-03,1000000000000000.00,USD\n")
    with pytest.raises(DataError, match="1234,56; leave --decimal-comma out"):
        read(HEADER + "a,2024-03,1000.00,USD\n", decimal_comma=True)


def test_a_file_that_is_wrong_throughout_says_so_briefly() -> None:
    lines = refusal(HEADER + "a,March,1.00,USD\n" * 5_000).splitlines()
    assert lines[0] == "r.csv: 5000 rows cannot be used"
    assert len(lines) == csv_rows.BAD_ROWS_SHOWN_MAX + 2
    assert lines[-1] == "  and 4900 more"
