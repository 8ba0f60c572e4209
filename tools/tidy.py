"""The style guide as a program: every rule is a function from a file to its violations.

`tests/test_tidy.py` runs the rules over the repository and plants a violation of each, so a rule
that stopped looking is found too. Import rules live in pyproject.toml (import-linter); line length,
naming and typing in ruff and mypy.
"""

import ast
import itertools
import re
import statistics
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator
from functools import cached_property
from pathlib import Path, PurePosixPath
from typing import Any

from tools.reference import limits_in

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = "src/quartermaster/"

MODULE_LINES_MEDIAN_MAX = 170
"""Half of the modules fit on two screens; the best-kept Python projects measure 120 to 160."""

MODULE_LINES_MAX = 500
"""A longer module holds two steps; give the second its own file."""

FUNCTION_LINES_MAX = 60
"""A function must fit on one screen with its docstring."""

README_LINES_MAX = 120
"""Three screens: more belongs in docs/."""

DECISION_HEADINGS = ("Decision", "Because", "Instead of", "Revisit when")

BANNED_STEMS = frozenset({"utils", "util", "common", "misc", "manager", "service", "services"})
"""Names that say nothing about what is inside."""

COMPOSITION_ROOT = "app"
"""Not a room: it is the one package that may know, and import, everybody."""

DISTRIBUTIONS = {"argon2": "argon2-cffi", "ibis": "ibis-framework"}
"""Where the name on the index is another one than the name to import."""

ROOM_LINES = ("Takes:", "Gives:", "Never:", "Invariant:")

MONEY_CODE = ("billing/", "book/", "kernel/money.py", "kernel/price.py", "kernel/contract.py")
WALL_CLOCK_HOMES = ("kernel/clock.py", "kernel/ids.py", "sim/")
STOPWATCH_HOMES = (*WALL_CLOCK_HOMES, "app/", "cli/", "gateway/", "model/", "usage/wal")
"""Edges may measure how long something took; cores are given `now`."""

ENVIRONMENT_HOMES = ("config.py",)
PRINT_HOMES = ("cli/",)
SQL_HOMES = ("book/", "usage/query.py")

WALL_CLOCK = frozenset(
    {"time.time", "time.time_ns", "datetime.now", "datetime.utcnow", "datetime.today", "date.today"}
)
STOPWATCH = frozenset(
    {"time.monotonic", "time.monotonic_ns", "time.perf_counter", "time.perf_counter_ns"}
)
_DRAWS = "random randint randrange choice choices shuffle sample uniform gauss seed getrandbits"
DICE = frozenset(
    {f"random.{name}" for name in _DRAWS.split()}
    | {"random.SystemRandom", "uuid.uuid1", "uuid.uuid4"}
)
"""Randomness that cannot be replayed. A seeded `random.Random` can; `secrets` makes keys."""

PRINTERS = frozenset({"print", "click.echo", "click.secho", "sys.stdout.write"})
ENVIRONMENT = frozenset({"os.environ", "os.getenv", "os.environb", "os.putenv"})

# Upper-case at the start of a string, as we write SQL; prose does not begin like this.
SQL = re.compile(
    r"\s*(SELECT\s|INSERT\s+(OR\s+\w+\s+)?INTO\s|UPDATE\s+\S+\s+SET\s|DELETE\s+FROM\s"
    r"|CREATE\s+(TEMP\s+)?(TABLE|VIEW|INDEX|TRIGGER)\s|ALTER\s+TABLE\s|PRAGMA\s|WITH\s+\w+\s+AS\s)"
)

# In pieces, so that this file does not break its own rule.
BANNED_WORDS = {
    "a note to self": re.compile(r"\b(TO" + "DO|FIX" + r"ME|XX" + r"X)\b"),
    "a path of one machine": re.compile(r"(?<![\w.])/wo" + r"rk/|\.\./sha" + "red|/ro" + "ot/"),
    "a registry's host": re.compile(
        r"pypi\." + "org|pythonho" + r"sted|npmjs\." + r"(org|com)|deb\.deb" + "ian"
    ),
    "an issue number": re.compile(r"\biss" + r"ue #?\d", re.IGNORECASE),
    "a name that says nothing": re.compile(r"\bhel" + r"pers?\b", re.IGNORECASE),
}
BANNED_WORDS_EXEMPT = (
    *("uv.lock", "bench/peers_parts/portkey/package-lock.json", "LICENSE"),
    "src/quartermaster/console/static/vendor/",
)
"""Written by others: a lock names its index, vendored files are byte-identical to upstream."""

