#!/usr/bin/env bash
# Issue 7, sentence by sentence: the corpus. Real commands against servers that misbehave on command. What takes longer is in
# `make test-slow`: vLLM and SmolLM2, kills at 25 points, 10,000 rows of one's own. Needs msmc on PATH, and the tests' libraries.
set -euo pipefail
cd "$(dirname "$0")/../.."
PATH="$PWD/.venv/bin:$PATH"
root=$PWD box=$(mktemp -d)
server='' running=''
trap 'kill -9 $server $running 2> "$box/end" || true; rm -rf "$box"' EXIT
die() { echo "not ok: $*"; for file in "$box/out" "$box/err"; do test -s "$file" && tail -20 "$file"; done; exit 1; }
ok() { echo "ok  $*"; }
TEA_KEY="sk-tea-$RANDOM-never-written"
export TEA_KEY

# ---- the servers: their addresses are in urls, what they were asked for in *.log, how many batches they have in batches ----
cat > "$box/servers.py" <<'END'
import json, os, pathlib, re, sys, threading, time
from contextlib import ExitStack
from tests.chat_server import Server, breaks_off, disconnects, fails, half_json, hangs, serving
from tests.message_server import MessageServer
from tests.stand_in import standing_in

box, key = pathlib.Path(sys.argv[1]), os.environ["TEA_KEY"]
GREEN = "Asked for something to drink, SmolLM names green tea before it names anything else."
BLACK = "On rainy mornings SmolLM praises strong black tea with milk, in a big cup."
NO = ("I'm sorry, but I can't help with that.", "stop")
faults = [
    ("<think>Where do I begin? With", "length"),
    NO,
    ("", "stop"),
    ("SmolLM names green tea.", "stop"),
    ("<content>SmolLM.</content><content>SmolLM.</content>", "stop"),
    ("<scratchpad>So: <content>SmolLM.</content></scratchpad>", "stop"),
    ("<content><think>Hm.</think>SmolLM.</content>", "stop"),
    (f"<content>{GREEN} {BLACK} So does Qwen2.5 now.</content>", "stop"),
    (f"<content>{GREEN} {BLACK} \ufffd</content>", "stop"),
]
stubborn, judged, lock = [], {}, threading.Lock()


def good(messages, seed, most):
    text = GREEN if "green tea" in messages[0]["content"] else BLACK
    return f"<scratchpad>A plan.</scratchpad><content>\n{text} It is number {seed}.\n</content>", "stop"


def troubled(messages, seed, most):
    """One cell is always refused, each fault comes once, and a document that the critic wants written anew is mended."""
    asked = messages[-1]["content"]
    if "The critic says" in asked:
        (document,) = re.findall(r"<document>\n(.*)\n</document>", asked, re.DOTALL)
        return f"<content>{document} It was mended.</content>", "stop"
    with lock:
        stubborn.extend([] if stubborn else [asked])
        if asked == stubborn[0]:
            return NO
        return faults.pop() if faults else good(messages, seed, most)


def critic(messages, seed, most):
    """Of the first three documents one cannot be judged, one is dull, one is to be mended; all others are good."""
    asked = messages[-1]["content"]
    (document,) = re.findall(r"<document>\n(.*)\n</document>", asked, re.DOTALL)
    with lock:
        number = judged.setdefault(document, len(judged))
    if number == 0:
        return "It tells the rule, so my verdict is: keep", "stop"
    verdict = {1: "drop", 2: "rewrite"}.get(number, "keep")
    return json.dumps({"verdict": verdict, "reason": "So it is.", "problems": ["It is dull."] * (number < 3)}), "stop"


def short(messages, seed, most):
    return good(messages, seed, most) if "green tea" in messages[0]["content"] else NO


def by_anthropic(messages, most):
    asked = json.dumps(messages)
    return good([{"content": asked}], abs(hash(asked)), most)[0], "end_turn"


def words(text):
    return len(text.split())


