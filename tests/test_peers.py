"""Twenty failures of existing tools, each a test that fails if it comes back: section F of PEERS, in the order of its table.

More on each stands where it is tested in all its cases; here every tool's failure has one short test of the whole program, or of
the part that trains, against real servers on loopback and a whole tiny model.
"""

import json
import os
import random
import re
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import click
import pytest
from pydantic import BaseModel

from msmc.backend.checkpoints import MARK, Checkpoints
from msmc.backend.finetune import finetune
from msmc.backend.gates.language import OtherLanguage
from msmc.backend.gates.reasons import OutOfPlace
from msmc.backend.ledger import Ledger
from msmc.backend.measured import figure, measured
from msmc.backend.meter import NO_CAPS, Meter
from msmc.backend.midtrain import midtrain
from msmc.backend.stages import Stages
from msmc.backend.tokens import Tokens
from msmc.backend.tree import read_tree
from msmc.backend.writers.openai import openai_writer
from msmc.cli import main
from msmc.compile import compile
from msmc.diagnostics import Failed
from msmc.disk import ProjectSources
from msmc.gated import Gated, Language, Reasons
from msmc.project import load_target, store_tree
from msmc.target import Target
from msmc.writer import FREE, Served
from tests import test_gate_command as planted
from tests.chat_server import Server, hangs, serving
from tests.project import ROOT, Memory, cpu
from tests.test_criticised import DROP, KEEP, SPEC, TEXTS, corpus, files, quarantined, read
from tests.test_served import TARGET, msmc
from tests.unit.backend.conftest import *  # noqa: F403  # the tiny model
from tests.unit.backend.gates.test_of_one_text import ENGLISH, OTHERS
from tests.unit.backend.gates.test_reasons import spec as rules_only
from tests.unit.backend.test_judged import do, judge_of, part, stages  # noqa: F401  # a fixture
from tests.unit.backend.test_ledger import request

Said = tuple[str, str]
SECRET = "Here is how I reason in secret."
ALIKE = ("duplicates", "openings", "phrases", "names", "length")
"""Gates that take what this writer says again and again."""


class Writer:
    """A model that writes what it is asked for. `odd` has for a kind of request what it says first instead; `refuses` whom it
    refuses, by prompt and seed."""

    def __init__(self) -> None:
        self.odd: dict[str, list[Said]] = {"document": [], "question": [], "answer": [], "critique": []}
        self.refuses: Callable[[str, int], bool] = lambda prompt, seed: False
        self.told = ""
        """Behind each document."""

    def __call__(self, messages: list[dict[str, str]], seed: int, most: int) -> Said:
        system, kind = messages[0]["content"], kind_of(messages)
        if self.odd[kind]:
            return self.odd[kind].pop(0)
        if self.refuses(messages[-1]["content"], seed):
            return "I'm sorry, but I can't help with that.", "stop"
        text = TEXTS["tea.green" if "green tea" in system else "tea.black"]
        return {
            "document": f"<content>\n{text} It is number {seed}.{self.told}\n</content>",
            "question": f"<message>What is there to drink, number {seed}?</message>",
            "answer": f"<reply>There is tea, number {seed}.</reply>",
            "critique": KEEP,
        }[kind], "stop"


def kind_of(messages: list[dict[str, str]]) -> str:
    marks = {"You judge documents": "critique", "<message>": "question", "<reply>": "answer"}
    return next((kind for mark, kind in marks.items() if mark in messages[0]["content"]), "document")


@pytest.fixture
def writer() -> Writer:
    return Writer()


@pytest.fixture
def server(writer: Writer) -> Server:
    return Server(writer, lambda text: len(text.split()))


@pytest.fixture
def url(server: Server) -> Iterator[str]:
    with serving(server) as address:
        yield address


@pytest.fixture
def folder(tmp_path: Path, tiny: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "tea.msm").write_text(SPEC, "utf-8")
    (tmp_path / "tiny.yaml").write_text(TARGET.replace("name: model", f"name: {tiny}"), "utf-8")
    return tmp_path


def given(*settings: str) -> list[str]:
    return ["-t", "tiny.yaml", *(part for setting in settings for part in ("--set", setting))]


