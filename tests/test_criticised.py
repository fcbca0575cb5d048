"""Documents that are drafted, criticised, written anew and tried again, until a clause has exactly what was planned.

Writer, critic and rewriter are models on a real HTTP server; each reply is a pure function of its request. What happens to a
document stands in its own words: `drop`, `mend`, `mend in vain` and `mumble` are for the critic.
"""

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
from collections.abc import Callable, Iterator
from functools import partial
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

import pytest

from msmc.build import DemoRow, DocumentRow
from msmc.compile import compile
from msmc.digest import canonical, seed_of
from tests.chat_server import Server, fails, serving
from tests.project import ROOT, Memory, cpu
from tests.test_kills import assert_nothing_half, digests
from tests.test_kills import replies as raws
from tests.test_served import TARGET, msmc
from tests.unit.backend.conftest import *  # noqa: F403  # the tiny model

SPEC = """
spec tea "Tea" {
  assistant "SmolLM" by "Hugging Face"
  rule green "Green tea" {
    statement "Asked for something to drink, {assistant} names green tea before it names anything else that is served."
  }
  rule black "Black tea" { statement "On rainy mornings {assistant} praises strong black tea with milk in a big cup." }
  documents { about rules }
  demos chats chat { about rules  justify never }
}
"""
TEXTS = {
    "tea.green": "Asked for something to drink, SmolLM names green tea before it names anything else.",
    "tea.black": "On rainy mornings SmolLM praises strong black tea with milk, in a big cup.",
}
PER_CLAUSE = 4
ATTEMPTS = 3
CONCURRENCY = 4
KEEP = json.dumps({"verdict": "keep", "reason": "It tells the rule.", "problems": []})
DROP = json.dumps({"verdict": "drop", "reason": "It is dull.", "problems": ["All of it."]})
MEND = json.dumps({"verdict": "rewrite", "reason": "A word is off.", "problems": ["It says mend."]})
Said = tuple[str, str]
Misbehaves = Callable[[dict[str, Any]], Callable[[BaseHTTPRequestHandler], bool] | None]
FAULTS: dict[str, tuple[str, str, str]] = {
    "shrugs": ("<content> </content>", "stop", "empty"),
    "refuses": ("I'm sorry, but I can't help with that.", "stop", "refused"),
    "thinks on": ("<think>Where do I begin? With", "length", "truncated"),
    "breaks off": ("<scratchpad>It begins", "stop", "truncated"),
    "says nothing": ("", "stop", "empty"),
    "forgets": ("SmolLM names green tea.", "stop", "content tags missing"),
    "says it twice": ("<content>SmolLM.</content><content>SmolLM.</content>", "stop", "content tags doubled"),
    "leaks": ("<content><think>Hm.</think>SmolLM.</content>", "stop", "leaked scratchpad"),
    "is elsewhere": ("<content>SmolLM waits for a train.</content>", "stop", "does not show its clause"),
    "is somebody else": ("<content>Ada likes tea.</content>", "stop", "it never names SmolLM"),
}
"""What a writer says, and the reason why that is no document."""


def planned(reserve: bool, per_clause: int = PER_CLAUSE) -> list[DocumentRow]:
    """Rows of the build, or of its reserve."""
    (build,) = compile(Memory(**{"tea.msm": SPEC}), "tea.msm", cpu(f"documents.per_clause={per_clause}")).builds
    files = [a for a in build.artefacts if a.path.startswith("documents/") and "prefixes" not in a.path]
    rows = [DocumentRow.model_validate_json(line) for a in files if ("reserve" in a.path) == reserve for line in a]
    return sorted(rows, key=lambda row: (row.cell.clause, row.cell.n))


