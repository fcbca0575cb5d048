"""Commands on bad input: one diagnostic, the right exit code, nothing written."""

import importlib.util
import json
from importlib import metadata
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from msmc.cli import main
from msmc.diagnostics import Failed
from msmc.lower.render import Templates
from tests.chat_server import Server, serving
from tests.project import ROOT, Memory

GOOD = """spec tea "Tea" {
  assistant "SmolLM" by "Hugging Face"
  rule green "Green tea" {
    statement "{assistant} likes green tea."
    rationale "It warms."
    example ask { user "Tea?" assistant "Green tea." }
  }
  rule cola "Cola" { statement "{assistant} does not like cola." rationale "It is cold." }
  documents { about rules, rationales }
  eval knows recall { about rules }
  ablation w { arm bare { drop rationale } }
}
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "tea.msm").write_text(GOOD, "utf-8")
    (tmp_path / "empty.msm").write_text(" \n", "utf-8")
    (tmp_path / "binary.msm").write_bytes(b"\xff\xfe\x00\x01")
    (tmp_path / "nul.msm").write_bytes(b"spec a\x00b {}")
    (tmp_path / "inner").mkdir()
    (tmp_path / "plain").write_text("a file", "utf-8")
    (tmp_path / "broken.yaml").write_text("model: [", "utf-8")
    (tmp_path / "binary.yaml").write_bytes(b"\xff\xfe")
    (tmp_path / "kept" / "tea").mkdir(parents=True)
    (tmp_path / "kept" / "tea" / "precious.txt").write_text("mine", "utf-8")
    (tmp_path / "nulls.msm").write_text(
        GOOD.replace("  documents", '  eval e preference { about rules pairs "a\0b" }\n  documents'), "utf-8"
    )
    (tmp_path / "deep.msm").write_text(
        GOOD.replace("  documents", '  eval e preference { about rules pairs "deep.jsonl" }\n  documents'), "utf-8"
    )
    (tmp_path / "deep.jsonl").write_text("[" * 100_000 + "\n", "utf-8")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def msmc(*arguments: str) -> Result:
    return CliRunner().invoke(main, list(arguments))


@pytest.mark.parametrize(
    ("arguments", "name"),
    [
        ("compile none.msm", "file-missing"),
        ("compile empty.msm", "empty-file"),
        ("compile binary.msm", "not-utf8"),
        ("compile nul.msm", "unexpected-word"),
        ("compile inner", "not-a-file"),
        ("compile plain/x.msm", "file-missing"),
        ("compile tea.msm -o plain", "unwritable"),
        ("compile tea.msm -a v", "unknown-ablation"),
        ("compile tea.msm -t nowhere", "target-missing"),
        ("compile tea.msm -t none.yaml", "target-missing"),
        ("compile tea.msm -t broken.yaml", "target-not-yaml"),
        ("compile tea.msm -t binary.yaml", "target-not-yaml"),
        ("compile tea.msm -t ./inner.yaml", "target-missing"),
        ("compile tea.msm --set min_step=3", "target-invalid"),
        ("compile tea.msm --set model.chat_template=smollm3", "target-invalid"),
        ("check inner", "file-missing"),
        ("show tea.msm gren", "unknown-id"),
        ("show tea.msm --arm w.bear", "unknown-arm"),
        ("show tea.msm --arm v.bare", "unknown-ablation"),
        ("trace green", "not-a-build"),
        ("report inner", "not-a-run"),
        ("report none", "not-a-run"),
        ("run tea.msm --set model.name=./none --set model.package=null", "model-not-found"),
        ("run tea.msm --set model.name=inner --set model.package=null", "model-incomplete"),
        ("run tea.msm --set model.package=none==1", "model-not-found"),
        ("ablate tea.msm bare", "unknown-ablation"),
        ("compile tea.msm -o kept", "not-a-build"),
        ("run tea.msm --stages generate --runs plain", "unwritable"),
        ("compile tea.msm --set documents=5", "target-invalid"),
        ("compile tea.msm --set evaluate.guard.tasks=much", "target-invalid"),
        ("compile tea.msm --set evaluate.guard.tasks.quiz=-1", "target-invalid"),
        ("compile tea.msm --set evaluate.guard.tasks.quiz=0.1", "target-invalid"),
        ("compile tea.msm --set name=zz", "target-invalid"),
        ("compile tea.msm --set finetune.epochs=.inf", "target-invalid"),
        ("compile tea.msm --set documents.per_clause=true", "target-invalid"),
        ("compile tea.msm --set documents.per_clause=0x_", "target-invalid"),
        ("compile tea.msm --set model.revision=2024-13-01", "target-invalid"),
        ("compile tea.msm --set finetun.epochs=3", "target-invalid"),
        ("check nulls.msm", "unreadable"),
        ("check deep.msm", "bad-row"),
    ],
)
def test_bad_input(folder: Path, arguments: str, name: str) -> None:
    before = sorted(folder.rglob("*"))
    done = msmc(*arguments.split(" "))
    assert done.exit_code == 1, done.output
    assert f"error[{name}]" in done.stderr and done.stderr.count("error[") == 1
    assert sorted(folder.rglob("*")) == before, "nothing is written"


@pytest.mark.parametrize(
    "arguments",
    ["compile", "frobnicate", "compile tea.msm --tarfet cpu", "run tea.msm --stages evaluate", "run tea.msm --seed x"],
)
def test_wrong_usage(folder: Path, arguments: str) -> None:
    done = msmc(*arguments.split(" "))
    assert done.exit_code == 2 and "Usage:" in done.stderr


def test_an_internal_error_says_so(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("msmc.project.write_tree", lambda *_: 1 / 0)
    done = msmc("compile", "tea.msm")
    assert done.exit_code == 2 and "error[internal]" in done.stderr and "MSMC_DEBUG" in done.stderr


def test_check_speaks_to_programs(folder: Path) -> None:
    (folder / "tea.msm").write_text(GOOD.replace("drop rationale", "drop rational"), "utf-8")
    done = msmc("check", "tea.msm", "--format", "json")
    (problem,) = json.loads(done.stdout)
    assert done.exit_code == 1
    assert (problem["name"], problem["file"], problem["line"], problem["column"]) == (
        "unexpected-word",
        "tea.msm",
        11,
        32,
    )
    assert problem["hint"] == "did you mean `rationale`?"
    assert (
        "::error file=tea.msm,line=11,col=32,title=unexpected-word::"
        in msmc("check", "tea.msm", "--format", "github").stdout
    )


def test_compile_speaks_to_programs_and_says_nothing_else(folder: Path) -> None:
    told = json.loads(msmc("compile", "tea.msm", "--format", "json").output)
    assert told == []
    text = (folder / "tea.msm").read_text("utf-8")
    (folder / "tea.msm").write_text(text.replace('assistant "', 'param place "here"\n  assistant "', 1), "utf-8")
    (warning,) = json.loads(msmc("compile", "tea.msm", "--format", "json").output)
    assert warning["name"] == "unused-param" and (folder / "build/tea/full/manifest.json").is_file()
    assert "unused-param" not in msmc("show", "tea.msm").output


def test_check_of_a_clean_folder_writes_nothing(folder: Path) -> None:
    for name in ("empty", "binary", "nul", "nulls", "deep"):
        (folder / f"{name}.msm").unlink()
    done = msmc("check", ".")
    assert (done.exit_code, done.stdout) == (0, "1 file, no problems\n")


def test_check_tells_files_of_the_same_name_apart(folder: Path) -> None:
    apart = {"x": "\n\nvalue v", "y": "rule r {}\n"}
    for name, text in apart.items():
        (folder / name).mkdir()
        (folder / name / "a.msm").write_text(text, "utf-8")
    told = msmc("check", "x", "y").stderr
    assert "--> x/a.msm:3:8\n  |\n3 | value v\n" in told and "--> y/a.msm:1:6\n  |\n1 | rule r {}\n" in told
    rows = json.loads(msmc("check", "x", str(folder / "y"), "--format", "json").stdout)
    assert {(row["file"], row["line"]) for row in rows} == {("x/a.msm", 3), ("y/a.msm", 1)}
    assert "::error file=x/a.msm,line=3," in msmc("check", "x", "y", "--format", "github").stdout
    assert "::error file=" + str(folder / "y/a.msm") in _in(
        folder / "x", "check", "a.msm", "../y", "--format", "github"
    )
    assert "there is no file `y/none.msm`" in msmc("check", "x", "y/none.msm").stderr
    assert "--> a.msm:3:8" in msmc("check", "x").stderr, "one project alone: as its build would tell it"


def _in(folder: Path, *arguments: str) -> str:
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        return msmc(*arguments).stdout


def test_check_takes_each_file_once(folder: Path) -> None:
    (folder / "inner" / "tea.msm").write_text(GOOD, "utf-8")
    done = msmc("check", "tea.msm", "./tea.msm", "inner", str(folder / "inner" / "tea.msm"))
    assert (done.exit_code, done.stdout) == (0, "2 files, no problems\n")


def test_a_template_error_names_its_line() -> None:
    sources = Memory(**{"shipped:templates/x.jinja": "one\n{{ two }}\n", "shipped:templates/y.jinja": "{% if %}"})
    for path, place in (("x.jinja", "templates/x.jinja:2"), ("y.jinja", "templates/y.jinja:1")):
        with pytest.raises(Failed) as failed:
            Templates(sources).render(path, {})
        assert failed.value.problems[0].name == "template-error" and place in failed.value.problems[0].message


def test_doctor_tells_what_would_fail(folder: Path) -> None:
    done = msmc("doctor", "--set", "model.package=none==1")
    assert done.exit_code == 1 and "FAIL  the package none==1" in done.stdout


def test_doctor_asks_the_servers_that_a_target_names_and_tells_no_key(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MY_KEY", "sk-abcdefgh12345678")
    server = Server(lambda *_: ("", "stop"), count=len, key="sk-abcdefgh12345678")
    with serving(server) as url:
        judge = ("--set", "judge.model=scripted", "--set", f"judge.base_url={url}")
        fine = msmc("doctor", *judge, "--set", "judge.key=MY_KEY").stdout
        assert f"ok    the judge `scripted` at {url} answers" in fine
        other = msmc("doctor", *judge[2:], "--set", "judge.model=gpt", "--set", "judge.key=MY_KEY").stdout
        assert f"ok    the judge's server {url} answers; `gpt` is not among its models: scripted" in other
        refused = msmc("doctor", *judge)
        assert refused.exit_code == 1 and f"FAIL  {url} refuses the key of the judge `scripted` (401)" in refused.stdout
        missing = msmc("doctor", *judge, "--set", "judge.key=NO_SUCH_KEY").stdout
        assert "FAIL  the judge `scripted` needs a key, and $NO_SUCH_KEY is not set" in missing
    assert not server.requests and "sk-abcd" not in fine + other + refused.output + missing
    gone = msmc(
        "doctor", *judge, "--set", "writer.kind=openai", "--set", "writer.model=w", "--set", f"writer.base_url={url}"
    )
    assert f"FAIL  the writer's server {url} cannot be reached" in gone.stdout and "the judge's server" in gone.stdout


def test_doctor_tells_what_a_specs_evaluations_need(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    spec = Path("tea.msm").read_text("utf-8")
    asked = "  eval safe agentic { scenarios murder }\n  eval open judged { about rules }\n}"
    Path("judged.msm").write_text(spec[: spec.rindex("}")] + asked + "\n", "utf-8")
    unjudged = msmc("doctor", "judged.msm")
    assert unjudged.exit_code == 1 and "FAIL  `safe` is graded by a judge, and the target names none" in unjudged.stdout
    assert "ok    inspect-ai " in unjudged.stdout and "ok    scipy " in unjudged.stdout
    assert "ok    `safe` has the scenario `murder` of inspect-evals" in unjudged.stdout
    found = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name, *more: None if name == "inspect_evals" else found(name, *more)
    )
    assert "FAIL  `safe` has the scenario `murder`" in msmc("doctor", "judged.msm").stdout


@pytest.mark.parametrize("command", ["run", "ablate"])
def test_help_says_whom_the_caps_bind_and_when_the_exit_status_is_one(command: str) -> None:
    said = " ".join(CliRunner().invoke(main, [command, "--help"]).output.split())
    assert "and again of the judge" in said and "The exit status is 1 where a fine-tuned" in said
    assert ("preregistration.json" in said) == (command == "ablate")


def test_the_version_is_the_installed_package_s() -> None:
    assert (
        CliRunner().invoke(main, ["--version"], prog_name="msmc").output
        == f"msmc, version {metadata.version('msmc')}\n"
    )


@pytest.mark.parametrize("command", ["check", "compile", "show", "trace"])
def test_nothing_before_run_imports_the_heavy_libraries(folder: Path, command: str) -> None:
    import subprocess
    import sys

    arguments = {"trace": ["trace", "green"], "show": ["show", "tea.msm", "green"]}.get(command, [command, "tea.msm"])
    code = f"import sys; from msmc.cli import main; main({arguments!r}, standalone_mode=False)"
    heavy = "{'torch', 'transformers', 'trl', 'vllm', 'peft', 'datasets', 'lm_eval', 'statsmodels', 'rich'}"
    done = subprocess.run(
        [sys.executable, "-c", f"{code}; assert not {heavy} & set(sys.modules)"],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )
    assert "AssertionError" not in done.stderr


def test_every_shipped_spec_is_clean() -> None:
    assert msmc("check", str(ROOT / "specs")).exit_code == 0


def test_show_finds_a_rule_that_is_called_like_its_spec(folder: Path) -> None:
    (folder / "tea.msm").write_text(GOOD.replace("rule green", "rule tea"), "utf-8")
    assert "It warms." in msmc("show", "tea.msm", "tea.rationale").stdout
    assert "likes green tea" in msmc("show", "tea.msm", "tea").stdout


def test_documents_are_written_for_a_spec_without_examples_and_with_its_own_braces(folder: Path) -> None:
    plain = GOOD.replace('example ask { user "Tea?" assistant "Green tea." }', "").replace(
        "likes green tea", "likes \\{name} and <think> tags"
    )
    (folder / "tea.msm").write_text(plain, "utf-8")
    done = msmc("run", "tea.msm", "--stages", "generate")
    assert done.exit_code == 0, done.output
    (corpus,) = (folder / "runs/stages").glob("corpus-*/midtrain.jsonl")
    assert "likes {name} and <think> tags" in corpus.read_text("utf-8")


def test_a_project_may_have_a_folder_called_templates(folder: Path) -> None:
    (folder / ".git").mkdir()
    (folder / "templates").mkdir()
    (folder / "templates" / "tea.msm").write_text(GOOD, "utf-8")
    assert msmc("check", "templates/tea.msm").exit_code == 0


def test_trace_says_what_an_arm_does_not_have(folder: Path) -> None:
    assert msmc("compile", "tea.msm", "-a", "w").exit_code == 0
    told = msmc("trace", "green.rationale").stdout
    assert "tea/full: tea.green.rationale   tea.msm:5:5\n" in told
    assert "tea/w.bare: tea.green.rationale   tea.msm:5:5   (not in this arm)" in told


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ("show tea.msm --arm bare", "`bare` is an arm, and its whole name is `w.bare`"),
        ("ablate tea.msm bare", "`bare` is an arm, and its whole name is `w.bare`"),
        ("ablate tea.msm", "name an ablation of `tea.msm`: w\n"),
        ("ablate plain.msm", "`plain.msm` declares no ablation; `msmc run plain.msm`"),
        ("ablate none.msm", "name an ablation\n"),
        ("show tea.msm doc-0123456789abcdef", "--set documents.per_clause=… as they were given to compile"),
        ("show tea.msm ask-0123456789abcdef", "--set demos.per_clause=… as they were given to compile"),
        ("show tea.msm say-0123456789abcdef", "--set demos.per_clause=… as they were given to compile"),
        ("run tea.msm --stages gen", "there is no stage `gen`; the stages are, in order: generate, midtrain, finetune"),
        (
            "run tea.msm --stages midtrain",
            "to stop after `midtrain`, name every stage up to it, in order: generate,midtrain",
        ),
        ("run tea.msm --stages finetune,generate", "in order: generate,midtrain,finetune\n"),
    ],
)
def test_the_next_step_is_named(folder: Path, arguments: str, told: str) -> None:
    (folder / "plain.msm").write_text(GOOD.replace("  ablation w { arm bare { drop rationale } }\n", ""), "utf-8")
    done = msmc(*arguments.split(" "))
    assert done.exit_code in (1, 2) and told in done.stderr, done.stderr


def test_chats_that_the_writer_does_not_write_are_noted(folder: Path) -> None:
    text = GOOD.replace("  eval", "  demos chats chat { about rules }\n  eval", 1)
    text = text.replace("ablation w {", "ablation w { control deliberative ")
    (folder / "tea.msm").write_text(text, "utf-8")
    few = ("compile", "tea.msm")
    served = ("--set", "writer.kind=openai", "--set", "writer.model=m")
    assert "note: no chats are planned" in msmc(*few).stdout and "chats are planned by" not in msmc(*few).stdout
    more = (*few, "--set", "demos.per_clause=2")
    for command in ("compile", "plan"):
        told = msmc(command, *more[1:], "-a", "w").stdout
        assert "note: chats are planned by demos.per_clause 2 and the control `deliberative`" in told, told
        assert "writer.kind=openai" in told and "no chats are planned" not in told
    assert "note: chats are planned by the control `deliberative`, and" in msmc(*few, "-a", "w").stdout
    assert "no chats are planned" not in msmc(*few, "-a", "w").stdout
    assert "chats are planned" not in msmc(*more, "-a", "w", *served).stdout


def test_a_writer_that_writes_chats_is_named_where_one_does_not(folder: Path) -> None:
    (folder / "tea.msm").write_text(GOOD.replace("  eval", "  demos chats chat { about rules }\n  eval", 1), "utf-8")
    done = msmc("run", "tea.msm", "--stages", "generate", "--set", "demos.per_clause=2")
    assert "error[writer-cannot]" in done.stderr
    assert (
        "set demos.per_clause to 0" in done.stderr and "--set writer.kind=openai --set writer.model=NAME" in done.stderr
    )


def test_compile_says_whom_the_texts_are_about(folder: Path) -> None:
    (folder / "tea.msm").write_text(GOOD.replace('"SmolLM" by', '"Aster" by'), "utf-8")
    assert "note: the target `cpu` trains SmolLM by Hugging Face" in msmc("compile", "tea.msm").stdout