TEXT_SUFFIXES = frozenset(
    {".py", ".md", ".toml", ".html", ".css", ".js", ".sh", ".yaml", ".yml", ".lock", ".service"}
    | {".csv", ".txt", ".json", ".ini", ".po", ".svg", ""}
)


class Module:
    """One Python file: its path in the repository, its text and, once asked for, its tree."""

    def __init__(self, path: str, text: str) -> None:
        self.path = path
        self.text = text

    @cached_property
    def tree(self) -> ast.Module:
        """The syntax tree."""
        return ast.parse(self.text, self.path)

    @cached_property
    def lines(self) -> int:
        """Lines of the file."""
        return self.text.count("\n")

    def inside(self, homes: Iterable[str]) -> bool:
        """Whether the file is one of the package's `homes`: files, or folders ending in a slash."""
        return self.path.removeprefix(PACKAGE).startswith(tuple(homes))

    @property
    def in_package(self) -> bool:
        """Whether the file ships in the wheel."""
        return self.path.startswith(PACKAGE)

    def at(self, node: ast.AST, words: str) -> str:
        """A violation, with its place."""
        return f"{self.path}:{getattr(node, 'lineno', 1)}: {words}"


Rule = Callable[[Module], Iterator[str]]


def dotted(node: ast.AST) -> str:
    """`a.b.c` of a name or attribute chain; empty for anything else."""
    if isinstance(node, ast.Name):
        return node.id
    if isinstance(node, ast.Attribute):
        head = dotted(node.value)
        return f"{head}.{node.attr}" if head else ""
    return ""


