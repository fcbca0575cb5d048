"""What `msmc explain` says: the docstrings of the functions that find mistakes, read as text, so that none of them is imported.

A docstring explains one diagnostic, or has a section for each: a line `name: What it is.` begins one. What it is stands in
the first paragraph, why it matters in those that follow, and below `Bad:` and `Good:` what raises it and what does not. There
a line `# file.name` begins a file, the first one being `main.msm`; a line `$ msmc …` is a command.
"""

import ast
import inspect
import re
import textwrap
from functools import cache
from pathlib import Path
from typing import NamedTuple

from msmc.diagnostics import CODES, did_you_mean, fail

FINDERS = {
    "task-failed": "backend.inspecting:_failed",
    "judge-missing": "backend.judged:required",
    "package-missing": "backend.open_evaluations:_require",
    "unexpected-word": "syntax.mistakes:syntax_error",
    "unclosed-string": "syntax.mistakes:_unclosed_string",
    "unclosed-brace": "syntax.mistakes:unclosed_brace",
    "unknown-escape": "syntax.text:unknown_escape",
    "not-utf8": "analyze.files:read_source",
    "empty-file": "syntax.parse:empty_file",
    "foreign-syntax": "syntax.mistakes:_habit",
    "unknown-name": "analyze.problems:unknown_name",
    "unknown-value": "analyze.problems:unknown_value",
    "duplicate-id": "analyze.problems:duplicate_id",
    "reserved-id": "analyze.problems:reserved_id",
    "unknown-placeholder": "analyze.problems:unknown_placeholder",
    "import-missing": "analyze.problems:import_missing",
    "import-escapes": "analyze.problems:import_escapes",
    "import-circle": "analyze.problems:import_circle",
    "unknown-ablation": "compile:_one_spec",
    "field-twice": "analyze.problems:field_twice",
    "field-missing": "analyze.problems:field_missing",
    "no-spec": "compile:_one_spec",
    "out-of-range": "analyze.sweeps:out_of_range",
    "missing-wording": "lower.say:_Speaker._missing",
    "matches-nothing": "lower.arms:_apply",
    "equal-arms": "lower.arms:_arm_set",
    "held-out-mention": "check:held_out_problems",
    "nothing-to-evaluate": "check:empty_blocks",
    "plain-rationale": "lower.arms:_plain_reasons",
    "idle-override": "analyze.problems:idle_override",
    "item-on-two-rungs": "analyze.rungs:rungs_apart",
    "topic-on-two-rungs": "analyze.rungs:rungs_apart",
    "rule-without-rationale": "lint.coverage:rule_without_rationale",
    "value-never-served": "lint.coverage:value_never_served",
    "rationale-restates-rule": "lint.texts:rationale_restates_rule",
    "demo-gives-reason": "lint.texts:demo_gives_reason",
    "unused-import": "lint.names:unused_import",
    "unused-param": "lint.names:unused_param",
    "placeholder-miswritten": "lint.names:placeholder_miswritten",
    "unused-suppression": "lint.allowances:unused_suppression",
    "example-names-held-out-item": "lint.coverage:example_names_held_out_item",
    "wordings-identical": "lint.texts:wordings_identical",
    "title-missing": "lint.names:title_missing",
    "id-shadows": "lint.names:id_shadows",
    "uncovered-clause": "lint.coverage:uncovered_clause",
    "too-few-trained-items": "lint.pairs:too_few_trained_items",
    "aligned-by-length": "lint.pairs:aligned_by_length",
    "suppression-without-reason": "lint.allowances:suppression_without_reason",
    "unknown-lint": "lint.allowances:unknown_lint",
    "not-suppressible": "lint.allowances:not_suppressible",
    "template-error": "lower.render:Templates.render",
    "target-missing": "project:load_target",
    "target-not-yaml": "target:read_target",
    "target-invalid": "target:_problem",
    "file-missing": "analyze.files:read_source",
    "not-a-file": "analyze.files:read_source",
    "unreadable": "analyze.files:read_source",
    "bad-row": "analyze.items:_rows",
    "unknown-arm": "show:show_id",
    "unknown-id": "show:show_id",
    "not-a-build": "trace:trace_id",
    "not-a-run": "backend.report:find_runs",
    "unwritable": "project:require_writable",
    "broken-file": "stored:broken",
    "no-revision": "diff.git:Repository._told",
    "model-not-found": "backend.weights:require_model",
    "too-few-updates": "backend.experiment:_require_updates",
    "unmarked-template": "backend.finetune:_require_markers",
    "writer-cannot": "backend.stages:Stages.chats",
    "gate-failed": "backend.gates.written:Gates.written",
    "bad-recipe": "backend.recipe:load_recipe",
    "loss-not-finite": "backend.recorder:recorder",
    "interrupted": "backend.experiment:_stopped",
    "documents-attend": "backend.midtrain:_require_isolation",
    "documents-truncated": "backend.midtrain:_require_isolation",
    "adapter-mismatch": "backend.adapter:_require_same_adapter",
    "no-rows": "backend.training:read_rows",
    "not-learned": "cli_experiments:_report",
    "no-demos": "backend.gates.written:no_demos",
    "model-incomplete": "backend.weights:_checked",
    "chat-too-long": "backend.finetune:_require_trainable",
    "ledger-unusable": "backend.ledger:Ledger._told",
    "ledger-missing": "backend.ledger_told:opened",
    "too-few-rows": "backend.match:too_few",
    "mix-missing": "compile:read_mix",
    "coverage-short": "backend.corpus:_short",
    "vllm-missing": "backend.writers.vllm_server:environment_of",
    "vllm-failed": "backend.writers.vllm_server:Server.failed",
    "no-key": "backend.writers.keys:api_key",
    "writer-failed": "backend.writers.failures:failed",
    "cap-reached": "backend.writing:Writing.capped",
    "task-unusable": "analyze.lm_eval_file:read_task",
    "unknown-command": "cli_chat:Session.obey",
    "parity-broken": "backend.gates.parity:_broken",
    "internal": "cli_frame:Command.invoke",
}
"""The function of msmc that finds or words each diagnostic, and explains it."""
SECTION = re.compile(rf"^({'|'.join(FINDERS)}): ", re.MULTILINE)


