"""Every operation of the API. What is not a row here does not exist."""

from functools import cache
from typing import Any

from quartermaster.api import (
    agreements,
    budgets,
    cases,
    guidance,
    keys,
    limits,
    metered,
    openapi,
    projects,
    questions,
    rates,
    serving,
    standing,
    tokens,
    webhooks,
)
from quartermaster.api.operation import ANYBODY, Call, Operation


def show_document(call: Call) -> dict[str, Any]:
    """The OpenAPI document of these rows."""
    del call
    return document()


@cache
def document() -> dict[str, Any]:
    """The OpenAPI document, made once."""
    return openapi.document(OPERATIONS)


OPERATIONS: tuple[Operation, ...] = (
    Operation(
        method="GET",
        path="/openapi.json",
        name="showOpenApi",
        summary="This document.",
        tag="api",
        roles=ANYBODY,
        handler=show_document,
        answer=dict[str, Any],
    ),
    *tokens.OPERATIONS,
    *agreements.OPERATIONS,
    *keys.OPERATIONS,
    *projects.OPERATIONS,
    *limits.OPERATIONS,
    *budgets.OPERATIONS,
    *webhooks.OPERATIONS,
    *standing.OPERATIONS,
    *cases.OPERATIONS,
    *serving.OPERATIONS,
    *metered.OPERATIONS,
    *rates.OPERATIONS,
    *guidance.OPERATIONS,
    *questions.OPERATIONS,
)