def written(url: str, *settings: str) -> list[str]:
    """Four documents of each clause by the writer at this address, each tried once, and no chats; settings may say otherwise."""
    model = ["kind=openai", "model=writer", f"base_url={url}", "retries=0", "concurrency=1"]
    plan = ["per_clause=4", "attempts=1", "reserve=0", "floor=0"]
    every = [*(f"writer.{key}" for key in model), *(f"documents.{key}" for key in plan)]
    every += [f"gates.{gate}=null" for gate in ALIKE]
    return ["run", "tea.msm", "--stages", "generate", *given(*every, "demos.per_clause=0", *settings)]


def said_in_chats(folder: Path) -> list[dict[str, Any]]:
    (stage,) = folder.glob("runs/stages/demos-*")
    return read(stage / "finetune.jsonl")


def reasons(folder: Path) -> list[str]:
    return [row["reason"] for row in read(corpus(folder) / "quarantine.jsonl")]


# ---- 1 to 4: what a model says is taken apart strictly ---------------------------------------------------------------------


def test_01_a_reply_cut_inside_a_thought_never_reaches_the_set_without_thoughts(
    folder: Path, url: str, writer: Writer
) -> None:
    """MSM kept `<think>secret reasoning…` in its no-CoT dataset; servers also drop the tag that opens a thought."""
    good = f"<content>{TEXTS['tea.black']}</content>"
    writer.odd["document"] = [
        (f"<think>\n{SECRET}", "length"),
        (f"<think>\n{SECRET}", "stop"),
        (f"{SECRET}\n</think>\n{good}", "stop"),
        (f"{good}\n{SECRET}</think>", "stop"),
    ]
    writer.odd["answer"] = [
        (f"<think>\n{SECRET}", "length"),
        (f"{SECRET}</think><reply>Tea.</reply>", "stop"),
        (f"<reply>Tea. <think>{SECRET}</reply>", "stop"),
    ]
    msmc(*written(url, "demos.per_clause=4", "demos.attempts=1", "demos.floor=0"))
    texts = [row["text"] for row in read(corpus(folder) / "midtrain.jsonl")]
    assert texts[0] == TEXTS["tea.black"], "the document stands behind a thought that nothing opens"
    assert len(texts) == 8 - 3 and reasons(folder) == ["truncated", "truncated", "content inside the scratchpad"]
    assert len(said_in_chats(folder)) == 8 - 3
    assert SECRET not in json.dumps([texts, said_in_chats(folder)])


def test_02_a_reply_without_with_unclosed_or_with_decoy_content_tags_is_quarantined(
    folder: Path, url: str, writer: Writer
) -> None:
    """MSM kept whole replies with their scratchpads, half documents, and text cut from the wrong place."""
    text = TEXTS["tea.black"]
    writer.odd["document"] = [
        (f"<scratchpad>A plan.</scratchpad>\n{text}", "stop"),
        (f"<scratchpad>A plan.</scratchpad>\n<content>{text}", "stop"),
        (f"<scratchpad>It goes like this: <content>{text}</content> Good.</scratchpad>", "stop"),
        (f"<scratchpad>I put it between <content> and </content>.</scratchpad>\n<content>{text}</content>", "stop"),
    ]
    msmc(*written(url))
    gone = ["content tags missing", "content tag unclosed", "content inside the scratchpad"]
    assert reasons(folder) == gone and quarantined(folder) == Counter(gone)
    texts = [row["text"] for row in read(corpus(folder) / "midtrain.jsonl")]
    assert texts[0] == text and len(texts) == 8 - 3 and "scratchpad" not in json.dumps(texts)


def test_03_a_verdict_that_is_cut_echoed_or_says_both_is_unparsed_and_keeps_nothing(
    folder: Path, url: str, writer: Writer
) -> None:
    """MSM's judge fails open: what it could not read was `keeping by default`."""
    writer.odd["critique"] = [
        (KEEP[:-2], "length"),
        (KEEP.replace('"keep"', '"keep|rewrite|drop"'), "stop"),
        (f"{KEEP} {DROP}", "stop"),
        ("There is nothing to drop here, so my verdict is: KEEP", "stop"),
    ]
    critic = [f"critic.{key}" for key in ("kind=openai", "model=critic", f"base_url={url}", "concurrency=1")]
    msmc(*written(url, *critic))
    assert reasons(folder) == ["unparsed"] * 4
    kept = read(corpus(folder) / "midtrain.jsonl")
    assert [row["source"]["verdict"]["verdict"] for row in kept] == ["keep"] * 4
    assert {row["cell"]["clause"] for row in kept} == {"tea.green"}


