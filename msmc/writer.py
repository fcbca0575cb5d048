"""Who writes and who judges, as a target says it: `template`, or a model with its sampling, its limits and its price; and how the
trained model is asked."""

import datetime
import hashlib
from abc import ABC, abstractmethod
from functools import cache
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal, Self

import yaml
from pydantic import BaseModel, ConfigDict, Discriminator, Field, ValidationInfo, field_validator
from pydantic_core import PydanticKnownError

from msmc.digest import canonical

OPENAI = "https://api.openai.com/v1"
ANTHROPIC = "https://api.anthropic.com"
SAMPLER = "1"
"""How `transformers` draws tokens: raise it when the same rows would come out differently."""
BATCH_RATE = 2
"""How many times as many tokens a provider's batches give for a price."""
DAY = r"^\d{4}-\d{2}-\d{2}$"


class Part(BaseModel):
    """Of a target: frozen, and held to its keys and types."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)


class Price(Part):
    """What a served model costs. A server of one's own may be free: {input: 0, output: 0}."""

    input: float = Field(ge=0)
    cached: float | None = Field(default=None, ge=0)
    """Of input that the server says it had in its cache; null: as any input."""
    stored: float | None = Field(default=None, ge=0)
    """Of input that the server puts into its cache, which Anthropic's charges more for; null: as any input."""
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

    @field_validator("stored")
    @classmethod
    def _no_cheaper(cls, stored: float | None, info: ValidationInfo) -> float | None:
        """What is stored is thus the worst case of all."""
        least = info.data.get("input")
        if stored is not None and least is not None and stored < least:
            raise PydanticKnownError("greater_than_equal", {"ge": least})
        return stored

    def cost(self, prompt: float, cached: float, stored: float, reply: float) -> float:
        """Of so many tokens; `cached` and `stored` ones are part of the prompt's."""
        read = self.input if self.cached is None else self.cached
        kept = self.input if self.stored is None else self.stored
        new = prompt - cached - stored
        return (new * self.input + cached * read + stored * kept + reply * self.output) / self.per

    def most(self, prompt: float, reply: float) -> float:
        """What so many tokens cost at worst."""
        return self.cost(prompt, 0, prompt, reply)

    def __str__(self) -> str:
        kept = "" if self.cached is None else f"{self.cached:g} cached, "
        kept += "" if self.stored is None else f"{self.stored:g} stored, "
        as_of = f"as of {self.date}" if self.date else "without a date"
        source = f", {self.source}" if self.source else ""
        return f"{self.input:g} in, {kept}{self.output:g} out for {self.per:,} tokens, {as_of}{source}"


FREE = Price(input=0, output=0)


class Weights(Part):
    """A model whose weights are read on this machine."""

    name: str = Field(min_length=1)
    """A Hugging Face id, or a local folder with config.json and safetensors."""
    revision: str | None = None
    package: str | None = None
    """`NAME==VERSION` of a Python package that holds the weights, for machines without the hub."""
    file: str | None = None
    """The GGUF file inside that package."""

    @property
    def fingerprint(self) -> str:
        """The weights themselves, wherever they lie: a folder is read whole, once for each process."""
        folder = Path(self.name).expanduser()
        if folder.is_dir():
            return _digest_of(folder.resolve())
        if self.package is not None:
            return f"{self.package} {self.file}"
        return f"{self.name} {self.revision}" if self.revision else self.name


class ModelWriter(Part, ABC):
    """A model that writes, wherever it runs."""

    _part: str = "writer"
    max_tokens: int = Field(default=1024, ge=1)
    """Of a reply. One that is cut there is quarantined."""

    @property
    def part(self) -> str:
        """The key of a target that it stands under."""
        return self._part

    def of(self, part: str, own: Weights | None) -> Self:
        """The same as it stands in a target: under a key, and beside the model that is trained."""
        bound = self.model_copy()
        bound._part = part
        return bound

    @property
    @abstractmethod
    def title(self) -> str:
        """The model's name, as it is told."""

    @property
    @abstractmethod
    def who(self) -> tuple[object, ...]:
        """Equal for two that are one model."""

    @property
    @abstractmethod
    def known_price(self) -> Price | None:
        """None where nobody told it."""

    @property
    @abstractmethod
    def sampling(self) -> str:
        """What a reply depends on besides its request."""


class Pooled(ModelWriter):
    """A model that is asked for several replies at a time."""

    concurrency: int = Field(default=8, ge=1)
    """Requests at a time."""
    timeout: float = Field(default=120, gt=0)
    """Seconds for a whole request, whatever trickles in between; each retry has its own."""
    retries: int = Field(default=4, ge=0)
    """After 429, 5xx and broken connections, each later than the last, or when the server says; and after what is no reply."""


