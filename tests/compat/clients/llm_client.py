"""The `llm` command and library, with models of its settings file."""

import asyncio
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import llm
import openai
from tests.compat.clients.checks import (
    ARGUMENTS,
    FILLED,
    PNG,
    SCHEMA,
    SENTENCE,
    Gate,
    check,
    main,
    raised,
    same,
)

ASK = "Say a sentence."
MODELS = ("talk", "claude", "gpt", "native", "echo", "strict", "busy", "ill", "dropping", "gpt-99")


def settings(gate: Gate) -> None:
    """Write the file in which people name other servers' models, once."""
    folder = Path(os.environ["LLM_USER_PATH"])
    able = {"supports_tools": True, "supports_schema": True, "vision": True}
    models = [
        {
            "model_id": f"gate-{name}{'-responses' * responses}",
            "model_name": name,
            "api_base": gate.url,
            "api_key_name": "gate",
            "responses": responses,
            **able,
        }
        for name in MODELS
        for responses in (False, True)
    ]
    # JSON is YAML, and needs no other package.
    (folder / "extra-openai-models.yaml").write_text(json.dumps(models), "utf-8")
    (folder / "keys.json").write_text(json.dumps({"gate": gate.key}), "utf-8")


def model(gate: Gate, name: str = "talk") -> Any:
    if not (Path(os.environ["LLM_USER_PATH"]) / "keys.json").exists():
        settings(gate)
    return llm.get_model(f"gate-{name}")


@check("chat")
def chat(gate: Gate) -> None:
    same(model(gate).prompt(ASK, stream=False).text(), SENTENCE)
    command = [sys.executable, "-m", "llm", "-m", "gate-talk", ASK]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    same(done.stdout.strip(), SENTENCE)


@check("chat, streamed")
def chat_streamed(gate: Gate) -> None:
    same("".join(model(gate).prompt(ASK)), SENTENCE)


@check("chat, asynchronous")
def chat_asynchronous(gate: Gate) -> None:
    model(gate)

    async def ask() -> str:
        return str(await llm.get_async_model("gate-talk").prompt(ASK).text())

    same(asyncio.run(ask()), SENTENCE)


@check("tools")
def tools(gate: Gate) -> None:
    seen = []

    def look(at: str) -> str:
        """Looks."""
        seen.append(at)
        return "blue"

    for name in ("talk", "claude"):
        same(model(gate, name).chain(ASK, tools=[look], stream=False).text(), SENTENCE)
    same(seen, [ARGUMENTS["at"]] * 2)


@check("tools, streamed")
def tools_streamed(gate: Gate) -> None:
    def look(at: str) -> str:
        """Looks."""
        return at

    same("".join(model(gate).chain(ASK, tools=[look])), SENTENCE)


@check("structured outputs")
def structured(gate: Gate) -> None:
    for name in ("talk", "claude"):
        same(json.loads(model(gate, name).prompt(ASK, schema=SCHEMA, stream=False).text()), FILLED)


@check("images in messages")
def images(gate: Gate) -> None:
    # Any bytes: the type is named.
    image = llm.Attachment(type="image/png", content=b"\x89PNG\r\n\x1a\n")
    said = model(gate, "echo").prompt(ASK, attachments=[image], stream=False).text()
    (part,) = [
        one for one in json.loads(said)["messages"][0]["content"] if one["type"] == "image_url"
    ]
    same(part["image_url"]["url"], PNG)


@check("usage")
def usage(gate: Gate) -> None:
    response = model(gate).prompt(ASK, stream=False)
    response.text()
    same((response.usage().input, response.usage().output), (11, 3))


@check("usage, streamed")
def usage_streamed(gate: Gate) -> None:
    response = model(gate).prompt(ASK)
    response.text()
    same((response.usage().input, response.usage().output), (11, 3))


@check("error 400")
def bad_request(gate: Gate) -> None:
    raised(openai.BadRequestError, lambda: model(gate, "strict").prompt(ASK).text())


@check("error 401")
def unauthorized(gate: Gate) -> None:
    raised(openai.AuthenticationError, lambda: model(gate).prompt(ASK, key="wrong").text())


@check("error 404")
def not_found(gate: Gate) -> None:
    raised(openai.NotFoundError, lambda: model(gate, "gpt-99").prompt(ASK).text())


@check("error 429")
def too_many(gate: Gate) -> None:
    raised(openai.RateLimitError, lambda: model(gate, "busy").prompt(ASK).text())


@check("error 502")
def bad_gateway(gate: Gate) -> None:
    raised(openai.InternalServerError, lambda: model(gate, "ill").prompt(ASK).text())


@check("error in a stream")
def broken_stream(gate: Gate) -> None:
    raised(openai.APIError, lambda: model(gate, "dropping").prompt(ASK).text())


@check("responses")
def responses(gate: Gate) -> None:
    for name in ("talk", "claude", "native"):
        same(model(gate, f"{name}-responses").prompt(ASK, stream=False).text(), SENTENCE)


@check("responses, streamed")
def responses_streamed(gate: Gate) -> None:
    for name in ("talk", "claude", "native"):
        same("".join(model(gate, f"{name}-responses").prompt(ASK)), SENTENCE)


@check("responses with tools")
def responses_tools(gate: Gate) -> None:
    def look(at: str) -> str:
        """Looks."""
        return at

    same(model(gate, "talk-responses").chain(ASK, tools=[look], stream=False).text(), SENTENCE)


@check("an Anthropic upstream")
def anthropic_upstream(gate: Gate) -> None:
    same(model(gate, "claude").prompt(ASK, stream=False).text(), SENTENCE)


@check("an Azure upstream")
def azure_upstream(gate: Gate) -> None:
    same("".join(model(gate, "gpt").prompt(ASK)), SENTENCE)


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as home:
        os.environ["LLM_USER_PATH"] = home
        main("llm", "openai")
