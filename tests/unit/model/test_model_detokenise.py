"""Streaming text: whole characters, no stop string, nothing lost."""

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from quartermaster.model.detokenise import TextStream


def streamed(pieces: list[bytes], stop: tuple[str, ...]) -> tuple[list[str], bool]:
    stream = TextStream(stop)
    texts = []
    for piece in pieces:
        texts.append(stream.feed(piece))
        if stream.stopped:
            break
    texts.append(stream.finish())
    return texts, stream.stopped


def cut(data: bytes, at: list[int]) -> list[bytes]:
    edges = sorted({0, len(data), *(n % (len(data) + 1) for n in at)})
    return [data[a:b] for a, b in pairwise(edges)]


SMALL = st.text(alphabet="ab\n👍é", max_size=30)


@given(SMALL, st.lists(st.integers(0, 200)), st.lists(st.text("ab\n👍", max_size=4), max_size=3))
def test_the_pieces_join_to_the_text_before_the_first_stop(
    text: str, at: list[int], stops: list[str]
) -> None:
    texts, stopped = streamed(cut(text.encode(), at), tuple(stops))
    joined = "".join(texts)
    real = [stop for stop in stops if stop]
    assert text.startswith(joined)
    assert not any(stop in joined for stop in real)
    assert stopped == any(stop in text for stop in real)
    if not stopped:
        assert joined == text


@given(SMALL, st.lists(st.integers(0, 200)))
def test_no_piece_ends_inside_a_character(text: str, at: list[int]) -> None:
    texts, _ = streamed(cut(text.encode(), at), ())
    assert "\ufffd" not in "".join(texts)


def test_text_is_released_as_soon_as_it_cannot_begin_a_stop() -> None:
    stream = TextStream(("END",))
    assert stream.feed(b"go E") == "go "
    assert stream.feed(b"N") == ""
    assert stream.feed(b"x") == "ENx"
    assert stream.finish() == ""


def test_a_character_cut_by_the_end_is_replaced() -> None:
    stream = TextStream()
    assert stream.feed("é".encode()[:1]) == ""
    assert stream.finish() == "\ufffd"
