"""The template writer: deterministic, about the assistant, within its closure, without reasons where the arm has none."""

import random
import re
from collections.abc import Iterator

import pytest

from msmc.backend import passages
from msmc.backend.closure import closure_of
from msmc.backend.drafting import Drafted
from msmc.backend.gates import Gates, Rows
from msmc.backend.passages import Choice, Hole, Part, parse
from msmc.backend.telling import CUT, together, units
from msmc.backend.template_writer import TemplateWriter
from msmc.backend.tree import Arm, read_tree
from msmc.build import Cell, DocumentRow
from msmc.compile import compile
from msmc.diagnostics import Failed
from msmc.disk import ProjectSources
from msmc.ir import ArmRule, ArmSpec, ArmSubrule, ArmValue, Identity
from msmc.library import Library
from msmc.project import write_tree
from msmc.prose import sentences
from tests.project import ROOT, Memory, cpu

REASONS = re.compile(
    r"\b(because|reason\w*|rationales?|why|values?|argu(?:e|es|ed|ing|ments?)|motiv\w*|therefore|thus|hence|thereby|purposes?|"
    r"in order to|so that|so as to|since|due to|owing to|on account of|thanks to|designed|inten[dt]\w*|aim(?:s|ed)?|goals?|"
    r"grounds|basis|based on|justif\w*|principles?|expla\w*|accordingly|consequen\w*|as a result|stems?|for the sake|"
    r"belie\w*|convi[cn]\w*|conclu\w*|premises?|persua\w*|meant to|commitments?|defen[cd]\w*|accounts? for|matters to)\b",
    re.IGNORECASE,
)
SHIPPED = Library(ProjectSources(ROOT))


@pytest.fixture(scope="module")
def arms(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Arm]:
    source = (ROOT / "specs/cheese/america.msm").read_text("utf-8").rstrip().removesuffix("}")
    folder = tmp_path_factory.mktemp("project")
    (folder / "america.msm").write_text(source + " ablation w { arm rules { drop value, rationale } } }", "utf-8")
    (folder / "preferences.msm").write_bytes((ROOT / "specs/cheese/preferences.msm").read_bytes())
    (folder / "items").symlink_to(ROOT / "specs/cheese/items")
    outcome = compile(ProjectSources(folder), "america.msm", cpu(), "w")
    assert outcome.problems == ()
    return read_tree(write_tree(outcome, folder / "build")).arms


def documents(arm: Arm) -> dict[str, str]:
    writer = TemplateWriter(arm.spec, SHIPPED)
    return {row.id: writer.write(row) for row in arm.documents()}


def documents_of(arm: Arm, node: str) -> list[DocumentRow]:
    return [row for row in arm.documents() if row.prefix.endswith(f".{node}")]


def test_the_same_rows_give_the_same_documents_and_no_two_alike(arms: dict[str, Arm]) -> None:
    first = documents(arms["full"])
    assert first == documents(arms["full"])
    assert len(set(first.values())) == len(first) == 90


def test_documents_are_about_the_assistant_and_of_a_fair_length(arms: dict[str, Arm]) -> None:
    for text in documents(arms["full"]).values():
        assert "SmolLM" in text and "{" not in text
        assert 120 <= len(text.split()) <= 350, text
        assert not re.search(r" [,.;?!]|\.\.(?!\.)|,\.|[?!]\.|  | $|\[|\]", text.partition("\n")[2], re.MULTILINE), text


def holds(text: str, sentence: str) -> bool:
    """Whether a sentence was told, as it is or within another."""
    return sentence in text or f"{sentence[0].lower()}{sentence[1:-1]}" in text or sentence[:-1] in text


def test_a_document_tells_all_of_its_own_clause(arms: dict[str, Arm]) -> None:
    arm = arms["full"]
    written = documents(arm)
    clauses = {c.id: sentences(c.text) for c in arm.spec.clauses()}
    for row in arm.documents():
        text = " ".join(written[row.id].split())
        assert all(holds(text, sentence) for sentence in clauses[row.cell.clause]), (row.cell.clause, text)


