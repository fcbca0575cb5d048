"""The stages of an experiment. Each is content-addressed: its folder's name is a digest of all that determines it, so what
two arms share is done once, and what is done is never done again."""

import time
from collections.abc import Callable
from functools import cached_property
from importlib import metadata
from pathlib import Path

from msmc.backend import gates
from msmc.backend.adapter import write_json
from msmc.backend.chatting import Chatted, require_floor
from msmc.backend.checkpoints import Checkpoints
from msmc.backend.corpora import Corpora, write_rows
from msmc.backend.curves import Curve
from msmc.backend.eval_rows import Rows, StoredRows, limited
from msmc.backend.evaluate import Evaluation
from msmc.backend.evaluations import Evaluations
from msmc.backend.finetune import finetune
from msmc.backend.gates.written import VERSION
from msmc.backend.generate import answerable
from msmc.backend.job import CURVE, Advance, Job, trained
from msmc.backend.ledger import LEDGER
from msmc.backend.letters import FormatControl
from msmc.backend.meter import NO_CAPS, Caps, Meter
from msmc.backend.midtrain import midtrain
from msmc.backend.open_evaluations import OpenEvaluations
from msmc.backend.senders import Senders
from msmc.backend.tokens import tokens_of
from msmc.backend.training import PACKAGES, timing
from msmc.backend.tree import Arm, Tree
from msmc.backend.weights import model_folder
from msmc.backend.writers import drafts
from msmc.backend.writing import Writing
from msmc.build import RunPlan, canonical, digest
from msmc.diagnostics import fail
from msmc.library import Library
from msmc.source import Sources
from msmc.stored import read_jsonl