def uses(module: Module, names: frozenset[str]) -> Iterator[tuple[ast.AST, str]]:
    """Where a module mentions one of the dotted names, also when imported from its module."""
    imported = {
        alias.asname or alias.name: f"{node.module}.{alias.name}"
        for node in ast.walk(module.tree)
        if isinstance(node, ast.ImportFrom) and node.module
        for alias in node.names
    }
    for node in ast.walk(module.tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                if alias.name in names:
                    yield node, alias.name
        elif isinstance(node, ast.ImportFrom) and node.module in names:
            yield node, str(node.module)
        elif isinstance(node, ast.Name | ast.Attribute):
            said = dotted(node)
            head, dot, rest = said.partition(".")
            full = imported.get(head, head) + dot + rest
            for name in names:
                if said == name or full == name or full.endswith("." + name):
                    yield node, name


def _functions(tree: ast.Module) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node


# --- rules for one file ---------------------------------------------------------------------


def short_module(module: Module) -> Iterator[str]:
    """No module over the limit."""
    if module.lines > MODULE_LINES_MAX:
        yield f"{module.path}: {module.lines} lines, at most {MODULE_LINES_MAX}"


def short_functions(module: Module) -> Iterator[str]:
    """No function over the limit, counted from `def` to its last line."""
    for node in _functions(module.tree):
        lines = (node.end_lineno or node.lineno) - node.lineno + 1
        if lines > FUNCTION_LINES_MAX:
            yield module.at(node, f"{node.name} has {lines} lines, at most {FUNCTION_LINES_MAX}")


def telling_name(module: Module) -> Iterator[str]:
    """No file named for nothing."""
    if PurePosixPath(module.path).stem in BANNED_STEMS:
        yield f"{module.path}: name the file for its step"


def documented(module: Module) -> Iterator[str]:
    """A docstring on every module, and on public names outside tests and benches."""
    if not ast.get_docstring(module.tree):
        yield f"{module.path}: no module docstring"
    if module.path.startswith(("tests/", "bench/")):
        return
    public = (ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
    holders: list[ast.Module | ast.ClassDef] = [module.tree]
    holders += [n for n in module.tree.body if isinstance(n, ast.ClassDef)]
    for holder in holders:
        for node in holder.body:
            if isinstance(node, public) and not node.name.startswith("_"):
                plain = not any(dotted(d).endswith(("overload", "setter")) for d in _marks(node))
                if plain and not ast.get_docstring(node):
                    yield module.at(node, f"{node.name} has no docstring")


def _marks(node: ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef) -> list[ast.expr]:
    return node.decorator_list


def room_docstring(module: Module) -> Iterator[str]:
    """Every room says what it takes, gives, never does and keeps; and imports nothing."""
    path = PurePosixPath(module.path)
    if path.parent.parent != PurePosixPath(PACKAGE) or path.name != "__init__.py":
        return
    words = (ast.get_docstring(module.tree) or "").splitlines()
    starts = [line.split(" ")[0] for line in words if line.startswith(ROOM_LINES)]
    if starts != list(ROOM_LINES):
        yield f"{module.path}: the docstring needs the lines {' '.join(ROOM_LINES)}"
    if len(module.tree.body) > 1 and path.parent.name != COMPOSITION_ROOT:
        yield f"{module.path}: a room's __init__ holds its docstring and nothing else"


def exact_money(module: Module) -> Iterator[str]:
    """No float, no true division and no `round` where money is computed."""
    if not (module.in_package and module.inside(MONEY_CODE)):
        return
    for node in ast.walk(module.tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, float | complex):
            yield module.at(node, f"float literal {node.value!r} in money code")
        elif isinstance(node, ast.Name) and node.id in ("float", "round"):
            yield module.at(node, f"{node.id} in money code")
        elif isinstance(node, ast.BinOp | ast.AugAssign) and isinstance(node.op, ast.Div):
            if not _joins_path(node):
                yield module.at(node, "true division in money code")


def _joins_path(node: ast.BinOp | ast.AugAssign) -> bool:
    """`folder / "name"`: a string on either side makes it a path."""
    if isinstance(node, ast.AugAssign):
        return False
    sides: list[ast.expr] = [node.left, node.right]
    if isinstance(node.left, ast.BinOp) and isinstance(node.left.op, ast.Div):
        return _joins_path(node.left)
    return any(
        isinstance(side, ast.JoinedStr)
        or (isinstance(side, ast.Constant) and isinstance(side.value, str))
        for side in sides
    )


def given_time(module: Module) -> Iterator[str]:
    """No wall clock outside its homes; no stopwatch in a core."""
    if not module.in_package:
        return
    if not module.inside(WALL_CLOCK_HOMES):
        for node, name in uses(module, WALL_CLOCK):
            yield module.at(node, f"{name}: take `now` as an argument")
    if not module.inside(STOPWATCH_HOMES):
        for node, name in uses(module, STOPWATCH):
            yield module.at(node, f"{name}: only edges measure durations")


def given_chance(module: Module) -> Iterator[str]:
    """No shared dice: a generator is made from a seed, or is an argument."""
    if not module.in_package:
        return
    for node, name in uses(module, DICE):
        yield module.at(node, f"{name}: draw from a generator with a seed")
    for node in ast.walk(module.tree):
        if isinstance(node, ast.Call) and not node.args and not node.keywords:
            if dotted(node.func).endswith(("random.Random", "random.default_rng")):
                yield module.at(node, "a generator without a seed")


def one_reader_of_environment(module: Module) -> Iterator[str]:
    """Settings come from one place."""
    if module.in_package and not module.inside(ENVIRONMENT_HOMES):
        for node, name in uses(module, ENVIRONMENT):
            yield module.at(node, f"{name}: only config.py reads the environment")


def one_speaker(module: Module) -> Iterator[str]:
    """Only faces at a terminal print."""
    if module.in_package and not module.inside(PRINT_HOMES):
        for node, name in uses(module, PRINTERS):
            yield module.at(node, f"{name}: return the value; cli shows it")


def sql_at_home(module: Module) -> Iterator[str]:
    """SQL text stays with the book and the usage queries."""
    if not module.in_package or module.inside(SQL_HOMES):
        return
    for node in ast.walk(module.tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            if SQL.match(node.value):
                yield module.at(node, "SQL text outside book/ and usage/query.py")


def nothing_unfinished(module: Module) -> Iterator[str]:
    """No function that only says it is not there yet."""
    if module.in_package:
        for node, _ in uses(module, frozenset({"NotImplementedError"})):
            yield module.at(node, "NotImplementedError: what is not built stays out")


def reasoned_limits(module: Module) -> Iterator[str]:
    """Every limit has its reason beside it."""
    if module.in_package:
        for limit in limits_in(module.text, module.path):
            if not limit.reason:
                yield f"{module.path}: {limit.name} has no reason beside it"


MODULE_RULES: tuple[Rule, ...] = (
    short_module,
    short_functions,
    telling_name,
    documented,
    room_docstring,
    exact_money,
    given_time,
    given_chance,
    one_reader_of_environment,
    one_speaker,
    sql_at_home,
    nothing_unfinished,
    reasoned_limits,
)


# --- rules for texts and for the whole ------------------------------------------------------


def clean_words(path: str, text: str) -> Iterator[str]:
    """No word that belongs to one machine, one day or nobody."""
    if path.startswith(BANNED_WORDS_EXEMPT):
        return
    for number, line in enumerate(text.splitlines(), start=1):
        for what, pattern in BANNED_WORDS.items():
            if found := pattern.search(line):
                yield f"{path}:{number}: {found[0]!r} is {what}"


def one_title(path: str, text: str) -> Iterator[str]:
    """A document has one title, on its first line."""
    without_code = re.sub(r"^```.*?^```", "", text, flags=re.MULTILINE | re.DOTALL)
    titles = re.findall(r"^# .+", without_code, flags=re.MULTILINE)
    if len(titles) != 1 or not text.startswith("# "):
        yield f"{path}: {len(titles)} titles; one, on the first line"


def short_readme(path: str, text: str) -> Iterator[str]:
    """The README stays readable in one sitting."""
    if path == "README.md" and text.count("\n") > README_LINES_MAX:
        yield f"{path}: {text.count(chr(10))} lines, at most {README_LINES_MAX}"


def full_decision(path: str, text: str) -> Iterator[str]:
    """A decision says what, why, instead of what, and when to look again."""
    if path.startswith("docs/decisions/") and not path.endswith("README.md"):
        headings = re.findall(r"^## (.+)$", text, flags=re.MULTILINE)
        if headings != list(DECISION_HEADINGS):
            yield f"{path}: its headings are not {', '.join(DECISION_HEADINGS)}"


def small_median(modules: Iterable[Module]) -> Iterator[str]:
    """Half of the package's modules stay small; rooms' `__init__` files do not count."""
    sizes = [m.lines for m in modules if m.in_package and not m.path.endswith("__init__.py")]
    if sizes and statistics.median(sizes) > MODULE_LINES_MEDIAN_MAX:
        yield f"median of {statistics.median(sizes)} lines, at most {MODULE_LINES_MEDIAN_MAX}"


def nothing_dead(modules: Iterable[Module], entries: Iterable[str]) -> Iterator[str]:
    """Every module of the package is imported by another one, or is an entry."""
    package = {_module_name(m.path): m for m in modules if m.in_package}
    alive = set(entries)
    for name, module in package.items():
        alive |= {target for target in _imports(module.tree) if target != name}
    for name, module in package.items():
        if name not in alive and not module.path.endswith("__init__.py"):
            yield f"{module.path}: nothing imports it"


def declared(modules: Iterable[Module], pyproject: dict[str, Any]) -> Iterator[str]:
    """Every distribution that the package imports is one that it asks for by name."""
    project = pyproject["project"]
    lines = [*project["dependencies"], *itertools.chain(*project["optional-dependencies"].values())]
    known = {re.split(r"[^\w.-]", line, maxsplit=1)[0].lower() for line in lines}
    for module in modules:
        for name in {name.partition(".")[0] for name in _imports(module.tree)}:
            distribution = DISTRIBUTIONS.get(name, name.replace("_", "-"))
            ours = name in sys.stdlib_module_names or name == "quartermaster"
            if module.in_package and not ours and distribution not in known:
                yield f"{module.path}: {name} comes with {distribution}, which is not declared"


def _module_name(path: str) -> str:
    return path.removeprefix("src/").removesuffix(".py").removesuffix("/__init__").replace("/", ".")


def _imports(tree: ast.Module) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


# --- the repository -------------------------------------------------------------------------


def tracked(root: Path = ROOT) -> list[Path]:
    """Files of the repository; without git, every file outside ignored folders."""
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"]
    done = subprocess.run(command, cwd=root, check=False, capture_output=True, text=True)
    if done.returncode == 0:
        return [path for name in done.stdout.split("\0") if name and (path := root / name).exists()]
    ignored = {".venv", ".cache", "var", "dist", "build", "__pycache__", ".git"}
    return [p for p in root.rglob("*") if p.is_file() and not ignored & set(p.parts)]


def texts(root: Path = ROOT) -> dict[str, str]:
    """Every text file of the repository by path."""
    found = {}
    for path in tracked(root):
        if path.suffix in TEXT_SUFFIXES and path.is_file():
            found[path.relative_to(root).as_posix()] = path.read_text("utf-8", errors="replace")
    return found


def python_modules(files: dict[str, str]) -> list[Module]:
    """Every Python file of ours, with or without the suffix."""
    return [Module(path, text) for path, text in files.items() if _is_python(path)]


def _is_python(path: str) -> bool:
    return path == "run" or (path.endswith(".py") and "/vendor/" not in path)