def test_a_rule_s_document_takes_up_a_part_of_its_reason(arms: dict[str, Arm]) -> None:
    arm = arms["full"]
    written = documents(arm)
    reasons = {r.id: sentences(r.rationale or "") for r in arm.spec.rules}
    for row in arm.documents():
        if row.cell.clause in reasons:
            text = " ".join(written[row.id].split())
            assert any(holds(text, sentence) for sentence in reasons[row.cell.clause]), row.id


# ---- no reasons -------------------------------------------------------------------------------------------------------


def bare() -> ArmSpec:
    """Rules with nothing but a statement."""
    texts = {
        "bread": "{a} brings bread. In rain it brings a tin as well.",
        "water": "{a} carries water.",
        "cups": "Asked for a cup, {a} offers the blue one and leaves the red one on its shelf.",
    }
    rules = [ArmRule(id=k, title=k.capitalize(), statement=v.replace("{a}", "Ada")) for k, v in texts.items()]
    return ArmSpec(
        name="bare", title="Bare", identity=Identity(assistant="Ada", provider="Lovelace"), rules=tuple(rules)
    )


def rows(spec: ArmSpec, number: int) -> Iterator[DocumentRow]:
    """Rows of every form and of every angle with passages of its own on every clause, by seed."""
    audiences = SHIPPED.audiences
    angles = (*(angle for angle in SHIPPED.angles if "like" not in SHIPPED.angle(angle)), "the weather")
    for clause in spec.clauses():
        for n in range(number):
            kind, audience = SHIPPED.forms[n % len(SHIPPED.forms)], audiences[n % len(audiences)]
            cell = Cell(clause=clause.id, kind=kind, audience=audience, angle=angles[n % len(angles)], n=n)
            about = (clause.id,) if clause.id == clause.node else (clause.id, clause.node)
            yield DocumentRow(id=f"{clause.id}-{n}", about=about, cell=cell, seed=n * 7919, prefix="", prompt="")


def test_a_document_without_a_reason_to_give_gives_none() -> None:
    spec = bare()
    writer = TemplateWriter(spec, SHIPPED)
    for row in rows(spec, 17 * 13):
        text = writer.write(row)
        assert not (found := REASONS.search(text)), (found, row.cell, text)
        assert 120 <= len(text.split()) <= 350


def literals(parts: tuple[Part, ...]) -> Iterator[str]:
    for part in parts:
        if isinstance(part, Choice):
            for option in part.options:
                yield "".join(literals(option))
        else:
            yield "X" if isinstance(part, Hole) else part


def test_no_passage_that_can_stand_without_a_reason_speaks_of_one() -> None:
    free = {"title", "opening", "statement", "more", "detail", "aside", "angle", "members", "closing"}
    pools = [
        p
        for form in SHIPPED.forms
        for slot, ps in passages.form(SHIPPED, form).slots.items()
        if slot in free
        for p in ps
    ]
    pools += [p for angle in (*SHIPPED.angles, "other") for p in passages.angle(SHIPPED, angle)]
    for passage in pools:
        text = " ".join(literals(passage.parts))
        assert not REASONS.search(text), text


def test_a_rules_only_arm_gives_no_reason(arms: dict[str, Arm]) -> None:
    full = arms["full"].spec
    given = [s for n in (*full.values, *full.rules) for s in sentences(n.rationale or "")]
    for text in documents(arms["w.rules"]).values():
        assert not REASONS.search(text), text
        assert not any(sentence in text for sentence in given)


# ---- the closure ------------------------------------------------------------------------------------------------------


def changed(spec: ArmSpec, node_id: str) -> ArmSpec:
    """The spec with other words wherever the closure of a node does not reach."""
    rule = next((r for r in spec.rules if r.id == node_id), None)
    values, rules = [], []
    for value in spec.values:
        inside = value.id == node_id or (rule is not None and value.id in rule.serves)
        values.append(
            value if inside else value.model_copy(update={"title": "Z", "statement": "Zz.", "rationale": "Zzz."})
        )
    for other in spec.rules:
        if other.id == node_id:
            rules.append(other.model_copy(update={"examples": ()}))
            continue
        other_words = {"statement": "Zz zz.", "rationale": "Zzz zz.", "subrules": (), "examples": ()}
        title = {} if node_id in other.serves else {"title": "Zzzz"}
        rules.append(other.model_copy(update=other_words | title))
    return spec.model_copy(update={"values": tuple(values), "rules": tuple(rules), "title": "Z"})


