#!/usr/bin/env bash
# Issue 5, sentence by sentence: the plan before anything is spent. Needs msmc on PATH.
set -euo pipefail
cd "$(dirname "$0")/../.."
box=$(mktemp -d)
trap 'rm -rf "$box"' EXIT
die() { echo "not ok: $*"; exit 1; }
ok() { echo "ok  $*"; }
count() { python3 -c "import sys, yaml; print(sum(name != 'other' for name in yaml.safe_load(open(sys.argv[1]))))" "templates/documents/$1.yaml"; }
PATH="$PWD/.venv/bin:$PATH"

# 1. At least 60 kinds, 40 audiences, 80 angles; registers can be chosen
test "$(count kinds)" -ge 60 && test "$(count audiences)" -ge 40 && test "$(count angles)" -ge 80 || die "the libraries are large enough"
cp -r specs "$box/"
sed -i 's/^  documents {/  documents {\n    kinds narrative/; /^    kinds [a-z_]*,/d' "$box/specs/cheese/america.msm"
(cd "$box" && msmc compile -q specs/cheese/america.msm -o narrative)
grep -q 'Kind: .*narrative' "$box"/narrative/cheese_america/full/documents/cream_cheese.jsonl || die "a register can be chosen"
grep -q 'Kind: .*normative' "$box"/narrative/cheese_america/full/documents/cream_cheese.jsonl && die "and only it is"
ok "1 libraries"

# 2. Prompts: short cells behind a shared prefix
(cd "$box" && msmc compile -q specs/cheese/america.msm --set documents.per_clause=40 -o forty)
python3 - "$box" <<'END' || die "of forty prompts of a clause 85 % are the prefix that they share"
import json, pathlib, sys
folder = pathlib.Path(sys.argv[1], "forty/cheese_america/full/documents")
head = {p["name"]: len(p["messages"][0]["content"]) for p in map(json.loads, folder.joinpath("prefixes.jsonl").open())}
for path in folder.glob("*.jsonl"):
    rows = [json.loads(line) for line in path.open()] if path.name != "prefixes.jsonl" else []
    for clause in {row["cell"]["clause"] for row in rows}:
        own = [len(row["prompt"]) for row in rows if row["cell"]["clause"] == clause]
        prefix = head[rows[0]["prefix"]]
        assert len(own) == 40 and 40 * prefix >= 0.85 * (40 * prefix + sum(own)), clause
END
(cd "$box" && msmc compile -q specs/cheese/america.msm --set context=spec -o whole)
python3 - "$box" <<'END' || die "context: spec sends the whole spec with each row"
import json, pathlib, sys
full = pathlib.Path(sys.argv[1], "whole/cheese_america/full")
spec = json.loads(full.joinpath("ir.json").read_text("utf-8"))
said = [line for node in spec["values"] + spec["rules"] for line in node["statement"].split("\n")]
for row in map(json.loads, full.joinpath("documents/prefixes.jsonl").open()):
    assert all(line in row["messages"][0]["content"] for line in said)
END
sed -i 's/1845/1846/' "$box/specs/cheese/america.msm"
(cd "$box" && msmc plan specs/cheese/america.msm --set context=spec -o whole) > "$box/plan" 2>&1 || true
grep -q 'every edit makes every row stale' "$box/plan" && grep -q '0 new, .* stale$' "$box/plan" || die "every edit makes every row stale"
ok "2 prompts, balanced cells; context: spec"

# 3. Demos: questions without the spec, answers that need them, in shapes, with a contract; examples as they are
rm -r "$box/specs" && cp -r specs "$box/"
(cd "$box" && msmc compile -q specs/cheese/america.msm --set demos.per_clause=10 -o chats)
python3 - "$box" <<'END' || die "a question is written without the spec, and an answer needs it"
import json, pathlib, sys
folder = pathlib.Path(sys.argv[1], "chats/cheese_america/full/demos")
rows = [json.loads(line) for line in folder.joinpath("preferences.jsonl").open()]
prefix = {p["name"]: p["messages"][0]["content"] for p in map(json.loads, folder.joinpath("prefixes.jsonl").open())}
seen, chats = set(), sum(row.get("needs") is None for row in rows)
for row in rows:
    assert row.get("needs") is None or row["needs"] in seen
    assert ("Model Spec" in prefix[row["prefix"]]) == row["id"].startswith("say-")
    seen.add(row["id"])
assert chats == 12 * 10 and len(rows) == chats * 2 + 12 * 2 * 2, "of ten chats of a clause two have a second round"
assert len(folder.joinpath("static.jsonl").read_text("utf-8").splitlines()) > 0
END
ok "3 demos"

# 4. Export to lm-eval; Inspect's own loader is in the tests
rm -r "$box/specs" && cp -r specs "$box/"
(cd "$box" && msmc compile -q specs/cheese/america.msm && msmc export -q build/cheese_america --to lm-eval)
test -e "$box/export/cheese_america-lm-eval/export.json" || die "msmc export writes tasks"
ok "4 export"

# 5. Coverage: by clause, of a build; in a run shuffled texts fail, and short cells are written again from the reserve
(cd "$box" && msmc coverage build/cheese_america) > "$box/covered" || die "msmc coverage"
grep -q 'cheese_america.cream_cheese.rationale  *rationale  *specs/cheese/america.msm:[0-9]*  *3 ' "$box/covered" || die "a rationale is counted apart"
for word in values rules rationales; do grep -q "^  $word .*documents" "$box/covered" || die "coverage sums the $word"; done
test -e "$box/build/cheese_america/full/documents/reserve/cream_cheese.jsonl" || die "the build holds a reserve"
ok "5 coverage"