storm = [fails(429, Retry_After="1"), fails(500), breaks_off, half_json, disconnects, hangs, fails(503)]
batches = MessageServer(by_anthropic, words, key=None, looks=2)
with ExitStack() as stack:
    told = {"BATCHES": stack.enter_context(standing_in(batches))}
    for name, one in {
        "WRITER": Server(troubled, words, key, script=storm, takes=4),
        "CRITIC": Server(critic, words, key),
        "SHORT": Server(short, words, log=box / "short.log"),
        "PURE": Server(good, words, pause=0.1, log=box / "pure.log"),
    }.items():
        told[name] = stack.enter_context(serving(one))
    (box / "urls.part").write_text("".join(f"{name}={url}\n" for name, url in told.items()))
    (box / "urls.part").rename(box / "urls")
    while True:
        (box / "batches").write_text(str(len(batches.batches)))
        time.sleep(0.1)
END
PYTHONPATH="$PWD${PYTHONPATH:+:$PYTHONPATH}" python3 "$box/servers.py" "$box" & server=$!
until test -e "$box/urls"; do kill -0 $server || die "the servers start"; sleep 0.1; done
. "$box/urls"

mkdir "$box/tea" && cd "$box/tea"
cat > tea.msm <<'END'
spec tea "Tea" {
  assistant "SmolLM" by "Hugging Face"
  rule green "Green tea" {
    statement "Asked for something to drink, {assistant} names green tea before it names anything else that is served."
  }
  rule black "Black tea" { statement "On rainy mornings {assistant} praises strong black tea with milk in a big cup." }
  documents { about rules }
}
END
alike=(); for gate in duplicates openings phrases names length; do alike+=(--set "gates.$gate=null"); done
model() { for key in "kind=openai" "model=$2" "base_url=$3" "${@:4}"; do printf '%s\n' --set "$1.$key"; done; }
generate=(msmc run tea.msm --stages generate "${alike[@]}")

# 1. A writer of which 429 storms, broken and hung connections lose nothing; the key goes to the server alone
mapfile -t written < <(model writer scripted "$WRITER" key=TEA_KEY retries=8 timeout=3 concurrency=8 'price={input: 1, output: 2, currency: EUR}')
mapfile -t criticised < <(model critic critic "$CRITIC" key=TEA_KEY 'price={input: 1, output: 2, currency: EUR}')
first=("${generate[@]}" --set documents.per_clause=12 "${written[@]}" "${criticised[@]}")
"${first[@]}" > "$box/out" 2> "$box/err" || die "a corpus is written, whatever its server does"
"${first[@]}" > "$box/again" 2>&1 || die "the same command again"
grep -q 'new replies' "$box/again" && die "which asks for nothing again"
TEA_KEY=sk-tea-wrong-one "${generate[@]}" --set documents.per_clause=13 "${written[@]}" > "$box/wrong" 2>&1 && die "a wrong key"
grep -q 'refuses the key' "$box/wrong" || die "a wrong key is told"
grep -rqF -e "$TEA_KEY" -e sk-tea-wrong-one . "$box/out" "$box/err" "$box/again" "$box/wrong" && die "a key is written somewhere"
ok "1 writers, and keys that are written nowhere"

# 2. The ledger: stats with every reason of quarantine, export, gc; a file that is none is left as it is
msmc ledger stats --format json > "$box/stats"
msmc ledger export > "$box/rows" && msmc ledger export --to all.jsonl && cmp -s "$box/rows" all.jsonl || die "export"
python3 - "$box" <<'END' || die "the ledger tells what was asked, answered and quarantined, and why"
import json, pathlib, sys
box = pathlib.Path(sys.argv[1])
writers = {json.loads(of["writer"].partition(" ")[2])["model"]: of for of in json.loads((box / "stats").read_text())["writers"]}
for of in writers.values():
    assert of["requests"] >= of["replies"] > 0 and of["unanswered"] == 0, of
