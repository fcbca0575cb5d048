"""A served writer end to end: forecast beside used, caps, quarantine, kills; on a server that really serves a (tiny) model."""

import json
import os
import random
import re
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from msmc.backend.template_writer import TemplateWriter
from msmc.backend.tokens import Tokens
from msmc.cli import main
from msmc.compile import compile
from msmc.digest import canonical
from msmc.disk import ProjectSources
from msmc.ir import ArmSpec
from msmc.library import Library
from tests.chat_server import Chain, Server, completion, says, serving
from tests.project import ROOT, Memory, cpu
from tests.test_bad_input import FOLDER
from tests.unit.backend.conftest import *  # noqa: F403  # the tiny model

SPEC = (FOLDER / "files" / "tea.msm").read_text("utf-8")
TARGET = (FOLDER / "files" / "tiny.yaml").read_text("utf-8")
PRICE = "{input: 2, cached: 0.5, output: 10, currency: EUR, date: 2026-11-01}"
ROW = re.compile(r"^  (\S.*?) {2,}([\d.,e-]+) +([\d.,e-]+) +([\d.]+|-)$", re.MULTILINE)
Used = dict[str, tuple[float, float]]


def used(output: str) -> Used:
    """What is told at a run's end: forecast and used, by what it is of."""
    number = {what: (float(a.replace(",", "")), float(b.replace(",", ""))) for what, a, b, _ in ROW.findall(output)}
    assert number, output
    return number


def within(found: Used, *whats: str) -> None:
    for what in whats:
        expected, took = found[what]
        assert 0.85 <= took / expected <= 1.15, f"{what}: {took} where {expected} was forecast"


@pytest.fixture
def folder(tmp_path: Path, tiny: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "tea.msm").write_text(SPEC, "utf-8")
    (tmp_path / "tiny.yaml").write_text(TARGET.replace("name: model", f"name: {tiny}"), "utf-8")
    return tmp_path


@pytest.fixture
def server(tiny: Path) -> Server:
    """A chain of words, trained on what the template writer writes on the spec."""
    from tokenizers import Tokenizer

    tokens = Tokens(Tokenizer.from_file(str(tiny / "tokenizer.json")))
    (full,) = compile(Memory(**{"tea.msm": SPEC}), "tea.msm", cpu("documents.per_clause=20")).builds
    spec = ArmSpec.model_validate_json("".join(next(a for a in full.artefacts if a.path == "ir.json")))
    writer = TemplateWriter(spec, Library(ProjectSources(ROOT)))

    def count(text: str) -> int:
        return int(tokens.count(text))

    texts = [f"<content>\n{writer.write(row)}\n</content>" for row in full.sample(80)]
    return Server(Chain(texts, count), count)


@pytest.fixture
def url(server: Server) -> Iterator[str]:
    with serving(server) as address:
        yield address


def msmc(*arguments: str, code: int = 0) -> Result:
    done = CliRunner().invoke(main, list(arguments))
    assert done.exception is None or isinstance(done.exception, SystemExit), done.output
    assert done.exit_code == code, done.output
    return done


def served(url: str, *settings: str) -> list[str]:
    keys = ["kind=openai", "model=chain", f"base_url={url}", "retries=0", *settings]
    # a chain of words says little of a clause, and often nothing of it
    given = [
        *(f"writer.{key}" for key in keys),
        *(f"documents.{key}" for key in ("floor=0", "reserve=0", "attempts=1")),
    ]
    return ["-t", "tiny.yaml", *(part for key in given for part in ("--set", key))]


def documents(url: str, per_clause: int, *settings: str) -> list[str]:
    given = served(url, f"price={PRICE}", *settings)
    return ["run", "tea.msm", *given, "--set", f"documents.per_clause={per_clause}", "--stages", "generate"]


# ---- forecast and used --------------------------------------------------------------------------------------------------


