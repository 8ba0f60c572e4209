"""Does the embedded model work on this machine, and how fast?"""

import time
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from quartermaster.kernel.errors import QuartermasterError
from quartermaster.model.settings import SMOLLM2, ModelSettings
from quartermaster.model.start import self_test
from quartermaster.model.weights import WEIGHTS_SHA256, verify

RUN_TOKENS = 48
"""Half a second idle; long enough that the first, slower steps do not set the figure."""


def check(weights: Path, settings: ModelSettings) -> dict[str, Any]:
    """A report with `ok`; where that is false, `reason` and `hint` say what to do.

    Rates are decoding alone, one answer, in tokens a second of wall time.
    """
    report: dict[str, Any] = {
        "ok": False,
        "reason": "",
        "hint": "",
        "model": SMOLLM2,
        "weights": str(weights),
        "runtime": _runtime(),
        "threads": settings.threads,
    }
    try:
        verify(weights)
        report["sha256"] = WEIGHTS_SHA256
        self_test(weights)
        report |= _measure(weights, settings.threads)
    except QuartermasterError as error:
        return {**report, "reason": error.message, "hint": error.hint}
    return {**report, "ok": True}


def _runtime() -> str:
    try:
        return f"xllamacpp {version('xllamacpp')}"
    except PackageNotFoundError:
        return "not installed"


def _measure(weights: Path, threads: int) -> dict[str, Any]:
    """Load, one token, then a short greedy run, on the bare runtime."""
    from quartermaster.model.llama_binding import Entry, Llama
    from quartermaster.model.self_test import CONTEXT_TOKENS, TEXT

    begun = time.perf_counter()
    llama = Llama(weights, threads=threads, slots=1, context_tokens=CONTEXT_TOKENS)
    loaded = time.perf_counter()
    ids: Sequence[int] = llama.tokenise(TEXT, control=False)
    at = 0
    first = loaded
    try:
        for _ in range(RUN_TOKENS + 1):
            llama.decode(
                [Entry(token, at + i, 0, i == len(ids) - 1) for i, token in enumerate(ids)]
            )
            at += len(ids)
            ids = [int(llama.logits(len(ids) - 1).argmax())]
            first = time.perf_counter() if first == loaded else first
    finally:
        llama.close()
    return {
        "load_seconds": loaded - begun,
        "first_token_seconds": first - loaded,
        "decode_tokens_per_second": RUN_TOKENS / (time.perf_counter() - first),
    }
