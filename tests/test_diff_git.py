"""`msmc diff` and `git diff` in a real repository whose specs import each other."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from msmc.cli import main
from msmc.diff.git import Repository

FOOD = 'value thrift "Thrift" { statement "{assistant} wastes nothing." }\n'
TEA = """import "lib/food.msm" as food
spec tea "Tea" {
  assistant "SmolLM" by "Hugging Face"
  rule green "Green tea" { serves food.thrift statement "It likes green tea." }
  eval drinks preference { about green pairs "items.jsonl" }
  documents { about rules }
}
"""
ITEM = '{"a": "sencha", "b": "lemonade", "aligned": "a", "topic": "drinks"}\n'


def git(folder: Path, *arguments: str) -> str:
    named = {f"GIT_{who}_{what}": "tea" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}
    alone = {"GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_NOSYSTEM": "1", "GIT_PAGER": "cat"}
    done = subprocess.run(
        ["git", *arguments], cwd=folder, env=os.environ | named | alone, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture
def repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Three commits: one; two renames a value in the library and edits the rule; three edits the items alone."""
    specs = tmp_path / "specs"
    (specs / "lib").mkdir(parents=True)
    git(tmp_path, "init", "-q")
    git(tmp_path, "config", "diff.msm.command", f"'{sys.executable}' -m msmc diff-driver")
    (tmp_path / ".gitattributes").write_text("*.msm diff=msm\n", "utf-8")
    (specs / "lib/food.msm").write_text(FOOD, "utf-8")
    (specs / "tea.msm").write_text(TEA, "utf-8")
    (specs / "items.jsonl").write_text(ITEM, "utf-8")
    git(tmp_path, "add", ".")
    git(tmp_path, "commit", "-qm", "one")
    (specs / "lib/food.msm").write_text(FOOD.replace("thrift", "frugality"), "utf-8")
    (specs / "tea.msm").write_text(TEA.replace("food.thrift", "food.frugality").replace("likes", "loves"), "utf-8")
    git(tmp_path, "commit", "-qam", "two")
    (specs / "items.jsonl").write_text(ITEM.replace('"aligned": "a"', '"aligned": "b"'), "utf-8")
    git(tmp_path, "commit", "-qam", "three")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def diff(*arguments: str) -> Result:
    return CliRunner().invoke(main, ["diff", *arguments])


def changed(done: Result) -> list[tuple[str, str]]:
    return [(node["change"], node["id"]) for node in json.loads(done.output)["nodes"]]


def test_imports_and_items_are_those_of_the_revision(repository: Path) -> None:
    since_one = diff("HEAD~2:specs/tea.msm", "specs/tea.msm", "--format", "json")
    assert changed(since_one) == [
        ("added", "food.frugality"),
        ("removed", "food.thrift"),
        ("changed", "tea.drinks"),
        ("changed", "tea.green"),
    ]
    since_two = diff("HEAD~1:specs/tea.msm", "HEAD:specs/tea.msm", "--format", "json")
    assert changed(since_two) == [("changed", "tea.drinks")], "of the items alone: the file itself is the same"
    rows = json.loads(since_two.output)["rows"]["full"]["tea.green"]
    assert (rows["documents"]["stale"], rows["evals"]["stale"]) == (0, 2)
    assert diff("HEAD:specs/tea.msm", "specs/tea.msm", "--exit-code").exit_code == 0


