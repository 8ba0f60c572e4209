"""One token decoded by the real runtime; run as `python -m quartermaster.model.self_test FILE`."""

import sys
from pathlib import Path

from quartermaster.kernel.errors import QuartermasterError, UnavailableError
from quartermaster.model.llama_binding import Entry, Llama

TEXT = "The capital of France is"
EXPECTED = " Paris"
CONTEXT_TOKENS = 256
"""The runtime's smallest; nothing longer is needed for six tokens."""


def one_token(weights: Path) -> str:
    """The most likely next piece of `TEXT`.

    Raises:
        UnavailableError: the runtime cannot do it, or its answer is not the known one.
    """
    llama = Llama(weights, threads=1, slots=1, context_tokens=CONTEXT_TOKENS)
    ids = llama.tokenise(TEXT, control=False)
    llama.decode([Entry(token, at, 0, at == len(ids) - 1) for at, token in enumerate(ids)])
    piece = llama.piece(int(llama.logits(len(ids) - 1).argmax())).decode(errors="replace")
    llama.close()
    if piece != EXPECTED:
        raise UnavailableError(f"the runtime continues {TEXT!r} with {piece!r}, not {EXPECTED!r}")
    return piece


def main(arguments: list[str]) -> int:
    """Exit 0 when the token is right; else say why on stderr and exit 1."""
    try:
        one_token(Path(arguments[0]))
    except QuartermasterError as error:
        hint = f" ({error.hint})" if error.hint else ""
        sys.stderr.write(f"{error.message}{hint}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
