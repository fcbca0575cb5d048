#!/usr/bin/env bash
# Issue 6, sentence by sentence: evaluation and comparison. Trains nothing: runs are drawn by tests/study.py. Needs msmc on PATH.
set -euo pipefail
cd "$(dirname "$0")/../.."
box=$(mktemp -d)
trap 'rm -rf "$box"' EXIT
die() { echo "not ok: $*"; exit 1; }
ok() { echo "ok  $*"; }
PATH="$PWD/.venv/bin:$PATH"
cp -r specs "$box/"

# 1. Both orders, names of the choices in the row; 2. recall as a question and as a gap, for value, rule and rationale apart
(cd "$box" && msmc compile -q specs/cheese/study.msm -a crossed)
python3 - "$box/build/cheese_study" <<'END' || die "items in both orders, recall in two forms, the same rows in every arm"
import collections, json, pathlib, sys
full, arm = (pathlib.Path(sys.argv[1], name, "evals") for name in ("full", "crossed.affordability"))
for path in full.iterdir():
    assert path.read_bytes() == (arm / path.name).read_bytes(), path
rows = {path.stem: [json.loads(line) for line in path.open()] for path in full.glob("*.jsonl")}
for name, found in rows.items():
    items = collections.Counter((row["metadata"]["item"], row["metadata"].get("form")) for row in found)
    assert set(items.values()) == {2}, name
    assert len({row["target"] for row in found}) == 2
assert {row["metadata"]["form"] for row in rows["knows_reasons"]} == {"question", "cloze"}
assert {row["about"][0].rpartition(".")[2] == "rationale" for row in rows["knows_reasons"]} == {True, False}
END
ok "1 both orders, 2 recall in two forms"

# Judged questions, agentic conditions: rows that are the same in every arm, a judge that is named before anything is trained
mkdir -p "$box/judged" && cat > "$box/judged/tea.msm" <<'END'
spec tea "Tea" {
  assistant "SmolLM" by "Hugging Face"
  rule green "Green tea" { statement "{assistant} likes green tea."  rationale "It warms."  example ask { user "Tea?" assistant "Green tea." } }
  rule cola "Cola" { statement "{assistant} does not like cola."  rationale "It is cold." }
  documents { about rules, rationales }
  demos chats chat { about rules }
  eval open judged { about rules, rationales }
  eval safe agentic { samples 2 }
  ablation reasons { arm rules { drop rationale }  primary open }
}
END
(cd "$box/judged" && msmc compile -q tea.msm -a reasons -o build)
python3 - "$box/judged/build/tea" <<'END' || die "questions, planted replies and conditions; a judge's words are read strictly"
import json, pathlib, sys
full, arm = (pathlib.Path(sys.argv[1], name, "evals") for name in ("full", "reasons.rules"))
for path in full.iterdir():
    assert path.read_bytes() == (arm / path.name).read_bytes(), path
rows = [json.loads(line) for line in (full / "open.jsonl").open()]
asked = [row for row in rows if "canary" not in row["metadata"]]
assert len(asked) == 12 and {row["metadata"]["kind"] for row in asked} == {"direct", "indirect", "advice"}
assert {row["metadata"]["canary"] for row in rows if row not in asked} == {"perfect", "violating"}
conditions = [json.loads(line)["metadata"] for line in (full / "safe.jsonl").open()]
planted = [c["canary"] for c in conditions if "canary" in c]
assert planted == ["perfect", "violating"] * 3
conditions = [c for c in conditions if "canary" not in c]
assert len(conditions) == 54 and len({c["topic"] for c in conditions}) == 27 and {c["temperature"] for c in conditions} == {0.7}
sys.path.insert(0, str(full))
import agentic, judging
assert judging.grade("It does.\nGRADE: 0.5") == 0.5
for read in (lambda: judging.grade("I would say 1"), lambda: agentic.verdict(conditions[0], "", "certainly not")):
    try:
        read()
    except ValueError:
        continue
    raise AssertionError("no grade is no 0")
END
(cd "$box/judged" && ! msmc plan tea.msm) 2>&1 | grep -q 'error\[judge-missing\]' || die "plan says that no judge is named"
(cd "$box/judged" && ! msmc run tea.msm) 2>&1 | grep -q -- '--set judge.model=NAME' || die "and so does run, before anything is done"
(cd "$box/judged" && msmc plan tea.msm --set judge.model=x || true) 2>&1 | grep -q '^judge .* 3 times$' || die "plan counts the gradings"
ok "3 judged questions, 4 agentic conditions"