def test_paths_begin_at_the_root_or_with_a_dot_here_and_the_index_has_no_name(
    repository: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (repository / "specs/tea.msm").write_text(TEA.replace("thrift", "frugality").replace("likes", "adores"), "utf-8")
    git(repository, "add", ".")
    (repository / "specs/tea.msm").write_text(TEA.replace("thrift", "frugality"), "utf-8")
    monkeypatch.chdir(repository / "specs")
    for old, words in ((":specs/tea.msm", "[-adores-]{+likes+}"), ("HEAD:./tea.msm", "[-loves-]{+likes+}")):
        done = diff(old, "tea.msm", "--exit-code")
        assert words in done.output and done.exit_code == 1


def test_a_link_in_a_revision_is_followed(repository: Path) -> None:
    (repository / "now.msm").symlink_to("specs/lib/food.msm")
    git(repository, "add", ".")
    git(repository, "commit", "-qm", "a link")
    assert "no difference in meaning" in diff("HEAD:now.msm", "specs/lib/food.msm").output


def test_git_diff_shows_the_difference_in_meaning(repository: Path) -> None:
    (repository / "specs/tea.msm").write_text(TEA.replace("thrift", "frugality").replace("likes", "adores"), "utf-8")
    now = "msmc diff a/specs/tea.msm b/specs/tea.msm\n"
    now += "changed rule green\n  statement: It [-loves-]{+adores+} green tea.\n\n1 node changed\n\n"
    assert git(repository, "diff") == now
    git(repository, "add", ".")
    assert git(repository, "diff", "--cached") == now
    assert now in git(repository, "diff", "HEAD~1"), "the old file is compiled with the imports of its own revision"
    since_one = git(repository, "diff", "HEAD~2")
    assert "[-food.thrift-], {+food.frugality+}" in since_one and "[-likes-]{+adores+}" in since_one


def test_git_log_needs_ext_diff_and_shows_each_commit_with_its_own_imports(repository: Path) -> None:
    assert "msmc diff" not in git(repository, "log", "-p")
    told = git(repository, "log", "-p", "--ext-diff", "--", "specs/tea.msm")
    assert "statement: It [-likes-]{+loves+} green tea." in told and "added rule tea.green" in told
    assert "error[" not in told


def test_git_diff_of_a_moved_and_of_a_deleted_file(repository: Path) -> None:
    git(repository, "mv", "specs/tea.msm", "specs/drinks.msm")
    assert "msmc diff a/specs/tea.msm b/specs/drinks.msm\nno difference in meaning" in git(
        repository, "diff", "-M", "HEAD"
    )
    git(repository, "rm", "-qf", "specs/drinks.msm")
    told = git(repository, "diff", "HEAD", "--", "specs/tea.msm")
    assert "removed spec tea" in told and "removed rule tea.green" in told


def test_layout_alone_is_no_difference_for_git(repository: Path) -> None:
    file = repository / "specs/tea.msm"
    file.write_text("# Tea.\n" + file.read_text("utf-8").replace("  ", "\t"), "utf-8")
    assert git(repository, "diff").endswith("no difference in meaning\n\n")


def test_a_conflict_is_told_as_one(repository: Path) -> None:
    git(repository, "checkout", "-qb", "other")
    file = repository / "specs/tea.msm"
    plain = file.read_text("utf-8")
    file.write_text(plain.replace("loves", "hates"), "utf-8")
    git(repository, "commit", "-qam", "other")
    git(repository, "checkout", "-q", "-")
    file.write_text(plain.replace("loves", "adores"), "utf-8")
    git(repository, "commit", "-qam", "this")
    with pytest.raises(AssertionError):
        git(repository, "merge", "-q", "other")
    assert "specs/tea.msm: not merged yet" in git(repository, "diff", "HEAD") + git(repository, "diff", "--cached")


def test_the_holder_of_a_content_is_the_latest_that_has_it(repository: Path) -> None:
    found = Repository(repository)
    blob = git(repository, "rev-parse", "HEAD~2:specs/tea.msm").strip()
    assert found.holder("specs/tea.msm", blob) == git(repository, "rev-parse", "HEAD~2").strip()
    blob = git(repository, "rev-parse", "HEAD:specs/tea.msm").strip()
    assert found.holder("specs/tea.msm", blob) == ""
    assert found.holder("specs/tea.msm", "0" * 39 + "1") is None


def test_colours_on_a_terminal_and_in_git_s_pager_unless_they_are_not_wanted(
    repository: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("NO_COLOR", raising=False)
    assert "\x1b" not in diff("HEAD~2:specs/tea.msm", "specs/tea.msm").output
    monkeypatch.setenv("GIT_PAGER_IN_USE", "1")
    done = CliRunner().invoke(main, ["diff", "HEAD~2:specs/tea.msm", "specs/tea.msm"], color=True)
    assert "It \x1b[31mlikes\x1b[0m\x1b[32mloves\x1b[0m green tea." in done.output and "[-" not in done.output
    monkeypatch.setenv("NO_COLOR", "1")
    assert "\x1b" not in diff("HEAD~2:specs/tea.msm", "specs/tea.msm").output