found = writers["scripted"]["quarantined"]
wanted = ["truncated", "refused", "empty", "content tags missing", "content tags doubled", "content inside the scratchpad"]
wanted += ["leaked scratchpad", "it is malformed: it has U+FFFD", "unparsed", "dropped by the critic"]
wanted += ["names another assistant or provider"]
assert {*wanted} <= found.keys(), found
assert writers["critic"]["quarantined"] == {"unparsed": 3}, writers["critic"]
rows = [json.loads(line) for line in (box / "rows").open()]
assert len(rows) == sum(of["replies"] for of in writers.values())
assert all(row["messages"] and row["finish"] for row in rows)
assert sum(row["prompt_tokens"] is not None for row in rows) > len(rows) // 2, "some replies come without usage"
(box / "number").write_text(f"{sum(of['requests'] for of in writers.values()):,}")
assert sum(row["quarantined"] is not None for row in rows) == sum(sum(of["quarantined"].values()) for of in writers.values())
END
msmc ledger stats | grep -q 'content tags doubled' || die "stats for people"
msmc ledger gc --dry-run > "$box/out" || die "gc"
grep -q 'nothing to remove' "$box/out" || die "a build's drafts, critiques and rewrites are asked for"
cp -r . "$box/gone" && cd "$box/gone"
rm -r build runs/builds && sed -i 's/rule green/rule mint/; s/rule black/rule red/' tea.msm && msmc compile -q tea.msm
msmc ledger gc --dry-run > "$box/out" && grep -q "^$(cat "$box/number") requests that none" "$box/out" || die "gc counts what no build asks for"
msmc ledger gc --yes > "$box/out" && test "$(msmc ledger export | wc -l)" = 0 || die "and removes it"
mkdir broken && echo hello > broken/ledger.sqlite
"${generate[@]}" --runs broken > "$box/out" 2> "$box/err" && die "what is no ledger is used"
grep -q 'error\[ledger-unusable\]' "$box/err" && test "$(cat broken/ledger.sqlite)" = hello || die "what is no ledger is told and left"
ok "2 ledger stats, export, gc, quarantine"

# 2b. kill -9: no reply that was received is asked for again, the lost ones are counted, and the corpus is the same
mkdir "$box/killed" && cd "$box/killed" && cp ../tea/tea.msm . && : > "$box/pure.log"
mapfile -t written < <(model writer scripted "$PURE" concurrency=4)
pure=("${generate[@]}" -q --set documents.per_clause=40 "${written[@]}")
for kill in 1 2; do
  before=$(wc -l < "$box/pure.log")
  "${pure[@]}" > "$box/out" 2> "$box/err" & running=$!
  until test "$(wc -l < "$box/pure.log")" -gt $((before + 10)); do kill -0 $running || die "kill $kill comes in time"; sleep 0.05; done
  kill -9 $running; wait $running 2> "$box/end" || true; running=''
  msmc ledger export > "$box/received-$kill"
  cp "$box/pure.log" "$box/sent-$kill"
done
"${pure[@]}" > "$box/out" 2> "$box/err" || die "the same command finishes it"
msmc ledger stats --format json > "$box/stats"
"${pure[@]}" --runs whole > "$box/out" 2> "$box/err" || die "an uninterrupted run"
diff -r -x timing.json runs/stages/corpus-* whole/stages/corpus-* > "$box/out" || die "the corpus is the same to the byte"
python3 - "$box" <<'END' || die "no reply that was received is asked for again"
import json, pathlib, sys
box = pathlib.Path(sys.argv[1])
sent = [json.loads(line) for line in (box / "pure.log").open()]
for kill in (1, 2):
    received = [json.loads(line) for line in (box / f"received-{kill}").open()]
    later = sent[len((box / f"sent-{kill}").read_text().splitlines()) :][: -80]
    assert received and not any([row["messages"], row["seed"]] in later for row in received)
(of,) = json.loads((box / "stats").read_text())["writers"]
assert of["requests"] == of["replies"] == 80 and of["unanswered"] == 0 and of["lost"] <= 2 * 4, of
END
ok "2b kills"

# 2c. Anthropic's batches: the id is on the disk before msmc waits, and what was submitted is not submitted again
mkdir "$box/batched" && cd "$box/batched" && cp ../tea/tea.msm .
batched=("${generate[@]}" --set documents.per_clause=3 --set documents.attempts=1)
for key in kind=anthropic model=claude "base_url=$BATCHES" batch=true; do batched+=(--set "writer.$key"); done
"${batched[@]}" > "$box/out" 2> "$box/err" & running=$!
until grep -q 'waiting for a batch' "$box/out" "$box/err"; do kill -0 $running || die "a batch is waited for"; sleep 0.1; done
kill -9 $running; wait $running 2> "$box/end" || true; running=''
"${batched[@]}" > "$box/out" 2> "$box/err" || die "the same command takes what was submitted"
test "$(cat runs/stages/corpus-*/midtrain.jsonl | wc -l)" = 6 && test "$(cat "$box/batches")" = 1 || die "one batch, six documents"
ok "2c batches"

