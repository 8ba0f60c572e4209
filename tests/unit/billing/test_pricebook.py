"""Price books from TOML: the packaged one, and messages that name entry and field."""

import pytest

from quartermaster.billing.pricebook import load, starter
from quartermaster.kernel.errors import DataError
from quartermaster.kernel.price import TEXT_AXES

HEADER = """
[price_book]
id = "list"
version = 1
currency = "USD"
valid_from = 2026-01-01T00:00:00Z
"""
ENTRY = """
[[price]]
model = "m"
input = "0.15"
"""


def test_the_starter_book_prices_every_text_axis_of_both_models_in_three_classes() -> None:
    book = starter()
    assert not book.sample
    assert "example" in book.source
    for model in ("smollm2-135m-instruct", "toy"):
        assert book.unpriced_axes(model, TEXT_AXES, "standard") == ()
        assert book.unpriced_axes(model, TEXT_AXES, "batch") == ()
        assert book.unpriced_axes(model, TEXT_AXES, "priority") == ()
        assert book.unpriced_axes(model, TEXT_AXES, "provisioned") == TEXT_AXES


def test_a_book_is_read_as_written() -> None:
    book = load((HEADER + ENTRY + 'image = "0.02"\nsource = "quote 7"').encode(), "p.toml")
    assert (book.id, book.version, book.currency) == ("list", 1, "USD")
    assert [(p.axis, p.amount, p.unit, p.source) for p in book.prices] == [
        ("input", "0.15", "1M_tokens", "quote 7"),
        ("image", "0.02", "1_image", "quote 7"),
    ]


def test_batch_prices_are_a_share_of_the_others_where_nobody_wrote_them_out() -> None:
    own = '[[price]]\nmodel = "n"\ninput = "3"\n[[price]]\nmodel = "n"\ninput = "1"\n'
    own += 'service_class = "batch"\n'
    text = HEADER + "batch_percent = 50" + ENTRY + 'output = "0.0333"\nimage = "1.00"\n' + own
    book = load(text.encode(), "p.toml")
    batch = {(p.model, p.axis): p for p in book.prices if p.service_class == "batch"}
    assert {key: price.amount for key, price in batch.items()} == {
        ("m", "input"): "0.075",
        ("m", "output"): "0.01665",
        ("m", "image"): "0.5",
        ("n", "input"): "1",
    }
    assert batch["m", "image"].unit == "1_image"
    whole = HEADER + "batch_percent = 100" + ENTRY.replace("0.15", "200")
    assert load(whole.encode(), "p.toml").prices[1].amount == "200"


@pytest.mark.parametrize(
    ("text", "message", "field"),
    [
        ("[price_book", "p.toml: not TOML", None),
        (ENTRY, "has no [price_book]", "price_book"),
        (HEADER, "has no [[price]] entry", "price"),
        (HEADER.replace("version = 1", "") + ENTRY, "has no version", "version"),
        (HEADER.replace("version = 1", "version = 0") + ENTRY, "whole number", "version"),
        (HEADER.replace("version = 1", 'version = "1"') + ENTRY, "whole number", "version"),
        (HEADER.replace('"USD"', '"usd"') + ENTRY, "ISO 4217", None),
        (HEADER.replace("00:00Z", "30:00Z") + ENTRY, "full hour", "valid_from"),
        (HEADER.replace("T00:00:00Z", "") + ENTRY, "with an offset", "valid_from"),
        (HEADER + "batch_percent = 0" + ENTRY, "whole number from 1", "batch_percent"),
        (HEADER + "batch_percent = 101" + ENTRY, "whole number from 1", "batch_percent"),
        (HEADER + "batch_percent = 0.5" + ENTRY, "whole number from 1", "batch_percent"),
        (HEADER + "discount = 1" + ENTRY, "unknown field 'discount'", "discount"),
        (HEADER + ENTRY.replace('"0.15"', "0.15"), "[[price]] 1 (m): input is not", "input"),
        (HEADER + ENTRY.replace("0.15", "0,15"), "[[price]] 1 (m): input: '0,15'", "input"),
        (HEADER + ENTRY.replace("0.15", "-1"), "[[price]] 1 (m): input is negative", "input"),
        (HEADER + ENTRY.replace("0.15", "NaN"), "[[price]] 1 (m): input: 'NaN'", "input"),
        (HEADER + ENTRY.replace("input", "inptu"), "unknown field 'inptu'", "inptu"),
        (HEADER + ENTRY + ENTRY.replace('input = "0.15"', ""), "[[price]] 2 (m) prices", None),
        (HEADER + ENTRY + ENTRY.replace('model = "m"', ""), "[[price]] 2 has no", "model"),
        (HEADER + ENTRY + ENTRY, "m input standard is priced twice", None),
        (HEADER + ENTRY + 'service_class = "slow"', "unknown service_class", "service_class"),
    ],
)
def test_what_cannot_be_used_is_named(text: str, message: str, field: str | None) -> None:
    with pytest.raises(DataError) as refused:
        load(text.encode(), "p.toml")
    assert message in refused.value.message
    assert refused.value.field == field


def test_a_bare_number_is_refused_with_the_reason() -> None:
    with pytest.raises(DataError) as refused:
        load((HEADER + ENTRY.replace('"0.15"', "0.15")).encode(), "p.toml")
    assert "not exact" in refused.value.hint
