"""The quickest possible judge: answers every POST with one fixed verdict after a fixed latency. Prints its port.

It counts: `GET /stats` gives, as JSON, the seconds spent at each number of requests in flight, the POSTs, the bytes of
their bodies (`received`: with their heads), and the connections that were opened. `GET /metrics` gives the two numbers
of vLLM that steer a client.

Usage: python reply_server.py LATENCY_SECONDS [SHARE_OF_CALLS_THAT_FAIL [STATUS]]
A failure is a 500 after the latency, or with STATUS 429 a refusal at once, with `Retry-After: 1`.
"""

from __future__ import annotations

import asyncio
import json
import random
import sys
import time

import uvloop

REPLY = json.dumps(
    {
        "id": "chatcmpl-0",
        "object": "chat.completion",
        "created": 0,
        "model": "judge",
        "choices": [
            {
                "index": 0,
                "message": {"role": "assistant", "content": "[[A>B]]", "reasoning": None},
                "logprobs": None,
                "finish_reason": "stop",
            }
        ],
        "usage": {"prompt_tokens": 900, "total_tokens": 910, "completion_tokens": 10},
    }
).encode()
REFUSAL = b"HTTP/1.1 429 Too Many Requests\r\nRetry-After: 1\r\nContent-Length: 0\r\n\r\n"
TROUBLE = json.dumps({"error": {"message": "made to fail", "code": 500}}).encode()
METRICS = b'vllm:num_requests_running{model_name="judge"} %d\nvllm:num_requests_waiting{model_name="judge"} 0\n'
MODELS = json.dumps({"object": "list", "data": [{"id": "judge", "object": "model", "max_model_len": 32768}]}).encode()


def _response(body: bytes, status: str = "200 OK") -> bytes:
    head = f"HTTP/1.1 {status}\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    return head.encode() + body


class Occupancy:
    """Seconds spent at each number of requests in flight."""

    def __init__(self) -> None:
        self.held = 0
        self.seconds: dict[int, float] = {}
        self._since = time.perf_counter()

    def change(self, by: int) -> None:
        now = time.perf_counter()
        self.seconds[self.held] = self.seconds.get(self.held, 0.0) + now - self._since
        self._since = now
        self.held += by


class Server(asyncio.Protocol):
    latency = 0.0
    faults = 0.0
    refuses = False
    occupancy = Occupancy()
    counts = dict.fromkeys(("posts", "bytes", "received", "connections"), 0)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport
        self.counts["connections"] += 1
        self.buffer = bytearray()

    def data_received(self, data: bytes) -> None:
        self.buffer += data
        while (end := self.buffer.find(b"\r\n\r\n")) >= 0:
            head = bytes(self.buffer[:end])
            length = 0
            for line in head.split(b"\r\n"):
                if line[:15].lower() == b"content-length:":
                    length = int(line[15:])
            if len(self.buffer) < end + 4 + length:
                return
            del self.buffer[: end + 4 + length]
            if head.startswith(b"POST") and self.refuses and random.random() < self.faults:
                self.transport.write(REFUSAL)
            elif head.startswith(b"POST"):
                self.counts["posts"] += 1
                self.counts["bytes"] += length
                self.counts["received"] += end + 4 + length
                self.occupancy.change(+1)
                asyncio.get_running_loop().call_later(self.latency, self.answer) if self.latency else self.answer()
            elif head.startswith(b"GET /stats"):
                self.occupancy.change(0)
                self.transport.write(_response(json.dumps({"seconds": self.occupancy.seconds, **self.counts}).encode()))
            elif head.startswith(b"GET /metrics"):
                self.transport.write(_response(METRICS % self.occupancy.held))
            else:
                self.transport.write(_response(MODELS))

    def answer(self) -> None:
        self.occupancy.change(-1)
        failed = self.faults and not self.refuses and random.random() < self.faults
        self.transport.write(_response(TROUBLE, "500 Internal Server Error") if failed else _response(REPLY))


async def main() -> None:
    Server.latency = float(sys.argv[1])
    Server.faults = float(sys.argv[2]) if len(sys.argv) > 2 else 0.0
    Server.refuses = sys.argv[3:] == ["429"]
    server = await asyncio.get_running_loop().create_server(Server, "127.0.0.1", 0, backlog=4096)
    print(server.sockets[0].getsockname()[1], flush=True)
    await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)  # until the parent closes the pipe


if __name__ == "__main__":
    uvloop.run(main())