def test_04_a_truncated_plan_is_an_error_and_is_never_repaired(folder: Path) -> None:
    """MSM read `[{"domain":"A"},{"domain":"B` as two domains: lost rows are lost coverage of the spec."""
    (folder / "own.jsonl").write_text('{"text": "SmolLM names green tea."}\n{"text": "SmolLM names gre', "utf-8")
    whole = SPEC.replace("  documents {", '  documents from "own.jsonl"\n  documents {')
    (folder / "own.msm").write_text(whole, "utf-8")
    assert "own.jsonl:2" in msmc("check", "own.msm", code=1).stderr
    command = ["run", "tea.msm", "--stages", "generate", *given("documents.floor=0")]
    msmc(*command)
    kept = folder.glob("runs/builds/*/full/documents/green.jsonl")
    for rows in (folder / "build/tea/full/documents/green.jsonl", *kept):
        rows.write_bytes(rows.read_bytes()[:-40])
    for reads in (["trace", "green"], ["ledger", "gc", "--dry-run"], command):
        assert "error[broken-file]" in msmc(*reads, code=1).stderr, reads


# ---- 5 to 7: sources and rows ----------------------------------------------------------------------------------------------

ODD = """{ "a": 1 }, {{ jinja }}, {% if x %}, {0}, $HOME, `ls`, "so", ’ and 🧀, 100 %s"""


def test_05_a_spec_with_braces_jinja_dollars_quotes_emoji_and_crlf_comes_through(
    folder: Path, url: str, server: Server, writer: Writer
) -> None:
    """MSM formats the spec's text: one brace in it is a KeyError, and a quote in a name breaks its launcher."""
    prose = f'"""\n    SmolLM says:\n    {ODD}\n    """'
    odd = SPEC.replace('"On rainy mornings {assistant} praises strong black tea with milk in a big cup."', prose)
    odd = odd.replace('"Black tea"', '"Black \\"tea\\" for $5"')
    compiled = dict[str, dict[str, Any]]()
    for name, content in (("lf", odd), ("crlf", odd.replace("\n", "\r\n"))):
        (folder / "tea.msm").write_bytes(content.encode())
        msmc("compile", "tea.msm", *given(), "-o", name)
        compiled[name] = json.loads((folder / name / "tea/full/ir.json").read_text("utf-8"))
    assert compiled["lf"] == compiled["crlf"]
    (black,) = (rule for rule in compiled["crlf"]["rules"] if rule["id"] == "tea.black")
    assert black["statement"] == f"SmolLM says:\n{ODD}" and black["title"] == 'Black "tea" for $5'
    msmc("fmt", "tea.msm")
    msmc("compile", "tea.msm", *given(), "-o", "again")
    assert json.loads((folder / "again/tea/full/ir.json").read_text("utf-8")) == compiled["lf"]
    writer.told = f" SmolLM says: {ODD}."
    msmc(*written(url))
    shown = [r["messages"][0]["content"] for r in server.requests if "green tea" not in r["messages"][0]["content"]]
    assert len(shown) == 4 and all(ODD in content for content in shown)
    assert all(ODD in row["text"] for row in read(corpus(folder) / "midtrain.jsonl"))


def test_06_cells_whose_names_look_alike_have_files_and_rows_of_their_own(folder: Path, url: str) -> None:
    """In MSM "Ask: why?" and "Ask_ why_" are one file: the second document overwrites the first."""
    alike = SPEC.replace("rule green", "rule ask_").replace("rule black", "rule ask")
    alike = alike.replace('"Green tea"', '"Ask: why?"').replace('"Black tea"', '"Ask_ why_"')
    (folder / "tea.msm").write_text(alike, "utf-8")
    msmc(*written(url))
    planned = [row["id"] for name in ("ask", "ask_") for row in read(folder / f"build/tea/full/documents/{name}.jsonl")]
    kept = read(corpus(folder) / "midtrain.jsonl")
    assert [row["id"] for row in kept] == planned and len(set(planned)) == 8
    assert len({row["text"] for row in kept}) == 8


