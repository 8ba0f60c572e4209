"""llama.cpp through the C functions that the `xllamacpp` wheel exports, by ctypes, no compiler.

Its Python API hides the logits; its shared object exports the whole `llama_*` C API. The two
parameter structs are passed as over-sized opaque blocks of which only the first four words of the
context's are written: large structs travel in memory (SysV x86-64) or by reference (AArch64), so
their true length does not matter, and fields may be added behind without breaking us. The version
is pinned and every start is tried in a child process first (`self_test`).
"""

import ctypes
import logging
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from quartermaster.kernel.errors import UnavailableError
from quartermaster.model.openmp import LIBRARY_NAME, SYSTEM_REMEDY, lend
from quartermaster.model.sampler import Logits

log = logging.getLogger(__name__)

PARAMETER_WORDS = 256
"""1 KiB of int32: the real structs are 100-200 bytes in this version, with room to grow."""

PIECE_BYTES_MAX = 256
"""The longest vocabulary entry is far shorter; a larger one is an error of the runtime."""

BATCH_TOKENS_MAX = 512
"""Tokens in one decode call; a longer call would hold every other answer up for seconds."""

_LOG_LEVEL_ERROR = 4

_Handle = ctypes.c_void_p
_Int = ctypes.c_int32
_IntPointer = ctypes.POINTER(_Int)
_LogFunction = ctypes.CFUNCTYPE(None, ctypes.c_int, ctypes.c_char_p, ctypes.c_void_p)


class _Parameters(ctypes.Structure):
    _fields_ = (("words", _Int * PARAMETER_WORDS),)


class _Batch(ctypes.Structure):
    # struct llama_batch of llama.h; `self_test` decodes a token, so a changed layout shows there.
    _fields_ = (
        ("n_tokens", _Int),
        ("token", _IntPointer),
        ("embd", ctypes.c_void_p),
        ("pos", _IntPointer),
        ("n_seq_id", _IntPointer),
        ("seq_id", ctypes.POINTER(_IntPointer)),
        ("logits", ctypes.POINTER(ctypes.c_int8)),
    )


_SIGNATURES: dict[str, tuple[Any, list[Any]]] = {
    "llama_backend_init": (None, []),
    "llama_log_set": (None, [_LogFunction, _Handle]),
    "llama_model_default_params": (_Parameters, []),
    "llama_context_default_params": (_Parameters, []),
    "llama_model_load_from_file": (_Handle, [ctypes.c_char_p, _Parameters]),
    "llama_model_get_vocab": (_Handle, [_Handle]),
    "llama_model_free": (None, [_Handle]),
    "llama_init_from_model": (_Handle, [_Handle, _Parameters]),
    "llama_free": (None, [_Handle]),
    "llama_n_ctx_seq": (ctypes.c_uint32, [_Handle]),
    "llama_set_n_threads": (None, [_Handle, _Int, _Int]),
    "llama_get_memory": (_Handle, [_Handle]),
    "llama_memory_seq_rm": (ctypes.c_bool, [_Handle, _Int, _Int, _Int]),
    "llama_decode": (_Int, [_Handle, _Batch]),
    "llama_get_logits_ith": (ctypes.POINTER(ctypes.c_float), [_Handle, _Int]),
    "llama_vocab_n_tokens": (_Int, [_Handle]),
    "llama_vocab_is_eog": (ctypes.c_bool, [_Handle, _Int]),
    "llama_tokenize": (
        _Int,
        [_Handle, ctypes.c_char_p, _Int, _IntPointer, _Int, ctypes.c_bool, ctypes.c_bool],
    ),
    "llama_token_to_piece": (
        _Int,
        [_Handle, _Int, ctypes.c_char_p, _Int, _Int, ctypes.c_bool],
    ),
}


class _RuntimeLog:
    """The runtime's log lines as debug records, and the last error for our messages."""

    def __init__(self) -> None:
        self.last_error = ""
        self.function = _LogFunction(self._receive)

    def _receive(self, level: int, text: bytes | None, _: object) -> None:
        line = (text or b"").decode(errors="replace").strip()
        if level == _LOG_LEVEL_ERROR:
            self.last_error = line
        log.debug("%s", line)


# One for the process and never freed: the runtime keeps the pointer and calls it to its very end.
_RUNTIME_LOG = _RuntimeLog()


class Entry(NamedTuple):
    """One token of a decode call: where it stands, whose it is, whether its logits are wanted."""

    token: int
    position: int
    slot: int
    wants_logits: bool


def load_library(folder: Path) -> ctypes.CDLL:
    """The runtime's shared object with its functions typed.

    Args:
        folder: where OpenMP was put, if the system has none.

    Raises:
        UnavailableError: the `model` extra is not installed, or this build exports no C API.
    """
    hint = "install the model extra (pip install 'quartermaster-ai[model]'), or use the toy model"
    lend(folder)
    try:
        package = import_module("xllamacpp")
        found = sorted(Path(str(package.__file__)).parent.glob("xllamacpp*.so"))
        library = ctypes.CDLL(str(found[0]))
        for name, (result, arguments) in _SIGNATURES.items():
            function = getattr(library, name)
            function.restype, function.argtypes = result, arguments
    except (ImportError, OSError, IndexError, AttributeError) as error:
        if LIBRARY_NAME in str(error):
            hint = f"run: quartermaster model pull; or {SYSTEM_REMEDY}"
        raise UnavailableError(f"the model runtime is not here: {error}", hint=hint) from error
    return library


