"""Typed settings: TOML file, then `QUARTERMASTER_SECTION__KEY`, then flags. Nothing else reads env.

Each room defines its own frozen settings struct; this module composes them, names where each value
came from, and refuses what it does not know with a suggestion. Secrets are named by file and never
held here, so `config show` can print everything.
"""

import difflib
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec

from quartermaster.api.settings import ApiSettings
from quartermaster.capacity.settings import CapacitySettings
from quartermaster.commands.settings import StandingSettings
from quartermaster.conduct.cases_settings import CaseSettings
from quartermaster.conduct.settings import ConductSettings
from quartermaster.console.settings import ConsoleSettings
from quartermaster.gateway.settings import GatewaySettings
from quartermaster.kernel.errors import ConfigError, DataError
from quartermaster.kernel.toml import parse_toml
from quartermaster.model.settings import ModelSettings
from quartermaster.usage.settings import UsageSettings

ENV_PREFIX = "QUARTERMASTER_"
DEFAULT_FILE = "quartermaster.toml"

# A settings file is written by hand; a megabyte is a wrong file.
FILE_BYTES_MAX = 1_000_000


# Shorter pauses only burn a processor; after a day without a look nothing is current any more.
PAUSE_SECONDS_MIN, PAUSE_SECONDS_MAX = 0.01, 86_400.0


class ClerkSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """How often the clerk looks."""

    ship_seconds: float = 0.5
    """Pause between two looks for sealed segments."""
    publish_seconds: float = 60.0
    """Effective dates pass without a command; the snapshot follows within this time."""
    rollup_seconds: float = 60.0
    """Pause between two versions of the hourly table; faces read fresher figures from views."""

    def __post_init__(self) -> None:
        for field, seconds in msgspec.structs.asdict(self).items():
            # Not a number compares false with everything.
            if not PAUSE_SECONDS_MIN <= seconds <= PAUSE_SECONDS_MAX:
                raise ConfigError(
                    f"clerk.{field} = {seconds} is out of range",
                    hint=f"use {PAUSE_SECONDS_MIN:g} to {PAUSE_SECONDS_MAX:g} seconds",
                    field=f"clerk.{field}",
                )


