"""The repository keeps its own style, and a planted violation of each rule is caught."""

import tomllib
from collections.abc import Callable, Iterable, Iterator

import pytest

from quartermaster.cli.main import COMMANDS
from tools import tidy
from tools.tidy import Module

FILES = tidy.texts()
MODULES = tidy.python_modules(FILES)
ENTRIES = {"quartermaster.__main__", *(f"quartermaster.cli.{m}" for m, _ in COMMANDS.values())}


def in_package(name: str) -> str:
    return f"src/quartermaster/{name}"


def passes(violations: Iterable[str]) -> None:
    found = list(violations)
    assert not found, "\n" + "\n".join(found)


# --- the repository -------------------------------------------------------------------------


@pytest.mark.parametrize("rule", tidy.MODULE_RULES, ids=lambda rule: rule.__name__)
def test_every_module_keeps(rule: tidy.Rule) -> None:
    passes(line for module in MODULES for line in rule(module))


def test_the_median_module_is_small() -> None:
    passes(tidy.small_median(MODULES))


def test_no_module_is_dead() -> None:
    passes(tidy.nothing_dead(MODULES, ENTRIES))


def test_every_import_is_declared() -> None:
    passes(tidy.declared(MODULES, tomllib.loads(FILES["pyproject.toml"])))


def test_every_command_has_its_module() -> None:
    modules = {noun: in_package(f"cli/{module}.py") for noun, (module, _) in COMMANDS.items()}
    passes(f"{noun}: no {path}" for noun, path in modules.items() if path not in FILES)


def test_words_are_clean() -> None:
    passes(line for path, text in FILES.items() for line in tidy.clean_words(path, text))


def test_every_document_has_one_title() -> None:
    documents = {path: text for path, text in FILES.items() if path.endswith(".md")}
    passes(line for path, text in documents.items() for line in tidy.one_title(path, text))


def test_every_decision_is_complete() -> None:
    passes(line for path, text in FILES.items() for line in tidy.full_decision(path, text))


def test_the_readme_is_short() -> None:
    passes(tidy.short_readme("README.md", FILES["README.md"]))


# --- planted violations ---------------------------------------------------------------------

DOC = '"""A module."""\n'
LONG_FUNCTION = DOC + 'def f() -> None:\n    """Do."""\n' + "    x = 1\n" * tidy.FUNCTION_LINES_MAX
ROOM = '"""Q?\n\nTakes: a.\nGives: b.\nNever: c.\nInvariant: d.\n"""\n'

PLANTED: list[tuple[tidy.Rule, str, str, str]] = [
    (tidy.short_module, "cli/a.py", "x = 1\n" * 501, "501 lines"),
    (tidy.short_functions, "cli/a.py", LONG_FUNCTION, "f has 62 lines"),
    (tidy.telling_name, "billing/utils.py", DOC, "name the file"),
    (tidy.documented, "cli/a.py", "x = 1\n", "no module docstring"),
    (tidy.documented, "cli/a.py", DOC + "def f() -> None: ...\n", "f has no docstring"),
    (tidy.documented, "cli/a.py", DOC + "class A:\n    x = 1\n", "A has no docstring"),
    (
        tidy.documented,
        "cli/a.py",
        DOC + 'class A:\n    """An a."""\n    def m(self) -> int:\n        return 1\n',
        "m has no docstring",
    ),
    (tidy.room_docstring, "billing/__init__.py", '"""Q?\n\nTakes: a.\n"""\n', "needs the lines"),
    (tidy.room_docstring, "billing/__init__.py", ROOM + "import os\n", "nothing else"),
    (tidy.exact_money, "billing/rate.py", "x = 0.15\n", "float literal"),
    (tidy.exact_money, "book/postings.py", "x = float(y)\n", "float in money"),
    (tidy.exact_money, "kernel/money.py", "x = a / b\n", "true division"),
    (tidy.exact_money, "kernel/price.py", "x /= b\n", "true division"),
    (tidy.exact_money, "kernel/contract.py", "x = round(a)\n", "round in money"),
    (tidy.given_time, "billing/rate.py", "import time\nx = time.time()\n", "time.time"),
    (tidy.given_time, "cli/a.py", "from time import time_ns\nx = time_ns()\n", "time_ns"),
    (tidy.given_time, "app/a.py", "import datetime\nx = datetime.datetime.now()\n", "now"),
    (tidy.given_time, "exposure/a.py", "from datetime import date\nx = date.today()\n", "today"),
    (tidy.given_time, "billing/a.py", "import time\nx = time.monotonic()\n", "only edges"),
    (tidy.given_chance, "exposure/a.py", "import random\nx = random.random()\n", "with a seed"),
    (tidy.given_chance, "exposure/a.py", "from random import choice\nchoice(x)\n", "with a seed"),
    (tidy.given_chance, "sim/a.py", "import random\nx = random.Random()\n", "without a seed"),
    (tidy.given_chance, "gateway/a.py", "import uuid\nx = uuid.uuid4()\n", "with a seed"),
    (tidy.one_reader_of_environment, "app/a.py", "import os\nx = os.environ['A']\n", "config.py"),
    (tidy.one_reader_of_environment, "cli/a.py", "from os import getenv\ngetenv('A')\n", "config"),
    (tidy.one_speaker, "billing/a.py", "print('owed')\n", "cli shows it"),
    (tidy.one_speaker, "app/a.py", "import click\nclick.echo('up')\n", "cli shows it"),
    (tidy.sql_at_home, "console/a.py", "x = 'SELECT a FROM b'\n", "SQL text"),
    (tidy.sql_at_home, "usage/ship.py", "x = f'DELETE FROM {t}'\n", "SQL text"),
    (tidy.nothing_unfinished, "proof/a.py", "def f():\n    raise NotImplementedError\n", "stays"),
    (tidy.reasoned_limits, "gateway/a.py", "BODY_BYTES_MAX = 10\n", "no reason"),
]


