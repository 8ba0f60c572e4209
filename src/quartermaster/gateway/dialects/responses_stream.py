"""A chat completion stream as the Responses API's events, numbered, in the documented order.

    response.created  response.in_progress
    for every item   output_item.added  content_part.added  <text>.delta...  <text>.done
                     content_part.done  output_item.done
    or for a call    output_item.added  function_call_arguments.delta...  .done  output_item.done
    response.completed | response.incomplete

Only the last event waits for the close record. The `done` events repeat the whole text, so it is
kept until then, up to a bound.

Source: the OpenAI API reference, streaming events of the Responses API.
"""

from typing import Final

import msgspec

from quartermaster.gateway.dialects import errors, responses_object
from quartermaster.gateway.dialects.body import EMPTY, encode
from quartermaster.gateway.dialects.chat_shapes import Choice, Said, ToolCall, read_answer
from quartermaster.gateway.dialects.frames import DONE, BrokenStreamError, event
from quartermaster.gateway.dialects.responses_object import Asked, Item
from quartermaster.gateway.pieces import BYTES_PER_TOKEN
from quartermaster.gateway.settings import ANSWER_BYTES_MAX
from quartermaster.kernel.errors import RefusedError, UpstreamError
from quartermaster.kernel.units import Counts

ITEM_BYTES: Final = 1_024
"""What an item takes beside its text, rounded up: a call without arguments is not free to keep."""


class _Open:
    """The item that is being written."""

    __slots__ = ("call_id", "index", "item_id", "kind", "logprobs", "name", "text")

    def __init__(self, kind: "_Kind", item_id: str, index: int) -> None:
        self.kind = kind
        self.item_id = item_id
        self.index = index
        self.text: list[str] = []
        self.logprobs: list[msgspec.Raw] = []
        self.call_id = ""
        self.name = ""


class _Kind(msgspec.Struct, frozen=True):
    """How one kind of item is told."""

    prefix: str
    delta: str
    done: str
    field: str


_TEXT: Final = _Kind("msg", "response.output_text.delta", "response.output_text.done", "text")
_REFUSAL: Final = _Kind("msg", "response.refusal.delta", "response.refusal.done", "refusal")
_THOUGHT: Final = _Kind(
    "rs", "response.reasoning_text.delta", "response.reasoning_text.done", "text"
)
_CALL: Final = _Kind(
    "fc",
    "response.function_call_arguments.delta",
    "response.function_call_arguments.done",
    "arguments",
)


