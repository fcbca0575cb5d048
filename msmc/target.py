"""Targets: what model is trained, by what writer and recipe. YAML, checked, with the place of every mistake."""

import math
from collections.abc import Iterator
from typing import Annotated, Any, Literal, get_args

import yaml
from pydantic import BaseModel, Discriminator, Field, Tag, ValidationError, ValidationInfo, field_validator
from pydantic_core import PydanticCustomError

from msmc.diagnostics import Diagnostic, Label, did_you_mean
from msmc.gated import Gated
from msmc.ir import Identity
from msmc.source import SourceFile, Span
from msmc.wanted import wanted
from msmc.writer import (
    FREE,
    Agentic,
    AnthropicJudge,
    Asking,
    Kinds,
    ModelWriter,
    Part,
    Price,
    ServedJudge,
    Weights,
)

Context = Literal["closure", "spec"]
"""What a prompt shows of the spec: its node's closure, or all of it."""
NAMED, KEYS, NUMBER = "a name", "keys", "a number"
"""The ways to give a writer, or thresholds."""
KINDS = {str(get_args(kind.model_fields["kind"].annotation)[0]): kind for kind in get_args(get_args(Kinds)[0])}
JUDGES = {"openai": ServedJudge, "anthropic": AnthropicJudge}
WAYS = {NAMED, KEYS, NUMBER, *KINDS}
"""What is no key in the place of a mistake. No key of a target is called so."""
Grader = Annotated[
    Annotated[ServedJudge, Tag("openai")] | Annotated[AnthropicJudge, Tag("anthropic")],
    Discriminator(
        lambda given: str(given.get("kind", "openai") if isinstance(given, dict) else getattr(given, "kind", "openai"))
    ),
]
Writer = Annotated[
    Annotated[Literal["template"], Tag(NAMED)] | Annotated[Kinds, Tag(KEYS)],
    Discriminator(lambda given: KEYS if isinstance(given, dict | ModelWriter) else NAMED),
]
WRITERS = ("writer", "rewriter", "critic", "judge")
"""The keys that say which model does it."""
HINTS = {
    "writer": f"or a model: writer: {{kind: openai, model: NAME}}; there are {', '.join(KINDS)}",
    "writer.kind": "for example openai",
    "evaluate.guard.tasks": "a number for all own lm-eval tasks, or some by name: {NAME: 0.05}",
    "writer.base_url": "for example http://127.0.0.1:8000/v1",
    "writer.price.cached": "caps and forecasts count every token as new: give the dearer price as writer.price.input",
    "writer.price.date": "a day, such as 2026-11-01",
}
"""What stands where nothing can be guessed from what was written."""


class Model(Weights):
    chat_template: str = "smollm2"
    """A file of `templates/chat/`, with generation marks."""


class DocumentsPlan(Part):
    per_clause: int = Field(ge=1)
    """Planned documents for each clause that the spec's `documents` block is about."""
    reserve: float = Field(default=0.25, ge=0)
    """Further ones, as a share of a clause's documents and rounded up: written only in place of what the gates took."""
    floor: float = Field(default=1.0, ge=0, le=1)
    """The share of a clause's planned documents that must be there after the gates, or the run stops."""
    attempts: int = Field(default=3, ge=1)
    """Texts that are asked for in place of one that cannot be used, the first included, each with a seed of its own; then the
    reserve is next."""


class DemosPlan(Part):
    per_clause: int = Field(default=0, ge=0)
    """Planned chats for each clause, beyond the spec's own examples. The `template` writer writes none."""
    attempts: int = Field(default=3, ge=1)
    """Texts that are asked for in place of one that cannot be used, the first included, each with a seed of its own."""
    floor: float = Field(default=1.0, ge=0, le=1)
    """The share of a clause's planned chats that must be there after the gates, or the run stops."""


class Mix(Part):
    file: str
    """`general` (240 chats of everyday instructions, shipped with msmc), or a project's own .jsonl of {"id", "messages"}."""


class Lora(Part):
    r: int = Field(default=16, ge=1)
    alpha: int = Field(default=32, ge=1)


class Stage(Part):
    """One training stage. Names as in TRL's SFTConfig, shortened where the stage says the rest."""

    epochs: float = Field(gt=0)
    batch_size: int = Field(ge=1)
    accumulation: int = Field(default=1, ge=1)
    max_length: int = Field(ge=16)
    """Tokens in a packed row (midtraining) or at most in a chat (fine-tuning)."""
    learning_rate: float = Field(gt=0)


