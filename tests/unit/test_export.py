"""`msmc export --to lm-eval`: the build's rows as they are, and tasks that need no folder to be started from."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from click.testing import CliRunner, Result

from msmc.build import SCHEMA_VERSION
from msmc.cli import main
from tests.unit.test_eval_rows import ITEMS, SPEC, lines


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "tea.msm").write_text(SPEC, "utf-8")
    (tmp_path / "drinks.jsonl").write_text(lines(ITEMS), "utf-8")
    monkeypatch.chdir(tmp_path)
    assert msmc("compile tea.msm -q").exit_code == 0
    return tmp_path


def msmc(arguments: str) -> Result:
    return CliRunner().invoke(main, arguments.split(" "))


def content(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_there_is_a_task_for_each_evaluation_and_its_rows_are_the_builds(project: Path) -> None:
    done = msmc("export build/tea --to lm-eval")
    assert done.exit_code == 0, done.output
    folder = project / "export/tea-lm-eval"
    assert content(folder).keys() == {
        "drinks.yaml", "drinks.jsonl", "knows.yaml", "knows.jsonl", "rows.py", "export.json",
    }  # fmt: skip
    for name in ("drinks", "knows"):
        rows = (project / f"build/tea/full/evals/{name}.jsonl").read_bytes()
        assert (folder / f"{name}.jsonl").read_bytes() == rows
        task = yaml.safe_load((folder / f"{name}.yaml").read_text("utf-8").replace("!function ", ""))
        assert (task["task"], task["tag"]) == (f"msmc_tea_{name}", "msmc_tea")
        assert task["output_type"] == "multiple_choice" and task["doc_to_choice"] == "choices"
        assert [metric["metric"] for metric in task["metric_list"]] == ["acc", "acc_norm"]
        assert task["metadata"]["version"] == 1 and task["metadata"]["items"] == rows.count(b"\n") / 2
    assert "drinks  learned  13 items in both orders, 3 topics\n" in done.stdout
    assert done.stdout.endswith(" --include_path export/tea-lm-eval --tasks msmc_tea --apply_chat_template\n")


def test_the_same_build_gives_the_same_bytes_wherever_they_go(project: Path) -> None:
    msmc("export build/tea --to lm-eval")
    before = content(project / "export/tea-lm-eval")
    assert msmc("export build/tea/full --to lm-eval -q").output == ""
    assert msmc(f"export {project}/build/tea --to lm-eval -o {project}/a/b").exit_code == 0
    assert content(project / "export/tea-lm-eval") == before == content(project / "a/b")
    assert str(project).encode() not in b"".join(before.values())


def test_what_msmc_wrote_is_replaced_whole_and_nothing_else_is(project: Path) -> None:
    msmc("export build/tea --to lm-eval")
    (project / "tea.msm").write_text(SPEC.replace("  eval knows recall { about rules, rationales }\n", ""), "utf-8")
    msmc("compile tea.msm -q")
    folder = project / "export/tea-lm-eval"
    (folder / "__pycache__").mkdir()  # lm_eval was there
    assert msmc("export build/tea --to lm-eval").exit_code == 0
    assert content(folder).keys() == {"drinks.yaml", "drinks.jsonl", "rows.py", "export.json"}
    (folder / "notes.txt").write_text("mine", "utf-8")
    before = content(folder)
    done = msmc("export build/tea --to lm-eval")
    assert "error[not-a-build]" in done.stderr and "`notes.txt`" in done.stderr and content(folder) == before
    assert [path.name for path in (project / "export").iterdir() if path.name != ".locks"] == ["tea-lm-eval"]


def test_nothing_heavy_is_imported(project: Path) -> None:
    code = (
        "import sys; from msmc.cli import main; main(['export', 'build/tea', '--to', 'lm-eval'], standalone_mode=False)"
    )
    heavy = "{'torch', 'transformers', 'peft', 'datasets', 'lm_eval', 'inspect_ai', 'statsmodels', 'rich'}"
    command = [sys.executable, "-c", f"{code}; assert not {heavy} & set(sys.modules)"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert (project / "export/tea-lm-eval/export.json").is_file()


def test_a_run_is_exported_as_the_build_it_was_made_from(project: Path) -> None:
    """With a run folder as `msmc run` writes it, without its training."""
    kept, run = project / "runs/builds/tea-0123456789ab", project / "runs/tea/cpu/full/seed-0-01234567"
    shutil.copytree("build/tea", kept)
    for stage in ("midtrain", "finetune"):
        (run / stage / "adapter").mkdir(parents=True)
    manifest = json.loads((kept / "full/manifest.json").read_text("utf-8"))
    said = {"schema_version": SCHEMA_VERSION, "spec": "tea", "target": manifest["target"], "builds": {"full": manifest}}
    plan = {"name": "full", "documents": "full", "demos": "full"}
    (run / "run.json").write_text(json.dumps(said | {"run": plan}), "utf-8")
    before = content(project / "build/tea/full/evals")
    (project / "drinks.jsonl").write_text(lines(ITEMS[:2]), "utf-8")
    msmc("compile tea.msm -q")  # a later build is none of the run's business
    done = msmc(f"export {run.relative_to(project)} --to lm-eval")
    assert done.exit_code == 0, done.output
    assert (project / "export/tea-lm-eval/drinks.jsonl").read_bytes() == before["drinks.jsonl"]
    assert f",peft={run.relative_to(project)}/finetune/adapter --include_path" in done.stdout
    (run / "run.json").write_text(json.dumps(said | {"run": plan | {"demos_first": True}}), "utf-8")
    done = msmc(f"export {run.relative_to(project)} --to lm-eval")
    assert f",peft={run.relative_to(project)}/midtrain/adapter --include_path" in done.stdout, "what was trained last"
    shutil.rmtree(kept)
    assert "error[not-a-build]" in msmc(f"export {run} --to lm-eval").stderr
