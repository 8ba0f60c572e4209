"""From one request to a fingerprint that holds no text: what is kept when the text is forgotten.

All hashes are keyed per deployment (keyed BLAKE2b a word, combined along the text), so fingerprints
of one deployment say nothing to who does not hold its key. Of a long prompt only its frame is read,
the head and the tail: that is where instructions stand, and it bounds the cost of a request.
"""

import re
from hashlib import blake2b
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from quartermaster.conduct import words
from quartermaster.conduct.records import Request
from quartermaster.conduct.registry import Registry
from quartermaster.conduct.shingles import MIX, HashArray, shingled

Facts = npt.NDArray[np.float16]
Vector = npt.NDArray[np.int8]
Marks = npt.NDArray[np.uint32]

HEAD_CHARS = 600
"""Instructions in front of material; a median prompt is read whole."""
TAIL_CHARS = 240
"""Instructions after material: a sentence or two."""
SYSTEM_CHARS = 400
"""Who speaks is said in the first sentences of a system prompt."""
VOCABULARY_MAX = 65_536
"""Word hashes kept, some 8 MB; the table is emptied when it is full, and common words come back."""
SHINGLE_WORDS = 4
"""Short enough that a template with slots leaves whole shingles."""
MARKS = 16
"""The smallest shingle hashes of a request: a min-wise sample, the same for the same words."""
NEAR_WORDS = 8
"""A verb and its object stand within a clause."""
VECTOR_SIZE = 48
"""Random projection of content words: cosines between prompts within about 0.15."""
PROJECTION_ROWS = 4_096
"""Words share a row one time in four thousand: less than the projection itself blurs."""
VECTOR_SCALE = 127
"""A coordinate of a unit vector as one byte."""
KEY_BYTES = 32
"""256 bits: nobody guesses the key from known words and their hashes."""
FACT_MAX = 2_000.0
"""A count above this says no more; it also keeps half-precision numbers exact."""

_LATIN = r"[^\W\d_]+(?:'[^\W\d_]+)?|\d+"
_WORD = re.compile(_LATIN)
_ANY_WORD = re.compile(
    rf"{'|'.join(words.HAN)}|[\u0e00-\u0e7f\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af]|{_LATIN}"
)
_STEPS = re.compile(r"step[- ]by[- ]step|chain[- ]of[- ]thought|(?:your|all|the) (?:work|steps)\b")
_FOREIGN = re.compile(r"[^\u0000-\u024f]")
_MARKUP = re.compile(r"[#\[<{]")

_ODD = int(MIX)
_PLACES = np.arange(1, 4_001, 2, dtype=np.uint64) * MIX  # more places than a frame has words

FIELDS = (
    *words.NAMES,
    "make_meta",
    "make_meta_vary",
    "rate_reply",
    "steps",
    "system",
    "turns",
    "words",
    "ask_chars",
    "imperative",
    "asking",
    "lines",
    "markup",
    "foreign",
    "train_hit",
    "test_hit",
)
FIELD = {name: place for place, name in enumerate(FIELDS)}
_GROUPS_OF = {
    bits: [group for group in range(len(words.NAMES)) if bits >> group & 1]
    for bits in set(words.MARKERS.values())
}
_RATE, _REPLY = words.NAMES.index("rate"), words.NAMES.index("reply")


class Fingerprint(NamedTuple):
    """One request without its text; some 190 bytes."""

    facts: Facts
    """One number a name in `FIELDS`."""
    vector: Vector
    """Projection of the content words, of length `VECTOR_SCALE`; zero where there are none."""
    marks: Marks
    """The smallest keyed hashes of four consecutive words; zero where there are fewer."""
    edges: Marks
    """Keyed hashes of everything read, of the first two and of the last two words asked."""