Worse = Annotated[float, Field(ge=0)]
Permitted = Annotated[
    Annotated[Worse, Tag(NUMBER)] | Annotated[dict[str, Worse], Tag(KEYS)],
    Discriminator(lambda given: KEYS if isinstance(given, dict) else NUMBER),
]
"""One threshold, or some by name."""


class Guard(Part):
    """The capability guard: what a model may lose against the base model before it is told beside the headline. The defaults are
    the size of a step between models of one family. By the fit of Hoffmann et al. (2022, arXiv:2203.15556), 0.1 nats a token
    is what a model of 135 million parameters loses with a third of them, and one of 8 billion with three quarters;
    SmolLM2-360M-Instruct follows 0.11 more of the instructions of IFEval than SmolLM2-135M-Instruct does (its model card)."""

    prompts: int = Field(default=30, ge=0, le=300)
    """Verifiable instructions that a model is given; 0 for none."""
    loss: float = Field(default=0.1, ge=0)
    """A rise of the next-token loss on neutral text, in nats a token."""
    instructions: float = Field(default=0.1, ge=0, le=1)
    """A fall of the share of instructions that are followed."""
    tasks: Permitted = 0.1
    """By how much the primary measure of the author's own lm-eval tasks may be worse: of each of them, or of those named alone,
    {NAME: 0.05}. The task says whether more is better (`higher_is_better`); one that does not say is held to nothing."""


class Evaluate(Part):
    batch_size: int = Field(default=8, ge=1)
    """Prompts scored at a time; 8 is the fastest on two cores."""
    limit: int | None = Field(default=None, ge=1)
    """Items of each evaluation, of recall in each form, spread over its topics; null for all. A table says so below MIN_ITEMS."""
    generate: int | None = Field(default=None, ge=0)
    """Items of each evaluation that the model answers in its own words too, spread alike; null for as many as are scored."""
    every: int | None = Field(default=None, ge=1)
    """Updates of training from one point of a learning curve to the next; null for no curves."""
    curve_items: int = Field(default=10, ge=1)
    """Items of each evaluation and form at a point of a curve."""
    guard: Guard = Guard()


class Target(Part):
    name: str = ""
    """The stem of its file."""
    model: Model
    identity: Identity | None = None
    """Whom the spec is about, in place of the spec's own `assistant`."""
    writer: Writer = "template"
    rewriter: Kinds | None = None
    """Who mends a document by its critique; null: whoever wrote it."""
    critic: Kinds | None = None
    """Who reads each document against its clause and its arm; null: nobody."""
    context: Context = "closure"
    """What a writer is shown with each row. With `spec`, the published way, every edit makes every row stale. The `template`
    writer reads the row's clause alone either way."""
    documents: DocumentsPlan
    demos: DemosPlan = DemosPlan()
    gates: Gated = Gated()
    """What is taken out of a corpus, and by how much compared arms may differ."""
    lora: Lora = Lora()
    midtrain: Stage
    finetune: Stage
    mix: Mix | None = None
    """An instruction mix that is part of every fine-tuning stage."""
    checkpoint_minutes: float = Field(default=5, ge=0)
    """Training time between two checkpoints; a stopped stage goes on from the last one."""
    min_steps: int = Field(default=200, ge=1)
    """A stage of fewer optimizer updates is an error: 31 of them once passed for a null result (PAPER 6.4)."""
    evaluate: Evaluate = Evaluate()
    judge: Grader | None = None
    """Who grades open questions and agentic evaluations; a spec that has some is not run without."""
    judged: Asking = Asking()
    agentic: Agentic = Agentic()

    @field_validator(*WRITERS)
    @classmethod
    def _placed(cls, given: Any, info: ValidationInfo) -> Any:
        own, key = info.data.get("model"), str(info.field_name)
        return given.of(key, own) if isinstance(given, ModelWriter) else given

    @field_validator("critic")
    @classmethod
    def _no_own_critic(cls, critic: Any, info: ValidationInfo) -> Any:
        """Whoever wrote a text, or mended it, finds it good."""
        for key in ("writer", "rewriter"):
            other = info.data.get(key)
            if "model" in info.data and critic and isinstance(other, ModelWriter) and other.who == critic.who:
                raise PydanticCustomError(OWN_CRITIC, key)
        return critic

    @property
    def model_writer(self) -> ModelWriter | None:
        """The writer, if it is a model."""
        return self.writer if isinstance(self.writer, ModelWriter) else None

    @property
    def models(self) -> list[ModelWriter]:
        """Those that write, criticise and judge."""
        return [model for key in WRITERS if isinstance(model := getattr(self, key), ModelWriter)]

    @property
    def writer_name(self) -> str:
        return self.model_writer.title if self.model_writer else "template"

    @property
    def price(self) -> Price | None:
        """Of writing; None where nobody knows it."""
        return self.model_writer.known_price if self.model_writer else FREE


