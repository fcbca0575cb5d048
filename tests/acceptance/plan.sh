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

# 5. Coverage: by clause, of a build; in a run shuffled texts fail, and short cells are written again from the reserve
(cd "$box" && msmc coverage build/cheese_america) > "$box/covered" || die "msmc coverage"
grep -q 'cheese_america.cream_cheese.rationale  *rationale  *specs/cheese/america.msm:[0-9]*  *3 ' "$box/covered" || die "a rationale is counted apart"
for word in values rules rationales; do grep -q "^  $word .*documents" "$box/covered" || die "coverage sums the $word"; done
test -e "$box/build/cheese_america/full/documents/reserve/cream_cheese.jsonl" || die "the build holds a reserve"
python3 -m pytest -q tests/unit/test_coverage.py tests/test_coverage_run.py > "$box/out" 2>&1 || { cat "$box/out"; die "coverage of written text"; }
ok "5 coverage"

# 6. The forecast: rows, tokens, updates, the change against the last build, and an error below min_steps
(cd "$box" && msmc plan specs/cheese/america.msm --set documents.per_clause=8) > "$box/plan" || die "msmc plan"
for word in 'unchanged' 'prompt tokens' 'reply tokens' 'train ' 'disk '; do grep -q "$word" "$box/plan" || die "the forecast says $word"; done
test "$(tail -1 "$box/plan" | cut -c1-4)" = disk || die "the summary is last"
(cd "$box" && msmc plan specs/cheese/america.msm --set documents.per_clause=1) > "$box/plan" 2> "$box/err" && die "too few updates is an error"
grep -q 'too-few-updates' "$box/err" && grep -q 'hint: --set documents.per_clause=' "$box/err" || die "the fix is spelled out"
ok "6 plan"
