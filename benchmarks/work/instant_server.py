"""A server of the chat API that answers at once, whatever it is asked: `instant_server.py WORDS` says its port and ends with
its standard input. Of HTTP it knows what the clients of `writing_rate.py` send."""

import asyncio
import json
import random
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))
from prose import sentences

END, LENGTH = b"\r\n\r\n", b"content-length:"


def answer(words: int) -> bytes:
    text = sentences(random.Random(0), words)
    message = {"role": "assistant", "content": f"<content>\n{text}\n</content>"}
    usage = {"prompt_tokens": 900, "completion_tokens": 2 * words, "total_tokens": 900 + 2 * words}
    told = {"id": "x", "object": "chat.completion", "created": 0, "model": "instant", "usage": usage}
    choice = {"index": 0, "finish_reason": "stop", "message": message}
    body = json.dumps(told | {"choices": [choice]}).encode()
    return b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n%b" % (len(body), body)


class Instant(asyncio.Protocol):
    """One connection. A request ends where its body does."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport, self.held = transport, b""

    def data_received(self, data: bytes) -> None:
        self.held += data
        while END in self.held:
            head, body = self.held.split(END, 1)
            length = int(head.lower().split(LENGTH, 1)[1].split(b"\r\n", 1)[0])
            if len(body) < length:
                return
            self.held = body[length:]
            self.transport.write(ANSWER)  # type: ignore[attr-defined]


async def main() -> None:
    loop = asyncio.get_running_loop()
    server = await loop.create_server(Instant, "127.0.0.1", 0, backlog=2048)
    print(server.sockets[0].getsockname()[1], flush=True)
    await loop.run_in_executor(None, sys.stdin.read)


ANSWER = answer(int(sys.argv[1]))
asyncio.run(main())
