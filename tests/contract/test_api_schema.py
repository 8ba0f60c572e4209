"""schemathesis asks every operation what its own OpenAPI document allows: never a 5xx, no surprise.

Requests are made from the document that `/api/v1/openapi.json` serves, sent to the application in
this process, and every answer is checked against its status, media type and schema.
"""

from pathlib import Path
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.config import SchemathesisConfig
from schemathesis.openapi import from_asgi
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)
from tests.unit.api.api_world import World
from tests.unit.api.question_files import STATEMENTS, panel_csv, revenue_csv

from quartermaster.api.operation import CSV, JSON_LINES, PREFIX, TOML, Operation
from quartermaster.api.routes import OPERATIONS
from quartermaster.api.scope import SCOPES

CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_schema_conformance,
]
EXAMPLES, EXAMPLES_LONG = 3, 60
"""Requests of each operation, every one generated anew."""


@schemathesis.serializer(CSV, TOML, JSON_LINES)
def as_it_is(ctx: schemathesis.SerializationContext, value: Any) -> bytes:
    """A file is text; what schemathesis makes of it is sent as it is."""
    return value if isinstance(value, bytes) else str(value).encode("utf-8", "replace")


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    return World(tmp_path_factory.mktemp("contract"))


@pytest.fixture(scope="module")
def schema(world: World) -> Any:
    """The document as it is served."""
    return from_asgi(
        f"{PREFIX}/openapi.json",
        world.app,
        config=SchemathesisConfig(),
        headers={"authorization": f"Bearer {world.secrets['viewer']}", "host": "localhost"},
    )


FILES = Path(__file__).parents[2] / "examples"
BODIES = {
    **dict.fromkeys(("exposure", "risk", "what-if", "disclosure", "forecast"), revenue_csv()),
    "guidance": revenue_csv(),
    "claims": (FILES / "azure-openai-2024.toml").read_bytes(),
    "departure": (FILES / "bytedance-fastly-2020.toml").read_bytes(),
    "payback": (FILES / "fleet-sample.toml").read_bytes(),
    **dict.fromkeys(("warnings", "backtest"), panel_csv()),
    "statements": STATEMENTS,
}
HEAVY = {"scenarios": 1_000}
"""A simulation is asked for a twentieth of what it takes by default: its shape is the same."""
SLOW = {"showBacktest", "showOwnRecord", "showWarnings"}
"""Learn from two years of the sample for seconds; here they are asked of the empty live book, and
the unit tests look at what they answer of the sample."""


def known_paths(world: World) -> dict[str, str]:
    """Something that is there, for every name in a path."""
    return {
        "group": "acme",
        "customer": "globex",
        "contract": "acme-1",
        "price_book": "list",
        "key": world.keys["acme"],
        "token": world.secrets["viewer"].rpartition(".")[0],
        "deployment": "d",
        "project": "default",
        "webhook": world.webhook,
        "request_id": "req_acme",
        "period": "2026-11",
    }


def sample_body(row: Operation) -> tuple[str, object]:
    """A body that is what it should be, and its media type; None where schemathesis makes one."""
    if row.body is None:
        return "", None
    if row.path == "/capacity":
        files = {"fleet": "fleet-sample.toml", "demand": "fleet-demand.csv"}
        texts = {name: (FILES / file).read_text() for name, file in files.items()}
        return "application/json", texts
    media_type = row.body.media_types[0]
    if row.body.kind is not None:
        return media_type, None
    return media_type, BODIES[row.path.split("/")[1]]


def as_role(row: Operation, world: World) -> str:
    """Who may ask it: an admin where one may, because an admin may change the most."""
    role = "admin" if "admin" in row.roles else min(row.roles)
    return world.secrets[role]


def ask_all(schema: Any, world: World, row: Operation, mode: GenerationMode, examples: int) -> None:
    """Ask one operation some times, and check every answer against the document."""
    secret = as_role(row, world)
    operation = schema[row.path][row.method]
    known = {name: value for name, value in known_paths(world).items() if f"{{{name}}}" in row.path}
    fields = () if row.query is None else row.query.__struct_fields__
    strategy = operation.as_strategy(generation_mode=mode)
    if mode is GenerationMode.POSITIVE:
        fixed: dict[str, Any] = {"path_parameters": known} if known else {}
        media_type, body = sample_body(row)
        if body is not None:
            fixed |= {"body": body, "media_type": media_type}
        if fixed:
            # Odd options of something that is there reach further than odd files and ids.
            strategy = operation.as_strategy(**fixed) | strategy

    @settings(
        max_examples=examples,
        deadline=None,
        database=None,
        derandomize=True,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(case=strategy)
    def one(case: Any) -> None:
        if "scenarios" in fields:
            case.query = {**(case.query or {}), **HEAVY}
        if mode is GenerationMode.POSITIVE and row.method == "GET" and "book" in fields:
            book = "live" if row.name in SLOW else "sample"
            case.query = {**(case.query or {}), "book": book}
        case.call_and_validate(
            base_url=f"http://localhost{PREFIX}",
            headers={"authorization": f"Bearer {secret}"},
            checks=CHECKS,
        )

    one()


THRICE = [f"{of.path}/{what}" for of in SCOPES for what in ("limits", "budget")]
"""Of keys, projects and groups: one function each, and one table for all three."""
USUAL = [row for row in OPERATIONS if not row.path.startswith(tuple(THRICE))]
USUAL += [row for row in OPERATIONS if row.path.startswith(tuple(THRICE[2:4]))]


@pytest.mark.parametrize("row", USUAL, ids=lambda row: row.name)
def test_every_operation_answers_as_its_document_says(
    schema: Any, world: World, row: Operation
) -> None:
    ask_all(schema, world, row, GenerationMode.POSITIVE, EXAMPLES)


@pytest.mark.parametrize("row", USUAL, ids=lambda row: row.name)
def test_every_operation_refuses_as_its_document_says(
    schema: Any, world: World, row: Operation
) -> None:
    ask_all(schema, world, row, GenerationMode.NEGATIVE, EXAMPLES)


@pytest.mark.long
@pytest.mark.parametrize("mode", [GenerationMode.POSITIVE, GenerationMode.NEGATIVE])
@pytest.mark.parametrize("row", OPERATIONS, ids=lambda row: row.name)
def test_every_operation_answers_many_requests(
    schema: Any, world: World, row: Operation, mode: GenerationMode
) -> None:
    ask_all(schema, world, row, mode, EXAMPLES_LONG)