class Settings(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Everything that can be set. Defaults run the whole product from one folder."""

    var: str = "var"
    """The data folder."""
    book: str = ""
    """URL of the book; empty means SQLite in the data folder."""
    gateway: GatewaySettings = msgspec.field(default_factory=GatewaySettings)
    usage: UsageSettings = msgspec.field(default_factory=UsageSettings)
    model: ModelSettings = msgspec.field(default_factory=ModelSettings)
    console: ConsoleSettings = msgspec.field(default_factory=ConsoleSettings)
    api: ApiSettings = msgspec.field(default_factory=ApiSettings)
    capacity: CapacitySettings = msgspec.field(default_factory=CapacitySettings)
    standing: StandingSettings = msgspec.field(default_factory=StandingSettings)
    conduct: ConductSettings = msgspec.field(default_factory=ConductSettings)
    cases: CaseSettings = msgspec.field(default_factory=CaseSettings)
    clerk: ClerkSettings = msgspec.field(default_factory=ClerkSettings)

    @property
    def var_path(self) -> Path:
        """The data folder as an absolute path."""
        try:
            return Path(self.var).expanduser().resolve()
        except RuntimeError as error:
            raise ConfigError(
                f"var = {self.var!r} names no folder: {error}",
                hint="write the path out, or choose another with --var",
                field="var",
            ) from error

    @property
    def book_url(self) -> str:
        """The book's URL with the default filled in."""
        return self.book or f"sqlite:///{self.var_path / 'book.sqlite'}"


def load(
    config_file: str | None = None,
    var: str | None = None,
    environ: Mapping[str, str] | None = None,
) -> tuple[Settings, dict[str, str]]:
    """Settings and, for each key that is not a default, where it came from.

    Raises:
        ConfigError: names the key and the remedy.
    """
    values: dict[str, Any] = {}
    origin: dict[str, str] = {}
    path = Path(config_file or DEFAULT_FILE)
    if config_file is not None or path.is_file():
        _merge(values, _read_file(path), str(path), origin)
    _merge(values, _read_environment(os.environ if environ is None else environ), "env", origin)
    if var is not None:
        _merge(values, {"var": var}, "--var", origin)
    _refuse_unknown(values)
    try:
        return msgspec.convert(values, Settings, strict=False), origin
    except msgspec.ValidationError as error:
        raise ConfigError(
            f"a setting cannot be used: {error}", hint=_where(error, origin)
        ) from error


def _where(error: msgspec.ValidationError, origin: Mapping[str, str]) -> str:
    """Which of the sources said it: the error ends with the setting's path."""
    key = str(error).rpartition("`$.")[2].rstrip("`")
    sources = {"env": f"the environment variable {_variable(key)}", "--var": "--var"}
    said = origin.get(key)
    if said is None:
        return "leave it out to have the default"
    return f"it comes from {sources.get(said, said)}; leave it out to have the default"


def _variable(key: str) -> str:
    return ENV_PREFIX + key.upper().replace(".", "__")


def _read_file(path: Path) -> dict[str, Any]:
    try:
        data = path.read_bytes()
    except OSError as error:
        raise ConfigError(f"cannot read {path}: {error.strerror}", hint="check --config") from error
    if len(data) > FILE_BYTES_MAX:
        raise ConfigError(f"{path} is over {FILE_BYTES_MAX} bytes", hint="check --config")
    try:
        return parse_toml(data, str(path))
    except DataError as error:
        raise ConfigError(error.message, hint=error.hint) from error


def _read_environment(environ: Mapping[str, str]) -> dict[str, Any]:
    values: dict[str, Any] = {}
    for name, text in environ.items():
        if not name.startswith(ENV_PREFIX):
            continue
        keys = name.removeprefix(ENV_PREFIX).lower().split("__")
        # QUARTERMASTER_TEST_… steers the test run, not the product.
        if keys[0].startswith("test_"):
            continue
        _merge(values, _nested(keys, text), name, {})
    return values


def _nested(keys: list[str], text: str) -> dict[str, Any]:
    value: Any = text
    for key in reversed(keys):
        value = {key: value}
    return dict(value)


def _merge(
    into: dict[str, Any],
    new: Mapping[str, Any],
    source: str,
    origin: dict[str, str],
    prefix: str = "",
) -> None:
    for key, value in new.items():
        if isinstance(value, Mapping):
            below = into.setdefault(key, {})
            if not isinstance(below, dict):
                raise ConfigError(
                    f"{prefix}{key} is a value and a section",
                    hint=f"leave one of them out; the section came last, from {source}",
                    field=prefix + key,
                )
            _merge(below, value, source, origin, f"{prefix}{key}.")
        elif isinstance(into.get(key), dict):
            raise ConfigError(
                f"{prefix}{key} is a section and a value",
                hint=f"leave one of them out; the value came last, from {source}",
                field=prefix + key,
            )
        else:
            into[key] = value
            origin[prefix + key] = source


def _refuse_unknown(
    values: Mapping[str, Any], known: type[msgspec.Struct] = Settings, prefix: str = ""
) -> None:
    fields = {field.name: field.type for field in msgspec.structs.fields(known)}
    for key, value in values.items():
        if key not in fields:
            near = difflib.get_close_matches(key, fields, n=1)
            hint = f"did you mean {prefix}{near[0]}?" if near else f"known: {', '.join(fields)}"
            raise ConfigError(f"unknown setting {prefix}{key}", hint=hint, field=prefix + key)
        section = fields[key]
        if isinstance(section, type) and issubclass(section, msgspec.Struct):
            if not isinstance(value, Mapping):
                raise ConfigError(f"{prefix}{key} is a section, not a value", field=prefix + key)
            _refuse_unknown(value, section, f"{prefix}{key}.")