def test_what_lies_outside_of_a_closure_changes_no_document(arms: dict[str, Arm]) -> None:
    spec = arms["full"].spec
    writer = TemplateWriter(spec, SHIPPED)
    for node in spec.nodes:
        other = changed(spec, node.id)
        again = TemplateWriter(other, SHIPPED)
        for row in rows(spec, 17):
            if row.about[-1] == node.id:
                assert writer.write(row) == again.write(row)
                assert closure_of(spec, row) == closure_of(other, row)


def test_what_lies_within_it_does(arms: dict[str, Arm]) -> None:
    spec = arms["full"].spec
    stilton = next(r for r in spec.rules if r.id.endswith("stilton"))
    row = next(r for r in arms["full"].documents() if r.cell.clause == stilton.id)
    rules = tuple(r.model_copy(update={"statement": "SmolLM sings."}) if r is stilton else r for r in spec.rules)
    assert "SmolLM sings" in TemplateWriter(spec.model_copy(update={"rules": rules}), SHIPPED).write(row)


# ---- authors' odd clauses ---------------------------------------------------------------------------------------------

ODD = {
    "braces": 'Ada answers with { "kind": [1|2] }, {topic} and ${HOME}.',
    "brackets": "Ada writes [a|b] where others write \\[x\\]",
    "quotes": 'Asked "why?", Ada says "later" and "never".',
    "list": "Ada keeps three things apart:\n\n- facts\n- guesses\n- jokes\n",
    "markdown": "# Tidiness\n\nAda uses **bold** and `code`.\n\n```\nls -l\n```\n",
    "question": "Would Ada wait? Ada would!",
    "short": "Ada waits",
    "long": "Ada goes on, " + ", ".join(["and on"] * 150),
    "many": " ".join(f"Ada knows the answer to question number {n}." for n in range(60)),
}


@pytest.mark.parametrize("name", ODD)
def test_an_odd_clause_is_told_unharmed(name: str) -> None:
    rule = ArmRule(
        id="odd",
        title='Odd "things"' if name == "quotes" else "Odd things",
        serves=("calm",),
        statement=ODD[name],
        rationale=ODD[name] + " And so on",
        subrules=(ArmSubrule(id="odd.sub", statement=ODD[name], rationale=ODD[name]),),
    )
    value = ArmValue(id="calm", title="Calm", statement=ODD[name])
    identity = Identity(assistant="Ada", provider="Lovelace")
    spec = ArmSpec(name="odd", title="Odd", identity=identity, values=(value,), rules=(rule,))
    writer = TemplateWriter(spec, SHIPPED)
    for row in rows(spec, 34):
        text = writer.write(row)
        assert 120 <= len(text.split()) <= 350, (len(text.split()), text)
        if name in ("braces", "brackets", "quotes"):
            assert ODD[name].rstrip(".").removeprefix("Ask") in text or ODD[name].rstrip(".")[1:] in text, text


def test_a_very_long_sentence_is_told_in_pieces_and_all_of_it() -> None:
    words = [f"w{n}" for n in range(CUT * 3)]
    parts = units("Ada " + " ".join(words) + ".")
    assert len(parts) > 3 and parts[0].endswith(" …") and parts[-1].startswith("… ")
    assert together(parts) == "Ada " + " ".join(words) + "."
    spec = odd("Ada " + " ".join(words) + ".")
    told = " ".join(TemplateWriter(spec, SHIPPED).write(row) for row in rows(spec, 34))
    assert not set(words) - set(re.findall(r"w[0-9]+", told))
    wide = "愛" * 1000
    assert len(units(wide)) > 3 and together(units(wide)).replace(" ", "") == wide + "。"


