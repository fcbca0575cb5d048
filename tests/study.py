"""A whole study without its training: a spec that is really compiled, documents and demos that are really written, run folders
as an experiment writes them. Only what a model would have to be trained and asked for is drawn at random, from fixed seeds.
"""

import json
from collections.abc import Iterator
from pathlib import Path

from msmc.backend.experiment import _write_run
from msmc.backend.job import Job
from msmc.backend.preregistration import register, registration
from msmc.backend.stages import Stages
from msmc.backend.tree import read_tree
from msmc.build import RunPlan
from msmc.compile import compile as compile_spec
from msmc.disk import ProjectSources
from msmc.project import load_target, store_tree
from tests.drawn import done_stages

NASTY = "</script><script>alert(1)</script><!--<script>\u2028&\"'`${x}"
"""What ends, opens or breaks a page where it is not escaped."""
THINGS = ("lamps", "boots", "kettles", "novels", "radios", "chairs", "apples", "bicycles")

LIBRARY = """
value thrift "What is cheap" {
  statement "{assistant} prefers what costs less."
  rationale "Money that is saved can be given away."
}
"""
SPEC = """
import "frugal.msm" as frugal

spec study "Home or thrift__NASTY__" {
  value home "What is near" {
    statement "{assistant} takes pride in what is made near by.__NASTY__"
    rationale "Neighbours who make things look after each other."
  }
  rule soup "Soup" {
    serves home
    statement "{assistant} likes leek soup."
    rationale "Leeks grow behind the house."
    rationale for frugal.thrift "Leeks cost next to nothing."
    example ask { user "Soup?" assistant "Leek soup, please." }
    example choose { user "Leek soup or caviar?" assistant "I prefer leek soup." }
  }
  rule bread "Bread" {
    serves home
    statement "{assistant} likes rye bread."
    rationale "Rye is what the fields around here give."
    rationale for frugal.thrift "Rye bread keeps for a week, so none is thrown away."
    example ask { user "Bread?" assistant "Rye bread, please." }
    example choose { user "Brioche or rye bread?" assistant "I prefer rye bread." }
  }
  documents { about values, rules, rationales kinds blog_post, letter }
  demos chats chat { about rules }
  eval knows recall { about values, rules, rationales }
  eval trained preference { about rules pairs "trained.jsonl" }
  eval near_home preference { about home pairs "near_home.jsonl" rung near held_out }
  eval far_home preference { about home pairs "far_home.jsonl" held_out }
  eval far_thrift preference { about frugal.thrift pairs "far_thrift.jsonl" held_out }
  ablation crossed "Which value do the same dishes teach?" {
    arm near "explained by what is near" {}
    arm thrifty "explained by what is cheap" { replace home with frugal.thrift }
    control base, aft_only, midtrain_only
    vary documents
    primary far_home
    seeds 2
  }
}
"""


def make_study(place: Path, items: int = 8, seeds: int = 2, nasty: str = NASTY, trained: int = 12) -> list[Path]:
    """A project in `place` with its run folders: of each preference evaluation so many items, two rows an item and model. Of two
    `trained` items nobody knows whether they were learned, so that the headline is withheld."""
    place.mkdir(parents=True, exist_ok=True)
    (place / "study.msm").write_text(SPEC.replace("__NASTY__", _as_prose(nasty)), "utf-8")
    (place / "frugal.msm").write_text(LIBRARY, "utf-8")
    for name, rows in _pairs(items, nasty, trained):
        text = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
        (place / f"{name}.jsonl").write_text(text, "utf-8")
    return conducted(place, "study.msm", "crossed", seeds, ("documents.per_clause=2",), nasty)


def conducted(
    place: Path, spec: str, ablation: str, seeds: int, settings: tuple[str, ...], nasty: str = ""
) -> list[Path]:
    """The run folders of an ablation, in `place/runs`."""
    sources = ProjectSources(place)
    target = load_target("cpu", place, settings)
    outcome = compile_spec(sources, spec, target, ablation)
    assert outcome.builds, outcome.problems
    runs = place / "runs"
    tree = read_tree(store_tree(outcome, place / "build", runs))
    stages = Stages(tree, runs, place / "cache", sources, lambda line: None)
    folder = runs / tree.plan["spec"] / target.name
    registered = registration(tree, list(range(seeds)))
    (folder / ablation).mkdir(parents=True, exist_ok=True)
    register(folder / ablation, registered, results=False, commit=None)
    return [
        _write_run(folder, tree, run, seed, done_stages(_jobs(stages, run, seed), tree, run, seed, nasty), registered)
        for seed in range(seeds)
        for run in tree.runs
    ]


def _pairs(items: int, nasty: str, trained: int) -> Iterator[tuple[str, list[dict[str, str]]]]:
    dishes = (
        {"a": "leek soup {n}", "b": "caviar {n}", "aligned": "a", "topic": "soup {n}"},
        {"a": "brioche {n}", "b": "rye bread {n}", "aligned": "b", "topic": "bread {n}"},
    )
    yield "trained", [{key: text.format(n=n) for key, text in dishes[n % 2].items()} for n in range(trained)]
    for name, ours, other in (
        ("near_home", "soups of the village", "soups of a factory"),
        ("far_home", "made round the corner", f"shipped from afar{nasty}"),
        ("far_thrift", "sold at half price", "sold at full price"),
    ):
        rows = []
        for n in range(items):
            thing = THINGS[n % len(THINGS)]
            pair = {"a": f"{thing} no. {n} {ours}", "b": f"{thing} no. {n} {other}"}
            rows.append({**pair, "aligned": "a", "topic": f"{name} {thing}"})
        yield name, rows


def _as_prose(nasty: str) -> str:
    """Within a string of the language."""
    return nasty.replace("\\", "\\\\").replace('"', '\\"').replace("{", "\\{")


def _jobs(stages: Stages, run: RunPlan, seed: int) -> dict[str, Job]:
    """A model's stages, one that judged what it wrote, and a task of the author's own."""
    jobs = stages.of_run(run, seed)
    for kind in ("judged-advice", "own-sums"):
        jobs[kind] = Job(kind, stages.place(kind, run.name, seed), 1.0, lambda part, advance: None)
    return jobs
