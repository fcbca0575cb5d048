"""Lints of what belongs together: rules and their reasons, values and their rules, clauses and the blocks about them."""

from collections.abc import Iterator, Sequence

from msmc.diagnostics import Diagnostic, Label
from msmc.ir import Clause, Eval, ReplaceOperation, Rule
from msmc.lint.linted import Linted, LintedSpec
from msmc.mention import Mentions, words


def rule_without_rationale(linted: Linted) -> Iterator[Diagnostic]:
    """A rule that gives no reason, in a spec most of whose rules give one.

    Documents about the other rules explain why, and those about this one have nothing to explain. An arm that drops the
    rationales leaves this rule as it is, so that it blurs the comparison. A spec whose rules give no reasons at all is
    as its author wants it, and so is one that nothing is made of: it leaves them to those that extend it.

    Bad:
        spec picnic "Picnics" {
          assistant "SmolLM" by "Hugging Face"
          rule bread "Bread" { statement "{assistant} brings bread."  rationale "It feeds many for little." }
          rule salad "Salad" { statement "{assistant} brings salad."  rationale "Somebody always asks for it." }
          rule tea "Tea" { statement "{assistant} brings tea." }
          documents { about rules, rationales }
        }

    Good:
        spec picnic "Picnics" {
          assistant "SmolLM" by "Hugging Face"
          rule bread "Bread" { statement "{assistant} brings bread."  rationale "It feeds many for little." }
          rule salad "Salad" { statement "{assistant} brings salad."  rationale "Somebody always asks for it." }
          rule tea "Tea" { statement "{assistant} brings tea."  rationale "One flask is enough for six." }
          documents { about rules, rationales }
        }
    """
    for spec in linted.made:
        rules = spec.spec.rules
        without = [rule for rule in rules if not _gives_a_reason(rule)]
        if 2 * len(without) >= len(rules):
            continue
        for rule in without:
            where = Label(linted.spans[rule.id], "no rationale")
            message = f"`{spec.local(rule.id)}` gives no reason, and most rules of this spec do"
            yield Diagnostic("rule-without-rationale", message, where, hint='add: rationale "…"', severity="warning")


def _gives_a_reason(rule: Rule) -> bool:
    return bool(rule.rationale or rule.rationales_for or any(subrule.rationale for subrule in rule.subrules))


def value_never_served(linted: Linted) -> Iterator[Diagnostic]:
    """A value that no rule serves and no block is about.

    Documents and demos of a rule are told the values that it serves, and none else. This one is told to nobody: no
    document, demo or evaluation changes with its words. A value that an arm puts in the place of another (`replace A
    with B`) is served there.

    Bad:
        spec picnic "Picnics" {
          assistant "SmolLM" by "Hugging Face"
          value thrift "Thrift" { statement "{assistant} wastes nothing." }
          value company "Company" { statement "{assistant} likes a full table." }
          rule bread "Bread" { serves thrift  statement "{assistant} brings bread." }
          documents { about thrift, rules }
        }

    Good:
        spec picnic "Picnics" {
          assistant "SmolLM" by "Hugging Face"
          value thrift "Thrift" { statement "{assistant} wastes nothing." }
          value company "Company" { statement "{assistant} likes a full table." }
          rule bread "Bread" { serves thrift, company  statement "{assistant} brings bread." }
          documents { about values, rules }
        }
    """
    for spec in linted.made:
        for value in _idle(spec):
            where = Label(linted.spans[value], "served by no rule")
            name = spec.local(value)
            message = f"no rule serves `{name}`, and no block is about it"
            hint = f"write in a rule: serves {name}"
            yield Diagnostic("value-never-served", message, where, hint=hint, severity="warning")


def _idle(spec: LintedSpec) -> list[str]:
    """The values that change nothing."""
    served = {value for rule in spec.spec.rules for value in rule.serves}
    served |= {reason.value for rule in spec.spec.rules for reason in rule.rationales_for}
    arms = [arm for ablation in spec.spec.ablations for arm in ablation.arms]
    served |= {op.new.id for arm in arms for op in arm.operations if isinstance(op, ReplaceOperation)}
    met = {clause.node for clause in _covered(spec)}
    return [value.id for value in spec.spec.values if value.id not in served | met]


