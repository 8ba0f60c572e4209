"""A chat completion stream as Anthropic's stream events, incrementally.

    message_start  ping  (content_block_start  content_block_delta...  content_block_stop)...
    message_delta  message_stop

Blocks follow each other and never interleave; the last two events wait for the close record.

Source: platform.claude.com/docs/en/build-with-claude/streaming.
"""

from typing import Final

from quartermaster.gateway.dialects import errors, usage
from quartermaster.gateway.dialects.body import EMPTY, encode
from quartermaster.gateway.dialects.chat_shapes import Choice, Function, Said, ToolCall, read_answer
from quartermaster.gateway.dialects.frames import DONE, BrokenStreamError, event
from quartermaster.gateway.dialects.messages_response import Asked, stop_reason, tool_id
from quartermaster.gateway.pieces import BYTES_PER_TOKEN
from quartermaster.gateway.settings import ANSWER_BYTES_MAX
from quartermaster.kernel.errors import RefusedError, UpstreamError
from quartermaster.kernel.units import Counts

_PING: Final = event("ping", b'{"type": "ping"}')
_NO_BLOCK: Final = ""
_TEXT: Final = "text"
_THINKING: Final = "thinking"
_TOOL: Final = "tool"


class MessagesFromChat:
    """Translates one stream; see `translated.Translator` for what the relay reads."""

    __slots__ = (
        "_asked",
        "_block",
        "_index",
        "_refused",
        "_started",
        "_stop",
        "_tool_index",
        "_tools",
        "_waiting",
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
        self._started = False
        self._block = _NO_BLOCK
        self._index = -1
        self._tool_index = -1
        self._tools = 0
        self._waiting: ToolCall | None = None
        self._refused = False
        self._stop: tuple[str, str | None] = ("end_turn", None)
        self.deltas = self.text_bytes = 0
        self.done = False
        self.error = False
        self.finish_reason = ""
        self.upstream_id = ""
        self.usage = b""

    def event(self, payload: bytes) -> bytes:
        """The Anthropic events of one chunk.

        Raises:
            UpstreamError: no chunk, or pieces of a tool call that already ended.
        """
        if payload == DONE:
            self.done = True
            return b""
        chunk = read_answer(payload)
        out: list[bytes] = []
        if bytes(chunk.error) not in EMPTY:
            self.error = True
            words = errors.message_of(payload) or "The model server ended with an error."
            return event("error", _error(500, words))
        if not self._started:
            self._start(str(chunk.id or ""), out)
        if bytes(chunk.usage) not in EMPTY:
            self.usage = bytes(chunk.usage)
        try:
            for choice in chunk.choices or ():
                # Other alternatives than the first were not asked for and have no place here.
                if not choice.index:
                    self._choice(choice, out)
        except UpstreamError as error:
            raise BrokenStreamError(error.message, b"".join(out)) from error
        return b"".join(out)

    def _start(self, upstream_id: str, out: list[bytes]) -> None:
        self._started = True
        self.upstream_id = upstream_id
        message: dict[str, object] = {
            "id": self._asked.message_id,
            "type": "message",
            "role": "assistant",
            "model": self._asked.model,
            "content": [],
            "stop_reason": None,
            "stop_sequence": None,
            # Chat completions tell their usage at the end: message_delta has it, cumulatively.
            "usage": {"input_tokens": 0, "output_tokens": 0},
        }
        out.append(event("message_start", encode({"type": "message_start", "message": message})))
        out.append(_PING)

    def _choice(self, choice: Choice, out: list[bytes]) -> None:
        said = choice.delta
        if said is not None:
            self._said(said, out)
        if choice.finish_reason:
            self.finish_reason = choice.finish_reason
            self._stop = stop_reason(choice, self._asked, called=self._tools > 0)
            self._all_named()
            self._end_block(out)

    def _said(self, said: Said, out: list[bytes]) -> None:
        thought, text = said.thought, said.text
        if thought:
            self._count(len(thought.encode()))
            if self._asked.thinking:
                self._open(_THINKING, {"type": "thinking", "thinking": "", "signature": ""}, out)
                self._delta({"type": "thinking_delta", "thinking": thought}, out)
        if said.refusal:
            self._refused = True
            text += said.refusal
        if text:
            self._count(len(text.encode()))
            self._open(_TEXT, {"type": "text", "text": ""}, out)
            self._delta({"type": "text_delta", "text": text}, out)
        for call in said.tool_calls or ():
            self._call(call, out)
            self._count(BYTES_PER_TOKEN)

    def _count(self, text_bytes: int) -> None:
        self.deltas += 1
        self.text_bytes += text_bytes

    def _call(self, call: ToolCall, out: list[bytes]) -> None:
        index = self._tool_index if call.index is None else call.index
        if call.index is None and (call.id or self._tool_index < 0):
            index = self._tool_index + 1  # a server that does not number its calls
        if index > self._tool_index:
            self._end_block(out)
            self._all_named()
            self._tool_index = index
            self._tools += 1
            self._waiting = ToolCall(function=Function("", ""))
        elif index < self._tool_index or (self._waiting is None and self._block != _TOOL):
            raise UpstreamError("the model server interleaves its tool calls")
        piece = call.function or Function()
        arguments = piece.arguments or ""
        waiting = self._waiting
        if waiting is not None:
            arguments = self._name(waiting, call.id, piece, out)
        if arguments:
            self._delta({"type": "input_json_delta", "partial_json": arguments}, out)

    def _name(
        self, waiting: ToolCall, given_id: str | None, piece: Function, out: list[bytes]
    ) -> str:
        """Open the block once the tool's name is known; the arguments that may be sent by now."""
        waiting.id = waiting.id or given_id
        function = waiting.function or piece
        function.name = function.name or piece.name
        function.arguments = f"{function.arguments or ''}{piece.arguments or ''}"
        if not function.name:
            if len(function.arguments) > ANSWER_BYTES_MAX:
                raise UpstreamError("the model server calls a tool without a name")
            return ""
        block: dict[str, object] = {
            "type": "tool_use",
            "id": waiting.id or tool_id(self._asked, self._tools - 1),
            "name": function.name,
            "input": {},
        }
        self._waiting = None
        self._open(_TOOL, block, out)
        return function.arguments

    def _all_named(self) -> None:
        if self._waiting is not None:
            raise UpstreamError("the model server calls a tool without a name")

    def _open(self, kind: str, block: dict[str, object], out: list[bytes]) -> None:
        if self._block == kind:
            return
        self._end_block(out)
        self._index += 1
        self._block = kind
        start = {"type": "content_block_start", "index": self._index, "content_block": block}
        out.append(event("content_block_start", encode(start)))

    def _delta(self, delta: dict[str, str], out: list[bytes]) -> None:
        body = {"type": "content_block_delta", "index": self._index, "delta": delta}
        out.append(event("content_block_delta", encode(body)))

    def _end_block(self, out: list[bytes]) -> None:
        if self._block == _NO_BLOCK:
            return
        self._block = _NO_BLOCK
        stop = {"type": "content_block_stop", "index": self._index}
        out.append(event("content_block_stop", encode(stop)))

    def closing(self, counts: Counts) -> bytes:
        """`message_delta` with the stop reason and the usage, and `message_stop`."""
        out: list[bytes] = []
        if not self._started:
            self._start("", out)
        self._end_block(out)
        reason, sequence = self._stop
        body = {
            "type": "message_delta",
            "delta": {
                "stop_reason": "refusal" if self._refused else reason,
                "stop_sequence": sequence,
            },
            "usage": usage.as_messages(counts),
        }
        out.append(event("message_delta", encode(body)))
        out.append(event("message_stop", b'{"type":"message_stop"}'))
        return b"".join(out)

    def cut(self) -> bytes:
        """The output ends at its cap, which `closing` says."""
        self._stop = ("max_tokens", None)
        self._refused = False
        return b""

    def broken(self, refusal: RefusedError) -> bytes:
        """An error event; nothing follows it."""
        return event("error", errors.refusal_body("anthropic", refusal))


def _error(status: int, words: str) -> bytes:
    return encode(
        {"type": "error", "error": {"type": errors.anthropic_type(status), "message": words}}
    )