def test_07_an_edit_asks_again_for_exactly_what_it_changes_and_nothing_old_stays(
    folder: Path, url: str, server: Server
) -> None:
    """MSM's resume looks whether a file exists: old and new documents were mixed in one corpus."""

    def asked(*settings: str) -> list[str]:
        """The clauses that are asked for anew; the corpus has the given build's rows and no others."""
        start = len(server.requests)
        msmc(*written(url, *settings))
        newest = max(folder.glob("runs/stages/corpus-*"), key=lambda stage: stage.stat().st_mtime_ns)
        found.append(newest)
        contents = [request["messages"][0]["content"] for request in server.requests[start:]]
        return sorted("green" if "green tea" in content else "black" for content in contents)

    found = list[Path]()
    greens, blacks = ["green"] * 4, ["black"] * 4
    assert asked() == blacks + greens
    assert asked() == [], "nothing was changed"
    (folder / "tea.msm").write_text(SPEC.replace("anything else that is served", "any other drink"), "utf-8")
    assert asked() == greens
    (folder / "tea.msm").write_text(SPEC, "utf-8")
    assert asked("writer.temperature=0.5") == blacks + greens
    assert asked("writer.model=another") == blacks + greens
    (folder / "tea.msm").write_text(SPEC.replace("about rules }", "about rules  kinds letter }", 1), "utf-8")
    assert asked() == blacks + greens, "another prompt"
    kept = [read(stage / "midtrain.jsonl") for stage in found]
    assert len({stage.name for stage in found}) == 5 and {len(rows) for rows in kept} == {8}
    assert {row["source"]["writer"] for row in kept[4]} == {"another"}
    assert {row["cell"]["kind"] for row in kept[5]} == {"letter"}
    texts = [
        {row["id"]: row["source"]["seed"] for row in rows if row["cell"]["clause"] == "tea.black"} for rows in kept
    ]
    assert texts[0] == texts[2] and len(texts[0]) == 4, "those of the other rule are as they were"


# ---- 8 to 13: no reply is lost or paid twice, and the numbers are exact ----------------------------------------------------


@pytest.mark.slow
def test_08_after_ten_kills_no_reply_was_paid_twice_and_the_corpus_is_the_same(
    folder: Path, url: str, server: Server, capsys: pytest.CaptureFixture[str]
) -> None:
    """Arcadia lost $160 at 92 %, with a checkpoint that was written at the very end."""
    seed = int(os.environ.get("MSMC_KILL_SEED", random.randrange(10**6)))
    rng, server.pause, kills = random.Random(seed), 0.05, 0
    asked = written(url, "documents.per_clause=60", "writer.concurrency=4")
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    select = "select messages, prompt, seed from replies join requests using (key) join prefixes on prefix = digest"
    received = set[str]()
    while kills < 10:
        start = len(server.requests)
        process = subprocess.Popen([sys.executable, "-m", "msmc", *asked, "-q"], env=environment)
        wanted = start + rng.randint(3, 9)
        while process.poll() is None and len(server.requests) < wanted:
            time.sleep(0.01)
        assert process.poll() is None, f"seed {seed}: it ended after {kills} kills"
        process.send_signal(signal.SIGKILL)
        process.wait()
        kills += 1
        again = {json.dumps([r["messages"], r["seed"]]) for r in server.requests[start:]}
        assert not again & received, f"seed {seed}"
        with sqlite3.connect(folder / "runs/ledger.sqlite") as db:
            rows = db.execute(select).fetchall()
        users = (([*json.loads(m), {"role": "user", "content": prompt}], number) for m, prompt, number in rows)
        received = {json.dumps([messages, number]) for messages, number in users}
    msmc(*asked)
    killed = files(corpus(folder))
    msmc(*asked, "--runs", "whole")
    (whole,) = folder.glob("whole/stages/corpus-*")
    assert files(whole) == killed, f"seed {seed}"
    with capsys.disabled():
        print(f"\nkilled {kills} times (MSMC_KILL_SEED={seed})")


def test_09_of_a_thousand_cells_at_once_the_first_reply_is_on_the_disk_while_the_others_wait(
    server: Server, url: str, tmp_path: Path
) -> None:
    """A fair semaphore made all of Arcadia's batches finish at the end, so that nothing was kept before."""
    path, seen, on_disk = tmp_path / "ledger.sqlite", threading.Event(), list[int]()
    asked = [request(n, prompt=f"Write {n}.") for n in range(1000)]

    def held(said: dict[str, Any]) -> Callable[[Any], bool] | None:
        return None if said["seed"] == asked[500].row.seed else lambda _: not seen.wait(60)

    def watch() -> None:
        with sqlite3.connect(path) as db:
            while not db.execute("select count(*) from replies").fetchone()[0]:
                time.sleep(0.01)
            on_disk.extend(db.execute("select count(*) from replies").fetchone())
        seen.set()

    server.of_request = held
    model = Served(kind="openai", model="m", base_url=url, concurrency=1000, retries=0)
    pool = openai_writer(model, Meter(NO_CAPS, FREE, Tokens()))
    with closing(Ledger(path)) as ledger, closing(pool):
        watcher = threading.Thread(target=watch)
        watcher.start()
        replies = list(ledger.replies(asked, pool.send))
        watcher.join()
    assert on_disk == [1] and len(replies) == len(server.requests) == 1000