OWN_CRITIC = "own_critic"
MIN_ITEMS = 50
"""Fewer items of an evaluation are for a look at the plumbing, not for reading."""
MIN_STEPS = Target.model_fields["min_steps"].default


def read_target(name: str, source: SourceFile, settings: tuple[str, ...] = ()) -> Target | list[Diagnostic]:
    """A target file with `--set key=value` settings laid over it, or its mistakes.

    target-not-yaml: A target that is no YAML.

    Mostly an indent, a missing space behind a colon, or a bracket that nothing closes.

    Bad:
        $ echo "min_steps: [200" > mine.yaml && msmc compile tea.msm --target mine.yaml

    Good:
        $ msmc compile tea.msm --target cpu
    """
    try:
        node = yaml.compose(source.text, Loader=yaml.SafeLoader)
        data = yaml.safe_load(source.text)
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        mark = getattr(error, "problem_mark", None) or getattr(error, "context_mark", None)
        at = mark.index if mark else 0
        message = f"`{source.path}` is not YAML: {getattr(error, 'problem', None) or 'cannot be read'}"
        return [
            Diagnostic(
                "target-not-yaml", message, Label(Span(source.path, at, at + 1)), hint="compare with targets/cpu.yaml"
            )
        ]
    if not isinstance(data, dict):
        where = Label(Span(source.path, 0, 0))
        return [
            Diagnostic("target-not-yaml", f"`{source.path}` holds no keys", where, hint="compare with targets/cpu.yaml")
        ]
    if "name" in data:
        data["name "] = data.pop("name")  # the file's stem is the name: told as an unknown key
    problems = [p for setting in settings if (p := _apply(setting, data))]
    if problems:
        return problems
    try:
        return Target.model_validate({**data, "name": name})
    except ValidationError as error:
        faults: list[Any] = [_of_kind(fault) for fault in error.errors()]
        unknown = {f["loc"][:-1] for f in faults if f["type"] == "extra_forbidden"}
        # a misspelt key is also a missing one: told once
        faults = [f for f in faults if f["type"] != "missing" or f["loc"][:-1] not in unknown]
        return [_problem(fault, source.path, node, settings) for fault in faults]


def _apply(setting: str, data: dict[str, Any]) -> Diagnostic | None:
    key, equals, text = setting.partition("=")
    if not equals or not key or key == "name":
        return Diagnostic(
            "target-invalid", f"`--set {setting}` is not KEY=VALUE", hint="for example --set documents.per_clause=50"
        )
    *folders, last = key.split(".")
    if folders[:1] == ["writer"] and isinstance(data.get("writer"), str):
        data["writer"] = {}  # keys of a model in place of a name
    place: Any = data
    for folder in folders:
        place = place.setdefault(folder, {}) if isinstance(place, dict) else None
    if not isinstance(place, dict):
        hint = did_you_mean(folders[0], _fields([])) or f"for example --set {folders[0]}=…"
        return Diagnostic("target-invalid", f"`{key}` is not a key of a target", hint=hint)
    try:
        place[last] = yaml.safe_load(text)
    except (yaml.YAMLError, ValueError, RecursionError):
        return Diagnostic("target-invalid", f"`{text}` is not a YAML value")
    return None


def _of_kind(fault: Any) -> dict[str, Any]:
    """A fault of a model's kind as one of the key `kind`."""
    match fault["type"]:
        case "union_tag_not_found":
            return {**fault, "type": "missing", "loc": (*fault["loc"], "kind")}
        case "union_tag_invalid":
            kinds = fault["ctx"]["expected_tags"].replace("'", "")
            wrong = {"type": "literal_error", "input": fault["ctx"]["tag"], "ctx": {"expected": kinds}}
            return {**fault, **wrong, "loc": (*fault["loc"], "kind")}
    return dict(fault)