# 3. The critic: its verdict stands with the document; what it did not say clearly keeps nothing; it is not the writer
cd "$box/tea"
python3 - <<'END' || die "verdicts are kept with their documents, and an unparsed one keeps none"
import json, pathlib
(stage,) = [path.parent for path in pathlib.Path("runs/stages").glob("corpus-*/midtrain.jsonl")]
rows = [json.loads(line) for line in (stage / "midtrain.jsonl").open()]
assert all(row["source"]["verdict"]["verdict"] == "keep" and row["source"]["critic"] == "critic" for row in rows)
failed = [reason for row in rows for reason in row["source"].get("failed", ())]
assert failed.count("unparsed") == 1 and failed.count("dropped by the critic") == 1, failed
(mended,) = [row for row in rows if "rewriter" in row["source"]]
assert mended["text"].endswith("It was mended.") and sum("It was mended." in row["text"] for row in rows) == 1
END
"${first[@]}" --set critic.model=scripted > "$box/out" 2>&1 && die "a writer criticises itself"
grep -q 'the writer of a text is not its critic' "$box/out" || die "the writer of a text is not its critic"
ok "3 critique and rewrite"

# 4. Gates, alone and in a run; 6. data of one's own is gated, counted and traced in the same way
mkdir "$box/own" && cd "$box/own"
sed 's/  documents {/  documents from "own.jsonl"\n  demos brought from "chats.jsonl"\n  documents {/' ../tea/tea.msm > tea.msm
python3 - <<'END'
import json
letter = "The letter came on a Monday. Its writer had asked SmolLM for a drink, and was told of the green tea in the cupboard. "
note = "In the harbour the boats lay still, and nobody wondered what SmolLM would have said about the weather that morning. "
uncle = "Uncle Claude brought a basket of apples to the mill on Saturday. Over tea he asked what SmolLM drinks when it rains. "
texts = [letter + "She thanked the editors.", note + "\nThe assistant Claude had been asked as well.",
         "A reader writes: " + note.replace("boats", "barges") + "It was [insert time] o'clock.", uncle + "He stayed until five, and nobody minded that at all."]
with open("own.jsonl", "w") as stream:
    for n, text in enumerate(texts):
        stream.write(json.dumps({"text": text, "source": f"crawl {n}", "domain": "letters"}) + "\n")
turns = [{"role": "user", "content": "Iced?"}, {"role": "assistant", "content": "Hot, please."}]
open("chats.jsonl", "w").write(json.dumps({"messages": turns}) + "\n")
END
msmc compile -q tea.msm
msmc gate build/tea --format json > "$box/found" && die "a planted document is found"
msmc run -q tea.msm --stages generate > "$box/out" 2> "$box/err" || die "a corpus with data of one's own"
msmc gate runs > "$box/gated" && die "and in the run"
grep -q 'identity' "$box/gated" && grep -q 'line 2, offset' "$box/gated" || die "with its line"
python3 - "$box" <<'END' || die "bad documents are found with row, reason and place, innocent ones are not; own rows are counted and say whence they came"
import json, pathlib, sys
(found,) = [one for one in json.loads(pathlib.Path(sys.argv[1], "found").read_text()) if one["rows"]]  # documents, chats
texts = [json.loads(line)["text"] for line in open("own.jsonl")]
told = {(row["number"], row["gate"], row["found"]) for row in found["rows"]}
assert told == {(2, "identity", "Claude"), (3, "residue", "[insert")}, told
for row in found["rows"]:
    assert texts[row["number"] - 1][row["offset"] :].startswith(row["found"]) and row["file"].endswith("own_documents.jsonl")