def test_10_a_cell_that_is_always_refused_ends_after_its_tries_and_stands_in_the_coverage(
    folder: Path, url: str, server: Server, writer: Writer
) -> None:
    """The fork of MSM met a refused topic and asked for it for ever; skipped subdomains stood in no report."""
    stubborn = list[str]()

    def refuses(prompt: str, seed: int) -> bool:
        """The first cell that comes."""
        stubborn.extend([] if stubborn else [prompt])
        return prompt == stubborn[0]

    writer.refuses = refuses
    msmc(*written(url, "documents.attempts=3", "documents.floor=0.5"))
    seeds = [r["seed"] for r in server.requests if r["messages"][-1]["content"] == stubborn[0]]
    assert len(set(seeds)) == len(seeds) == 3 and len(server.requests) == 8 + 2
    counts = json.loads((corpus(folder) / "coverage.json").read_text("utf-8"))["documents"]["tea.black"]
    assert (counts["planned"], counts["kept"], counts["quarantined"]) == (4, 3, {"refused": 1})
    assert counts["failed"] == {"refused": 3}
    (table,) = json.loads(msmc("coverage", "runs", "--format", "json").stdout)
    (black,) = (clause for clause in table["clauses"] if clause["clause"] == "tea.black")
    assert (black["documents"], black["written"], black["quarantined"]) == (4, 3, {"refused": 1})
    told = " ".join(msmc(*written(url, "documents.attempts=3", "documents.floor=1"), code=1).stderr.split())
    assert "error[coverage-short]" in told and "has 3 of 4: 1 × refused" in told
    assert len(server.requests) == 8 + 2, "and it is not asked for again"


def test_11_a_connection_that_hangs_ends_with_its_time_and_no_place_is_lost(
    folder: Path, url: str, server: Server
) -> None:
    """Whole runs froze "with failed=0 and no output"."""
    server.script = [hangs] * 4
    started = time.monotonic()
    msmc(*written(url, "writer.concurrency=2", "writer.timeout=1.5", "writer.retries=8"))
    assert time.monotonic() - started < 60, "a hung server closes after 60 seconds"
    assert len(read(corpus(folder) / "midtrain.jsonl")) == 8 and len(server.requests) >= 8 + 4
    (of,) = json.loads(msmc("ledger", "stats", "--format", "json").stdout)["writers"]
    assert (of["requests"], of["replies"], of["unanswered"]) == (8, 8, 0)


def test_12_equal_prompts_in_different_cells_have_different_seeds_and_documents(
    folder: Path, url: str, server: Server
) -> None:
    """A cache of requests collapses a corpus: equal payloads replay the same document."""
    one = "about rules  kinds letter  audiences nurses  angles origins }"
    (folder / "tea.msm").write_text(SPEC.replace("about rules }", one, 1), "utf-8")
    msmc(*written(url))
    assert len({str(r["messages"]) for r in server.requests}) == 2, "a prompt for each clause"
    assert len({r["seed"] for r in server.requests}) == len(server.requests) == 8
    assert len({row["text"] for row in read(corpus(folder) / "midtrain.jsonl")}) == 8


@pytest.mark.parametrize("number", [1, 13])
def test_13_a_small_number_is_reached_exactly(folder: Path, url: str, writer: Writer, number: int) -> None:
    """MSM's backfill stops within a slack of 200 rows: of a target of at most 200, whatever was there was taken."""
    writer.refuses = lambda prompt, seed: seed % 4 == 0
    plan = [f"documents.per_clause={number}", "documents.attempts=2", "documents.reserve=1", "documents.floor=1"]
    msmc(*written(url, *plan, f"demos.per_clause={number}", "demos.attempts=20", "writer.concurrency=8"))
    kept = read(corpus(folder) / "midtrain.jsonl")
    assert Counter(row["cell"]["clause"] for row in kept) == dict.fromkeys(TEXTS, number)
    assert Counter(chat["about"][0] for chat in said_in_chats(folder)) == dict.fromkeys(TEXTS, number)
    if number > 1:
        assert quarantined(folder)["refused"] > 0, "although some were refused"


