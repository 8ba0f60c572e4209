"""The toy: it says what it is, repeats exactly, counts its own tokens, and needs nothing."""

import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from quartermaster.cli.main import run
from quartermaster.model.chat import Message
from quartermaster.model.generation import Delta, Event, Finished, Sampling
from quartermaster.model.toy import ToyEngine, tokenise


def ask(
    text: str,
    *,
    seed: int = 0,
    temperature: float = 1.0,
    tokens: int = 1_000,
    stop: tuple[str, ...] = (),
) -> tuple[str, Finished]:
    engine, events = ToyEngine(), list[Event]()
    sampling = Sampling(temperature=temperature, top_p=1.0, seed=seed, tokens_max=tokens, stop=stop)
    engine.start(engine.prompt([Message("user", text)]), sampling, events.append)
    end = events[-1]
    assert isinstance(end, Finished)
    return "".join(e.text for e in events if isinstance(e, Delta)), end


def test_it_says_that_it_is_the_toy() -> None:
    assert "toy model" in ask("Who are you?")[0]


@given(st.text())
def test_tokens_join_to_the_text(text: str) -> None:
    assert "".join(tokenise(text)) == text


@given(st.text(max_size=200), st.integers(-(2**63), 2**63 - 1))
def test_answers_repeat_and_counts_are_its_own_tokens(text: str, seed: int) -> None:
    answer, end = ask(text, seed=seed)
    assert (answer, end) == ask(text, seed=seed)
    assert end.reason == "stop"
    assert end.output_tokens == len(tokenise(answer)) > 20


def test_seeds_vary_it_and_greedy_does_not() -> None:
    assert len({ask("Hi", seed=seed)[0] for seed in range(20)}) > 10
    assert len({ask("Hi", seed=seed, temperature=0)[0] for seed in range(20)}) == 1


def test_the_cap_and_the_stop_string_end_it() -> None:
    text, end = ask("Hi", tokens=5)
    assert (end.reason, end.output_tokens) == ("length", 5)
    assert text == "This is the toy model"
    text, end = ask("Hi", stop=("toy",))
    assert text == "This is the "
    assert end.reason == "stop"


def test_it_needs_neither_numpy_nor_a_runtime() -> None:
    program = (
        "import sys, quartermaster.model.toy, quartermaster.model.server;"
        "sys.exit(any(n in sys.modules for n in ('numpy', 'xllamacpp')))"
    )
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0


def test_a_seed_that_no_request_may_have_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["model", "say", "Hello", f"--seed={2**63}"]) == 2
    assert "--seed" in capsys.readouterr().err