class Observer:
    """Fingerprints requests under one deployment's key.

    Args:
        key: 32 bytes that stay inside the deployment.
        registry: public corpora to look for, built under the same key.
    """

    def __init__(self, key: bytes, registry: Registry | None = None) -> None:
        self._key = key
        self._registry = registry
        self._hashes: dict[str, int] = {}
        seed = int.from_bytes(blake2b(b"projection", key=key, digest_size=8).digest(), "big")
        signs = np.random.default_rng(seed).integers(0, 2, (PROJECTION_ROWS, VECTOR_SIZE))
        self._projection = (signs * 2 - 1).astype(np.float32)

    def observe(self, request: Request) -> Fingerprint:
        """The fingerprint of a request; the text is not referenced by the result."""
        ask = request.turns[-1]
        frame = ask
        if len(ask) > HEAD_CHARS + TAIL_CHARS:
            frame = f"{ask[:HEAD_CHARS]} \n {ask[-TAIL_CHARS:]}"
        system = split_words(request.system[:SYSTEM_CHARS])
        spoken = split_words(frame)
        found = system + spoken
        hashes = self.hashed(found)
        train, test = (0.0, 0.0) if self._registry is None else self._corpus_hits(spoken, hashes)
        return Fingerprint(
            facts=_facts(request, frame, spoken, found, (train, test)),
            vector=self._vector(found, hashes),
            marks=_marks(shingled(hashes, SHINGLE_WORDS)),
            edges=_edges(hashes, len(system)),
        )

    def answered(self, text: str) -> tuple[int, Marks]:
        """What is kept of an answer: how many words were read, and the smallest hashes of them."""
        found = split_words(text[:HEAD_CHARS])
        return len(found), _marks(shingled(self.hashed(found), SHINGLE_WORDS))

    def corpus_words(self, text: str) -> HashArray:
        """What a registry is built from: the keyed hash of each word of a corpus item."""
        return self.hashed(split_words(text))

    def hashed(self, found: list[str]) -> HashArray:
        """The keyed hash of each word."""
        known = self._hashes
        try:
            return np.array([known[word] for word in found], dtype=np.uint64)
        except KeyError:
            return self._learnt(found)

    def _learnt(self, found: list[str]) -> HashArray:
        if len(self._hashes) + len(found) > VOCABULARY_MAX:
            self._hashes.clear()
        for word in found:
            if word not in self._hashes:
                digest = blake2b(word.encode("utf-8", "replace"), key=self._key, digest_size=8)
                self._hashes[word] = int.from_bytes(digest.digest(), "little")
        return np.array([self._hashes[word] for word in found], dtype=np.uint64)

    def _vector(self, found: list[str], hashes: HashArray) -> Vector:
        stop = words.STOP
        places = [at for at, word in enumerate(found) if word not in stop]
        if not places:
            return np.zeros(VECTOR_SIZE, dtype=np.int8)
        rows = (hashes[places] % np.uint64(PROJECTION_ROWS)).astype(np.intp)
        total = self._projection[rows].sum(axis=0)
        length = float(np.sqrt(total @ total)) or 1.0
        scaled: Vector = np.rint(total * (VECTOR_SCALE / length)).astype(np.int8)
        return scaled

    def _corpus_hits(self, spoken: list[str], hashes: HashArray) -> tuple[float, float]:
        assert self._registry is not None
        asked = hashes[len(hashes) - len(spoken) :]
        return self._registry.hits(asked)


def split_words(text: str) -> list[str]:
    """Lower-case words and numbers; known terms or characters of scripts without spaces."""
    lower = text.lower()
    return (_WORD if lower.isascii() else _ANY_WORD).findall(lower)


def _marks(shingles: HashArray) -> Marks:
    out = np.zeros(MARKS, dtype=np.uint32)
    if len(shingles) > MARKS:
        shingles = np.partition(shingles, MARKS)[:MARKS]
    # The low half: the high half of the smallest of many is nearly zero.
    out[: len(shingles)] = (shingles & np.uint64(0xFFFFFFFF)).astype(np.uint32)
    return out


def _edges(hashes: HashArray, system: int) -> Marks:
    asked = hashes[system:]
    sums = [int(part @ _PLACES[: len(part)]) for part in (hashes, asked[:2], asked[-2:])]
    return np.array([(total * _ODD & 0xFFFFFFFFFFFFFFFF) >> 32 for total in sums], dtype=np.uint32)


def _facts(
    request: Request, frame: str, spoken: list[str], found: list[str], hits: tuple[float, float]
) -> Facts:
    get = words.MARKERS.get
    counts = [0] * len(words.NAMES)
    made = varied = -NEAR_WORDS - 1
    linked = linked_varied = 0
    for place, word in enumerate(found):
        bits = get(word, 0)
        if word in words.ELSEWHERE:
            made = -NEAR_WORDS - 1
        if bits:
            for group in _GROUPS_OF[bits]:
                counts[group] += 1
            if bits & words.MAKE:
                made = place
            if bits & words.VARY:
                varied = place
            if bits & words.META and place - made <= NEAR_WORDS:
                linked += 1
                linked_varied += place - varied <= NEAR_WORDS
    first = spoken[0] if spoken else ""
    foreign = 0.0 if frame.isascii() else len(_FOREIGN.findall(frame)) / len(frame)
    facts = (
        *counts,
        linked,
        linked_varied,
        min(counts[_RATE], counts[_REPLY]),
        1 if _STEPS.search(frame.lower()) else 0,
        1 if request.system else 0,
        len(request.turns),
        len(found),
        min(len(request.turns[-1]), FACT_MAX),
        first in words.IMPERATIVES,
        first in words.ASKING,
        min(frame.count("\n"), FACT_MAX),
        min(len(_MARKUP.findall(frame)), FACT_MAX),
        foreign,
        *hits,
    )
    return np.array(facts, dtype=np.float16)