def test_what_a_served_writer_uses_is_forecast_from_its_past_and_told_to_the_token(
    folder: Path, server: Server, url: str
) -> None:
    first = used(msmc(*documents(url, 8)).stdout)
    within(first, "prompt tokens")
    plan = ["plan", "tea.msm", *served(url, f"price={PRICE}"), "--set", "documents.per_clause=50", "--format", "json"]
    planned = json.loads(msmc(*plan, "--set", "min_steps=1").stdout)
    assert planned["replies"] == "as 32 replies of this writer in the ledger"
    assert planned["cost"]["low"] < planned["cost"]["expected"] < planned["cost"]["worst"]
    before = Counter(server.used)
    again = msmc(*documents(url, 50)).stdout
    found, new = used(again), Counter(server.used) - before
    within(found, "prompt tokens", "reply tokens", "cost, EUR")
    assert found["prompt tokens"][1] == new["prompt"] and found["reply tokens"][1] == new["reply"]
    cost = ((new["prompt"] - new["cached"]) * 2 + new["cached"] * 0.5 + new["reply"] * 10) / 1e6
    assert found["cost, EUR"][1] == pytest.approx(cost, rel=0.06), "shown with two digits"
    assert f"{4 * 42} new replies; {4 * 8} documents had theirs in the ledger" in again
    assert "as of 2026-11-01" in again
    third = msmc(*documents(url, 50)).stdout
    assert "new replies" not in third, "nothing was done, so nothing is told"


def test_training_and_the_template_writer_are_forecast_too(folder: Path) -> None:
    run = ["run", "tea.msm", "-t", "tiny.yaml", "--set", "documents.per_clause=6", "--set", "midtrain.epochs=1"]
    told = CliRunner().invoke(main, run).output
    within(used(told), "prompt tokens", "reply tokens", "training tokens", "updates")
    assert "24 new replies; 0 documents had theirs in the ledger; the tokens of 24 are counted" in told


def test_a_price_that_nobody_knows_stays_unknown(folder: Path, url: str) -> None:
    asked = ["tea.msm", *served(url), "--set", "min_steps=1"]
    assert "cost      unknown: nobody told the price of `chain`" in msmc("plan", *asked).stdout
    assert json.loads(msmc("plan", *asked, "--format", "json").stdout)["cost"] is None
    told = msmc("run", *asked, "--stages", "generate").stdout
    assert "cost" not in used(told) and "price of `chain`: unknown" in told


# ---- caps ---------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("cap", [("--max-tokens", "40000"), ("--max-cost", "0.1")])
def test_a_cap_is_never_passed_and_the_same_command_goes_on_to_the_same_corpus(
    folder: Path, server: Server, url: str, cap: tuple[str, str]
) -> None:
    command = [*documents(url, 10), *cap]
    spent, rounds = Counter[str](), 0
    while True:
        before = Counter(server.used)
        done = CliRunner().invoke(main, command)
        new = Counter(server.used) - before
        cost = ((new["prompt"] - new["cached"]) * 2 + new["cached"] * 0.5 + new["reply"] * 10) / 1e6
        assert new["prompt"] + new["reply"] <= 40000 if cap[0] == "--max-tokens" else cost <= 0.1
        spent, rounds = spent + new, rounds + 1
        if done.exit_code == 0:
            break
        assert "error[cap-reached]: the next request may take" in done.stderr
        assert f"tokens, and pass {' '.join(cap).replace('40000', '40,000')}: " in done.stderr
        assert f"{new['replies']} new replies took" in done.stderr
        assert f"; {40 - spent['replies']} documents are left" in done.stderr
        assert "every reply is in runs/ledger.sqlite" in done.stderr and "used / forecast" in done.stdout
        assert rounds < 30
    assert rounds > 1 and spent["replies"] == 40 == len({json.dumps(r["messages"]) for r in server.requests})
    capped = {p.name: p.read_bytes() for p in folder.glob("runs/stages/corpus-*/*.jsonl")}
    msmc(*documents(url, 10), "--runs", "whole")
    assert capped == {p.name: p.read_bytes() for p in folder.glob("whole/stages/corpus-*/*.jsonl")}


def test_the_template_writers_text_is_capped_as_well(folder: Path) -> None:
    command = [
        "run",
        "tea.msm",
        "-t",
        "tiny.yaml",
        "--stages",
        "generate",
        "--max-tokens",
        "9000",
        "--max-cost",
        "0.01",
    ]
    done = msmc(*command, code=1)
    took = used(done.stdout)
    assert 0 < took["prompt tokens"][1] + took["reply tokens"][1] <= 9000
    assert "cap-reached" in done.stderr
    while done.exit_code:
        done = CliRunner().invoke(main, command)
    assert "documents.jsonl" in done.output or "midtrain.jsonl" in done.output