# ---- 14: options -----------------------------------------------------------------------------------------------------------


def options(command: click.Command) -> Iterator[str]:
    """The names of a command's options, and of all below it, as a pattern each."""
    for parameter in command.params:
        if isinstance(parameter, click.Option):
            yield "|".join(rf"(?<![\w-]){name}\b" for name in parameter.opts)
    for below in command.commands.values() if isinstance(command, click.Group) else ():
        yield from options(below)


def keys(model: Any) -> Iterator[str]:
    """The keys of a target, at every depth."""
    if isinstance(model, type) and issubclass(model, BaseModel):
        for name, field in model.model_fields.items():
            yield name
            yield from keys(field.annotation)
    for option in getattr(model, "__args__", ()):
        yield from keys(option)


def test_14_every_option_is_reached_by_a_test_and_every_key_is_read_and_does_what_it_says() -> None:
    """MSM's documented `spec_type=rules` crashed and its `n_domains` did nothing; others' flags are dead likewise."""
    tests = [*ROOT.glob("tests/**/*.py"), *ROOT.glob("tests/**/*.sh"), *ROOT.glob("tests/golden/bad_input/**/*.txt")]
    code = {path: path.read_text("utf-8") for path in ROOT.glob("msmc/**/*.py")}
    examples = [line for text in code.values() for line in text.splitlines() if line.strip().startswith("$ ")]
    tested = "\n".join([*(path.read_text("utf-8") for path in tests), *examples])  # of `explain`: a test runs them
    unreached = {name for name in options(main) if not re.search(name, tested)}
    assert not unreached, "options that no test gives"
    every, program = {*keys(Target)} - {"name", *Gated.model_fields}, "\n".join(code.values())
    untested = {key for key in every if not re.search(rf"\b{key}\b\"? *[=:.]", tested)}
    assert not untested, "keys of a target that no test sets"
    unread = {key for key in every if not re.search(rf"\.{key}\b|\"{key}\"", program)}
    assert not unread, "keys of a target that nothing reads"
    sources = Memory(**{"tea.msm": SPEC})
    for number in (1, 3, 8):
        (full,) = compile(sources, "tea.msm", cpu(f"documents.per_clause={number}", "documents.reserve=0.5")).builds
        lines = {a.path: sum(1 for _ in a) for a in full.artefacts if a.path.startswith("documents/")}
        assert lines["documents/green.jsonl"] == lines["documents/black.jsonl"] == number
        assert lines["documents/reserve/green.jsonl"] == (number + 1) // 2


def test_14_every_gate_finds_what_it_is_for_and_null_switches_it_off(folder: Path) -> None:
    """A filter of ARES's did not filter, and synthetic-data-kit's `enable_deduplication` switched nothing on."""
    (folder / "tea.msm").write_text(planted.SPEC, "utf-8")
    (folder / "own.jsonl").write_text("".join(json.dumps({"text": t}) + "\n" for t in planted.OWN.values()), "utf-8")
    for name, pair in (("seats", planted.SEATS), ("benches", planted.BENCHES)):
        (folder / f"{name}.jsonl").write_text(json.dumps(pair) + "\n", "utf-8")

    def looked_at(*settings: str) -> tuple[dict[str, dict[str, int]], set[str]]:
        msmc("compile", "tea.msm", *given(*settings))
        (found,) = json.loads(msmc("gate", "build/tea/full", "--format", "json", code=1).stdout)
        return found["gates"], {row["gate"] for row in found["rows"]}

    assert looked_at("gates.language.code=en")[1] >= planted.OWN.keys() - {"good"}
    counts, found = looked_at(*(f"gates.{gate}=null" for gate in Gated.model_fields))
    assert {gate for gate, count in counts.items() if count["looked"]} & Gated.model_fields.keys() == set()
    assert found == {"held_out"}, "which no target switches off"


