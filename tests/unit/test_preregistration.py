"""What was registered before training, and everything that was done otherwise."""

import json
from pathlib import Path

import pytest

from msmc.backend.comparison import compare
from msmc.backend.power import asked
from msmc.backend.preregistration import register, registration
from msmc.backend.tree import Tree
from tests.studies import SPEC, add_items, learned, run_folders, tree

QUIZ = """
task: quiz
dataset_path: json
dataset_kwargs: {data_files: {test: quiz.jsonl}}
test_split: test
output_type: multiple_choice
doc_to_text: "How is {{drink}}?"
doc_to_choice: ["hot", "cold"]
doc_to_target: 0
metric_list: [{metric: acc_norm}, {metric: acc}]
"""
ROWS = "".join(json.dumps({"drink": drink, "topic": drink[0]}) + "\n" for drink in ("tea", "tonic", "cola"))
OWN = {"quiz.yaml": QUIZ, "quiz.jsonl": ROWS, "tasks.py": "def manners():\n    ...\n"}
BLOCKS = """
  eval mine lm_eval "quiz.yaml"
  eval known lm_eval "arc_easy"
  eval manners inspect "tasks.py@manners"
  eval asked judged { about rules }
  eval safe agentic { scenarios exfiltration  samples 3 }
  eval knows recall { about values, rules, rationales }
  ablation own { control base, spec_in_context, aft_only  primary mine  seeds SEEDS }
"""
WITH_OWN = SPEC[: SPEC.rindex("}")] + BLOCKS + "}\n"


def with_own(folder: Path, *settings: str, spec: str = WITH_OWN, **files: str) -> Tree:
    return tree(folder, "own", 1, *settings, spec=spec, **{**OWN, **files})


def deviations(folder: Path, of: Tree, seeds: list[int] | None = None) -> list[str]:
    """Of models that this tree was the plan of, held against what is registered."""
    registered = compare(run_folders(folder, of, learned(), seeds))["preregistration"]
    return list(registered["deviations"])


def place(folder: Path, ablation: str = "crossed") -> Path:
    return folder / "runs/tea/cpu" / ablation


def test_what_was_done_as_registered_has_no_deviation(tmp_path: Path) -> None:
    of = tree(tmp_path, "crossed")
    path = register(place(tmp_path), registration(of, [0, 1, 2]), False, None)
    written = json.loads(path.read_text("utf-8"))
    assert written["primary"] == {
        "eval": "warm", "measure": "margin", "run": "warm", "minus": "cheap", "own": "warm", "other": "cheap"
    }  # fmt: skip
    assert written["planned"]["items"] == {"cheap": 12, "drinks": 12, "warm": 12}
    assert written["planned"]["topics"]["warm"] == 6 and written["planned"]["seeds"] == [0, 1, 2]
    assert any("fewer than 200 updates" in rule for rule in written["exclusions"])
    found = compare(run_folders(tmp_path, of, learned()))["preregistration"]
    assert found["file"] == "preregistration.json" and found["deviations"] == []


def test_the_same_plan_is_registered_once_and_never_over_another(tmp_path: Path) -> None:
    first = register(place(tmp_path), registration(tree(tmp_path, "crossed"), [0, 1, 2]), False, None)
    before = first.read_bytes()
    assert register(place(tmp_path), registration(tree(tmp_path, "crossed"), [0, 1, 2]), True, "abc") == first
    fewer = register(place(tmp_path), registration(tree(tmp_path, "crossed", 1), [0]), False, None)
    assert fewer.name == "preregistration-2.json" and first.read_bytes() == before


def test_every_deviation_is_told(tmp_path: Path) -> None:
    """Fewer seeds, a lower threshold, other documents, an item without a score, and another primary."""
    register(place(tmp_path), registration(tree(tmp_path, "crossed"), [0, 1, 2]), False, None)
    spec = SPEC.replace("It warms the hands.", "It warms.").replace("primary warm  seeds", "primary drinks  seeds", 1)
    of = tree(tmp_path, "crossed", 1, "min_steps=20", spec=spec)
    assert register(place(tmp_path), registration(of, [0]), True, None).name == "preregistration-2.json"
    found = compare(run_folders(tmp_path, of, learned(missing="cheap")))
    deviations = found["preregistration"]["deviations"]
    for expected in (
        "preregistration-2.json was written when results were there already",
        "the primary is warm minus cheap in drinks by margin; "
        "registered was warm minus cheap in warm rather than cheap by margin",
        "min_steps of the target is 20; registered was 200",
        "the plan of the documents of full is another than registered",
        "warm lacks seeds 1, 2",
        "cheap (seed 0) has 0 of 12 items of cheap",
    ):
        assert expected in deviations, deviations
    assert len(deviations) == len(set(deviations))


def test_a_plan_that_changed_before_any_result_is_what_counts(tmp_path: Path) -> None:
    register(place(tmp_path), registration(tree(tmp_path, "crossed"), [0, 1, 2]), False, None)
    of = tree(tmp_path, "crossed", 2)
    register(place(tmp_path), registration(of, [0, 1]), False, None)
    found = compare(run_folders(tmp_path, of, learned()))["preregistration"]
    assert (found["file"], found["plans"], found["deviations"]) == ("preregistration-2.json", 2, [])


