"""What a client is tried at, and which clients there are: shared by scripts, tests and the page.

Imports nothing but the standard library, because client scripts run where nothing else is.
"""

from typing import Final, Literal, NamedTuple

Feature = Literal[
    "chat",
    "chat, streamed",
    "chat, asynchronous",
    "tools",
    "tools, streamed",
    "structured outputs",
    "images in messages",
    "log probabilities",
    "several answers (n)",
    "usage",
    "usage, streamed",
    "unknown parameters",
    "error 400",
    "error 401",
    "error 404",
    "error 429",
    "error 502",
    "error in a stream",
    "responses",
    "responses, streamed",
    "responses with tools",
    "responses, structured",
    "embeddings",
    "completions (legacy)",
    "models",
    "Azure deployments",
    "Azure errors",
    "Azure v1",
    "an Anthropic upstream",
    "an Azure upstream",
    "count_tokens",
]
"""Rows of the table of compatibility, in its order."""


class Client(NamedTuple):
    """One unmodified client in an environment of its own."""

    name: str
    """Of its lock."""
    script: str
    """Module below `tests.compat.clients`."""
    wants: str
    """What the lock is made from: the newest installable release of this."""
    package: str
    """The distribution whose version the page names."""


CLIENTS: Final = (
    Client("openai-1", "openai_sdk", "openai>=1,<2", "openai"),
    Client("openai-2", "openai_sdk", "openai>=2,<3", "openai"),
    Client("openai-3", "openai_sdk", "openai>=3,<4", "openai"),
    Client("anthropic", "anthropic_sdk", "anthropic", "anthropic"),
    Client("litellm", "litellm_client", "litellm[mcp]", "litellm"),
    Client("langchain-openai", "langchain_client", "langchain-openai", "langchain-openai"),
    Client("llm", "llm_client", "llm", "llm"),
)