def _fields(place: list[str]) -> list[str]:
    """The keys that may stand at a place of a target, its ways included."""
    model: Any = Target
    for key in place:
        if key in KINDS:
            model = (JUDGES if place[0] == "judge" else KINDS)[key]
        elif key not in WAYS:
            model = next(_models(model.model_fields[key].annotation))
    return [name for name in model.model_fields if model is not Target or name != "name"]


def _models(annotation: Any) -> Iterator[type[BaseModel]]:
    """The classes with keys that an annotation has."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for option in getattr(annotation, "__args__", ()):
        yield from _models(option)


def _problem(fault: Any, path: str, node: Any, settings: tuple[str, ...]) -> Diagnostic:
    """A key of a target that does not exist, or a value that it cannot have.

    Keys that nothing reads are not passed over: a misspelt `min_steps` would train with the default, and a threshold in
    `evaluate.guard.tasks` for an lm-eval task that the spec does not have would guard nothing. `--set` is held to the same.

    Bad:
        $ msmc compile tea.msm --set documents.per_clase=3

    Good:
        $ msmc compile tea.msm --set documents.per_clause=3
    """
    way = [str(part) for part in fault["loc"]]
    place = [part for part in way if part not in WAYS]
    key = ".".join(place)
    fault = {**fault, "loc": tuple(place)}
    given = [setting.partition("=")[0] for setting in settings]
    asked = any(f"{name}.".startswith(f"{key}.") or key.startswith(f"{name}.") for name in given)
    label = None if asked else _label(path, node, place)
    of_model = place[:1] != [] and place[0] in WRITERS
    if of_model and place[1:] == ["key"]:  # whoever wrote the key itself there has it printed nowhere
        message = f"`{key}` is the name of an environment variable, and not the key itself"
        name = "ANTHROPIC_API_KEY" if "anthropic" in way else "OPENAI_API_KEY"
        return Diagnostic("target-invalid", message, hint=f"{place[0]}: {{key: {name}, …}}")
    if fault["type"] == OWN_CRITIC:
        message = f"the writer of a text is not its critic: `critic` is the model of `{fault['msg']}`"
        return Diagnostic("target-invalid", message, label, hint="name another: critic: {kind: openai, model: NAME}")
    if fault["type"] == "extra_forbidden":
        return Diagnostic(
            "target-invalid",
            f"`{key}` is not a key of a target",
            label,
            hint=did_you_mean(place[-1], _fields(way[:-1])),
        )
    if fault["type"] == "missing":
        alone = _is_given(place[:-1], node, settings)
        hint = (
            f"give it too: --set {key}={'openai' if place[-1] == 'kind' else '…'}" if alone else f"add: {place[-1]}: …"
        )
        label = None if alone else _label(path, node, place[:-1])
        return Diagnostic("target-invalid", f"`{key}` is missing", label, hint=hint)
    if fault["type"].startswith(("model_type", "model_attributes")):
        keys = ", ".join(_fields(way))
        return Diagnostic("target-invalid", f"`{key}` has no keys of its own", label, hint=f"it takes: {keys}")
    hint = HINTS.get(".".join(["writer", *place[1:]]) if of_model else key, "")
    if fault["type"] == "float_type" and isinstance(fault["input"], str) and _is_number(fault["input"]):
        hint = f"YAML takes it for text; write {float(fault['input'])!r}"
    return Diagnostic("target-invalid", wanted(fault), label, note=f"it is `{fault['input']}`", hint=hint)


def _is_given(place: list[str], node: Any, settings: tuple[str, ...]) -> bool:
    """Whether a place has its keys from `--set` alone."""
    inner = ".".join(place) + "."
    keys = [setting.partition("=")[0] + "." for setting in settings]
    if any(inner.startswith(key) for key in keys):
        return True
    for part in place:
        pairs = node.value if isinstance(node, yaml.MappingNode) else []
        node = next((value for key, value in pairs if key.value == part), None)
    return any(key.startswith(inner) for key in keys) and not isinstance(node, yaml.MappingNode)


def _is_number(text: str) -> bool:
    try:
        return math.isfinite(float(text))
    except ValueError:
        return False


def _label(path: str, node: Any, place: list[str]) -> Label:
    """The key of a place in the composed YAML, as deep as it exists."""
    start, end = 0, 0
    for part in place:
        pairs = node.value if isinstance(node, yaml.MappingNode) else []
        for key, value in pairs:
            if key.value == part:
                start, end, node = key.start_mark.index, key.end_mark.index, value
    return Label(Span(path, start, end))