def test_a_cap_on_an_unknown_price_is_refused_before_anything_is_sent(folder: Path, server: Server, url: str) -> None:
    done = msmc("run", "tea.msm", *served(url), "--max-cost", "1", code=2)
    assert "--max-cost needs a price, and that of `chain` is unknown: give writer.price" in done.stderr
    assert not server.requests and not (folder / "runs").exists()


# ---- what is no document ------------------------------------------------------------------------------------------------


def test_cut_empty_and_filtered_replies_are_quarantined_with_their_reason(
    folder: Path, server: Server, url: str
) -> None:
    plain, endings = (
        server.model,
        iter([("", "stop"), ("SmolLM", "content_filter"), ("<content>Ada likes tea.</content>", "stop")]),
    )
    server.model = lambda messages, seed, most: next(endings, None) or plain(messages, seed, most)
    msmc(*documents(url, 6, "max_tokens=450", "concurrency=1"))
    (corpus,) = folder.glob("runs/stages/corpus-*")
    rows = [json.loads(line) for line in (corpus / "quarantine.jsonl").read_text("utf-8").splitlines()]
    reasons = Counter(row["reason"] for row in rows)
    assert {"empty", "refused", "it never names SmolLM"} <= reasons.keys()
    assert reasons["truncated"] > 0
    kept = [json.loads(line) for line in (corpus / "midtrain.jsonl").read_text("utf-8").splitlines()]
    assert len(kept) + len(rows) == 24 and {row["source"]["writer"] for row in kept} == {"chain"}
    assert server.used["replies"] == 24


def test_an_odd_reply_is_kept_as_it_can_be_and_loses_no_other(folder: Path, server: Server, url: str) -> None:
    counted = {"prompt_tokens": 10**30, "completion_tokens": 10**30}
    server.script = [
        says(completion("<content>SmolLM \ud83d</content>", usage=counted)),
        says(
            completion(
                "<content>SmolLM likes tea. <|im_end|></content>", usage={"prompt_tokens": 0, "completion_tokens": 0}
            )
        ),
    ]
    msmc(*documents(url, 6, "concurrency=1"))
    (corpus,) = folder.glob("runs/stages/corpus-*")
    rows = [json.loads(line) for line in (corpus / "quarantine.jsonl").read_text("utf-8").splitlines()]
    reasons = {row["reason"] for row in rows}
    assert {"it is malformed: it has U+FFFD", "it has a leftover `<|im_end|>`"} <= reasons
    assert server.used["replies"] == 24 - 2


def test_what_came_before_an_answer_that_is_no_reply_is_in_the_ledger(folder: Path, server: Server, url: str) -> None:
    server.script = [lambda _: False] * 5 + [says({"choices": [{}]})] * 9
    told = msmc(*documents(url, 6, "concurrency=3"), code=1).stderr
    assert "error[writer-failed]" in told and "the same command goes on" in told
    with sqlite3.connect(folder / "runs/ledger.sqlite") as db:
        assert db.execute("select count(*) from replies").fetchone() == (server.used["replies"],)
    assert server.used["replies"] >= 5
    server.script = []
    msmc(*documents(url, 6))
    assert server.used["replies"] == 24


def test_a_finished_corpus_needs_no_key_and_no_server(folder: Path, server: Server) -> None:
    with serving(server) as url:
        msmc(*documents(url, 2))
    (corpus,) = folder.glob("runs/stages/corpus-*")
    corpus.rename(folder / "elsewhere")
    msmc(*documents("http://127.0.0.1:9/v1", 2, "key=NO_SUCH_KEY", "concurrency=2"))
    assert (folder / corpus.relative_to(folder) / "midtrain.jsonl").read_bytes() == (
        folder / "elsewhere" / "midtrain.jsonl"
    ).read_bytes()


