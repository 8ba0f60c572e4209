"""Public corpora as keyed hashes: which prompts come from a public training set or benchmark?

A registry is built from files that the user has, holds no text, and belongs to one key. Corpora of
two kinds are kept apart, because they mean opposite things: items that others trained on (`train`)
speak for a harvest, items of a benchmark's test split (`test`) for an evaluation. Words that many
items of a file share are its wrapper, not its content, and are left out.

An item of a few words holds no run of seven. It is known as a whole, and only in a prompt that says
little else: "name three primary colours" inside a page of text is nobody's corpus.
"""

import math
from collections.abc import Iterable
from hashlib import blake2b
from pathlib import Path
from typing import Literal, NamedTuple

import msgspec
import numpy as np

from quartermaster.conduct.shingles import HashArray, shingled
from quartermaster.kernel.errors import ConflictError, DataError

Split = Literal["train", "test"]

CORPUS_WORDS = 7
"""Seven words in the same order are rarely chance; research measured 0.3 % at worst."""
RUN_MIN = 2
"""Two overlapping runs are eight words in order: taken over, whatever wraps them."""
SHORT_SHARE = 0.5
"""Of a shorter prompt, half of its runs must be known."""
WHOLE_WORDS_MIN = 4
"""Three words are said by anybody."""
WHOLE_SHARE = 0.25
"""A short item is taken for itself only where it is a quarter of the prompt's words or more."""
WRAPPER_ITEMS_MIN = 5
"""A run that stands in fewer items may be content that repeats."""
WRAPPER_SHARE = 0.01
"""A run in more than one item of a hundred is the file's own wrapper."""
ITEMS_MAX = 5_000_000
"""Five million items of a hundred words are 4 GB of hashes: beyond one machine's watch role."""
FORMAT = "quartermaster-conduct-registry-2"


class Registry(NamedTuple):
    """Sorted keyed hashes of seven consecutive words and of whole short items, by kind."""

    key_check: bytes
    """Shows under which key it was built, without revealing the key."""
    train: HashArray
    test: HashArray
    corpora: tuple[str, ...]

    def hits(self, words: HashArray) -> tuple[float, float]:
        """1.0 where a prompt is taken from a training corpus, and from a test split; else 0.0.

        An item known as both is a benchmark item: contaminated training sets hold test splits.

        Args:
            words: the keyed hash of each word of the prompt.
        """
        runs = shingled(words, CORPUS_WORDS)
        wholes = _possible_wholes(words)
        test = _taken(runs, self.test) or _holds(wholes, self.test)
        train = not test and (_taken(runs, self.train) or _holds(wholes, self.train))
        return float(train), float(test)


class _Stored(msgspec.Struct, array_like=True):
    format: str
    key_check: bytes
    train: bytes
    test: bytes
    corpora: tuple[str, ...]


def check_of(key: bytes) -> bytes:
    """What tells keys apart without revealing them."""
    return blake2b(b"registry", key=key, digest_size=16).digest()


def build(items: Iterable[tuple[str, Split, Iterable[HashArray]]], key: bytes) -> Registry:
    """A registry of corpora.

    Args:
        items: for each corpus its name, its kind and the hashed words of each of its items.
        key: the key that the words were hashed under.

    Raises:
        DataError: a corpus holds more items than `ITEMS_MAX`, or none with four words.
    """
    kept: dict[Split, list[HashArray]] = {"train": [], "test": []}
    names = []
    for name, split, found in items:
        kept[split].append(_content(name, found))
        names.append(f"{name} ({split})")
    train, test = (
        np.unique(np.concatenate(kept[split])) if kept[split] else np.empty(0, dtype=np.uint64)
        for split in ("train", "test")
    )
    return Registry(check_of(key), train, test, tuple(names))


def save(registry: Registry, path: Path) -> None:
    """Write a registry. It holds no text, but who has it and the key can test sentences."""
    stored = _Stored(
        FORMAT,
        registry.key_check,
        registry.train.astype("<u8").tobytes(),
        registry.test.astype("<u8").tobytes(),
        registry.corpora,
    )
    path.write_bytes(msgspec.msgpack.encode(stored))


def load(path: Path, key: bytes) -> Registry:
    """A registry from its file.

    Raises:
        DataError: the file is no registry.
        ConflictError: it was built under another key, so nothing in it could match.
    """
    try:
        stored = msgspec.msgpack.decode(path.read_bytes(), type=_Stored)
        train, test = (np.frombuffer(part, dtype="<u8") for part in (stored.train, stored.test))
    except (msgspec.DecodeError, ValueError) as error:
        raise DataError(f"{path.name} is not a registry: {error}") from error
    if stored.format != FORMAT:
        raise DataError(f"{path.name} is a registry of another version ({stored.format!r})")
    if stored.key_check != check_of(key):
        raise ConflictError(
            f"{path.name} was built under another key",
            hint="give the key file it was built with, or build it again",
        )
    return Registry(
        stored.key_check, train.astype(np.uint64), test.astype(np.uint64), stored.corpora
    )


def _content(name: str, items: Iterable[HashArray]) -> HashArray:
    runs = [
        np.unique(_of_item(words)) for _, words in zip(range(ITEMS_MAX + 1), items, strict=False)
    ]
    if len(runs) > ITEMS_MAX:
        raise DataError(f"{name} holds more than {ITEMS_MAX} items", hint="split the file")
    held = np.concatenate(runs) if runs else np.empty(0, dtype=np.uint64)
    if not len(held):
        raise DataError(f"{name} holds no text of {WHOLE_WORDS_MIN} words or more")
    values, counts = np.unique(held, return_counts=True)
    return values[counts < max(WRAPPER_ITEMS_MIN, WRAPPER_SHARE * len(runs))]


def _of_item(words: HashArray) -> HashArray:
    """An item's runs; of an item with at most one, the whole of it."""
    if len(words) > CORPUS_WORDS:
        return shingled(words, CORPUS_WORDS)
    return shingled(words, max(len(words), WHOLE_WORDS_MIN))


def _possible_wholes(words: HashArray) -> HashArray:
    """The hash of every run that could be a short item which fills enough of the prompt."""
    longest = min(CORPUS_WORDS, len(words))
    shortest = max(WHOLE_WORDS_MIN, math.ceil(WHOLE_SHARE * len(words)))
    sizes = range(shortest, longest + 1)
    return np.concatenate([shingled(words, size) for size in sizes] or [words[:0]])


def _holds(wholes: HashArray, known: HashArray) -> bool:
    if not len(known) or not len(wholes):
        return False
    places = np.searchsorted(known, wholes)
    places[places == len(known)] = 0
    return bool((known[places] == wholes).any())


def _taken(shingles: HashArray, known: HashArray) -> bool:
    if not len(known) or not len(shingles):
        return False
    places = np.searchsorted(known, shingles)
    places[places == len(known)] = 0
    hit = known[places] == shingles
    total = int(hit.sum())
    if total < min(RUN_MIN, SHORT_SHARE * len(shingles)) or total == 0:
        return False
    if len(shingles) <= RUN_MIN:
        return total >= SHORT_SHARE * len(shingles)
    edges = np.flatnonzero(np.diff(np.concatenate(([0], hit.view(np.int8), [0]))))
    return int((edges[1::2] - edges[::2]).max()) >= RUN_MIN