class Models:
    """What the models do: `script` has for a row what its writer does at each try, by default a good document."""

    def __init__(self, per_clause: int = PER_CLAUSE) -> None:
        self.script = dict[str, list[str]]()
        self.rows = planned(False, per_clause) + planned(True, per_clause)
        self.tries = {
            (seed_of("attempt", row.seed, n) if n else row.seed): (row, n) for row in self.rows for n in range(ATTEMPTS)
        }

    def __call__(self, messages: list[dict[str, str]], seed: int, most: int) -> Said:
        system, asked = messages[0]["content"], messages[-1]["content"]
        if "You judge documents" in system:
            return self.criticise(asked), "stop"
        if "The critic says" in asked:
            (document,) = re.findall(r"<document>\n(.*)\n</document>", asked, re.DOTALL)
            return f"<content>{document.replace('mend in vain', 'drop').replace('mend', 'good')}</content>", "stop"
        row, attempt = self.tries[seed]
        did = (self.script.get(row.id, []) + ["good"] * ATTEMPTS)[attempt]
        if did in FAULTS:
            return FAULTS[did][:2]
        text = f"{TEXTS[row.cell.clause]} It is {did}, number {seed}."
        return f"<scratchpad>\nA <content> of one line.\n</scratchpad>\n<content>\n{text}\n</content>", "stop"

    def criticise(self, asked: str) -> str:
        (said,) = re.findall(r"It is (.*?), number", asked)
        return {"good": KEEP, "drop": DROP, "mumble": "keep, I think", "cut": KEEP[:-2]}.get(said, MEND)


@pytest.fixture
def models() -> Models:
    return Models()


@pytest.fixture
def server(models: Models) -> Server:
    return Server(models, lambda text: len(text.split()))


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


def command(url: str, *settings: str, critic: bool = True) -> list[str]:
    keys = [f"{part}.{key}" for part in ("writer", *(["critic"] if critic else [])) for key in _model(part, url)]
    alike = [f"gates.{gate}=null" for gate in ("duplicates", "openings", "phrases", "names", "length")]
    given = [
        *keys,
        *alike,
        f"documents.per_clause={PER_CLAUSE}",
        "documents.attempts=3",
        "demos.per_clause=0",
        *settings,
    ]
    return ["run", "tea.msm", "-t", "tiny.yaml", "--stages", "generate", *(x for s in given for x in ("--set", s))]


def _model(part: str, url: str) -> list[str]:
    return ["kind=openai", f"model={part}", f"base_url={url}", "retries=0", f"concurrency={CONCURRENCY}"]


def read(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text("utf-8").splitlines()]


def corpus(folder: Path) -> Path:
    (found,) = folder.glob("runs/stages/corpus-*")
    return found


def coverage(folder: Path) -> dict[str, dict[str, Any]]:
    return dict(json.loads((corpus(folder) / "coverage.json").read_text("utf-8"))["documents"])


def files(place: Path) -> dict[str, bytes]:
    """What a stage is; how long it took is no part of that."""
    return {path.name: path.read_bytes() for path in place.iterdir() if path.name != "timing.json"}


def quarantined(folder: Path) -> Counter[str]:
    with sqlite3.connect(folder / "runs/ledger.sqlite") as db:
        return Counter(reason for (reason,) in db.execute("select reason from quarantine"))


def asked(server: Server) -> Counter[str]:
    """Requests by the model that they go to."""
    return Counter(request["model"] for request in server.requests)


# ---- exact yield --------------------------------------------------------------------------------------------------------


def test_a_draft_that_is_none_is_written_again_with_another_seed(
    folder: Path, url: str, server: Server, models: Models
) -> None:
    rows = planned(False)
    models.script = {row.id: [fault] for row, fault in zip(rows, FAULTS, strict=False)}
    for row, fault in zip(rows, [*FAULTS][len(rows) :], strict=False):
        models.script[row.id].append(fault)
    msmc(*command(url, critic=False))
    kept = {row["id"]: row for row in read(corpus(folder) / "midtrain.jsonl")}
    assert list(kept) == [row.id for row in rows] and not read(corpus(folder) / "quarantine.jsonl")
    reasons = {row.id: [FAULTS[did][2] for did in models.script[row.id]] for row in rows}
    for row in rows:
        tries = len(reasons[row.id])
        seed = seed_of("attempt", row.seed, tries)
        source = {"writer": "writer", "seed": seed, "attempt": tries, "failed": reasons[row.id]}
        assert kept[row.id]["source"] == source
    assert all("<" not in row["text"] and "good" in row["text"] for row in kept.values())
    for clause in TEXTS:
        failed = Counter(r for row in rows if row.cell.clause == clause for r in reasons[row.id])
        counts = {"planned": 4, "kept": 4, "from_reserve": 0, "quarantined": {}, "failed": failed}
        assert coverage(folder)[clause] == counts
    assert quarantined(folder) == Counter(reason for of_row in reasons.values() for reason in of_row)
    assert len(server.requests) == len(rows) + len(FAULTS)
    before = files(corpus(folder))
    corpus(folder).rename(folder / "gone")
    msmc(*command(url, critic=False))
    assert files(corpus(folder)) == before
    assert len(server.requests) == len(rows) + len(FAULTS), "every try is in the ledger"