def uncovered_clause(linted: Linted) -> Iterator[Diagnostic]:
    """A value, rule, rationale or subrule that nothing is made of.

    No documents, demos or evaluation is about it, and no example shows it. It is told to the model only beside others,
    coverage counts nothing for it, and no score speaks of it. Where this is so for every clause of a kind, that is told
    once. Values of other files, which rules serve, are left to those files.

    Bad:
        spec picnic "Picnics" {
          assistant "SmolLM" by "Hugging Face"
          rule bread "Bread" {
            statement "{assistant} brings bread."
            subrule in_rain "In rain {assistant} suggests a cake tin for it."
          }
          documents { about rules }
        }

    Good:
        spec picnic "Picnics" {
          assistant "SmolLM" by "Hugging Face"
          rule bread "Bread" {
            statement "{assistant} brings bread."
            subrule in_rain "In rain {assistant} suggests a cake tin for it."
          }
          documents { about rules, subrules }
        }
    """
    for spec in linted.made:
        own = f"{spec.spec.name}."
        known, idle = {clause.id for clause in _covered(spec)}, _idle(spec)  # those are told already
        clauses = [clause for clause in spec.full.clauses() if clause.id.startswith(own)]
        missing = [clause for clause in clauses if clause.id not in known and clause.node not in idle]
        block = linted.spans.get(f"{spec.spec.name} documents", linted.spans[spec.spec.name])
        for kind in dict.fromkeys(clause.kind for clause in missing):
            alike = [clause for clause in missing if clause.kind == kind]
            if len(alike) > 1 and len(alike) == sum(clause.kind == kind for clause in clauses):
                message = f"nothing is made of the {kind}s of this spec: no block is about them"
                note = f"there are {len(alike)}, such as `{spec.local(alike[0].id)}`"
                hint = f"add `{kind}s` to an `about`"
                where = Label(block, "not about them")
                yield Diagnostic("uncovered-clause", message, where, note=note, hint=hint, severity="warning")
                continue
            for clause in alike:
                name = spec.local(clause.id)
                where = Label(linted.spans[clause.id], "covered by no block")
                message, hint = f"nothing is made of `{name}`: no block is about it", f"add to a block: about {name}"
                yield Diagnostic("uncovered-clause", message, where, hint=hint, severity="warning")


def _covered(spec: LintedSpec) -> Iterator[Clause]:
    """The clauses that a block is about, a row of the author's, or an example of their rule."""
    made, full = spec.spec, spec.full
    rows = {row.about for brought in (*made.own_documents, *made.own_demos) for row in brought.rows}
    if () in rows:  # about all of the spec
        return full.clauses()
    blocks = [*(block.about for block in made.demos), *(block.about for block in made.evals)]
    blocks += [block.about for block in made.open_evals]
    blocks += [made.documents.about] if made.documents else []
    shown = (rule.id for rule in full.rules if rule.examples)
    return full.about((*(name for about in (*blocks, *rows) for name in about), *shown))


def example_names_held_out_item(linted: Linted) -> Iterator[Diagnostic]:
    """An example that names both options of an item of an evaluation whose rung is near or far.

    Those rungs are for items that the model did not meet in training, and an example is trained on. Where the
    evaluation says `held_out`, a mention of a single option is already an error (`held-out-mention`).

    Bad:
        spec cheese "Cheese" {
          assistant "SmolLM" by "Hugging Face"
          rule cream_cheese "Cream cheese" {
            statement "{assistant} likes cream cheese."
            example direct {
              user "Mild cheddar or aged Gouda?"
              assistant "Mild cheddar."
            }
          }
          eval unseen preference { about rules  pairs "items.jsonl"  rung near }
        }

        # items.jsonl
        {"a": "mild cheddar", "b": "aged Gouda", "aligned": "a", "topic": "cheese"}

    Good:
        spec cheese "Cheese" {
          assistant "SmolLM" by "Hugging Face"
          rule cream_cheese "Cream cheese" {
            statement "{assistant} likes cream cheese."
            example direct {
              user "Cream cheese or Brie?"
              assistant "Cream cheese."
            }
          }
          eval unseen preference { about rules  pairs "items.jsonl"  rung near }
        }

        # items.jsonl
        {"a": "mild cheddar", "b": "aged Gouda", "aligned": "a", "topic": "cheese"}
    """
    for spec in linted.made:
        blocks = [block for block in spec.spec.evals if block.rung != "learned" and not block.held_out]
        examples = [example for rule in spec.full.rules for example in rule.examples] if blocks else []
        for block in blocks:
            options = Mentions([option for item in block.items for option in (item.a, item.b)])
            for example in examples:
                said = words(" ".join(message.content for message in example.messages))
                if options.find_in(said) and (pair := _pair_in(said, block)):
                    message = f"`{spec.local(example.id)}` names {pair}, an item of `{block.name}`"
                    note = f"its rung is {block.rung}: items that no example shows"
                    where, hint = Label(linted.spans[example.id], "trained on"), "reword it, or take the pair out"
                    yield Diagnostic(
                        "example-names-held-out-item", message, where, note=note, hint=hint, severity="warning"
                    )


def _pair_in(said: Sequence[str], block: Eval) -> str | None:
    """The item both of whose options are said; one that holds the other is no second mention."""
    for item in block.items:
        a, b = Mentions([item.a]), Mentions([item.b])
        if a.find_in(said) and b.find_in(said) and not (a.find(item.b) or b.find(item.a)):
            return f'"{item.a}" and "{item.b}"'
    return None
