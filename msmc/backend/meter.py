"""What a command uses of its writer: tokens and money, counted as replies arrive, and caps that no request may pass."""

from dataclasses import dataclass, field

from msmc.backend.ledger import Reply, Request
from msmc.backend.tokens import TEMPLATE, Tokens
from msmc.writer import Price

SPECIAL = 64
"""Tokens that a server's chat template may put around a message, at most: names, dates, marks."""


@dataclass(frozen=True)
class Caps:
    """None: no cap."""

    tokens: int | None = None
    """Of prompts and replies together."""
    cost: float | None = None

    def __str__(self) -> str:
        tokens = [f"--max-tokens {self.tokens:,}"] if self.tokens is not None else []
        return " or ".join([*tokens, *([f"--max-cost {self.cost:g}"] if self.cost is not None else [])])


NO_CAPS = Caps()


@dataclass(frozen=True)
class Usage:
    prompt: float = 0
    cached: float = 0
    """Those of the prompts that a server had from before."""
    reply: float = 0
    replies: int = 0
    counted: int = 0
    """Replies whose tokens no server told, so that the target's tokenizer counted them."""
    stored: float = 0
    """Tokens of the prompts that a server put into its cache, and charges for."""

    def __add__(self, other: "Usage") -> "Usage":
        return Usage(
            self.prompt + other.prompt,
            self.cached + other.cached,
            self.reply + other.reply,
            self.replies + other.replies,
            self.counted + other.counted,
            self.stored + other.stored,
        )

    def __sub__(self, other: "Usage") -> "Usage":
        return self + Usage(-other.prompt, -other.cached, -other.reply, -other.replies, -other.counted, -other.stored)

    @property
    def tokens(self) -> float:
        return self.prompt + self.reply

    def cost(self, price: Price) -> float:
        return price.cost(self.prompt, self.cached, self.stored, self.reply)


class CapReached(Exception):
    """The next request could pass a cap, and none is on its way."""

    def __init__(self, most: Usage) -> None:
        super().__init__()
        self.most = most


@dataclass
class Meter:
    """Of one command. What is on its way counts as the most that it can become."""

    caps: Caps
    price: Price | None
    tokens: Tokens
    used: Usage = Usage()
    _charged: Usage = Usage()
    """As `used`, with the most that a reply can have taken where no server told."""
    _promised: dict[str, Usage] = field(default_factory=dict)
    _in_all: Usage = Usage()
    """What is promised; whole numbers of tokens, so it stays exact."""
    _heads: dict[str, float] = field(default_factory=dict)
    _together: list["Meter"] = field(default_factory=list, repr=False, compare=False)
    """Those of all models of the command, which keep the caps together."""

    def __post_init__(self) -> None:
        self._together.append(self)

    @property
    def every(self) -> tuple["Meter", ...]:
        return tuple(self._together)

    def beside(self, price: Price | None) -> "Meter":
        """Of another model."""
        return Meter(self.caps, price, self.tokens, _together=self._together)

    def count(self, request: Request, reply: Reply) -> Usage:
        """As the server has it, else by the target's tokenizer."""
        if reply.prompt_tokens is not None and reply.completion_tokens is not None:
            cached = min(reply.cached_tokens or 0, reply.prompt_tokens)
            stored = min(reply.stored_tokens or 0, reply.prompt_tokens - cached)
            return Usage(reply.prompt_tokens, cached, reply.completion_tokens, 1, stored=stored)
        if request.messages not in self._heads:
            self._heads[request.messages] = self.tokens.of_messages(m.content for m in request.prefix.messages)
        prompt = self._heads[request.messages] + self.tokens.count(request.row.prompt) + TEMPLATE
        return Usage(prompt, 0, self.tokens.count(reply.raw), 1, counted=1)

    def admit(self, request: Request, most: Usage) -> bool:
        """Whether a request keeps the caps even if it takes the most; if so, that is set aside for it."""
        if not self.allows(most):
            return False
        self._promised[request.key] = most
        self._in_all += most
        return True

    def arrived(self, request: Request, reply: Reply) -> None:
        most, counted = self._no_more(request), self.count(request, reply)
        self.add(counted, most if counted.counted else counted)

    def lost(self, request: Request) -> None:
        """Of an answer that is no reply, or that came too late: it may be paid for, and nobody knows how much."""
        self._charged += self._no_more(request)

    def refused(self, request: Request) -> None:
        """By its server, before it cost anything."""
        self._no_more(request)

    def _no_more(self, request: Request) -> Usage:
        """What was promised to a request that is not on its way any more."""
        most = self._promised.pop(request.key)
        self._in_all -= most
        return most

    def add(self, used: Usage, charged: Usage) -> None:
        self.used += used
        self._charged += charged

    def allows(self, further: Usage) -> bool:
        used = [(meter, meter._in_all + meter._charged) for meter in self._together]
        used.append((self, further))
        if self.caps.tokens is not None and sum(usage.tokens for _, usage in used) > self.caps.tokens:
            return False
        if self.caps.cost is None:
            return True
        return sum(meter._cost(usage) for meter, usage in used) <= self.caps.cost

    def _cost(self, usage: Usage) -> float:
        assert self.price, "a cap on an unknown price is refused before"
        return usage.cost(self.price)


def most_of(request: Request, max_tokens: int) -> Usage:
    """The most that a request to a server can take. No tokenizer makes more tokens of a text than it has bytes, and whose
    tokenizer the server has is not known here."""
    texts = [*(message.content for message in request.prefix.messages), request.row.prompt]
    prompt = sum(len(text.encode()) + SPECIAL for text in texts)
    return Usage(prompt, 0, max_tokens, stored=prompt)