class ResponsesFromChat:
    """Translates one stream; see `translated.Translator` for what the relay reads."""

    __slots__ = (
        "_asked",
        "_items",
        "_kept_bytes",
        "_open",
        "_sequence",
        "_started",
        "_tool_index",
        "deltas",
        "done",
        "error",
        "finish_reason",
        "text_bytes",
        "upstream_id",
        "usage",
    )

    def __init__(self, asked: Asked) -> None:
        self._asked = asked
        self._items: list[Item] = []
        self._kept_bytes = 0
        self._open: _Open | None = None
        self._sequence = 0
        self._started = False
        self._tool_index = -1
        self.deltas = self.text_bytes = 0
        self.done = False
        self.error = False
        self.finish_reason = ""
        self.upstream_id = ""
        self.usage = b""

    def event(self, payload: bytes) -> bytes:
        """The events of one chunk.

        Raises:
            UpstreamError: no chunk, pieces of a call that already ended, or more text than kept.
        """
        if payload == DONE:
            self.done = True
            return b""
        chunk = read_answer(payload)
        out: list[bytes] = []
        self._start(out)
        if bytes(chunk.error) not in EMPTY:
            self.error = True
            words = errors.message_of(payload) or "The model server ended with an error."
            self._failed("server_error", words, out)
            return b"".join(out)
        self.upstream_id = self.upstream_id or str(chunk.id or "")
        if bytes(chunk.usage) not in EMPTY:
            self.usage = bytes(chunk.usage)
        try:
            for choice in chunk.choices or ():
                if not choice.index:
                    self._choice(choice, out)
        except UpstreamError as error:
            raise BrokenStreamError(error.message, b"".join(out)) from error
        return b"".join(out)

    def _tell(self, kind: str, body: Item, out: list[bytes]) -> None:
        numbered = {"type": kind, "sequence_number": self._sequence, **body}
        self._sequence += 1
        out.append(event(kind, encode(numbered)))

    def _start(self, out: list[bytes]) -> None:
        if self._started:
            return
        self._started = True
        body: Item = {
            "response": responses_object.response(self._asked, status="in_progress", output=[])
        }
        self._tell("response.created", body, out)
        self._tell("response.in_progress", body, out)

    def _choice(self, choice: Choice, out: list[bytes]) -> None:
        said = choice.delta or Said()
        if said.thought:
            self._add(_THOUGHT, said.thought, [], out)
        if said.text:
            self._add(_TEXT, said.text, responses_object.logprobs_of(choice), out)
        if said.refusal:
            self._add(_REFUSAL, said.refusal, [], out)
        for call in said.tool_calls or ():
            self._call(call, out)
            self.deltas += 1
            self.text_bytes += BYTES_PER_TOKEN
        if choice.finish_reason:
            self.finish_reason = choice.finish_reason
            self._end_item(out)

    def _add(self, kind: _Kind, text: str, logprobs: list[msgspec.Raw], out: list[bytes]) -> None:
        item = self._open
        if item is None or item.kind is not kind:
            item = self._begin(kind, out)
            part = {"item_id": item.item_id, "output_index": item.index, "content_index": 0}
            self._tell("response.content_part.added", {**part, "part": _part(item, "")}, out)
        self._keep(len(text) + sum(len(memoryview(one)) for one in logprobs))
        item.text.append(text)
        body: Item = {
            "item_id": item.item_id,
            "output_index": item.index,
            "content_index": 0,
            "delta": text,
        }
        if kind is _TEXT:
            # Without a copy each would keep the whole chunk that it came in.
            item.logprobs.extend(one.copy() for one in logprobs)
            body["logprobs"] = logprobs
        self._tell(kind.delta, body, out)
        self.deltas += 1
        self.text_bytes += len(text.encode())

    def _call(self, call: ToolCall, out: list[bytes]) -> None:
        index = self._tool_index if call.index is None else call.index
        if call.index is None and (call.id or self._tool_index < 0):
            index = self._tool_index + 1  # a server that does not number its calls
        function = call.function
        item = self._open
        if index > self._tool_index:
            if function is None or not function.name:
                raise UpstreamError("the model server calls a tool without a name")
            self._tool_index = index
            item = self._begin(_CALL, out, call.id or f"call_{index}", function.name)
        elif index < self._tool_index or item is None or item.kind is not _CALL:
            raise UpstreamError("the model server interleaves its tool calls")
        arguments = function.arguments if function is not None else None
        if arguments:
            self._keep(len(arguments))
            item.text.append(arguments)
            place: Item = {"item_id": item.item_id, "output_index": item.index}
            self._tell(_CALL.delta, {**place, "delta": arguments}, out)

    def _keep(self, size: int) -> None:
        self._kept_bytes += size
        if self._kept_bytes > ANSWER_BYTES_MAX:
            raise UpstreamError("the model server's answer is too large")

    def _begin(self, kind: _Kind, out: list[bytes], call_id: str = "", name: str = "") -> _Open:
        self._end_item(out)
        self._keep(ITEM_BYTES + len(call_id) + len(name))
        index = len(self._items)
        item = self._open = _Open(kind, self._asked.item_id(kind.prefix, index), index)
        item.call_id, item.name = call_id, name
        body: Item = {"output_index": index, "item": _item(item, "in_progress")}
        self._tell("response.output_item.added", body, out)
        return item

    def _end_item(self, out: list[bytes]) -> None:
        item = self._open
        if item is None:
            return
        self._open = None
        text = "".join(item.text)
        place: Item = {"item_id": item.item_id, "output_index": item.index}
        if item.kind is _CALL:
            self._tell(_CALL.done, {**place, "name": item.name, "arguments": text}, out)
        else:
            place["content_index"] = 0
            body = {**place, item.kind.field: text}
            if item.kind is _TEXT:
                body["logprobs"] = item.logprobs
            self._tell(item.kind.done, body, out)
            self._tell("response.content_part.done", {**place, "part": _part(item, text)}, out)
        status, _ = responses_object.status_of(self.finish_reason)
        finished = _item(item, status)
        self._items.append(finished)
        self._tell("response.output_item.done", {"output_index": item.index, "item": finished}, out)

    def closing(self, counts: Counts) -> bytes:
        """The last event, with the whole response and its usage."""
        out: list[bytes] = []
        self._start(out)
        self._end_item(out)
        status, incomplete = responses_object.status_of(self.finish_reason)
        body = responses_object.response(
            self._asked, status=status, output=self._items, counts=counts, incomplete=incomplete
        )
        self._tell(f"response.{status}", {"response": body}, out)
        return b"".join(out)

    def _failed(self, code: str, words: str, out: list[bytes]) -> None:
        self._tell("error", {"code": code, "message": words, "param": None}, out)
        body = responses_object.response(
            self._asked, status="failed", output=self._items, error=("server_error", words)
        )
        self._tell("response.failed", {"response": body}, out)

    def cut(self) -> bytes:
        """The output ends at its cap, which `closing` says."""
        self.finish_reason = "length"
        return b""

    def broken(self, refusal: RefusedError) -> bytes:
        """An `error` event and `response.failed`; nothing follows them."""
        out: list[bytes] = []
        self._start(out)
        self._failed(refusal.code, refusal.message, out)
        return b"".join(out)


def _part(item: _Open, text: str) -> Item:
    if item.kind is _TEXT:
        return responses_object.text_part(text, item.logprobs if text else [])
    if item.kind is _REFUSAL:
        return {"type": "refusal", "refusal": text}
    return {"type": "reasoning_text", "text": text}


def _item(item: _Open, status: str) -> Item:
    text = "".join(item.text)
    if item.kind is _CALL:
        return responses_object.call_item(item.item_id, item.call_id, item.name, text, status)
    if item.kind is _THOUGHT:
        return responses_object.reasoning_item(item.item_id, text, status)
    content = [_part(item, text)] if text else []
    return responses_object.message_item(item.item_id, content, status)