class Explanation(NamedTuple):
    name: str
    what: str
    why: str
    bad: str
    good: str

    @property
    def text(self) -> str:
        """As it is printed."""
        head = f"{self.name}   (MSM{CODES[self.name]})"
        parts = [head, self.what, self.why]
        for title, example in (("Bad", self.bad), ("Good", self.good)):
            parts += [f"{title}:\n{textwrap.indent(example, '    ')}"] if example else []
        return "\n\n".join(part for part in parts if part)


def explain(written: str) -> Explanation:
    """The explanation of a diagnostic, by its name or its code."""
    name = next((n for n, code in CODES.items() if written.upper() in (f"MSM{code}", str(code))), written)
    if name not in FINDERS:
        hint = did_you_mean(name, CODES) or "see all names: msmc explain"
        raise fail("unknown-name", f"there is no diagnostic `{written}`", hint)
    docstring = _docstring(FINDERS[name])
    begins = next((m for m in SECTION.finditer(docstring) if m[1] == name), None)
    if begins:
        ends = next((m.start() for m in SECTION.finditer(docstring, begins.end())), None)
        docstring = docstring[begins.end() : ends]
    prose, _, good = docstring.partition("\nGood:\n")
    prose, _, bad = prose.partition("\nBad:\n")
    what, _, why = prose.strip().partition("\n\n")
    return Explanation(name, what, why, _example(bad), _example(good))


def _example(indented: str) -> str:
    return textwrap.dedent(indented).strip("\n").rstrip()


def _docstring(finder: str) -> str:
    module, _, path = finder.partition(":")
    node: ast.AST = _tree(module)
    for name in path.split("."):
        node = next(n for n in ast.iter_child_nodes(node) if getattr(n, "name", None) == name)
    assert isinstance(node, ast.FunctionDef)
    return inspect.cleandoc(ast.get_docstring(node) or "")


@cache
def _tree(module: str) -> ast.Module:
    # not by find_spec, which imports the packages that a module is in
    return ast.parse(Path(__file__).parent.joinpath(*module.split(".")).with_suffix(".py").read_text("utf-8"))


def overview() -> str:
    """Every name with its code and what it is, a line each."""
    width = max(map(len, CODES)) + 2
    lines = []
    for name, code in CODES.items():
        what = " ".join(explain(name).what.split())
        lines.append(f"MSM{code}  {name:<{width}}{what if len(what) <= 90 else what[:89] + '…'}")
    return "\n".join(lines)
