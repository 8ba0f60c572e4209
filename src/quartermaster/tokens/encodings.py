"""Which OpenAI encoding a model reads, by name.

Source: tiktoken 0.14, `tiktoken/model.py` (MIT), the families that use cl100k_base or o200k_base.
Older encodings (p50k, r50k, gpt2) belong to models that are no longer sold.
"""

from typing import Literal, get_args

Encoding = Literal["cl100k_base", "o200k_base"]
ENCODINGS: tuple[Encoding, ...] = get_args(Encoding)

_BY_MODEL: dict[str, Encoding] = {
    "o1": "o200k_base",
    "o3": "o200k_base",
    "o4-mini": "o200k_base",
    "gpt-4.1": "o200k_base",
    "gpt-4o": "o200k_base",
    "gpt-4": "cl100k_base",
    "gpt-3.5-turbo": "cl100k_base",
    "gpt-3.5": "cl100k_base",
    "gpt-35-turbo": "cl100k_base",
    "davinci-002": "cl100k_base",
    "babbage-002": "cl100k_base",
    "text-embedding-ada-002": "cl100k_base",
    "text-embedding-3-small": "cl100k_base",
    "text-embedding-3-large": "cl100k_base",
}

# In this order: `gpt-4-` must not catch what `gpt-4.1-` or `gpt-4o-` name.
_BY_PREFIX: tuple[tuple[str, Encoding], ...] = (
    ("o1-", "o200k_base"),
    ("o3-", "o200k_base"),
    ("o4-mini-", "o200k_base"),
    ("gpt-5", "o200k_base"),
    ("gpt-4.5-", "o200k_base"),
    ("gpt-4.1-", "o200k_base"),
    ("chatgpt-4o-", "o200k_base"),
    ("gpt-4o-", "o200k_base"),
    ("gpt-4-", "cl100k_base"),
    ("gpt-3.5-turbo-", "cl100k_base"),
    ("gpt-35-turbo-", "cl100k_base"),
    # o200k_harmony adds control tokens only; ordinary text is encoded as by o200k_base.
    ("gpt-oss-", "o200k_base"),
    ("ft:gpt-4o", "o200k_base"),
    ("ft:gpt-4", "cl100k_base"),
    ("ft:gpt-3.5-turbo", "cl100k_base"),
    ("ft:davinci-002", "cl100k_base"),
    ("ft:babbage-002", "cl100k_base"),
)


def encoding_of(model_or_encoding: str) -> Encoding | None:
    """The encoding of that name or of that OpenAI model; None for everything else."""
    for encoding in ENCODINGS:
        if model_or_encoding == encoding:
            return encoding
    if model_or_encoding in _BY_MODEL:
        return _BY_MODEL[model_or_encoding]
    return next((name for prefix, name in _BY_PREFIX if model_or_encoding.startswith(prefix)), None)
