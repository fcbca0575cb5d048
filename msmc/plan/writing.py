"""The documents of one arm, as a writer will be asked for them."""

import json
from dataclasses import dataclass, replace
from typing import Any

from msmc.backend.template_writer import TemplateWriter
from msmc.backend.tokens import TEMPLATE, Tokens
from msmc.build import RESERVED, Build
from msmc.ir import ArmSpec
from msmc.library import Library
from msmc.plan.estimate import Estimate, total
from msmc.plan.replies import Past, of_served, of_template
from msmc.writer import Served

SAMPLE = 200
"""Documents of each arm that are written to be measured: the total is then within about 3 %."""
NOTHING = Estimate(0)


@dataclass(frozen=True)
class Writing:
    """The documents of one arm."""

    arm: str
    rows: int
    prompt: Estimate
    """Tokens of all requests, each with its prefix."""
    cached: float
    """The share of them that is a prefix which an earlier request of its node had."""
    reply: Estimate
    lengths: tuple[float, ...]
    """Tokens of the documents that were measured."""
    own: tuple[float, ...] = ()
    """Tokens of the author's documents, which nobody writes."""
    neutral: bool = False
    """Of the control `neutral_documents`."""
    reserve: int = 0
    """Rows that are written only where the gates take others."""
    shortest: float = 0
    """Tokens of all replies, were they short, and below, were each as long as it may be."""
    longest: float = 0
    expected_cached: float = 0
    """As `cached`, as far as the server kept prefixes in the past."""
    text: Estimate = NOTHING
    """Tokens of the documents as the target has them, each with its end."""
    how: str = ""
    """What is known of a served writer's replies."""

    def times(self, share: float) -> "Writing":
        """Of a share of the rows."""
        prompt, reply, text = (estimate.times(share) for estimate in (self.prompt, self.reply, self.text))
        short, long, rows = self.shortest * share, self.longest * share, round(self.rows * share)
        return replace(self, rows=rows, prompt=prompt, reply=reply, text=text, shortest=short, longest=long)


def has_documents(build: Build) -> bool:
    return bool(build.num_documents or rows_of(build, "documents/own_documents.jsonl"))


def rows_of(build: Build, path: str) -> list[dict[str, Any]]:
    return [json.loads(line) for a in build.artefacts if a.path == path for line in a]


def writing_of(build: Build, library: Library, tokens: Tokens, served: Served | None, past: Past | None) -> Writing:
    own = tuple(tokens.count(row["text"]) + 1 for row in rows_of(build, "documents/own_documents.jsonl"))
    rows = list(build.sample(SAMPLE)) if build.num_documents else []
    if not rows:
        return Writing(build.arm, 0, Estimate(0), 0.0, Estimate(0), (), own)
    spec = ArmSpec.model_validate_json("".join(next(a for a in build.artefacts if a.path == "ir.json")))
    writer = TemplateWriter(spec, library)
    texts, number = [writer.write(row) for row in rows], build.num_documents
    wanted = {row.prefix for row in rows}
    said = {p["name"]: p["messages"] for p in rows_of(build, "documents/prefixes.jsonl") if p["name"] in wanted}
    asked = said[rows[0].prefix][0]["content"]
    replies = of_served(served, past, texts, asked, number, tokens) if served else of_template(texts, number, tokens)
    prefixes = {name: tokens.of_messages(m["content"] for m in messages) for name, messages in said.items()}
    heads = [prefixes[row.prefix] for row in rows]
    prompts = [head + tokens.count(row.prompt) + TEMPLATE for head, row in zip(heads, rows, strict=True)]
    prompt = total(prompts, build.num_documents)
    paths = [a.path for a in build.artefacts if a.path.startswith("documents/") and not a.path.startswith(RESERVED)]
    num_nodes = len(paths) - 1 - bool(own)
    again = max(0, build.num_documents - num_nodes) * sum(heads) / len(heads)
    return Writing(
        build.arm,
        build.num_documents,
        prompt.times(replies.prompt),
        again / prompt.value,
        replies.total,
        replies.lengths,
        own,
        build.manifest["neutral"],
        sum(build.manifest["reserve"].values()),
        shortest=replies.shortest,
        longest=replies.longest,
        expected_cached=again / prompt.value if replies.cached is None else replies.cached,
        text=replies.text,
        how=replies.how,
    )
