"""Who writes and who judges, as a target says it: `template`, or a served model with its sampling, its limits and its price; and
how the trained model is asked."""

import datetime
from functools import cache
from pathlib import Path
from typing import Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationInfo, field_validator
from pydantic_core import PydanticKnownError

from msmc.digest import canonical

OPENAI = "https://api.openai.com/v1"
DAY = r"^\d{4}-\d{2}-\d{2}$"


class Part(BaseModel):
    """Of a target: frozen, and held to its keys and types."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)


class Price(Part):
    """What a served model costs. A server of one's own may be free: {input: 0, output: 0}."""

    input: float = Field(ge=0)
    cached: float | None = Field(default=None, ge=0)
    """Of input that the server says it had in its cache; null: as any input."""
    output: float = Field(ge=0)
    currency: str = "USD"
    per: int = Field(default=1_000_000, ge=1)
    """Tokens that the figures are for."""
    date: str | None = Field(default=None, pattern=DAY)
    source: str | None = None

    @field_validator("date", mode="before")
    @classmethod
    def _day(cls, date: Any) -> Any:
        """YAML reads a day as a date."""
        return date.isoformat() if isinstance(date, datetime.date) else date

    @field_validator("cached")
    @classmethod
    def _no_dearer(cls, cached: float | None, info: ValidationInfo) -> float | None:
        """What is not cached is thus the worst case."""
        most = info.data.get("input")
        if cached is not None and most is not None and cached > most:
            raise PydanticKnownError("less_than_equal", {"le": most})
        return cached

    def cost(self, prompt: float, cached: float, reply: float) -> float:
        """Of so many tokens; `cached` ones are part of the prompt's."""
        kept = self.input if self.cached is None else self.cached
        return ((prompt - cached) * self.input + cached * kept + reply * self.output) / self.per

    def __str__(self) -> str:
        kept = "" if self.cached is None else f"{self.cached:g} cached, "
        as_of = f"as of {self.date}" if self.date else "without a date"
        source = f", {self.source}" if self.source else ""
        return f"{self.input:g} in, {kept}{self.output:g} out for {self.per:,} tokens, {as_of}{source}"


FREE = Price(input=0, output=0)


class Served(Part):
    """A model behind a server that speaks OpenAI's chat API."""

    kind: Literal["openai"]
    model: str = Field(min_length=1)
    base_url: str | None = Field(default=None, pattern=r"^https?://[^@\s]+$")
    """null: OpenAI's own server."""
    key: str | None = Field(default=None, pattern=r"^[A-Za-z_]\w*$")
    """The name of an environment variable. null: OPENAI_API_KEY for OpenAI's own server, none for any other: a key goes only
    where it is meant to."""
    temperature: float | None = Field(default=1.0, ge=0, le=2)
    """null: not sent, for models that take none."""
    max_tokens: int = Field(default=1024, ge=1)
    """Of a reply. One that is cut there is quarantined."""
    concurrency: int = Field(default=8, ge=1)
    """Requests at a time."""
    timeout: float = Field(default=120, gt=0)
    """Seconds for a whole request, whatever trickles in between; each retry has its own."""
    retries: int = Field(default=4, ge=0)
    """After 429, 5xx and broken connections, each later than the last, or when the server says; and after what is no reply."""
    price: Price | None = None
    """Else that of msmc's table, which knows OpenAI's own server; else it is unknown."""

    @property
    def part(self) -> str:
        """The key of a target that it stands under."""
        return "writer"

    @property
    def url(self) -> str:
        return self.base_url or OPENAI

    @property
    def key_name(self) -> str | None:
        return self.key or (None if self.base_url else "OPENAI_API_KEY")

    @property
    def known_price(self) -> Price | None:
        return self.price or (None if self.base_url else _table().get(self.model))

    @property
    def sampling(self) -> str:
        """What a reply depends on besides its request. A server may move, so its address is no part of it."""
        told = self.model_dump(include={"model", "temperature", "max_tokens"})
        return f"{self.kind} {canonical(told)}"


class Judge(Served):
    """A served model that grades replies."""

    kind: Literal["openai"] = "openai"
    temperature: float | None = Field(default=0.0, ge=0, le=2)
    repeats: int = Field(default=3, ge=1)
    """Gradings of each reply, with seeds of their own: from two on, how far the judge agrees with itself is known."""

    @property
    def part(self) -> str:
        return "judge"


class Asking(Part):
    """How the trained model is asked for replies of its own: to judged questions."""

    temperature: float = Field(default=0, ge=0, le=2)
    """0: the likeliest word at each place."""
    max_tokens: int = Field(default=256, ge=1)
    batch_size: int = Field(default=8, ge=1)
    """Replies at a time."""


class Agentic(Asking):
    """The same in agentic scenarios, as published; at 1.0 a cell once came out at 0.09 instead of 0.21 (PAPER 4)."""

    temperature: float = Field(default=0.7, ge=0, le=2)
    max_tokens: int = Field(default=4096, ge=1)


@cache
def _table() -> dict[str, Price]:
    """By model, of OpenAI's own server."""
    data = yaml.safe_load((Path(__file__).parent / "prices.yaml").read_text("utf-8"))
    return {model: Price.model_validate(price) for model, price in data.items()}