class Remote(Pooled):
    """A model behind a server that somebody else runs, or that is there before msmc is."""

    URL: ClassVar[str]
    """Of the server that a target need not name."""
    KEY: ClassVar[str]
    """The environment variable of that server's key."""

    kind: str
    model: str = Field(min_length=1)
    base_url: str | None = Field(default=None, pattern=r"^https?://[^@\s]+$")
    """null: the provider's own server."""
    key: str | None = Field(default=None, pattern=r"^[A-Za-z_]\w*$")
    """The name of an environment variable. null: the provider's usual one for its own server, none for any other: a key goes only
    where it is meant to."""
    temperature: float | None = Field(default=1.0, ge=0, le=2)
    """null: not sent, for models that take none."""
    batch: bool = False
    """The provider's batches: at half the price, and replies within a day. A price that is given is that of batches then."""
    price: Price | None = None
    """Else that of msmc's table, which knows OpenAI's own server; else it is unknown."""

    @property
    def title(self) -> str:
        return self.model

    @property
    def who(self) -> tuple[object, ...]:
        return (self.kind, self.model)

    @property
    def url(self) -> str:
        return self.base_url or self.URL

    @property
    def key_name(self) -> str | None:
        return self.key or (None if self.base_url else self.KEY)

    @property
    def known_price(self) -> Price | None:
        return self.price

    @property
    def sampling(self) -> str:
        """A server may move, so its address is no part of it."""
        told = self.model_dump(include={"model", "temperature", "max_tokens"})
        return f"{self.kind} {canonical(told)}"


class Served(Remote):
    """A model behind a server that speaks OpenAI's chat API."""

    URL = OPENAI
    KEY = "OPENAI_API_KEY"
    kind: Literal["openai"]

    @property
    def known_price(self) -> Price | None:
        known = None if self.base_url else _table().get(self.model)
        if known and self.batch:
            known = known.model_copy(update={"per": known.per * BATCH_RATE})
        return self.price or known


class Anthropic(Remote):
    """A model behind Anthropic's messages API."""

    URL = ANTHROPIC
    KEY = "ANTHROPIC_API_KEY"
    kind: Literal["anthropic"]
    temperature: float | None = Field(default=None, ge=0, le=1)
    """null: not sent, which is 1. Newer models take none."""


class Local(ModelWriter):
    """A model whose weights msmc reads on this machine. It costs nothing but time."""

    _own: Weights | None = None
    kind: str
    model: Weights | None = None
    """Its keys, or a name alone. null: the model that the target trains, before its training."""
    temperature: float = Field(default=1.0, ge=0, le=2)

    @field_validator("model", mode="before")
    @classmethod
    def _named(cls, model: Any) -> Any:
        return {"name": model} if isinstance(model, str) else model

    def of(self, part: str, own: Weights | None) -> Self:
        bound = super().of(part, own)
        bound._own = own
        return bound

    @property
    def weights(self) -> Weights:
        found = self.model or self._own
        assert found, "a target has a model"
        return found

    @property
    def title(self) -> str:
        return self.weights.name

    @property
    def who(self) -> tuple[object, ...]:
        return ("weights", *(getattr(self.weights, key) for key in Weights.model_fields))

    @property
    def known_price(self) -> Price | None:
        return FREE

    @property
    def sampling(self) -> str:
        told = {"weights": self.weights.fingerprint, "temperature": self.temperature, "max_tokens": self.max_tokens}
        return f"{self.kind} {canonical(told | self._besides)}"

    @property
    def _besides(self) -> dict[str, Any]:
        """What else its replies depend on."""
        return {}


class Vllm(Local, Pooled):
    """A vLLM server that msmc starts for the time of writing."""

    kind: Literal["vllm"]
    python: str | None = Field(default=None, min_length=1)
    """The Python interpreter of the environment that has vLLM; null: msmc's own."""
    max_model_len: int | None = Field(default=None, ge=16)
    """Tokens of prompt and reply together; null: as many as the model takes."""
    dtype: Literal["auto", "bfloat16", "float16", "float32"] = "auto"
    startup: float = Field(default=600, gt=0)
    """Seconds until the server must answer."""
    args: tuple[str, ...] = Field(default=(), strict=False)
    """Further arguments for the server, such as --tensor-parallel-size 2, each a text of its own."""
    concurrency: int = Field(default=32, ge=1)
    timeout: float = Field(default=600, gt=0)

    @property
    def _besides(self) -> dict[str, Any]:
        return {"dtype": self.dtype, "args": self.args}


class Transformers(Local):
    """A model that transformers runs, inside msmc."""

    kind: Literal["transformers"]
    batch_size: int = Field(default=8, ge=1)
    """Replies at a time. Each draws by its own seed, whichever those beside it are."""

    @property
    def _besides(self) -> dict[str, Any]:
        return {"sampler": SAMPLER}


Kinds = Annotated[Served | Anthropic | Vllm | Transformers, Discriminator("kind")]


class ServedJudge(Served):
    """A served model that grades replies."""

    _part: str = "judge"
    kind: Literal["openai"] = "openai"
    temperature: float | None = Field(default=0.0, ge=0, le=2)
    repeats: int = Field(default=3, ge=1)
    """Gradings of each reply, with seeds of their own: from two on, how far the judge agrees with itself is known."""


class AnthropicJudge(Anthropic):
    """The same behind Anthropic's messages API, which takes no seed: at its own temperature gradings differ all the same."""

    _part: str = "judge"
    repeats: int = Field(default=3, ge=1)
    """Gradings of each reply."""


Judge = ServedJudge | AnthropicJudge


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


@cache
def _digest_of(folder: Path) -> str:
    """Of the names and bytes of its files."""
    whole = hashlib.sha256()
    for file in sorted(path for path in folder.iterdir() if path.is_file()):
        with file.open("rb") as stream:
            whole.update(f"{file.name} {hashlib.file_digest(stream, 'sha256').hexdigest()}\n".encode())
    return whole.hexdigest()