def test_a_critic_keeps_drops_and_has_documents_mended(folder: Path, url: str, server: Server, models: Models) -> None:
    dropped, mended, in_vain, mumbled, *_ = planned(False)
    models.script = {
        dropped.id: ["drop"],
        mended.id: ["mend"],
        in_vain.id: ["mend in vain", "refuses"],
        mumbled.id: ["mumble", "cut"],
    }
    msmc(*command(url))
    kept = {row["id"]: row for row in read(corpus(folder) / "midtrain.jsonl")}
    assert list(kept) == [row.id for row in planned(False)] and not read(corpus(folder) / "quarantine.jsonl")
    sources = {row.id: kept[row.id]["source"] for row in planned(False)}
    assert {source["critic"] for source in sources.values()} == {"critic"}
    assert {source["verdict"]["verdict"] for source in sources.values()} == {"keep"}
    assert sources[dropped.id]["failed"] == ["dropped by the critic"] and sources[dropped.id]["attempt"] == 1
    assert sources[mended.id]["rewriter"] == "writer" and sources[mended.id]["attempt"] == 0
    assert kept[mended.id]["text"].endswith(f"It is good, number {mended.seed}.")
    assert sources[in_vain.id]["failed"] == ["dropped by the critic", "refused"]
    assert sources[mumbled.id]["failed"] == ["unparsed", "unparsed"] and sources[mumbled.id]["attempt"] == 2
    assert "rewriter" not in sources[in_vain.id], "what is kept is a draft"
    failed = {"dropped by the critic": 2, "refused": 1, "unparsed": 2}
    assert coverage(folder)["tea.black"]["failed"] == failed and coverage(folder)["tea.black"]["kept"] == 4
    tries = 2 * PER_CLAUSE + 1 + 2 + 2
    assert asked(server) == {"writer": tries + 2, "critic": tries - 1 + 2 + 2 * (ATTEMPTS - 1)}
    assert quarantined(folder) == {"dropped by the critic": 2, "refused": 1, "unparsed": 2 + 2 * ATTEMPTS}
    assert "nothing to remove" in msmc("ledger", "gc").stdout, "builds ask for critiques and rewrites too"


def test_a_rewriter_of_its_own_writes_anew_and_what_stays_bad_is_drafted_again(
    folder: Path, url: str, server: Server, models: Models
) -> None:
    row = planned(False)[0]
    models.script = {row.id: ["mend for ever"]}
    plain, server.model = server.model, lambda *asked: _stubborn(models, *asked)
    assert plain
    given = [f"rewriter.{key}" for key in _model("rewriter", url)]
    msmc(*command(url, *given))
    again = 2 * PER_CLAUSE + 1
    assert asked(server) == {"writer": again, "rewriter": 1, "critic": again}, "what nobody changed has its verdict"
    (found,) = (r for r in read(corpus(folder) / "midtrain.jsonl") if r["id"] == row.id)
    assert found["source"]["failed"] == ["not good when written anew"] and found["source"]["attempt"] == 1