class Stages:
    """The stages of one build tree, kept in `runs/stages`; checkpoints and the ledger lie beside it."""

    def __init__(
        self,
        tree: Tree,
        runs: Path,
        cache: Path,
        sources: Sources,
        say: Callable[[str], None],
        caps: Caps = NO_CAPS,
    ) -> None:
        self.tree, self.runs, self.cache, self.say = tree, runs, cache, say
        self.target = tree.full.target
        meter = Meter(caps, self.target.price, tokens_of(self.target.model, cache))
        self.senders = Senders(cache, runs / "vllm", self.ledger, say)
        """Closed as soon as all text is there, so that training has their memory."""
        self.writing = Writing(tree, self.ledger, Library(sources), meter, self.senders)
        self.done_now: list[tuple[Job, float]] = []
        """By this command, each with its seconds."""
        self._corpora = Corpora(self)
        self._control = FormatControl(sources)
        self._evaluations = Evaluations(self)
        self._open = OpenEvaluations(self, caps)

    @property
    def ledger(self) -> Path:
        """Every request to a writer, and every reply."""
        return self.runs / LEDGER

    @cached_property
    def model(self) -> Path:
        """The base model's folder, fetched or converted when it is first needed."""
        return model_folder(self.target.model, self.cache, self.say)

    @cached_property
    def environment(self) -> dict[str, str]:
        """What besides the inputs determines a trained adapter or a score."""
        return {name: metadata.version(name) for name in (*PACKAGES, "lm-eval")}

    def place(self, kind: str, *inputs: object) -> Path:
        return self.runs / "stages" / f"{kind}-{digest(kind, *inputs)[:12]}"

    # ---- writing ----------------------------------------------------------------------------------------------------

    def corpus(self, arm: Arm) -> Job:
        """The documents that an arm's model is midtrained on."""
        return self._corpora.of(arm)

    def parity(self) -> Job | None:
        """The comparison of all arms' documents, before any model is trained on them."""
        return self._corpora.parity()

    def chats(self, arm: Arm | None, mix: bool) -> Job:
        """What to fine-tune on: an arm's examples, the target's instruction mix, or both.

        Raises Failed where chats are planned that no writer can write.

        writer-cannot: A writer that is asked for rows it cannot write.

        The offline writer `template` writes documents only. Without chats, the demos are the examples of the spec; a served
        writer writes both.

        Bad:
            $ msmc run tea.msm --set demos.per_clause=4
        Good:
            $ msmc run tea.msm --set demos.per_clause=0
            $ msmc run tea.msm --set demos.per_clause=4 --set writer.kind=openai --set writer.model=gpt-4o-mini
        """
        planned = arm.num_planned_chats() if arm else 0
        if planned and not self.target.model_writer:
            message = (
                f"{planned} rows of chats are planned, and the writer `{self.target.writer_name}` writes documents only"
            )
            hint = "set demos.per_clause to 0: the spec's examples are then the demos"
            if not self.target.demos.per_clause:
                hint = f"leave the control `{arm.name.split('.')[-1] if arm else ''}` out: it plans chats of its own"
            hint += "; or name a writer that writes chats: --set writer.kind=openai --set writer.model=NAME"
            raise fail("writer-cannot", message, hint)
        full = self.tree.full
        parts = [arm.digest_of("demos/") if arm else None, full.digest_of("train/mix") if mix else None]
        plan = self.target.demos
        tried = [self.writing.writer, drafts.VERSION, plan.attempts, plan.floor]
        written = [*tried, arm.digest_of("ir.json")] if planned and arm else []
        gated = [self._gates_of_chats, arm.spec.identity.model_dump()] if arm and (planned or arm.has_own_chats) else []
        place = self.place("demos", *parts, full.held_out, *written, *gated)

        def fill(part: Path, advance: Advance) -> None:
            chatted = self.writing.chats(arm, advance) if arm and planned else Chatted([], [], {})
            if arm:
                require_floor(arm, chatted, self.runs / "quarantine" / f"{place.name}.jsonl")
            there, faulty = gates.free_of_faults(list(arm.chats()), arm.spec, self.target.gates) if arm else ([], [])
            there, held = gates.free_of_held_out(there, full.held_out)
            rows, held = there + chatted.kept, chatted.quarantined + faulty + held
            if arm and not rows:
                raise gates.no_demos(arm.name)
            mixed = list(read_jsonl(full.folder / "train" / "mix.jsonl")) if mix else []
            free, quarantined = gates.free_of_held_out(mixed, full.held_out)
            advance(len(rows) + len(free), len(rows) + len(free), "chats")
            write_rows(part / "finetune.jsonl", rows + [{**row, "source": {"writer": "mix"}} for row in free])
            write_rows(part / "quarantine.jsonl", held + quarantined)
            write_json(part / "coverage.json", {"chats": chatted.coverage})
            counts = {"demos": len(rows), "mix": len(free), "quarantined": len(held) + len(quarantined)}
            write_json(part / "stage.json", {"stage": "demos", "arm": arm.name if arm else None, **counts})

        return Job(f"{'write' if planned else 'collect'} {_chats_of(arm, mix)}", place, 0.1, fill)

    @property
    def _gates_of_chats(self) -> list[object]:
        """What of the gates determines which chats are trained on."""
        how = self.target.gates
        return [VERSION, *(gate.model_dump() if gate else None for gate in (how.residue, how.identity))]

    # ---- training ---------------------------------------------------------------------------------------------------

    def midtrained(self, arm: Arm, start: Job | None, seed: int) -> Job:
        """An adapter trained on an arm's documents, from the base model or from where a stage left off."""
        corpus = self.corpus(arm)
        recipe = arm.folder / "train" / "midtrain.yaml"
        inputs = [corpus.folder.name, arm.digest_of("train/midtrain"), self.model_name, seed, self.environment]
        place = self._with_curve(self.place("midtrain", *inputs, *([trained(start)] if start else [])))
        checkpoints = self._checkpoints(place)

        def fill(part: Path, advance: Advance) -> None:
            adapter = start.folder / "adapter" if start else None
            rows, steps = corpus.folder / "midtrain.jsonl", self.target.min_steps
            midtrain(recipe, rows, self.model, adapter, part, seed, steps, _noted(advance), checkpoints, self._curve)

        plan = self.target.midtrain
        planned = self.tree.full if arm.neutral else arm  # a neutral corpus is as long as full's
        tokens = 1.35 * 230 * sum(1 for _ in planned.documents()) * plan.epochs
        title = f"midtrain on the documents of {arm.name}" + (", after its demos" if start else "")
        return Job(title, place, tokens / 200, fill, checkpoints)

    def finetuned(self, run: RunPlan, start: Job | None, origin: str, seed: int) -> Job:
        """An adapter fine-tuned on an arm's demos, the mix or both, from the base model or from where a stage left off."""
        arm, by, mix = self.tree.arms.get(run.demos or ""), self.tree.arms[run.trained_by], run.mix
        chats = self.chats(arm, mix)
        recipe = by.folder / "train" / "finetune.yaml"
        inputs = [chats.folder.name, by.digest_of("train/finetune"), by.digest_of("train/chat"), self.model_name]
        place = self._with_curve(self.place("finetune", *inputs, seed, trained(start), self.environment))
        checkpoints = self._checkpoints(place)

        def fill(part: Path, advance: Advance) -> None:
            adapter = start.folder / "adapter" if start else None
            rows, steps = chats.folder / "finetune.jsonl", self.target.min_steps
            finetune(recipe, rows, self.model, adapter, part, seed, steps, _noted(advance), checkpoints, self._curve)

        plan = self.target.finetune
        num_rows = sum(1 for _ in arm.chats()) if arm else 0
        num_rows += sum(1 for _ in read_jsonl(self.tree.full.folder / "train" / "mix.jsonl")) if mix else 0
        updates = plan.epochs * num_rows / plan.batch_size
        return Job(f"fine-tune {origin} on {_chats_of(arm, mix)}", place, 0.55 * updates, fill, checkpoints)

    def _checkpoints(self, place: Path) -> Checkpoints:
        return Checkpoints(self.runs / "checkpoints" / place.name, self.target.checkpoint_minutes)

    @cached_property
    def _curve(self) -> Curve | None:
        """What is scored while models train."""
        plan = self.target.evaluate
        if plan.every is None:
            return None
        return Curve(limited(self._eval_rows, plan.curve_items), plan.every, plan.batch_size)

    def _with_curve(self, place: Path) -> Path:
        """The folder of a training that also writes a curve: a further one, since only training again makes a curve.

        Its name begins like that of the folder without, whose adapter is the same to the byte. So what follows a training
        (`trained`) is the same with a curve and without, and where no curve is wanted a training with one will do.
        """
        plan = self.target.evaluate
        if plan.every:
            asked = digest(self.tree.full.digest_of_choices(), plan.every, plan.curve_items, plan.batch_size)
            return place.with_name(f"{place.name}{CURVE}{asked[:8]}")
        others = sorted(place.parent.glob(f"{place.name}{CURVE}*"))
        return others[0] if others and not place.exists() else place

    @cached_property
    def model_name(self) -> str:
        model = self.target.model
        local = Path(model.name)
        if local.is_dir():  # a folder's name says nothing about its weights
            return digest({p.name: (p.stat().st_size, p.stat().st_mtime_ns) for p in sorted(local.iterdir())})
        return canonical(model.model_dump())

    # ---- scoring ----------------------------------------------------------------------------------------------------

    def scored(self, start: Job | None, title: str, context: Arm | None) -> Job:
        """Every eval row scored on the base model or on a stage's adapter, with an arm's `spec.md` before it or without."""
        plan, asked = self.target.evaluate, self._evaluation
        inputs = (self.tree.full.digest_of_choices(), plan.limit, plan.generate, plan.batch_size, self._control.digest)
        shown = [context.digest_of("spec.md")] if context else []
        place = self.place("scores", *inputs, self.model_name, self.environment, trained(start), *shown)
        rows = len(asked.rows)

        def fill(part: Path, advance: Advance) -> None:
            adapter = start.folder / "adapter" if start else None
            system = (context.folder / "spec.md").read_text("utf-8") if context else None
            started = time.monotonic()
            stage = asked.run(self.model, adapter, part, system, advance)
            if stage["unscoreable"] == rows:
                message = f"no row of {title} can be scored: each is longer than the model's context"
                raise fail("chat-too-long", message, "choose a model with a longer context, or a shorter spec")
            write_json(part / "timing.json", {"rows": rows, **timing(started)})

        return Job(f"score {title}", place, (rows + 4 * len(answerable(asked.rows, plan.generate))) / 5, fill)

    @cached_property
    def _eval_rows(self) -> Rows:
        return StoredRows(self.tree.full.choices)

    @cached_property
    def _evaluation(self) -> Evaluation:
        """What each model is asked."""
        plan = self.target.evaluate
        return Evaluation(limited(self._eval_rows, plan.limit), self._control, plan.batch_size, plan.generate)

    # ---- a run ------------------------------------------------------------------------------------------------------

    def of_run(self, run: RunPlan, seed: int) -> dict[str, Job]:
        """The stages of one model, in order, by name.

        A model that is trained twice is asked everything behind its first training too, `scores-after-midtrain`, or `-finetune`
        where that came first: for an arm with the control `midtrain_only`, and without a mix, the very job of that model.
        """
        jobs: dict[str, Job] = {}
        last, origin = None, "the base model"
        for kind in run.training:
            if kind == "midtrain" and run.documents is not None:
                arm = self.tree.arms[run.documents]
                jobs["corpus"] = self.corpus(arm)
                last = jobs[kind] = self.midtrained(arm, last, seed)
                origin = f"the model of {arm.name}'s documents"
            elif kind == "finetune" and (run.demos is not None or run.mix):
                jobs["demos"] = self.chats(self.tree.arms.get(run.demos or ""), run.mix)
                last = jobs[kind] = self.finetuned(run, last, origin, seed)
        if "midtrain" in jobs and "finetune" in jobs:
            first = run.training[0]
            jobs[f"scores-after-{first}"] = self.scored(jobs[first], f"{run.name} after {first}", None)
        context = self.tree.arms[run.context] if run.context else None
        jobs["scores"] = self.scored(last, run.name, context)
        return jobs | self._evaluations.of(last, run.name, context) | self._open.of(last, run.name, context, seed)


def _chats_of(arm: Arm | None, mix: bool) -> str:
    return " and ".join(([f"the demos of {arm.name}"] if arm else []) + (["the instruction mix"] if mix else []))


def _noted(advance: Advance) -> Callable[[int, int, float], None]:
    return lambda done, total, loss: advance(done, total, f"updates, loss {loss:.2f}")
