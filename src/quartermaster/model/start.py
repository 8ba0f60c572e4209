"""Which engines answer here: the real one where it passes its self-test, and always the toy."""

import logging
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import msgspec

from quartermaster.kernel.errors import QuartermasterError, UnavailableError
from quartermaster.model.generation import Engine
from quartermaster.model.settings import ModelSettings
from quartermaster.model.toy import ToyEngine
from quartermaster.model.weights import verify, weights_path

log = logging.getLogger(__name__)

SELF_TEST_TIMEOUT_S = 60.0
"""The self-test takes under a second idle; a minute allows for a very contended machine."""


class Engines(msgspec.Struct):
    """What is up. `fallback_reason` says why the real model is not, in words for an operator."""

    by_model: dict[str, Engine]
    preferred: str
    fallback_reason: str = ""

    @property
    def failure(self) -> str:
        """Why an engine stopped answering; empty while all run."""
        return next((e.failure for e in self.by_model.values() if e.failure), "")

    def close(self) -> None:
        """Stop all."""
        for engine in self.by_model.values():
            engine.close()


def start_engines(settings: ModelSettings, var: Path) -> Engines:
    """Start what the settings ask for.

    With `engine = "auto"` a missing or broken real model leaves the toy alone, with the reason
    logged and kept; the toy never answers under the real model's name.

    Raises:
        UnavailableError: `engine = "smollm2"` and it cannot start.
    """
    toy = ToyEngine()
    if settings.engine == "toy":
        return Engines({toy.model: toy}, toy.model, "the settings ask for the toy model alone")
    try:
        real = _start_real(settings, weights_path(var, settings.path))
    except QuartermasterError as error:
        reason = f"{error.message} ({error.hint})" if error.hint else error.message
        if settings.engine == "smollm2":
            raise UnavailableError(
                f"the embedded model cannot start: {error.message}",
                hint=error.hint or 'set model.engine = "toy" to go on without it',
            ) from error
        log.warning("only the toy model is up, because the real one cannot start: %s", reason)
        return Engines({toy.model: toy}, toy.model, reason)
    return Engines({real.model: real, toy.model: toy}, real.model)


def _start_real(settings: ModelSettings, weights: Path) -> Engine:
    verify(weights)
    self_test(weights)
    from quartermaster.model.engine import EmbeddedEngine  # numpy and the runtime only from here on

    return EmbeddedEngine(
        weights,
        threads=settings.threads,
        slots=settings.slots,
        context_tokens=settings.context_tokens,
    )


def self_test(
    weights: Path, run: Callable[..., subprocess.CompletedProcess[str]] = subprocess.run
) -> None:
    """Decode one token in a child process.

    A runtime that does not fit this machine (an instruction the CPU lacks, a struct that changed)
    kills the process instead of raising; so the first try is made where that does no harm.

    Raises:
        UnavailableError: with the child's last words.
    """
    command = [sys.executable, "-m", "quartermaster.model.self_test", str(weights)]
    try:
        done = run(
            command, capture_output=True, text=True, timeout=SELF_TEST_TIMEOUT_S, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise UnavailableError(f"the self-test did not finish: {error}") from error
    if done.returncode != 0:
        lines = done.stderr.strip().splitlines()
        words = lines[-1] if lines else f"the runtime ended it with code {done.returncode}"
        raise UnavailableError(f"the self-test failed: {words}")