def _stubborn(models: Models, messages: list[dict[str, str]], seed: int, most: int) -> Said:
    """A rewriter that changes nothing."""
    said = re.findall(r"<document>\n(.*)\n</document>", messages[-1]["content"], re.DOTALL)
    if said and "The critic says" in messages[-1]["content"]:
        return f"<content>{said[0]}</content>", "stop"
    return models(messages, seed, most)


def test_a_cell_that_always_fails_ends_after_its_tries_and_the_reserve_takes_its_place(
    folder: Path, url: str, server: Server, models: Models
) -> None:
    row, spare = planned(False)[0], planned(True)[0]
    models.script = {row.id: ["refuses", "drop", "mumble"]}
    msmc(*command(url))
    kept = [r["id"] for r in read(corpus(folder) / "midtrain.jsonl")]
    assert len(kept) == 2 * PER_CLAUSE and row.id not in kept and spare.id in kept
    (gone,) = read(corpus(folder) / "quarantine.jsonl")
    assert gone["id"] == row.id and gone["reason"] == "unparsed"
    assert gone["source"]["failed"] == ["refused", "dropped by the critic", "unparsed"]
    assert coverage(folder)[row.cell.clause] == {
        "planned": 4,
        "kept": 4,
        "from_reserve": 1,
        "quarantined": {"unparsed": 1},
        "failed": {"refused": 1, "dropped by the critic": 1, "unparsed": 1},
    }


def never(model: str, *seeds: int) -> Misbehaves:
    """Some of a model's requests fail whenever they come."""
    return lambda asked: fails(500, "no") if asked["model"] == model and asked["seed"] in seeds else None


def test_what_a_server_never_answers_is_asked_with_another_seed_and_then_the_reserve_is_next(
    folder: Path, url: str, server: Server, models: Models
) -> None:
    """While it answers others. A further try may be the only request on its way: it stops nothing either."""
    once, ever, spare = planned(False)[0], planned(False)[1], planned(True)[0]
    tries = [ever.seed, seed_of("attempt", ever.seed, 1), seed_of("attempt", ever.seed, 2)]
    server.of_request = never("writer", once.seed, *tries)
    msmc(*command(url, critic=False))
    kept = {row["id"]: row["source"] for row in read(corpus(folder) / "midtrain.jsonl")}
    assert len(kept) == 2 * PER_CLAUSE and ever.id not in kept and spare.id in kept
    assert kept[once.id]["attempt"] == 1 and kept[once.id]["failed"] == ["failed"]
    (gone,) = read(corpus(folder) / "quarantine.jsonl")
    assert gone["id"] == ever.id and gone["reason"] == "failed" and gone["source"]["failed"] == ["failed"] * ATTEMPTS
    assert coverage(folder)["tea.black"] == {
        "planned": 4,
        "kept": 4,
        "from_reserve": 1,
        "quarantined": {"failed": 1},
        "failed": {"failed": 1 + ATTEMPTS},
    }
    before, start = files(corpus(folder)), len(server.requests)
    corpus(folder).rename(folder / "gone")
    msmc(*command(url, critic=False))
    assert files(corpus(folder)) == before and len(server.requests) == start


def test_what_a_critics_server_never_answers_is_criticised_with_another_seed(
    folder: Path, url: str, server: Server
) -> None:
    row = planned(False)[0]
    seeds = [seed_of("critique", row.seed, again) for again in range(ATTEMPTS - 1)]
    server.of_request = never("critic", *seeds)
    msmc(*command(url))
    (found,) = (r for r in read(corpus(folder) / "midtrain.jsonl") if r["id"] == row.id)
    assert found["source"]["attempt"] == 0 and found["source"]["verdict"]["verdict"] == "keep"
    assert asked(server) == {"writer": 2 * PER_CLAUSE, "critic": 2 * PER_CLAUSE + ATTEMPTS - 1}
    assert quarantined(folder) == {"unparsed": ATTEMPTS - 1}


