"""The build tree: row types and the manifest (DESIGN section 5). Data only."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Literal

from pydantic import Field, model_validator

from msmc.digest import canonical as canonical
from msmc.digest import digest as digest
from msmc.ir import Node, Rung, Swept

SCHEMA_VERSION = 5
RESERVED = "documents/reserve/"
"""Where an arm's folder has the rows that are written only in place of planned ones."""
CRITIQUE, REWRITE = "critique", "rewrite"
"""Begin the names of prefixes, and the ids of what is asked with them."""
OWN_ROWS = "own_rows.json"
"""Where an arm's folder has the places of the author's rows."""


class Cell(Node):
    """What determines a planned document, whatever its clause's wording."""

    clause: str
    kind: str
    audience: str
    angle: str
    n: int


class DocumentRow(Node):
    id: str
    about: tuple[str, ...]
    cell: Cell
    seed: int
    prefix: str
    prompt: str


class OwnDocument(Node):
    """A document that the author brought."""

    id: str
    about: tuple[str, ...]
    text: str
    source: Any = None
    domain: Any = None
    """As its row says them; None: it says none."""


class Message(Node):
    role: Literal["user", "assistant", "system"]
    content: str


class Prefix(Node):
    name: str
    messages: tuple[Message, ...]
    frame: str | None = None
    """Of a critique or a rewrite: the prompt, with {request}, {document}, {reason} and {problems} where these are put."""


class DemoRow(Node):
    """A row of a chat: its first question (`needs` is None), or what needs the reply before it: an answer, or a user's second
    question."""

    id: str
    about: tuple[str, ...]
    seed: int
    prefix: str
    prompt: str
    needs: str | None = None


class Chat(Node):
    """A chat of an instruction mix."""

    id: str = Field(min_length=1)
    messages: tuple[Message, ...] = Field(min_length=2)

    @model_validator(mode="after")
    def _ends_with_the_assistant(self) -> "Chat":
        if self.messages[-1].role != "assistant":
            raise ValueError("the last turn is not the assistant's: nothing of it would be trained on")
        return self


class StaticDemo(Node):
    id: str
    about: tuple[str, ...]
    messages: tuple[Message, ...]


Form = Literal["question", "cloze"]
"""How an item of recall asks for a clause."""


class EvalMetadata(Node):
    eval: str
    item: str
    """The same for both orders of one item."""
    order: Literal[0, 1]
    topic: str
    rung: Rung
    form: Form | None = None
    """Of recall alone."""
    options: tuple[str, str] | None = None
    """What the choices name, where they say more than that: of `I prefer brie.` it is `brie`."""


class EvalRow(Node):
    """Inspect's Sample schema: two choices, the target by letter."""

    id: str
    about: tuple[str, ...]
    input: str
    choices: tuple[str, str]
    target: Literal["A", "B"]
    metadata: EvalMetadata


class OpenMetadata(Node):
    eval: str
    item: str
    topic: str
    rung: Rung
    kind: str
    """Of a judged question how it asks (`direct`, `indirect`, `advice`, `own`); else `agentic`."""
    canary: Literal["perfect", "violating"] | None = None
    reply: str | None = None
    """A planted one: the model is not asked."""
    scenario: str | None = None
    goal: str | None = None
    sample: int | None = None
    temperature: float | None = None
    """Of the model's replies."""
    assistant: str | None = None


class OpenRow(Node):
    """Inspect's Sample schema: a question without choices; the target is what a judge grades by."""

    id: str
    about: tuple[str, ...]
    input: str
    target: str
    metadata: OpenMetadata


class JudgeRow(Node):
    """A text that is there as a model gets it: a reply for its judge, a document for its critic or to be written anew."""

    id: str
    seed: int
    prompt: str


class RunPlan(Node):
    """One model of an experiment: which arms' documents and demos it is trained on; None: not at all."""

    name: str
    documents: str | None
    demos: str | None
    mix: bool = False
    """Whether the target's instruction mix is part of its fine-tuning."""
    context: str | None = None
    """The arm whose `spec.md` it gets as system prompt when it is evaluated."""
    swept: Swept | Literal["order"] | None = Field(default=None, exclude_if=lambda swept: swept is None)
    """What it differs in from `full`, where it is a point of a sweep."""
    demos_first: bool = Field(default=False, exclude_if=lambda first: not first)
    """Whether it is trained on the demos, and then on the documents."""

    @property
    def training(self) -> tuple[str, str]:
        """The stages that train it, in their order, where it has both."""
        return ("finetune", "midtrain") if self.demos_first else ("midtrain", "finetune")

    @property
    def trained_by(self) -> str:
        """The arm whose recipes it is trained by: those of one ablation are the same but where they are swept."""
        return (self.demos if self.swept == "demos" else self.documents) or self.demos or "full"


BASE = RunPlan.model_construct(name="base", documents=None, demos=None)
"""The untouched model."""


@dataclass(frozen=True)
class Artefact:
    """One file of a build: its path inside the arm's folder, and its lines or text, made anew at each reading."""

    path: str
    lines: Callable[[], Iterable[str]]
    inputs: Callable[[], str] | None = None
    """A digest of all that its bytes are made of, for files that are quicker to keep than to make."""

    def __iter__(self) -> Iterator[str]:
        return iter(self.lines())


@dataclass(frozen=True)
class Build:
    """One arm's folder, without its manifest, which needs the digests of what was written."""

    arm: str
    artefacts: tuple[Artefact, ...]
    manifest: dict[str, Any]
    num_documents: int = 0
    """Planned ones, without the author's own."""
    sample: Callable[[int], Iterable[DocumentRow]] = lambda _: ()
    """So many planned documents, evenly from all clauses, without a look at the others."""
