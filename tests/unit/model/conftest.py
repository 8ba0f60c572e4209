"""Fixtures of the model room: the real weights where they are, and a runtime made of arithmetic."""

import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from quartermaster.model.llama_binding import Entry
from quartermaster.model.sampler import Logits
from quartermaster.model.weights import WEIGHTS_NAME

REPOSITORY = Path(__file__).resolve().parents[3]


@pytest.fixture(scope="session")
def weights() -> Path:
    """The real weights. Absent they skip a test at a desk and fail it in CI, which pulls them."""
    named = os.environ.get("QUARTERMASTER_TEST_WEIGHTS")
    path = Path(named) if named else REPOSITORY / "var" / "model" / WEIGHTS_NAME
    if not path.is_file():
        reason = f"no weights at {path}; run: quartermaster model pull"
        if os.environ.get("CI"):
            pytest.fail(reason)
        pytest.skip(reason)
    return path


class ArithmeticRuntime:
    """A model whose next token is a function of every id its slot has read.

    It checks what the real runtime relies on: positions without gaps, and slots emptied before
    another answer uses them. Ids are bytes; 0 ends the turn.
    """

    vocabulary = 128

    def __init__(self) -> None:
        self.slots: dict[int, list[int]] = {}
        self.calls: list[list[Entry]] = []
        self.closed = False
        self._state: list[list[int]] = []

    def decode(self, entries: Sequence[Entry]) -> None:
        self.calls.append(list(entries))
        self._state = []
        for entry in entries:
            read = self.slots.setdefault(entry.slot, [])
            assert entry.position == len(read), "a position was skipped or read twice"
            read.append(entry.token)
            self._state.append(list(read))

    def logits(self, index: int) -> Logits:
        assert self.calls[-1][index].wants_logits
        read = self._state[index]
        seed = hash(tuple(read)) % 2**32
        return np.random.default_rng(seed).normal(size=self.vocabulary).astype(np.float32)

    def piece(self, token: int) -> bytes:
        return bytes([token])

    def ends_turn(self, token: int) -> bool:
        return token == 0

    def forget(self, slot: int) -> None:
        self.slots[slot] = []

    def close(self) -> None:
        self.closed = True


@pytest.fixture
def runtime() -> ArithmeticRuntime:
    return ArithmeticRuntime()