def test_another_name_for_the_same_contrast_is_told_as_that(tmp_path: Path) -> None:
    register(place(tmp_path), registration(tree(tmp_path, "crossed"), [0, 1, 2]), False, None)
    of = tree(tmp_path, "crossed", spec=SPEC.replace("primary warm  seeds", "primary cheap  seeds", 1))
    assert "the primary is named by cheap; registered was warm, of the same contrast" in deviations(tmp_path, of)


def test_what_was_registered_cannot_be_changed_or_taken_away_unseen(tmp_path: Path) -> None:
    of = tree(tmp_path, "crossed")
    first = register(place(tmp_path), registration(of, [0, 1, 2]), False, None)
    register(place(tmp_path), registration(of, [0, 1]), False, None)
    written = first.read_text("utf-8")
    first.write_text(written.replace('"measure": "margin"', '"measure": "rate"'), "utf-8")
    assert "preregistration.json was changed after it was written" in deviations(tmp_path, of)
    first.unlink()
    assert "preregistration.json is gone" in deviations(tmp_path, of)
    third = register(place(tmp_path), registration(of, [0]), False, None)
    assert third.name == "preregistration-3.json", "no number is given twice"
    for path in place(tmp_path).glob("*.json"):
        path.unlink()
    assert deviations(tmp_path, of) == ["the file of what was registered is gone"]


# ---- the author's own, and those that a judge grades ------------------------------------------------------------------


def test_planned_items_are_those_that_are_asked(tmp_path: Path) -> None:
    """Of recall a limit is of each form; of tasks that only lm_eval or Inspect knows, nothing is claimed."""
    whole = registration(with_own(tmp_path), [0])["planned"]["items"]
    assert (whole["mine"], whole["safe"], whole["asked"], whole["warm"]) == (3, 9 * 3, 3, 12)
    assert not {"known", "manners"} & whole.keys()
    few = registration(with_own(tmp_path, "evaluate.limit=2"), [0])["planned"]["items"]
    assert few == dict.fromkeys(whole, 2)
    recall = {"topics": {"a": 6, "b": 1}, "forms": {"question": {"a": 3, "b": 1}, "cloze": {"a": 3}}}
    assert asked(recall, 2) == {"a": 3, "b": 1} and asked(recall, None) == {"a": 6, "b": 1}
    assert asked({"topics": None}, 2) is None


def test_an_own_task_is_registered_with_its_measure(tmp_path: Path) -> None:
    assert registration(with_own(tmp_path), [0])["primary"]["measure"] == "acc_norm"
    told = registration(with_own(tmp_path, spec=WITH_OWN.replace("primary mine", "primary manners")), [0])["primary"]
    assert told["measure"] == "the first measure of its task"


@pytest.mark.parametrize(
    ("edit", "part"),
    [
        ({"quiz.jsonl": ROWS.replace("cola", "cocoa")}, "task mine"),
        ({"quiz.yaml": QUIZ.replace('"hot"', '"warm"')}, "task mine"),
        ({"spec": WITH_OWN.replace("arc_easy", "arc_challenge")}, "task known"),
        ({"tasks.py": "def manners():\n    return 1\n"}, "evaluations"),
        ({"spec": WITH_OWN.replace("Warmth comforts.", "Warmth soothes.")}, "spec shown of full"),
    ],
)
def test_what_is_asked_and_shown_cannot_be_replaced_unseen(tmp_path: Path, edit: dict[str, str], part: str) -> None:
    register(place(tmp_path, "own"), registration(with_own(tmp_path), [0]), False, None)
    assert deviations(tmp_path, with_own(tmp_path)) == []
    assert f"the plan of the {part} is another than registered" in deviations(tmp_path, with_own(tmp_path, **edit))


def test_an_own_task_that_is_measured_otherwise_is_told(tmp_path: Path) -> None:
    of = with_own(tmp_path)
    register(place(tmp_path, "own"), registration(of, [0]), False, None)
    folders = run_folders(tmp_path, of, learned())
    for folder in folders:
        add_items(folder, "mine", "lm_eval", {"acc": [1.0, 0.0, 1.0]})
        add_items(folder, "manners", "inspect", {"polite": [1.0, 0.0, 1.0, 1.0, 0.0, 1.0]})
    told = compare(folders)["preregistration"]["deviations"]
    assert told == ["the primary, mine, is measured by acc; registered was acc_norm"]


def test_models_and_seeds_that_were_not_planned_are_told(tmp_path: Path) -> None:
    """A further seed, and a further control; both with the rows that were planned."""
    register(place(tmp_path, "plain"), registration(tree(tmp_path, "plain", 1), [0]), False, None)
    of = tree(tmp_path, "plain", 2, spec=SPEC.replace("control aft_only  primary", "control aft_only, base  primary"))
    told = deviations(tmp_path, of)
    assert told == [
        "aft_only has seed 1 besides",
        "full has seed 1 besides",
        "rules has seed 1 besides",
        "base was not registered",
    ]
