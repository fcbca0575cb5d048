"""The documents of one arm, as a writer will be asked for them."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace

from msmc.backend.template_writer import TemplateWriter
from msmc.backend.tokens import TEMPLATE, Tokens
from msmc.build import Build, DocumentRow
from msmc.ir import ArmSpec
from msmc.library import Library
from msmc.plan.estimate import Estimate, total
from msmc.plan.matched import Sizes
from msmc.plan.replies import Past, Replies, of_served, of_template
from msmc.plan.rows import Counts, rows_of
from msmc.writer import ModelWriter

SAMPLE = 200
"""Documents of each arm that are written to be measured: the total is then within about 3 %."""
NOTHING = Estimate(0)
NO_REPLIES = Replies(NOTHING, 0, 0, NOTHING, ())


@dataclass(frozen=True)
class Writing:
    """What a writer is asked for: documents or chats of one arm, without those that an arm before it has asked for."""

    arm: str
    rows: int
    prompt: Estimate
    """Tokens of all requests, each with its prefix."""
    cached: float
    """The share of them that is a prefix which an earlier request of its node had."""
    reply: Estimate
    grown: int = 0
    """Rows of the reserve among them, or shared, which the arm is matched with others by."""
    shared: int = 0
    """Rows that an arm before it has asked for."""
    own: int = 0
    """Documents of the author, which nobody writes."""
    reserve: int = 0
    """Rows that are written only where the gates take others."""
    shortest: float = 0
    """Tokens of all replies, were they short, and below, were each as long as it may be."""
    longest: float = 0
    expected_cached: float = 0
    """As `cached`, as far as the server kept prefixes in the past."""
    attempts: int = 1
    """Tries of each row, at worst."""
    how: str = ""
    """What is known of a served writer's replies."""

    def times(self, share: float) -> "Writing":
        """Of a share of the rows."""
        short, long, rows = self.shortest * share, self.longest * share, round(self.rows * share)
        prompt, reply = self.prompt.times(share), self.reply.times(share)
        return replace(self, rows=rows, prompt=prompt, reply=reply, shortest=short, longest=long)


def has_documents(build: Build) -> bool:
    return bool(build.num_documents or rows_of(build, "documents/own_documents.jsonl"))


@dataclass(frozen=True)
class Sample:
    """Planned documents of an arm that are written to be measured."""

    build: Build
    counts: Counts
    rows: tuple[DocumentRow, ...]
    texts: tuple[str, ...]
    """What `template` writes."""
    heads: tuple[float, ...]
    """Tokens of each row's prefix."""
    asked: str
    """A prefix."""
    tokens: Tokens
    served: ModelWriter | None
    past: Past | None
    replies: Replies
    """To all planned rows."""
    own: tuple[float, ...]
    """Tokens of the author's documents."""

    @property
    def neutral(self) -> bool:
        """Of the control `neutral_documents`."""
        return bool(self.build.manifest["neutral"])

    @property
    def sizes(self) -> Sizes:
        return Sizes(self.replies.text.times(1 / max(1, self.build.num_documents)), sum(self.own))

    def writing(self, new: Counter[str], grown: Counter[str]) -> Writing:
        """Of the rows that none before it has asked for, by clause; `grown`: by which clauses it grows."""
        number, further = new.total(), grown.total()
        shared = self.build.num_documents + further - number
        if not number:
            return Writing(self.build.arm, 0, NOTHING, 0.0, NOTHING, further, shared, len(self.own))
        chosen = [i for i, row in enumerate(self.rows) if new[row.cell.clause]] or list(range(len(self.rows)))
        replies = self._replies([self.texts[i] for i in chosen], number) if shared or further else self.replies
        heads = [self.heads[i] for i in chosen]
        prompts = [self.heads[i] + self.tokens.count(self.rows[i].prompt) + TEMPLATE for i in chosen]
        prompt, nodes = total(prompts, number), self.build.manifest["fingerprints"]["nodes"]
        again = max(0, number - len({nodes.get(clause, clause) for clause in new})) * sum(heads) / len(heads)
        return Writing(
            self.build.arm,
            number,
            prompt.times(replies.prompt),
            again / prompt.value,
            replies.total,
            further,
            shared,
            len(self.own),
            self.counts.gated(new, grown),
            shortest=replies.shortest,
            longest=replies.longest,
            expected_cached=again / prompt.value if replies.cached is None else replies.cached,
            attempts=self.build.manifest["target"]["documents"]["attempts"] if self.served else 1,
            how=replies.how,
        )

    def _replies(self, texts: Sequence[str], number: int) -> Replies:
        return replies_to(texts, number, self.asked, self.tokens, self.served, self.past)


def replies_to(
    texts: Sequence[str], number: int, asked: str, tokens: Tokens, served: ModelWriter | None, past: Past | None
) -> Replies:
    return of_served(served, past, texts, asked, number, tokens) if served else of_template(texts, number, tokens)


def sample_of(build: Build, library: Library, tokens: Tokens, served: ModelWriter | None, past: Past | None) -> Sample:
    own = tuple(tokens.count(row["text"]) + 1 for row in rows_of(build, "documents/own_documents.jsonl"))
    rows = tuple(build.sample(SAMPLE)) if build.num_documents else ()
    if not rows:
        return Sample(build, Counts.of(build), (), (), (), "", tokens, served, past, NO_REPLIES, own)
    spec = ArmSpec.model_validate_json("".join(next(a for a in build.artefacts if a.path == "ir.json")))
    writer, wanted = TemplateWriter(spec, library), {row.prefix for row in rows}
    texts = tuple(writer.write(row) for row in rows)
    said = {p["name"]: p["messages"] for p in rows_of(build, "documents/prefixes.jsonl") if p["name"] in wanted}
    asked = said[rows[0].prefix][0]["content"]
    replies = replies_to(texts, build.num_documents, asked, tokens, served, past)
    prefixes = {name: tokens.of_messages(m["content"] for m in messages) for name, messages in said.items()}
    heads = tuple(prefixes[row.prefix] for row in rows)
    return Sample(build, Counts.of(build), rows, texts, heads, asked, tokens, served, past, replies, own)