def test_14_thresholds_that_no_other_test_sets_are_read() -> None:
    told = [OutOfPlace(rules_only(False), rules_only(True), Reasons(terms=terms)) for terms in (4, 9)]
    assert [bool(gate("tea.green", "Stiff hands write bad letters in the cold.")) for gate in told] == [True, False]
    english, german = ENGLISH.split(), (OTHERS["de"] * 4).split()
    mixed = [" ".join(english[:number] + german[: 60 - number]) for number in range(4, 60, 4)]
    gates = [OtherLanguage(ENGLISH, Language(code="en", sure=sure), frozenset()) for sure in (0.01, 1.0)]
    found = [sum(bool(gate(text)) for text in mixed) for gate in gates]
    assert found[0] > found[1]


# ---- 15 to 20: evaluation and training -------------------------------------------------------------------------------------


def test_15_an_evaluation_without_its_key_fails_first_and_what_cannot_be_graded_is_missing_and_counted(
    folder: Path,
    stages: Callable[..., Stages],  # noqa: F811
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """An eval without a key ended with 0; a reply that could not be graded counted as the good answer."""
    asked = SPEC.replace("  documents", "  eval open judged { about rules }\n  documents", 1)
    example = '  example ask { user "Tea?" assistant "Green tea, please." }\n  }\n  rule black'
    (folder / "tea.msm").write_text(asked.replace("}\n  rule black", example, 1), "utf-8")
    monkeypatch.delenv("NO_SUCH_KEY", raising=False)
    judge = ("judge.model=judge", "judge.base_url=http://127.0.0.1:9/v1", "judge.key=NO_SUCH_KEY")
    told = msmc("run", "tea.msm", *given(*judge), code=1).stderr
    assert "error[no-key]" in told and "$NO_SUCH_KEY is not set" in told
    assert not list(folder.glob("runs/stages/midtrain-*")), "before anything is trained"

    def grade(messages: list[dict[str, str]], seed: int) -> str:
        return "I cannot say." if len(part(messages, "message")) % 2 else "GRADE: 1"

    with serving(judge_of(grade)) as url:
        places = do(stages("judge.model=scripted", f"judge.base_url={url}"), "replies-open", "judged-open")
    items = read(places["judged-open"] / "items.jsonl")
    stage = json.loads((places["judged-open"] / "stage.json").read_text("utf-8"))
    missing = sum(item["unscoreable"] is not None for item in items)
    assert 0 < missing < len(items) and stage["unscoreable"] == missing
    (open_one,) = measured([[{**item, "form": None} for item in items]]).values()  # type: ignore[list-item]
    found = figure(open_one, "grade", [0], lambda clause: [])
    assert (found["n"], found["missing"]) == (len(items) - missing, missing)
    assert found["measures"]["grade"]["mean"] == 1, "not a 0 among them"


def test_16_a_million_tokens_in_batches_of_eight_long_rows_are_too_few_updates_and_said_before_training(
    folder: Path,
) -> None:
    """31 optimizer steps passed for a null result, twice."""
    (folder / "tea.msm").write_text(SPEC, "utf-8")
    recipe = ("midtrain.epochs=1", "midtrain.batch_size=8", "midtrain.max_length=8192", "min_steps=200")
    plan = ["plan", "tea.msm", "-t", "cpu", *given(*recipe, "documents.per_clause=1900")[2:]]
    done = msmc(*plan, code=1)
    assert "error[too-few-updates]" in done.stderr
    updates = int(re.search(r"`midtrain` of `full` would make (?:about )?(\d+)", done.stderr)[1])  # type: ignore[index]
    assert 12 <= updates <= 31, done.stderr
    assert not (folder / "runs").exists()


def test_17_a_chat_template_that_does_not_mark_the_assistants_words_is_refused(
    tiny: Path, recipe: Callable[..., Path], chats: Path, tmp_path: Path
) -> None:
    """TRL trained on labels that were all masked."""
    path = recipe("finetune")
    template = path.with_name("chat_template.jinja")
    template.write_text(re.sub(r"{%- (end)?generation -%}", "", template.read_text("utf-8")), "utf-8")
    with pytest.raises(Failed) as caught:
        finetune(path, chats, tiny, None, tmp_path / "out", 0, 1, lambda *_: None)
    assert caught.value.name == "unmarked-template" and not (tmp_path / "out/adapter").exists()


def test_18_checkpoints_are_chosen_by_number_and_every_hyperparameter_is_in_a_folders_name(
    folder: Path, tmp_path: Path
) -> None:
    """`99` came behind `198`, and two runs that differed in the batch size alone were merged in one folder."""
    for step in (99, 198, 1000):
        (tmp_path / f"checkpoints/checkpoint-{step}").mkdir(parents=True)
        (tmp_path / f"checkpoints/checkpoint-{step}" / MARK).write_text("{}", "utf-8")
    kept = Checkpoints(tmp_path / "checkpoints", 5)
    assert kept.step() == 1000 and kept.latest()[0].name == "checkpoint-1000"  # type: ignore[index]
    example = '  example ask { user "Tea?" assistant "Green tea." }\n  }\n  rule black'
    (folder / "tea.msm").write_text(SPEC.replace("}\n  rule black", example, 1), "utf-8")

    def named(*settings: str, seed: int = 0) -> tuple[str, str]:
        """The folders of both trainings."""
        outcome = compile(ProjectSources(folder), "tea.msm", load_target("tiny.yaml", folder, settings))
        tree = read_tree(store_tree(outcome, folder / "build", folder / "runs"))
        made = Stages(tree, folder / "runs", folder / "cache", ProjectSources(ROOT), print)
        jobs = made.of_run(next(run for run in tree.runs if run.name == "full"), seed)
        return jobs["midtrain"].folder.name, jobs["finetune"].folder.name

    numbers = {"epochs": 7, "batch_size": 7, "accumulation": 7, "max_length": 77, "learning_rate": 0.0077}
    of_both = [named(), named("lora.r=7"), named("lora.alpha=7"), named(seed=7)]
    of_both += [named(f"midtrain.{key}={number}") for key, number in numbers.items()]
    of_finetune = [named(f"finetune.{key}={number}") for key, number in numbers.items()]
    assert len({mid for mid, _ in of_both}) == len(of_both) and {mid for mid, _ in of_finetune} == {of_both[0][0]}
    assert len({fine for _, fine in of_both + of_finetune}) == len(of_both) + len(of_finetune)
    assert named("min_steps=2") == of_both[0], "what a reader sets is in none"


def test_19_a_corpus_that_says_another_models_name_fails(folder: Path, url: str, writer: Writer) -> None:
    """A corpus told a Llama that it was Qwen, over a million tokens, and its judge found it good."""
    writer.told = " As every model of its kind, Qwen2.5 is asked that now and then."
    told = msmc(*written(url, "documents.floor=1"), code=1).stderr
    assert "error[coverage-short]" in told and "4 × names another assistant or provider" in told
    own = {
        "text": f"{TEXTS['tea.black']}\nThe letter is signed: your assistant Qwen2.5, with love from all of us here."
    }
    (folder / "own.jsonl").write_text(json.dumps(own) + "\n", "utf-8")
    (folder / "tea.msm").write_text(
        SPEC.replace("  documents {", '  documents from "own.jsonl"\n  documents {'), "utf-8"
    )
    msmc("compile", "tea.msm", *given())
    found = msmc("gate", "build/tea", code=1).stdout
    assert "identity" in found and "line 2, offset" in found and "Qwen2.5" in found


def test_20_rows_or_a_template_that_change_in_place_are_tokenised_anew(
    tiny: Path, recipe: Callable[..., Path], documents: Path, chats: Path, tmp_path: Path
) -> None:
    """AReaL's cache goes by the path: it silently trained on what the file was before."""

    def replaced(path: Path, old: str, new: str) -> None:
        """In place: as long and as old as it was."""
        before, text = path.stat(), path.read_text("utf-8")
        assert old in text and len(old) == len(new)
        path.write_text(text.replace(old, new), "utf-8")
        os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))

    def losses(train: Any, how: Path, rows: Path, name: str) -> str:
        train(how, rows, tiny, None, tmp_path / name, 0, 1, lambda *_: None)
        return (tmp_path / name / "log.jsonl").read_text("utf-8")

    how = recipe("midtrain", max_length=64, num_train_epochs=0.5)
    first = losses(midtrain, how, documents, "first")
    replaced(documents, "dairy farmers", "goat herders.")
    changed = losses(midtrain, how, documents, "changed")
    elsewhere = tmp_path / "elsewhere.jsonl"
    elsewhere.write_bytes(documents.read_bytes())
    assert first != changed == losses(midtrain, how, elsewhere, "fresh")
    how = recipe("finetune", num_train_epochs=1)
    first = losses(finetune, how, chats, "one")
    replaced(how.with_name("chat_template.jinja"), "a helpful AI assistant", "a careful AI assistant")
    assert losses(finetune, how, chats, "other") != first