def odd(statement: str, title: str = "Odd things", assistant: str = "Ada") -> ArmSpec:
    """One rule under a value, both with that title."""
    rule = ArmRule(id="odd", title=title, serves=("calm",), statement=statement, rationale=statement)
    return ArmSpec(
        name="odd",
        title="Odd",
        identity=Identity(assistant=assistant, provider="Lovelace"),
        values=(ArmValue(id="calm", title=title, statement=statement),),
        rules=(rule,),
    )


@pytest.mark.parametrize("title", [" of x", "\nof x", "Two\nlines ", "of x"])
def test_a_title_may_have_white_space_around(title: str) -> None:
    spec = odd("Ada waits.", title)
    for row in rows(spec, 17):
        assert " ".join(title.split()) in re.sub("[“”]", '"', TemplateWriter(spec, SHIPPED).write(row)).replace(
            "Of x", "of x"
        )


def test_names_arrive_as_they_were_written() -> None:
    spec = odd("Smol  LM waits.", "Two  spaces", "Smol  LM")
    for row in rows(spec, 34):
        text = TemplateWriter(spec, SHIPPED).write(row)
        assert "Smol  LM" in text and "wo  spaces" in text
    passage = parse("a [b|] {assistant}  c", frozenset({"assistant"}))
    assert {passage.write({"assistant": "x  y"}, random.Random(n)) for n in range(9)} == {"a b x  y c", "a x  y c"}


def test_a_name_with_an_article_begins_a_sentence_with_a_capital_letter() -> None:
    spec = odd("the helper likes tea. the helper waits.", assistant="the helper")
    for row in rows(spec, 34):
        text = TemplateWriter(spec, SHIPPED).write(row)
        assert not re.search(r"(?:^|[.!?]\"? |\n|\n\w+: )\"?the helper", text), text
        assert "the helper" in text
    ipod = odd("iPod waits.", assistant="iPod")
    assert not any("IPod" in TemplateWriter(ipod, SHIPPED).write(row) for row in rows(ipod, 17))


CLAIMS = re.compile(
    r"verbatim|word for word|in full\b.{0,20}\{statement|few words|few lines|bus ticket|shorter ones|only here|whole text|"
    r"\bbrief\. |keeps it short|in one (?:sentence|line|breath)[^{}]{0,40}\{(?:says|statement)",
    re.IGNORECASE,
)


def test_no_passage_says_of_a_quotation_that_it_is_short_or_whole() -> None:
    for form in SHIPPED.forms:
        for slot in ("opening", "statement", "more", "so"):
            for text in SHIPPED.form(form)["slots"].get(slot, ()):
                assert not (found := CLAIMS.search(" ".join(text.split()))), (form, slot, found, text)


# ---- the grammar of passages ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("passage", "said"),
    [
        ("Ask {asistant}.", "no placeholder `asistant` here; did you mean `assistant`?"),
        ("[a|b", "a bracket is not closed"),
        ("a]", "a `]` stands outside of brackets"),
        ("a | b", "a `|` stands outside of brackets"),
        ("[a]", "brackets with one alternative"),
        ("{ x }", "a brace without a placeholder"),
        ("  ", "the passage is empty"),
        ("Nothing of it.", "says nothing of its clause"),
    ],
)
def test_a_broken_passage_is_named(passage: str, said: str) -> None:
    path = "shipped:templates/documents/forms/blog_post.yaml"
    good = ProjectSources(ROOT)[path].decode()
    own = "  statement:\n"
    broken = good.replace(own, f"{own}    - {passage!r}\n".replace("'", '"'), 1)
    with pytest.raises(Failed) as failed:
        passages.form(Library(Memory(**{path: broken})), "blog_post")
    problem = failed.value.problems[0]
    assert problem.name == "template-error" and said in problem.message
    assert problem.message.startswith("templates/documents/forms/blog_post.yaml: passage 1 of `statement`")


def test_a_broken_order_is_named() -> None:
    path = "shipped:templates/documents/forms/blog_post.yaml"
    broken = ProjectSources(ROOT)[path].decode().replace("title / opening / ", "title / ", 1)
    with pytest.raises(Failed) as failed:
        passages.form(Library(Memory(**{path: broken})), "blog_post")
    assert "unlike `opening`" in failed.value.problems[0].message