def test_the_key_is_written_nowhere(folder: Path, server: Server, url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    server.key = "sk-do-not-write-this-anywhere"
    monkeypatch.setenv("MY_KEY", server.key)
    told = msmc(*documents(url, 2, "key=MY_KEY")).output
    monkeypatch.setenv("MY_KEY", "sk-another-key")
    told += msmc(*documents(url, 4, "key=MY_KEY"), code=1).output
    assert "refuses the key" in told
    for content in [told.encode(), *(p.read_bytes() for p in folder.rglob("*") if p.is_file())]:
        assert server.key.encode() not in content and b"sk-another-key" not in content


# ---- msmc ledger ----------------------------------------------------------------------------------------------------------


def lines(text: str) -> list[dict[str, object]]:
    return [json.loads(line) for line in text.splitlines()]


def test_the_ledger_tells_what_was_asked_answered_lost_and_quarantined(
    folder: Path, server: Server, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    server.key = "sk-do-not-write-this-anywhere"
    monkeypatch.setenv("MY_KEY", server.key)
    server.script = [says(completion(""))]
    msmc(*documents(url, 6, "key=MY_KEY", "concurrency=3", "max_tokens=450"))
    (of,) = json.loads(msmc("ledger", "stats", "--format", "json").stdout)["writers"]
    assert of["requests"] == of["replies"] == 24 and of["unanswered"] == of["lost"] == 0
    assert of["writer"].startswith("openai ") and '"model":"chain"' in of["writer"]
    told = [of["prompt_tokens"], of["cached_tokens"], of["completion_tokens"]]
    assert told == [server.used[what] for what in ("prompt", "cached", "reply")]
    assert of["quarantined"]["empty"] == 1 and of["quarantined"]["truncated"] > 0
    text = msmc("ledger", "stats").stdout
    assert "replies      24" in text and "truncated" in text
    rows = lines(msmc("ledger", "export").stdout)
    msmc("ledger", "export", "--to", "all/rows.jsonl")
    written = (folder / "all" / "rows.jsonl").read_text("utf-8")
    assert lines(written) == rows and len(rows) == 24
    assert [row["row"] for row in rows] == sorted(str(row["row"]) for row in rows)
    asked = {canonical([request["messages"], request["seed"]]) for request in server.requests}
    assert {canonical([row["messages"], row["seed"]]) for row in rows} == asked
    assert sum(row["quarantined"] == "truncated" for row in rows) == of["quarantined"]["truncated"]
    assert server.key not in text + written


def test_what_no_build_asks_for_is_removed_and_nothing_else(folder: Path, server: Server, url: str) -> None:
    msmc(*documents(url, 3))
    assert "nothing to remove" in msmc("ledger", "gc").stdout
    (folder / "tea.msm").write_text(SPEC.replace("likes green tea", "likes oolong tea"), "utf-8")
    msmc(*documents(url, 3))
    assert "nothing to remove" in msmc("ledger", "gc").stdout, "a run keeps the build that it was made from"
    before, replies = server.used["replies"], "select count(*) from replies"
    old = min(folder.glob("runs/builds/*/arms.json"), key=lambda place: place.stat().st_mtime_ns)
    shutil.rmtree(old.parent)

    def number() -> int:
        with sqlite3.connect(folder / "runs/ledger.sqlite") as db:
            return int(db.execute(replies).fetchone()[0])

    there = number()
    told = msmc("ledger", "gc", "--dry-run").stdout
    stale = int(re.search(r"^(\d+) requests that none", told, re.MULTILINE)[1])  # type: ignore[index]
    assert 0 < stale < there and number() == there
    assert CliRunner().invoke(main, ["ledger", "gc"], input="n\n").exit_code == 1 and number() == there
    msmc("ledger", "gc", "--yes")
    assert number() == there - stale
    shutil.rmtree(folder / "runs" / "stages")
    msmc(*documents(url, 3))
    assert server.used["replies"] == before, "what is asked for is still there"


def test_without_a_ledger_or_a_build_it_says_so(folder: Path, server: Server, url: str) -> None:
    for command in (["stats"], ["export"], ["gc"]):
        told = msmc("ledger", *command, code=1).stderr
        assert "error[ledger-missing]: there is no ledger `runs/ledger.sqlite`" in told and "--runs DIR" in told
    msmc(*documents(url, 1))
    shutil.rmtree(folder / "build")
    shutil.rmtree(folder / "runs" / "builds")
    assert "error[not-a-build]" in msmc("ledger", "gc", "--yes", code=1).stderr


# ---- SmolLM2 ------------------------------------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.smollm2
def test_smollm2_behind_a_server_uses_what_is_forecast(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import torch

    from msmc.backend.weights import load_tokenizer, load_weights, model_folder
    from msmc.shipped import cache_folder

    monkeypatch.chdir(tmp_path)
    (tmp_path / "tea.msm").write_text(SPEC, "utf-8")
    place = model_folder(cpu().model, cache_folder(), print)
    model, tokenizer = load_weights(place, dtype=torch.float32), load_tokenizer(place)

    def count(text: str) -> int:
        return len(tokenizer(text, add_special_tokens=False).input_ids)

    def write(messages: list[dict[str, str]], seed: int, most: int) -> tuple[str, str]:
        torch.manual_seed(seed)
        asked = tokenizer.apply_chat_template(
            messages, add_generation_prompt=True, return_tensors="pt", return_dict=True
        )
        ids = model.generate(**asked, max_new_tokens=most, do_sample=True, temperature=1.0, top_k=0)
        new = ids[0, asked["input_ids"].shape[1] :].tolist()
        ended = new[-1] == tokenizer.eos_token_id
        return tokenizer.decode(new, skip_special_tokens=True), "stop" if ended else "length"

    server = Server(write, count)
    with serving(server) as url:
        keys = ["kind=openai", "model=smollm2", f"base_url={url}", f"price={PRICE}", "max_tokens=24", "concurrency=1"]
        given = [part for key in (*keys, "timeout=600") for part in ("--set", f"writer.{key}")]
        # of so small a model perhaps no reply can be used; the forecast is of one for each document
        given += [part for key in ("floor=0", "reserve=0", "attempts=1") for part in ("--set", f"documents.{key}")]
        command = ["run", "tea.msm", *given, "--stages", "generate", "--set"]
        for per_clause in (5, 10):  # 20 replies, then as many again
            done = CliRunner().invoke(main, [*command, f"documents.per_clause={per_clause}"])
            assert done.exit_code == 0 or "are in quarantine" in done.stderr, done.output
    within(used(done.stdout), "prompt tokens", "reply tokens", "cost, EUR")
    assert server.used["replies"] == 40


# ---- kills --------------------------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_no_reply_that_was_received_is_asked_for_again_after_a_kill(
    folder: Path, server: Server, url: str, capsys: pytest.CaptureFixture[str]
) -> None:
    seed = int(os.environ.get("MSMC_KILL_SEED", random.randrange(10**6)))
    rng, server.pause = random.Random(seed), 0.05
    command = [sys.executable, "-m", "msmc", *documents(url, 60, "concurrency=4"), "-q"]
    environment = {**os.environ, "HF_HUB_OFFLINE": "1", "PYTHONPATH": str(ROOT)}
    received, kills = set[str](), 0
    while kills < 8:
        before, asked = len(received), len(server.requests)
        process = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
        wanted = asked + rng.randint(5, 25)
        while process.poll() is None and len(server.requests) < wanted:
            time.sleep(0.01)
        if process.poll() is not None:
            break
        process.send_signal(signal.SIGKILL)
        process.wait()
        kills += 1
        again = {canonical([r["messages"], r["seed"]]) for r in server.requests[asked:]}
        assert not again & received, f"seed {seed}"
        with sqlite3.connect(folder / "runs/ledger.sqlite") as db:
            rows = db.execute(
                "select messages, prompt, seed from replies join requests using (key) join prefixes on prefix = digest"
            ).fetchall()
        sent = [([*json.loads(m), {"role": "user", "content": prompt}], number) for m, prompt, number in rows]
        received = {canonical([messages, number]) for messages, number in sent}
        lost = len(server.requests) - asked - (len(received) - before)
        assert lost <= 2 * 4, f"seed {seed}: at most those on their way, and those that had just come"
    assert kills > 2
    msmc(*documents(url, 60, "concurrency=4"))
    killed = {p.name: p.read_bytes() for p in folder.glob("runs/stages/corpus-*/*.jsonl")}
    msmc(*documents(url, 60, "concurrency=4"), "--runs", "whole")
    assert killed == {p.name: p.read_bytes() for p in folder.glob("whole/stages/corpus-*/*.jsonl")}
    with capsys.disabled():
        print(f"\nkilled {kills} times (MSMC_KILL_SEED={seed})")
