"""How many tokens are the pieces of a stream, where no model server says so?

Most servers send a piece a token, and then counting pieces is exact. Some send every character by
itself, others a dozen tokens at once: there the text counts, four bytes a token.
"""

from typing import Final

# English text has about four bytes a token (OpenAI's rule of thumb).
BYTES_PER_TOKEN: Final = 4
# Pieces that are shorter on average are characters: tokens of any language but a list of digits
# have more.
TOKEN_BYTES_MIN: Final = 2
# Pieces that are longer on average are several tokens: words are shorter in every language.
TOKEN_BYTES_MAX: Final = 16
# Before an answer is ended for its length, doubt counts for the model server: prose in characters,
# at the most bytes a token that the newest vocabularies reach, and code and Chinese in tokens.
SURELY_TOKENS_BYTES_MIN: Final = 3
LONG_TOKEN_BYTES: Final = 8


def tokens_of_bytes(count: int) -> int:
    """Bytes by `BYTES_PER_TOKEN`, rounded up."""
    return -(-count // BYTES_PER_TOKEN)


def tokens_of(pieces: int, text_bytes: int) -> int:
    """An estimate of the tokens in some pieces.

    Args:
        pieces: how many have come.
        text_bytes: of all of them.
    """
    if TOKEN_BYTES_MIN * pieces <= text_bytes <= TOKEN_BYTES_MAX * pieces:
        return pieces
    return tokens_of_bytes(text_bytes)


def tokens_at_least(pieces: int, text_bytes: int) -> int:
    """The fewest tokens that some pieces can reasonably be.

    Args:
        pieces: how many have come.
        text_bytes: of all of them.
    """
    if text_bytes >= SURELY_TOKENS_BYTES_MIN * pieces:
        return pieces
    return text_bytes // LONG_TOKEN_BYTES


def text_bytes_of(raw: bytes) -> int:
    """The bytes of a text that stands as a JSON string; what is none counts as one token."""
    if raw[:1] != b'"':
        return BYTES_PER_TOKEN
    size = len(raw) - 2
    if b"\\" in raw:
        # `\n` is one character, `\u00e4` is some three bytes of plain text.
        size -= raw.count(b"\\") + 2 * raw.count(b"\\u")
    return size
