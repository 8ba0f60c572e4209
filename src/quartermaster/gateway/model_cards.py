"""The models that a key may use, as `/v1/models` shows them to the SDKs of OpenAI and Anthropic."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Final, Literal, Self

import msgspec

OWNED_BY: Final = "quartermaster"


class ModelCard(msgspec.Struct, frozen=True):
    """One model as `/v1/models` shows it, to OpenAI's and to Anthropic's SDK alike."""

    id: str
    created: int
    display_name: str
    created_at: str
    owned_by: str = OWNED_BY
    object: Literal["model"] = "model"
    type: Literal["model"] = "model"

    @classmethod
    def of(cls, name: str, created_s: int) -> Self:
        """The card of a model.

        Args:
            name: what customers call it.
            created_s: seconds since 1970 at which it was first deployed.
        """
        return cls(name, created_s, name, datetime.fromtimestamp(created_s, UTC).isoformat())


class ModelList(msgspec.Struct, frozen=True):
    """The reply of `/v1/models`."""

    data: list[ModelCard]
    first_id: str | None
    last_id: str | None
    has_more: bool = False
    object: Literal["list"] = "list"


_encode: Final = msgspec.json.Encoder().encode


def every(created_s: Mapping[str, int]) -> bytes:
    """The list of models, in the order of their names.

    Args:
        created_s: by name, seconds since 1970 at which each was first deployed.
    """
    cards = [ModelCard.of(name, created_s[name]) for name in sorted(created_s)]
    ends = (cards[0].id, cards[-1].id) if cards else (None, None)
    return _encode(ModelList(cards, *ends))


def one(name: str, created_s: int) -> bytes:
    """One model."""
    return _encode(ModelCard.of(name, created_s))
