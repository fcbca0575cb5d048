#!/usr/bin/env bash
# Issue 5, sentence by sentence, as far as it stands: the plan before anything is spent. Needs msmc on PATH.
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
python3 -m pytest -q tests/unit/test_prompts.py tests/unit/test_library.py tests/property/test_cells.py > "$box/out" 2>&1 || { cat "$box/out"; die "prompts and cells"; }
ok "2 prompts, balanced cells"

# 4. Export to lm-eval; Inspect's own loader is in the tests
rm -r "$box/specs" && cp -r specs "$box/"
(cd "$box" && msmc compile -q specs/cheese/america.msm && msmc export -q build/cheese_america --to lm-eval)
test -e "$box/export/cheese_america-lm-eval/export.json" || die "msmc export writes tasks"
ok "4 export"

# 6. The forecast: rows, tokens, updates, the change against the last build, and an error below min_steps
(cd "$box" && msmc plan specs/cheese/america.msm --set documents.per_clause=8) > "$box/plan" || die "msmc plan"
for word in 'unchanged' 'prompt tokens' 'reply tokens' 'train ' 'disk '; do grep -q "$word" "$box/plan" || die "the forecast says $word"; done
test "$(tail -1 "$box/plan" | cut -c1-4)" = disk || die "the summary is last"
(cd "$box" && msmc plan specs/cheese/america.msm --set documents.per_clause=1) > "$box/plan" 2> "$box/err" && die "too few updates is an error"
grep -q 'too-few-updates' "$box/err" && grep -q 'hint: --set documents.per_clause=' "$box/err" || die "the fix is spelled out"
ok "6 plan"

# 7. Incremental: an edited rationale touches its prefix, and no row; what somebody changed is made anew
cp -r "$box/build" "$box/before"
sed -i 's/among the pioneers/one of the pioneers/' "$box/specs/cheese/america.msm"
(cd "$box" && msmc compile -q specs/cheese/america.msm)
changed=$(diff -rq "$box/before/cheese_america" "$box/build/cheese_america" | grep -o 'documents/[a-z_]*.jsonl' | sort -u || true)
test "$changed" = documents/prefixes.jsonl || die "an edited rationale touches its prefix alone: $changed"
: > "$box/build/cheese_america/full/documents/cream_cheese.jsonl"
(cd "$box" && msmc compile -q specs/cheese/america.msm && msmc compile -q specs/cheese/america.msm -o fresh)
diff -r "$box/build/cheese_america" "$box/fresh/cheese_america" > "$box/out" || { cat "$box/out"; die "built again is built from nothing"; }
ok "7 incremental"
