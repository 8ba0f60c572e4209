"""What is true of every count, exact or estimated."""

from hypothesis import given, settings
from hypothesis import strategies as st

from quartermaster.tokens.count import count, estimate

MODELS = st.sampled_from(["cl100k_base", "o200k_base", "mistral-large"])
FAST = settings(max_examples=100, deadline=None)


@FAST
@given(st.text(), MODELS)
def test_a_token_covers_at_least_one_byte(text: str, model: str) -> None:
    tokens = count(text, model)[0]
    assert tokens <= len(text.encode())
    assert (tokens == 0) == (text == "")


@FAST
@given(st.text(), st.text())
def test_the_estimate_is_additive_up_to_its_rounding(left: str, right: str) -> None:
    apart = estimate(left) + estimate(right)
    assert apart - 1 <= estimate(left + right) <= apart


def test_exact_counts_are_not_additive_where_words_join() -> None:
    parts = count("to", "cl100k_base")[0] + count("day", "cl100k_base")[0]
    assert (parts, count("today", "cl100k_base")[0]) == (2, 1)


@FAST
@given(
    st.text(alphabet="abcXYZ'.,!", min_size=1),
    st.text(alphabet="abcXYZ'.,!", min_size=1),
    st.sampled_from(["cl100k_base", "o200k_base"]),
)
def test_lines_are_counted_one_by_one(left: str, right: str, encoding: str) -> None:
    # Both patterns end a piece after a run of line breaks that precedes a visible character, so
    # counts add up there and a long text may be counted in parts.
    whole = count(f"{left}\n{right}", encoding)[0]
    assert whole == count(f"{left}\n", encoding)[0] + count(right, encoding)[0]