class Llama:
    """One loaded model with one context of several slots.

    One thread at a time decodes; `tokenise` reads the vocabulary only and may run beside it.
    """

    def __init__(self, path: Path, *, threads: int, slots: int, context_tokens: int) -> None:
        """Load the weights (0.2 s, memory-mapped) and make the context (zeroed: 23 KB a token).

        Raises:
            UnavailableError: the runtime is missing or refuses the file.
        """
        self._library = load_library(path.parent)
        self._library.llama_log_set(_RUNTIME_LOG.function, None)
        self._library.llama_backend_init()
        self._model = self._library.llama_model_load_from_file(
            str(path).encode(), self._library.llama_model_default_params()
        )
        if not self._model:
            raise UnavailableError(f"the runtime cannot load {path}: {_RUNTIME_LOG.last_error}")
        parameters = self._library.llama_context_default_params()
        for index, value in enumerate(
            (context_tokens * slots, BATCH_TOKENS_MAX, BATCH_TOKENS_MAX, slots)
        ):
            parameters.words[index] = value
        self._context = self._library.llama_init_from_model(self._model, parameters)
        if not self._context:
            raise UnavailableError(f"the runtime makes no context: {_RUNTIME_LOG.last_error}")
        self._library.llama_set_n_threads(self._context, threads, threads)
        self._memory = self._library.llama_get_memory(self._context)
        self._vocabulary = self._library.llama_model_get_vocab(self._model)
        self.vocabulary_tokens: int = self._library.llama_vocab_n_tokens(self._vocabulary)
        self.context_tokens: int = self._library.llama_n_ctx_seq(self._context)
        self._piece = ctypes.create_string_buffer(PIECE_BYTES_MAX)
        self._make_batch(slots)

    def _make_batch(self, slots: int) -> None:
        """Arrays for the largest batch, owned by Python and reused for every call."""
        size = BATCH_TOKENS_MAX
        self._token, self._position = (_Int * size)(), (_Int * size)()
        self._slot_count = (_Int * size)(*([1] * size))
        self._slot_cells = [(_Int * 1)(slot) for slot in range(slots)]
        self._slot = (_IntPointer * size)()
        self._wanted = (ctypes.c_int8 * size)()
        self._slot_pointers = [ctypes.cast(cell, _IntPointer) for cell in self._slot_cells]
        self._batch = _Batch(
            0, self._token, None, self._position, self._slot_count, self._slot, self._wanted
        )

    def tokenise(self, text: str, *, control: bool) -> list[int]:
        """Ids of a text; `control` lets control tokens such as `<|im_end|>` be recognised."""
        data = text.encode()
        room = len(data) + 8  # a token covers at least one byte; 8 spare
        ids = (_Int * room)()
        count = self._library.llama_tokenize(
            self._vocabulary, data, len(data), ids, room, False, control
        )
        if count < 0:
            raise UnavailableError(f"the runtime cannot tokenise {len(data)} bytes")
        return list(ids[:count])

    def piece(self, token: int) -> bytes:
        """The bytes a token stands for; control tokens stand for none."""
        length = self._library.llama_token_to_piece(
            self._vocabulary, token, self._piece, PIECE_BYTES_MAX, 0, False
        )
        if length < 0:
            raise UnavailableError(f"token {token} is longer than {PIECE_BYTES_MAX} bytes")
        return self._piece.raw[:length]

    def ends_turn(self, token: int) -> bool:
        """Whether the model ends its answer with this token."""
        return bool(self._library.llama_vocab_is_eog(self._vocabulary, token))

    def decode(self, entries: Sequence[Entry]) -> None:
        """Run one batch; afterwards `logits(i)` is valid for every entry i that wanted them.

        Raises:
            UnavailableError: the runtime failed; the context is in an unknown state.
        """
        assert 0 < len(entries) <= BATCH_TOKENS_MAX, "the batch loop keeps to the batch size"
        for index, entry in enumerate(entries):
            self._token[index] = entry.token
            self._position[index] = entry.position
            self._slot[index] = self._slot_pointers[entry.slot]
            self._wanted[index] = entry.wants_logits
        self._batch.n_tokens = len(entries)
        status = self._library.llama_decode(self._context, self._batch)
        if status != 0:
            raise UnavailableError(
                f"the runtime's decode returned {status}: {_RUNTIME_LOG.last_error}"
            )

    def logits(self, index: int) -> Logits:
        """Raw scores over the vocabulary after entry `index`; a view, valid until `decode`."""
        pointer = self._library.llama_get_logits_ith(self._context, index)
        if not pointer:
            raise UnavailableError(f"the runtime has no logits for entry {index}")
        return np.ctypeslib.as_array(pointer, shape=(self.vocabulary_tokens,))

    def forget(self, slot: int) -> None:
        """Drop everything a slot remembers, before another answer uses it."""
        self._library.llama_memory_seq_rm(self._memory, slot, -1, -1)

    def close(self) -> None:
        """Free context and weights; the object may not be used afterwards."""
        self._library.llama_free(self._context)
        self._library.llama_model_free(self._model)