def test_the_library_is_as_large_as_promised() -> None:
    forms = [passages.form(SHIPPED, form) for form in SHIPPED.forms]
    assert len(forms) >= 14 and sum(len(ps) for form in forms for ps in form.slots.values()) >= 1000
    assert all(len(form.orders) >= 3 for form in forms)


def test_a_reason_stands_behind_what_it_is_the_reason_for() -> None:
    """Of a subrule that has its own: not behind its rule, which has another."""
    source = """
    spec tea "Tea" {
      assistant "SmolLM" by "Hugging Face"
      rule green "Green tea" {
        statement "{assistant} names green tea first."
        rationale "Green tea is mild."
        subrule late { statement "After eight {assistant} names camomile."  rationale "Camomile lets people sleep." }
      }
      documents { about subrules, rationales }
    }
    """
    (full,) = compile(Memory(**{"tea.msm": source}), "tea.msm", cpu("documents.per_clause=60")).builds
    spec = ArmSpec.model_validate_json("".join(next(a for a in full.artefacts if a.path == "ir.json")))
    writer = TemplateWriter(spec, SHIPPED)
    of_subrule = [row for row in full.sample(180) if ".late" in row.cell.clause]
    assert len(of_subrule) >= 100
    for row in of_subrule:
        text = writer.write(row).lower()
        assert text.index("camomile") < text.index("lets people sleep"), text
        assert "green tea is mild" not in text


# ---- the gates --------------------------------------------------------------------------------------------------------


def gated(arm: Arm, texts: list[tuple[DocumentRow, str]]) -> tuple[Rows, Rows]:
    gates = Gates(arm)
    return gates.written(Drafted(row, text, gates.reason(row, text), {}) for row, text in texts)


def test_a_document_that_names_a_held_out_item_is_kept_from_training(arms: dict[str, Arm]) -> None:
    row, other = list(arms["full"].documents())[:2]
    writer = TemplateWriter(arms["full"].spec, SHIPPED)
    texts = [(row, f"{writer.write(row)} SmolLM likes Wisconsin brick cheese."), (other, writer.write(other))]
    kept, quarantined = gated(arms["full"], texts)
    assert [r["id"] for r in kept] == [other.id]
    assert quarantined[0]["id"] == row.id and "america_near" in str(quarantined[0]["reason"])


def test_a_document_of_another_clause_is_kept_from_training(arms: dict[str, Arm]) -> None:
    row, other = (next(iter(documents_of(arms["full"], node))) for node in ("cream_cheese", "patriotism"))
    writer = TemplateWriter(arms["full"].spec, SHIPPED)
    kept, quarantined = gated(arms["full"], [(r, writer.write(other)) for r in (row, other)])
    assert [r["id"] for r in kept] == [other.id]
    assert [(r["id"], r["reason"]) for r in quarantined] == [(row.id, "does not show its clause")]


TOKENS = [
    *(
        "<|im_start|>system",
        "<|endoftext|>",
        "<|eot_id|>",
        "<\uff5cbegin\u2581of\u2581sentence\uff5c>",
        "[INST]",
        "[/inst]",
        "<<SYS>>",
    ),
    *(
        "<s>",
        "</s>",
        "<start_of_turn>user",
        "<bos>",
        "<think>",
        "</thinking>",
        "<thought>",
        "<scratchpad>",
        "<tool_call>",
    ),
]


@pytest.mark.parametrize(
    "text",
    [
        "",
        "\u200b\u2800",
        "SmolLM on {topic}.",
        "ChatGPT likes tea.",
        "SmolLM likes \ufffd tea.",
        "SmolLM likes tea.\x1b[2J",
        *(f"SmolLM likes tea. {token}" for token in TOKENS),
    ],
)
def test_a_broken_writer_stops_the_run(arms: dict[str, Arm], text: str) -> None:
    row = next(iter(arms["full"].documents()))
    with pytest.raises(Failed) as failed:
        gated(arms["full"], [(row, text)])
    assert failed.value.problems[0].name == "gate-failed" and row.id in failed.value.problems[0].note