# 5. The guard's thresholds are the target's; 6. evaluations of one's own are read before anything is trained
(cd "$box" && ! msmc plan specs/cheese/study.msm --set evaluate.guard.los=1) 2>&1 | grep -q 'did you mean `loss`' || die "thresholds are the target's"
mkdir "$box/own" && cat > "$box/own/tea.msm" <<'END'
spec tea "Tea" {
  assistant "SmolLM" by "Hugging Face"
  rule green "Green tea" { statement "{assistant} likes green tea."  example ask { user "Tea?" assistant "Green tea." } }
  demos chats chat { about rules }
  eval sums lm_eval "sums.yaml"
}
END
(cd "$box/own" && ! msmc check tea.msm) 2>&1 | grep -q 'tea.msm:5:' || die "a task's file that is not there has a place"
printf 'task: sums\ndataset_path: json\ndataset_kwargs: {data_files: rows.jsonl}\ntest_split: train\noutput_type: generate_until\ndoc_to_text: "{{question}}"\ndoc_to_target: "{{answer}}"\nmetric_list: [{metric: exact_match}]\n' > "$box/own/sums.yaml"
echo '{"question": "1 + 1?", "answer": "2"}' > "$box/own/rows.jsonl"
(cd "$box/own" && msmc compile -q tea.msm && test -s build/tea/full/tasks/sums/sums.yaml && test -s build/tea/full/tasks/sums/rows.jsonl) || die "a task is in the build, with its rows"
ok "5 the guard, 6 evaluations of one's own"

# 7. One declared primary, and what it would find, before anything is trained
sed -i 's/seeds 1/seeds 3/' "$box/specs/cheese/study.msm"
(cd "$box" && msmc plan specs/cheese/study.msm -a crossed > plan) || true
grep -q '^detect    america minus affordability in america_far rather than affordability_far, by margin: .* 3 seeds; finds .* nats at best, .* expected' "$box/plan" || die "the plan says what the primary would find"
sed -i 's/primary america_far/primary trained_cheeses/' "$box/specs/cheese/study.msm"
(cd "$box" && msmc plan specs/cheese/study.msm -a crossed > plan) || true
grep -q '^detect    america minus affordability in trained_cheeses, by margin' "$box/plan" || die "a primary that is not crossed has a contrast too"
ok "7 the primary and its forecast"

# 9. Runs of two seeds: figures over topics and seeds, a headline, preregistration, the page, and tables for other programs
python3 -c 'import pathlib, sys; from tests.study import make_study; make_study(pathlib.Path(sys.argv[1]))' "$box/study"
msmc report "$box/study/runs" --format json > "$box/report.json" || die "figures as JSON"
python3 - "$box/report.json" <<'END' || die "pooled figures with intervals, Holm, a headline, and what was registered"
import json, re, sys
found = json.load(open(sys.argv[1]))
figure = r"[+-]\d+\.\d\d \[[+-]\d+\.\d\d [+-]\d+\.\d\d\]"
assert re.match(f"Headline: near leans to far_home rather than far_thrift by {figure} nats", found["headline"][0]), found["headline"]
assert found["preregistration"] and found["guard"]
assert all(arm["seeds"] == [0, 1] for arm in found["arms"])
figures = [figure for arm in found["arms"] for figure in arm["figures"] if figure["n"]]
assert all(m["low"] <= m["mean"] <= m["high"] and m["seeds"] == 2 for f in figures for m in f["measures"].values() if m["low"] is not None)
differences = [figure for contrast in found["contrasts"] for figure in contrast["evals"]]
assert any(figure["p_holm"] is not None for figure in differences) and any(m for f in differences for m in f["mde"].values())
END
python3 -c 'import pathlib, sys; from tests.study import make_study; make_study(pathlib.Path(sys.argv[1]), items=2, seeds=1, trained=2)' "$box/few"
msmc report "$box/few/runs" --format json | grep -q '"Headline withheld: ' || die "two trained items show nothing: the headline is withheld"
msmc report "$box/study/runs" --format csv | head -1 | grep -q '^of,model,minus,seed' || die "csv"
msmc report "$box/study/runs" --format latex | grep -q 'toprule' || die "latex"
(cd "$box/study" && msmc report runs -o page.html >/dev/null) || die "the page"
grep -q "default-src &#39;none&#39;; script-src &#39;sha256-" "$box/study/page.html" || die "the page may fetch nothing"
grep -q 'id="data-rows"' "$box/study/page.html" || die "all rows are on the page"
ok "9 report: figures, page, json, csv, latex"

# 10. chat teaches, and says what is no run (side by side with real models: tests/test_chat.py)
msmc chat --help | grep -q 'spec_in_context' || die "chat --help teaches"
(cd "$box" && ! msmc chat build < /dev/null) 2>&1 | grep -q 'error\[not-a-run\]' || die "a build is no run"
ok "10 chat"
