"""A scripted model behind four public chat protocols, on the loopback only: it asks for tools in a fixed order.

In: a script, one step per turn: the tool calls of that turn; after the last step it says "done". Out: what the agent
sent back for each call, in order. The protocols: OpenAI chat completions and responses, Anthropic messages, Gemini
generateContent, each streaming where the agent wants it. The turn is read off the conversation itself (how many tool
calls it already holds), so that retries and side questions (titles, summaries: requests without tools) do no harm.
Not here: anything of a real model's limits, errors or tokens.
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

Message = dict[str, Any]


@dataclass(frozen=True)
class Call:
    """One tool call."""

    name: str
    arguments: Message


@dataclass
class Endpoint:
    """The server. Use as a context manager; `url` is its root, without a path. turns: for each turn of the script when
    its request had come and when its answer was out, in seconds of time.monotonic()."""

    script: Sequence[Sequence[Call]]
    requests: list[tuple[str, Message]] = field(default_factory=list)
    turns: list[tuple[float, float]] = field(default_factory=list)

    def __enter__(self) -> Endpoint:
        handler = type("Handler", (_Handler,), {"endpoint": self})
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self._server.daemon_threads = True
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()
        return self

    def __exit__(self, *exc: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def results(self) -> list[str]:
        """The tool results of the longest conversation, in order."""
        return max((_results(path, body) for path, body in self.requests), key=len, default=[])

    def tools(self) -> list[str]:
        """The names of the tools that the agent offered, sorted."""
        found = {name for path, body in self.requests for name in _tool_names(body)}
        return sorted(found)

    def turn(self, path: str, body: Message) -> Sequence[Call]:
        """The calls to ask for now; empty when there are none left, or the request is a side question."""
        if not _tool_names(body):
            return []
        answered, at = len(_results(path, body)), 0
        for step in self.script:
            if at == answered:
                return step
            at += len(step)
        return []


def _tool_names(body: Message) -> list[str]:
    names = []
    for tool in body.get("tools") or []:
        for entry in tool.get("functionDeclarations") or [tool.get("function") or tool]:
            names.append(str(entry.get("name", "")))
        for entry in tool.get("tools") or []:  # a namespace of the responses protocol
            names.append(str(entry.get("name", "")))
    return names


def _text(content: Any) -> str:
    if isinstance(content, str):
        return content
    if isinstance(content, list):
        return "".join(_text(part.get("text", part) if isinstance(part, dict) else part) for part in content)
    return json.dumps(content, sort_keys=True)


def _results(path: str, body: Message) -> list[str]:
    if "generateContent" in path or "GenerateContent" in path:
        parts = [part for content in body.get("contents", []) for part in content.get("parts", [])]
        answers = [part["functionResponse"]["response"] for part in parts if "functionResponse" in part]
        return [_text(answer.get("output", answer)) for answer in answers]
    if path.endswith("/responses"):
        items = [item for item in body.get("input", []) if str(item.get("type", "")).endswith("_call_output")]
        return [_text(item.get("output")) for item in items]
    messages = body.get("messages", [])
    if path.split("?")[0].endswith("/messages"):
        parts = [part for message in messages if isinstance(message["content"], list) for part in message["content"]]
        return [_text(part.get("content", "")) for part in parts if part.get("type") == "tool_result"]
    return [_text(message.get("content")) for message in messages if message.get("role") == "tool"]


class _Handler(BaseHTTPRequestHandler):
    """One request; the path says which protocol it speaks."""

    endpoint: Endpoint
    protocol_version = "HTTP/1.1"

    def log_message(self, format: str, *arguments: Any) -> None:  # noqa: A002 (the base class's name)
        pass

    def do_GET(self) -> None:
        model = {"id": "scripted", "object": "model", "name": "models/scripted"}
        self._whole({"object": "list", "data": [model], "models": [model]})

    def do_POST(self) -> None:
        data = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        came_s = time.monotonic()
        body = json.loads(data or b"{}")
        path = self.path.split("?")[0]
        self.endpoint.requests.append((path, body))
        calls = self.endpoint.turn(path, body)
        turn = len(_results(path, body))
        if path.endswith("/chat/completions"):
            self._chat(body, calls, turn)
        elif path.endswith("/responses"):
            self._stream(_responses(calls, turn), named=True)
        elif path.endswith("/messages"):
            self._messages(body, calls, turn)
        elif path.endswith(":streamGenerateContent"):
            self._stream([_gemini(calls)], named=False)
        elif path.endswith(":generateContent"):
            self._whole(_gemini(calls))
        elif path.endswith((":countTokens", "/count_tokens")):
            self._whole({"totalTokens": 10, "input_tokens": 10})
        else:
            self._whole({})
        if _tool_names(body):
            self.wfile.flush()
            self.endpoint.turns.append((came_s, time.monotonic()))

    def _whole(self, answer: Message) -> None:
        data = json.dumps(answer).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def _stream(self, events: Sequence[Message] | Iterator[Message], named: bool, end: bytes = b"") -> None:
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.send_header("Connection", "close")
        self.end_headers()
        for event in events:
            if named:
                self.wfile.write(f"event: {event['type']}\n".encode())
            self.wfile.write(b"data: " + json.dumps(event).encode() + b"\n\n")
            self.wfile.flush()
        self.wfile.write(end)
        self.close_connection = True

    def _chat(self, body: Message, calls: Sequence[Call], turn: int) -> None:
        reason = "tool_calls" if calls else "stop"
        message: Message = {"role": "assistant", "content": None if calls else "done"}
        if calls:
            message["tool_calls"] = [
                {
                    "index": index,
                    "id": f"call_{turn + index}",
                    "type": "function",
                    "function": {"name": call.name, "arguments": json.dumps(call.arguments)},
                }
                for index, call in enumerate(calls)
            ]
        usage = {"prompt_tokens": 10, "completion_tokens": 10, "total_tokens": 20}
        common = {"id": f"chat-{turn}", "created": 1, "model": body.get("model", "scripted")}
        if not body.get("stream"):
            choice = {"index": 0, "message": message, "finish_reason": reason}
            self._whole({**common, "object": "chat.completion", "choices": [choice], "usage": usage})
            return
        chunk = {**common, "object": "chat.completion.chunk"}
        events = [
            {**chunk, "choices": [{"index": 0, "delta": message, "finish_reason": None}]},
            {**chunk, "choices": [{"index": 0, "delta": {}, "finish_reason": reason}]},
            {**chunk, "choices": [], "usage": usage},
        ]
        self._stream(events, named=False, end=b"data: [DONE]\n\n")

    def _messages(self, body: Message, calls: Sequence[Call], turn: int) -> None:
        blocks: list[Message] = [
            {"type": "tool_use", "id": f"toolu_{turn + index}", "name": call.name, "input": call.arguments}
            for index, call in enumerate(calls)
        ] or [{"type": "text", "text": "done"}]
        usage = {"input_tokens": 10, "output_tokens": 10}
        stop = "tool_use" if calls else "end_turn"
        message: Message = {
            "id": f"msg_{turn}", "type": "message", "role": "assistant", "model": body.get("model", "scripted"),
            "content": blocks, "stop_reason": stop, "stop_sequence": None, "usage": usage,
        }  # fmt: skip
        if not body.get("stream"):
            self._whole(message)
            return
        events: list[Message] = [
            {"type": "message_start", "message": {**message, "content": [], "stop_reason": None}}
        ]
        for index, block in enumerate(blocks):
            if block["type"] == "text":
                empty, delta = {**block, "text": ""}, {"type": "text_delta", "text": block["text"]}
            else:
                empty = {**block, "input": {}}
                delta = {"type": "input_json_delta", "partial_json": json.dumps(block["input"])}
            events += [
                {"type": "content_block_start", "index": index, "content_block": empty},
                {"type": "content_block_delta", "index": index, "delta": delta},
                {"type": "content_block_stop", "index": index},
            ]
        delta = {"stop_reason": stop, "stop_sequence": None}
        events += [{"type": "message_delta", "delta": delta, "usage": usage}, {"type": "message_stop"}]
        self._stream(events, named=True)


def _responses(calls: Sequence[Call], turn: int) -> Iterator[Message]:
    response: Message = {"id": f"resp_{turn}", "object": "response", "status": "in_progress", "output": []}
    yield {"type": "response.created", "response": dict(response)}
    items: list[Message] = [
        {
            "type": "function_call", "id": f"fc_{turn + index}", "call_id": f"call_{turn + index}",
            "name": call.name, "arguments": json.dumps(call.arguments), "status": "completed",
        }
        for index, call in enumerate(calls)
    ]  # fmt: skip
    if not items:
        said = {"type": "output_text", "text": "done", "annotations": []}
        items = [{"type": "message", "id": "msg", "role": "assistant", "status": "completed", "content": [said]}]
    for index, item in enumerate(items):
        yield {"type": "response.output_item.added", "output_index": index, "item": item}
        yield {"type": "response.output_item.done", "output_index": index, "item": item}
    usage = {
        "input_tokens": 10, "input_tokens_details": {"cached_tokens": 0},
        "output_tokens": 10, "output_tokens_details": {"reasoning_tokens": 0}, "total_tokens": 20,
    }  # fmt: skip
    response |= {"status": "completed", "output": items, "usage": usage}
    yield {"type": "response.completed", "response": response}


def _gemini(calls: Sequence[Call]) -> Message:
    parts: list[Message] = [{"functionCall": {"name": call.name, "args": call.arguments}} for call in calls]
    content = {"role": "model", "parts": parts or [{"text": "done"}]}
    usage = {"promptTokenCount": 10, "candidatesTokenCount": 10, "totalTokenCount": 20}
    return {"candidates": [{"content": content, "finishReason": "STOP", "index": 0}], "usageMetadata": usage}
