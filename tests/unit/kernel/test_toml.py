"""No document makes the reader raise anything but an error that names it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from quartermaster.billing.pricebook import load
from quartermaster.config import load as load_settings
from quartermaster.exposure.bands_file import read_bands
from quartermaster.kernel.errors import DataError, QuartermasterError
from quartermaster.kernel.toml import parse_toml

HOSTILE = {
    "nested": b"a = " + b"[" * 5_000,
    "number": b"a = " + b"9" * 5_000,
    "latin": b'a = "\xe4"',
    "broken": b"a = ",
}


def test_a_document_with_or_without_a_mark() -> None:
    assert parse_toml(b"a = 1", "x") == parse_toml(b"\xef\xbb\xbfa = 1", "x") == {"a": 1}


@pytest.mark.parametrize("data", HOSTILE.values(), ids=HOSTILE)
def test_hostile_documents_are_refused_by_name(data: bytes) -> None:
    with pytest.raises(DataError, match=r"^prices\.toml"):
        parse_toml(data, "prices.toml")


@pytest.mark.parametrize("data", HOSTILE.values(), ids=HOSTILE)
def test_every_reader_passes_the_refusal_on(
    data: bytes, tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = tmp_path_factory.mktemp("toml") / "q.toml"
    path.write_bytes(data)
    with pytest.raises(QuartermasterError, match=r"q\.toml"):
        load_settings(str(path), environ={})
    for reader in (load, read_bands):
        with pytest.raises(DataError, match=r"^f\.toml"):
            reader(data, "f.toml")


@given(st.binary(max_size=200) | st.text(max_size=200).map(str.encode))
def test_any_bytes_are_a_tree_or_a_refusal(data: bytes) -> None:
    refused = ""
    tree: object = {}
    try:
        tree = parse_toml(data, "any")
    except DataError as error:
        refused = error.message
    assert isinstance(tree, dict)
    assert refused == "" or refused.startswith("any")