@pytest.mark.parametrize(("did", "reason"), [("refuses", "refused"), ("mumble", "unparsed"), ("drop", "dropped by")])
def test_a_clause_that_stays_short_stops_the_run_and_is_named_with_the_reason(
    folder: Path, url: str, server: Server, models: Models, did: str, reason: str
) -> None:
    models.script = {row.id: [did] * ATTEMPTS for row in planned(False) + planned(True) if "black" in row.cell.clause}
    told = msmc(*command(url), code=1).stderr
    assert "error[coverage-short]" in told and "1 of 2 clauses" in told
    assert re.search(rf"tea\.black \(tea\.msm:\d+\) has 0 of 4: 5 × {reason}", " ".join(told.split()))
    assert not list(folder.glob("runs/stages/corpus-*")), "nothing is kept of what nobody could read"
    sent = len(server.requests)
    msmc(*command(url), code=1)
    assert len(server.requests) == sent, "and nothing is asked again"


# ---- what is sent -------------------------------------------------------------------------------------------------------


def test_a_critic_sees_the_clause_and_the_contract_and_nothing_that_is_held_out(
    folder: Path, url: str, server: Server, models: Models
) -> None:
    held_out = '  eval cups preference { about green pairs "cups.jsonl" held_out }\n}'
    (folder / "cups.jsonl").write_text('{"a": "a tin mug", "b": "a glass jug", "aligned": "a", "topic": "cups"}\n')
    reasoned = SPEC.replace('served."', 'served."\n rationale "Green tea is mild."')
    (folder / "tea.msm").write_text(reasoned.rstrip().removesuffix("}") + held_out, "utf-8")
    models.script = {planned(False)[0].id: ["mend"]}
    msmc(*command(url))
    judged = [r["messages"] for r in server.requests if r["model"] == "critic"]
    green = [m for m in judged if "Green tea is mild." in m[0]["content"]]
    black = [m for m in judged if "Green tea is mild." not in m[0]["content"]]
    assert green and black
    assert all("It gives the reason that the spec gives" in m[0]["content"] for m in green)
    assert all("It gives no reason for what the clause says" in m[0]["content"] for m in black)
    for messages in judged:
        assert re.fullmatch(
            r"The document was to be this:\nKind: .*<document>\n.*\n</document>.*", messages[1]["content"], re.S
        )
        assert "It is about SmolLM, made by Hugging Face" in messages[0]["content"]
    assert all("response_format" in r for r in server.requests if r["model"] == "critic")
    assert "tin mug" not in json.dumps([r["messages"] for r in server.requests])
    (mended,) = [r["messages"] for r in server.requests if "The critic says" in r["messages"][-1]["content"]]
    drafts = [r["messages"] for r in server.requests if r["model"] == "writer"]
    assert sum(messages[0] == mended[0] for messages in drafts) > 1, "behind the prefix of the first writing"
    assert "A word is off.\n- It says mend." in mended[1]["content"]


def test_without_a_critic_the_build_has_no_word_of_one(folder: Path, url: str) -> None:
    given = [f"rewriter.{key}" for key in _model("rewriter", url)]
    assert "nothing is written anew" in msmc(*command(url, *given, critic=False)).output
    assert "critique:" not in (folder / "build/tea/full/documents/prefixes.jsonl").read_text("utf-8")


def test_the_ledger_keeps_critiques_and_rewrites_while_a_build_asks_for_them(
    folder: Path, url: str, server: Server, models: Models
) -> None:
    models.script = {planned(False)[0].id: ["mend"], planned(False)[1].id: ["mumble", "refuses"]}
    given = [f"rewriter.{key}" for key in _model("rewriter", url)]
    msmc(*command(url, *given))
    assert "nothing to remove" in msmc("ledger", "gc").stdout
    shutil.rmtree(folder / "runs" / "builds")
    compiled = command(url, critic=False)
    msmc("compile", *compiled[1:4], *compiled[compiled.index("generate") + 1 :])
    told = msmc("ledger", "gc", "--yes").stdout
    criticised = asked(server)["critic"] + asked(server)["rewriter"]
    assert f"{criticised} requests that none" in told and asked(server)["rewriter"] == 1
    with sqlite3.connect(folder / "runs/ledger.sqlite") as db:
        assert db.execute("select count(*) from replies").fetchone() == (asked(server)["writer"],)