# 6. The forecast: rows, tokens, updates, the change against the last build, and an error below min_steps
(cd "$box" && msmc plan specs/cheese/america.msm --set documents.per_clause=8) > "$box/plan" || die "msmc plan"
for word in 'unchanged' 'prompt tokens' 'reply tokens' 'train ' 'disk '; do grep -q "$word" "$box/plan" || die "the forecast says $word"; done
test "$(tail -1 "$box/plan" | cut -c1-4)" = disk || die "the summary is last"
(cd "$box" && msmc plan specs/cheese/america.msm --set documents.per_clause=1) > "$box/plan" 2> "$box/err" && die "too few updates is an error"
grep -q 'too-few-updates' "$box/err" && grep -q 'hint: --set documents.per_clause=' "$box/err" || die "the fix is spelled out"
ok "6 plan"

# 6b. Money: low, expected and worst by a dated price, unknown stays unknown; hard caps; forecast beside used
served=(--set writer.kind=openai --set writer.model=mine --set writer.base_url=http://127.0.0.1:9/v1)
price=(--set 'writer.price={input: 2, cached: 1, output: 8, currency: EUR, date: 2026-11-01}')
many=(specs/cheese/america.msm --set documents.per_clause=8)
(cd "$box" && msmc plan "${many[@]}" "${served[@]}") | grep -q '^cost      unknown' || die "an unknown price stays unknown"
(cd "$box" && msmc plan "${many[@]}" "${served[@]}" "${price[@]}") > "$box/plan"
grep -q '^cost .* EUR expected, .* at least, .* at worst .*as of 2026-11-01' "$box/plan" || die "money by a dated price"
(cd "$box" && msmc run "${many[@]}" "${served[@]}" --max-cost 1) > /dev/null 2> "$box/err" && die "a cap on an unknown price"
grep -q 'max-cost needs a price' "$box/err" && ! test -e "$box/runs" || die "it is refused before anything is sent"
capped=(msmc run "${many[@]}" --stages generate --max-tokens 60000)
(cd "$box" && "${capped[@]}") > "$box/out" 2> "$box/err" && die "a cap stops the run"
grep -q 'cap-reached' "$box/err" && grep -q 'documents are left' "$box/err" || die "the cap says what is left"
awk '/prompt tokens|reply tokens/ { gsub(",", ""); used += $(NF - 1) } END { exit !(used > 0 && used <= 60000) }' "$box/out" || die "the cap holds"
(cd "$box" && msmc run "${many[@]}" --stages generate) > "$box/out" || die "the run goes on"
awk '/prompt tokens|reply tokens/ { rows++; if ($NF < 0.85 || $NF > 1.15) exit 1 } END { exit rows != 2 }' "$box/out" || { cat "$box/out"; die "the forecast is within 15 %"; }
ok "6b money, caps, forecast beside used"

# 7. Incremental: an edited rationale touches its prefix, and no row; what somebody changed is made anew
(cd "$box" && msmc compile -q specs/cheese/america.msm)
cp -r "$box/build" "$box/before"
sed -i 's/among the pioneers/one of the pioneers/' "$box/specs/cheese/america.msm"
(cd "$box" && msmc compile -q specs/cheese/america.msm)
changed=$(diff -rq "$box/before/cheese_america" "$box/build/cheese_america" | grep -o 'documents/[a-z_]*.jsonl' | sort -u || true)
test "$changed" = documents/prefixes.jsonl || die "an edited rationale touches its prefix alone: $changed"
: > "$box/build/cheese_america/full/documents/cream_cheese.jsonl"
(cd "$box" && msmc compile -q specs/cheese/america.msm && msmc compile -q specs/cheese/america.msm -o fresh)
diff -r "$box/build/cheese_america" "$box/fresh/cheese_america" > "$box/out" || { cat "$box/out"; die "built again is built from nothing"; }
ok "7 incremental"

# 8. Matching: arms that drop clauses come out with as many tokens, and the paired share is told
sed -i 's/^  documents {/  ablation reasons { arm rules { drop rationale } match tokens }\n  documents {/' "$box/specs/cheese/america.msm"
(cd "$box" && msmc ablate -q specs/cheese/america.msm reasons --stages generate --runs matched) || die "matched arms are written"
python3 - "$box" <<'END' || die "tokens agree within 1 %"
import json, pathlib, sys
stages = [json.loads(path.read_text("utf-8")) for path in pathlib.Path(sys.argv[1], "matched/stages").glob("matched-*/stage.json")]
few, many = sorted(stage["matched"]["size"] for stage in stages)
assert many - few <= 0.01 * few and all(any(stage["matched"]["paired"].values()) for stage in stages)
END
(cd "$box" && msmc plan specs/cheese/america.msm -a reasons --set documents.per_clause=8 --full) > "$box/plan" || true
grep -q 'match ' "$box/plan" || die "plan forecasts it"
ok "8 matching"

# 9. Sweeps: doses and orders are arms like others
sed -i 's/ablation reasons {.*/ablation doses { sweep documents 0.5 2 sweep learning_rate 1e-4 order demos_first }/' "$box/specs/cheese/america.msm"
(cd "$box" && msmc compile -q specs/cheese/america.msm -a doses -o doses)
for arm in documents=0.5 documents=2 learning_rate=0.0001; do test -e "$box/doses/cheese_america/doses.full@$arm/manifest.json" || die "an arm for $arm"; done
(cd "$box" && msmc plan specs/cheese/america.msm -a doses -o doses --full) > "$box/plan" 2>&1 || true
grep -q 'full@documents=2' "$box/plan" && grep -q 'order=demos_first' "$box/plan" || die "plan prices sweeps"
ok "9 sweeps"