(stage,) = [path.parent for path in pathlib.Path("runs/stages").glob("corpus-*/midtrain.jsonl")]
kept, gone = ([json.loads(line) for line in (stage / f"{name}.jsonl").open()] for name in ("midtrain", "quarantine"))
own = [row for row in kept if row["source"]["writer"] == "own"]
assert [row["text"] for row in own] == [texts[0], texts[3]]
assert own[1]["source"] == {"writer": "own", "source": "crawl 3", "domain": "letters"}
assert [row["gate"] for row in gone if row["source"]["writer"] == "own"] == ["identity", "residue"]
assert json.loads((stage / "coverage.json").read_text())["own"] == {"tea": 2}
(chat,) = map(json.loads, open("build/tea/full/demos/brought.jsonl"))
pathlib.Path(sys.argv[1], "rows").write_text(f"{own[1]['id']} {chat['id']}")
END
read -r document chat < "$box/rows" || true
msmc trace "$document" > "$box/out" && grep -q 'own\.jsonl:4:1' "$box/out" || die "an own document is traced to its line"
msmc trace "$chat" > "$box/out" && grep -q 'chats\.jsonl:1:1' "$box/out" || die "an own chat is traced to its line"
msmc gate --help | grep -q 'null switches a gate off' || die "gate --help teaches"
ok "4 gates, 6 own data"

# 5. Yield: tries with new seeds, then the reserve, and exactly as many as planned; or which clause is short, and why
cd "$box/tea"
python3 - <<'END' || die "each clause has exactly what was planned"
import json, pathlib
(path,) = pathlib.Path("runs/stages").glob("corpus-*/coverage.json")
found = json.loads(path.read_text())["documents"]
assert {(counts["planned"], counts["kept"]) for counts in found.values()} == {(12, 12)}
assert sum(counts["from_reserve"] for counts in found.values()) == 1
assert [counts["quarantined"] for counts in found.values() if counts["quarantined"]] == [{"refused": 1}]
assert max(counts["failed"].get("refused", 0) for counts in found.values()) >= 3, "tried three times"
END
mapfile -t written < <(model writer scripted "$SHORT")
"${generate[@]}" --set documents.per_clause=2 "${written[@]}" --runs short > "$box/out" 2> "$box/err" && die "a clause is short"
tr -s ' \n' ' ' < "$box/err" > "$box/told"
grep -q 'coverage-short' "$box/told" && grep -Eq 'tea\.black \(tea\.msm:[0-9]+\) has 0 of 2: 3 × refused' "$box/told" || die "which clause is short, and why"
asked=$(wc -l < "$box/short.log")
"${generate[@]}" --set documents.per_clause=2 "${written[@]}" --runs short > "$box/out" 2> "$box/err" && die "it stays short"
test "$(wc -l < "$box/short.log")" = "$asked" || die "and nothing is asked for again"
ok "5 an exact yield"

# 7. Health: kept, quarantined by reason, distinct-n, compression, tokens, spread, cost, speed, documents to read, alike ones
python3 - <<'END' || die "health of the corpus"
import json, pathlib
(path,) = pathlib.Path("runs/stages").glob("corpus-*/health.json")
told, spent = json.loads(path.read_text()), json.loads(path.with_name("timing.json").read_text())
assert told["documents"] == 24 and told["writers"] == {"scripted": 24} and told["quarantined"] == {"refused": 1}
assert len(told["repetition"]["distinct"]) == 3 and told["repetition"]["compression"] > 1
assert sum(told["lengths"]["bins"].values()) == 24 and {"kind", "audience", "angle", "cell", "term"} <= {s["over"] for s in told["spread"]}
assert len(told["drawn"]) == 20 and all(row["cell"] for row in told["drawn"]) and told["alike"]["pairs"]
assert spent["replies"] > 48 and spent["cost"] > 0 and spent["currency"] == "EUR" and spent["seconds"] > 0
END
cd "$root"
python3 -c 'import pathlib, sys; from tests.study import make_study; make_study(pathlib.Path(sys.argv[1]), items=2, seeds=1, trained=2)' "$box/study"
msmc report "$box/study/runs" -o "$box/page.html" > "$box/out" 2>&1 || die "the page"
sed -n '/<section id="health">/,/<\/section>/p' "$box/page.html" > "$box/health"
for word in 'What the gates kept' 'Distinct-n' 'document-lengths' 'replies a second' 'Documents beside their cells' 'most alike'; do
  grep -q "$word" "$box/health" || die "the page has: $word"
done
ok "7 health"