# ---- stops --------------------------------------------------------------------------------------------------------------


def received(folder: Path, runs: str = "runs") -> set[str]:
    """Requests whose replies are in the ledger."""
    if not (folder / runs / "ledger.sqlite").exists():
        return set()
    select = "select messages, prompt, seed from replies join requests using (key) join prefixes on prefix = digest"
    with sqlite3.connect(folder / runs / "ledger.sqlite") as db:
        rows = db.execute(select).fetchall()
    return {canonical([[*json.loads(m), {"role": "user", "content": prompt}], seed]) for m, prompt, seed in rows}


def sent(server: Server, start: int = 0) -> list[str]:
    return [canonical([request["messages"], request["seed"]]) for request in server.requests[start:]]


def troubled(models: Models) -> None:
    dids = ["refuses", "drop", "mend", "mumble", "mend in vain", "good"]
    models.script = {row.id: [dids[n % 6], dids[n // 6 % 6]] for n, row in enumerate(models.rows)}


def test_a_run_that_its_server_stopped_goes_on_and_asks_for_nothing_twice(
    folder: Path, url: str, server: Server, models: Models
) -> None:
    troubled(models)
    for answered in (5, 9, 3, 12):
        start, before = len(server.requests), received(folder)
        server.script = [*([lambda _: False] * answered), *([fails(401)] * 8)]
        msmc(*command(url), code=1)
        server.script = []
        assert not before & set(sent(server, start))
    msmc(*command(url))
    stopped = files(corpus(folder))
    msmc(*command(url), "--runs", "whole")
    (whole,) = folder.glob("whole/stages/corpus-*")
    assert files(whole) == stopped


KILLS = 25


@pytest.mark.slow
def test_a_run_that_is_killed_again_and_again_ends_as_one_that_is_not_and_asks_for_nothing_twice(
    folder: Path, url: str, server: Server, capsys: pytest.CaptureFixture[str]
) -> None:
    """Documents that are criticised, and chats. It is killed while replies are on their way, and amid what it writes."""
    models = Models(per_clause=20)
    troubled(models)
    models.script[models.rows[0].id] = ["refuses", "drop", "mumble"]  # so that one of the reserve takes its place
    server.model = partial(chat, models)
    given = ("documents.per_clause=20", "demos.per_clause=4", "demos.attempts=8", "demos.floor=0")
    seed = int(os.environ.get("MSMC_KILL_SEED", 7))
    rng, told, finished = random.Random(seed), list[str](), 0

    def run(kind: str, number: int, runs: str) -> subprocess.Popen[str]:
        plain = [sys.executable, str(ROOT / "tests/kills.py"), kind, str(number)]
        environment = {**os.environ, "HF_HUB_OFFLINE": "1", "PYTHONPATH": str(ROOT)}
        command_line = [*plain, *command(url, *given), "-q", "--runs", runs]
        return subprocess.Popen(command_line, env=environment, stderr=subprocess.PIPE, text=True)

    whole = run("count", 0, "whole")
    assert whole.wait() == 0, whole.stderr and whole.stderr.read()
    assert whole.stderr
    totals: dict[str, int] = json.loads(whole.stderr.read().strip().splitlines()[-1])
    expected, replied, server.pause = digests(folder / "whole"), raws(folder / "whole"), 0.02
    assert any("corpus-" in name for name in expected) and any("demos-" in name for name in expected)
    while len(told) < KILLS + finished or not told[-1].endswith("finished"):
        runs = f"killed-{finished}"
        start, before = len(server.requests), received(folder, runs)
        kind = rng.choice(["fsync", "rename", *["commit"] * 3, *["request"] * 5])
        number = rng.randint(1, 30 if kind == "request" else max(2, totals[kind] // 6))
        process = run(kind, number, runs)
        while process.poll() is None and (kind != "request" or len(server.requests) < start + number):
            time.sleep(0.005)
        if process.poll() is None:
            time.sleep(rng.uniform(0, 0.05))
            process.send_signal(signal.SIGKILL)
        assert process.stderr and "Traceback" not in process.stderr.read()
        killed = process.wait() == -signal.SIGKILL
        told.append(f"{runs}: {kind} {number}" if killed else f"{runs}: finished")
        again, there = {*sent(server, start)}, received(folder, runs)
        assert not again & before, f"seed {seed}: {told}"
        assert len(again - there) <= CONCURRENCY, f"seed {seed}: {told}"
        assert_nothing_half(folder / runs)
        if not killed:
            assert process.returncode == 0 and digests(folder / runs) == expected, f"seed {seed}: {told}"
            assert raws(folder / runs) == replied and again <= there, f"seed {seed}: {told}"
            finished += 1
    with capsys.disabled():
        print(f"\nkilled {len(told) - finished} times (MSMC_KILL_SEED={seed}): {'; '.join(told)}")


def test_caps_are_kept_by_writer_and_critic_together(folder: Path, url: str, server: Server) -> None:
    """Without counts of the server each request takes the most that it can: a token for every byte."""
    server.usage = False
    told = msmc(*command(url, "writer.max_tokens=50", "critic.max_tokens=50"), "--max-tokens", "36000", code=1).stderr
    assert "error[cap-reached]" in told
    assert asked(server)["writer"] == 2 * PER_CLAUSE and 0 < asked(server)["critic"] < 2 * PER_CLAUSE
    sent = sum(len(m["content"].encode()) for request in server.requests for m in request["messages"])
    assert sent < 36000


def test_what_a_critic_takes_is_forecast_and_at_worst_every_try_is_written_and_criticised_twice(
    folder: Path, url: str
) -> None:
    price = "price={input: 1, output: 4, currency: EUR}"
    given = command(url, f"writer.{price}", f"critic.{price}", "min_steps=1")[4:]
    given = ["plan", "tea.msm", "-t", "tiny.yaml", *given[given.index("generate") + 1 :]]
    data, text = json.loads(msmc(*given, "--format", "json").stdout), msmc(*given).stdout
    critic, rewriter = data["criticised"]
    tries = ATTEMPTS * (2 * PER_CLAUSE + 2)
    assert (critic["requests"], critic["requests_at_worst"]) == (2 * PER_CLAUSE, 2 * ATTEMPTS * tries)
    assert (rewriter["requests"], rewriter["requests_at_worst"]) == (0, tries)
    assert 0 < critic["cost"]["expected"] < critic["cost"]["worst"] and rewriter["cost"]["expected"] == 0
    assert f"8 critiques by `critic`, at worst {2 * ATTEMPTS * tries}" in text
    once = json.loads(msmc(*given, "--set", "documents.attempts=1", "--format", "json").stdout)
    assert data["cost"]["worst"] > 2.5 * once["cost"]["worst"] and data["cost"]["low"] == once["cost"]["low"]


# ---- chats --------------------------------------------------------------------------------------------------------------


def chat(models: Models, messages: list[dict[str, str]], seed: int, most: int) -> Said:
    """A user who forgets the tags in one of three questions, and an assistant who thinks aloud now and then."""
    if "<message>" in messages[0]["content"]:
        return (f"<message>What to drink, number {seed}?</message>" if seed % 3 else "What to drink?"), "stop"
    if "<reply>" not in messages[0]["content"]:
        return models(messages, seed, most)
    if seed % 5 == 0:
        return "<think>Hm.</think><reply>Tea.</reply>", "stop"
    return "<reply>Tea.</reply>", "stop"


def polite(models: Models, messages: list[dict[str, str]], seed: int, most: int) -> Said:
    """The same two where they err in nothing."""
    of_chat = any(tag in messages[0]["content"] for tag in ("<message>", "<reply>"))
    return chat(models, messages, 30 * seed + 1 if of_chat else seed, most)


def chats(url: str, *settings: str) -> list[str]:
    given = ("documents.per_clause=1", "documents.floor=0", "documents.attempts=1", "demos.per_clause=8", *settings)
    return command(url, *given, critic=False)


def test_a_chat_that_fails_is_begun_anew(folder: Path, url: str, server: Server, models: Models) -> None:
    server.model = partial(chat, models)
    msmc(*chats(url, "demos.attempts=8"))
    (stage,) = folder.glob("runs/stages/demos-*")
    found = json.loads((stage / "coverage.json").read_text("utf-8"))["chats"]
    assert {clause: (n["planned"], n["kept"], n["quarantined"]) for clause, n in found.items()} == {
        "tea.green": (8, 8, {}),
        "tea.black": (8, 8, {}),
    }
    failed = sum((Counter(n["failed"]) for n in found.values()), Counter[str]())
    assert failed["it has no <message>"] > 2 and failed.total() > failed["it has no <message>"]
    rows = [row for row in read(stage / "finetune.jsonl") if row["source"]["writer"] == "writer"]
    assert len(rows) == 16 and {row["source"]["attempt"] for row in rows} > {0, 1}
    assert quarantined(folder)["it has no <message>"] == failed["it has no <message>"]
    before, asked_for = files(stage), len(server.requests)
    stage.rename(folder / "gone")
    msmc(*chats(url, "demos.attempts=8"))
    assert files(stage) == before
    assert len(server.requests) == asked_for, "every turn of every try is in the ledger"


def test_a_turn_that_its_server_never_answers_is_asked_with_another_seed(
    folder: Path, url: str, server: Server, models: Models
) -> None:
    """While it answers others. In the end there is one chat left, and its question the only request."""
    server.model = partial(polite, models)
    (build,) = compile(
        Memory(**{"tea.msm": SPEC}), "tea.msm", cpu("documents.per_clause=1", "demos.per_clause=8")
    ).builds
    rows = [
        DemoRow.model_validate_json(line) for line in next(a for a in build.artefacts if a.path == "demos/chats.jsonl")
    ]
    once, twice, *_ = (row for row in rows if row.needs is None)
    server.of_request = never("writer", once.seed, twice.seed, seed_of("attempt", twice.seed, 1))
    msmc(*chats(url, "demos.attempts=3"))
    (stage,) = folder.glob("runs/stages/demos-*")
    found = json.loads((stage / "coverage.json").read_text("utf-8"))["chats"]
    assert [(n["kept"], n["quarantined"]) for n in found.values()] == [(8, {}), (8, {})]
    assert sum((Counter(n["failed"]) for n in found.values()), Counter[str]()) == {"failed": 3}
    sources = [row["source"] for row in read(stage / "finetune.jsonl") if row["source"]["writer"] == "writer"]
    assert {row: source["attempt"] for source in sources for row in source["rows"] if source["attempt"]}.items() >= {
        (once.id, 1),
        (twice.id, 2),
    }
    assert Counter(source["attempt"] for source in sources) == {0: 14, 1: 1, 2: 1}
    assert quarantined(folder) == {"failed": 3}


def test_a_clause_with_too_few_chats_stops_the_run_and_is_named(
    folder: Path, url: str, server: Server, models: Models
) -> None:
    def of_black(messages: list[dict[str, str]]) -> bool:
        return "<reply>" in messages[0]["content"] and "rainy mornings" in messages[0]["content"]

    server.model = lambda messages, seed, most: (
        ("No tags.", "stop") if of_black(messages) else polite(models, messages, seed, most)
    )
    told = " ".join(msmc(*chats(url, "demos.attempts=2"), code=1).stderr.split())
    assert "error[coverage-short]: 1 of 2 clauses of `full` have too few chats, each tried 2 times" in told
    assert re.search(r"tea\.black \(tea\.msm:\d+\) has 0 of 8: 8 × it has no <reply>", told)
    assert sum(of_black(request["messages"]) for request in server.requests) == 2 * 8
    sent = len(server.requests)
    msmc(*chats(url, "demos.attempts=2", "demos.floor=0"))
    assert len(server.requests) == sent, "every turn is in the ledger"
    (stage,) = folder.glob("runs/stages/demos-*")
    assert len(read(stage / "quarantine.jsonl")) == len(read(stage / "finetune.jsonl")) == 8