@pytest.mark.parametrize(("rule", "name", "text", "says"), PLANTED)
def test_planted_violation_is_caught(rule: tidy.Rule, name: str, text: str, says: str) -> None:
    found = list(rule(Module(in_package(name), text)))
    assert len(found) == 1
    assert says in found[0]


def test_every_rule_has_a_planted_violation() -> None:
    assert {rule for rule, *_ in PLANTED} == set(tidy.MODULE_RULES)


ALLOWED: list[tuple[tidy.Rule, str, str]] = [
    (tidy.exact_money, "book/store.py", "x = folder / 'book.sqlite'\ny = a / f'{b}' / c\n"),
    (tidy.exact_money, "billing/rate.py", "x = a // b\n"),
    (tidy.exact_money, "exposure/concentration.py", "x = a / b\n"),
    (tidy.given_time, "kernel/clock.py", "import time\nx = time.time_ns()\n"),
    (tidy.given_time, "gateway/server.py", "import time\nx = time.monotonic()\n"),
    (tidy.given_time, "billing/rate.py", "x = datetime.fromisoformat(y)\n"),
    (tidy.given_chance, "sim/world.py", "import random\nx = random.Random(seed)\n"),
    (tidy.one_reader_of_environment, "config.py", "import os\nx = os.environ\n"),
    (tidy.one_speaker, "cli/usage.py", "print('rows')\n"),
    (tidy.sql_at_home, "book/store.py", "x = 'SELECT 1'\n"),
    (tidy.sql_at_home, "console/a.py", "x = 'Select a period.'\n"),
    (tidy.reasoned_limits, "gateway/a.py", "# RFC 9110 asks for 8,000.\nLINE_BYTES_MAX = 8_192\n"),
    (tidy.reasoned_limits, "gateway/a.py", 'A_MAX = 1\n"""One is enough."""\n'),
]


@pytest.mark.parametrize(("rule", "name", "text"), ALLOWED)
def test_what_is_allowed_passes(rule: tidy.Rule, name: str, text: str) -> None:
    assert list(rule(Module(in_package(name), text))) == []


TextRule = Callable[[str, str], Iterator[str]]

# In pieces for the same reason as in tools/tidy.py.
PLANTED_TEXTS: list[tuple[TextRule, str, str, str]] = [
    (tidy.clean_words, "docs/why.md", "# Why\nTO" + "DO: say it\n", "note to self"),
    (tidy.clean_words, "src/a.py", "# see /wo" + "rk/main/x\n", "one machine"),
    (tidy.clean_words, "a.toml", "index = 'https://pypi." + "org/simple'\n", "host"),
    (tidy.clean_words, "a.md", "Fixed by iss" + "ue 12.\n", "number"),
    (tidy.clean_words, "a.py", "# a small hel" + "per\n", "says nothing"),
    (tidy.one_title, "docs/why.md", "# Why\n\n# Why not\n", "2 titles"),
    (tidy.one_title, "docs/why.md", "Why\n", "0 titles"),
    (tidy.full_decision, "docs/decisions/a.md", "# A\n\n## Decision\n", "headings"),
    (tidy.short_readme, "README.md", "line\n" * 121, "121 lines"),
]


@pytest.mark.parametrize(("rule", "path", "text", "says"), PLANTED_TEXTS)
def test_planted_text_is_caught(rule: TextRule, path: str, text: str, says: str) -> None:
    found = list(rule(path, text))
    assert len(found) == 1
    assert says in found[0]


def test_a_comment_in_a_code_block_is_no_title() -> None:
    assert list(tidy.one_title("a.md", "# A\n\n```console\n# a comment\n```\n")) == []


def test_a_growing_median_is_caught() -> None:
    small = Module(in_package("a.py"), "x = 1\n")
    large = [Module(in_package(f"{n}.py"), "x = 1\n" * 171) for n in range(2)]
    assert list(tidy.small_median([small, *large])) == ["median of 171 lines, at most 170"]


def test_a_dead_module_is_caught() -> None:
    alive = Module(in_package("alive.py"), "import quartermaster.used\n")
    used = Module(in_package("used.py"), "from quartermaster import used\n")
    dead = Module(in_package("dead.py"), "import quartermaster.dead\n")
    found = list(tidy.nothing_dead([alive, used, dead], {"quartermaster.alive"}))
    assert found == ["src/quartermaster/dead.py: nothing imports it"]


def test_an_undeclared_import_is_caught() -> None:
    pyproject = {"project": {"dependencies": ["click>=8"], "optional-dependencies": {}}}
    module = Module(in_package("a.py"), "import os\nimport click\nfrom argon2 import x\n")
    (found,) = tidy.declared([module], pyproject)
    assert "argon2-cffi" in found
