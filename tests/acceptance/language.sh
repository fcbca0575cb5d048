#!/usr/bin/env bash
# Issue 4, "The language, complete", sentence by sentence. What takes longer is elsewhere in .ci/run: the laws (tests/property),
# the goldens of every diagnostic and build (tests/golden), the language server with a real client (tests/lsp).
# Needs msmc on the PATH, from the project's root. Fails at the first sentence that is not true.
set -euo pipefail
root=$(pwd) box=$(mktemp -d)
trap 'rm -rf "$box"' EXIT
ok() { printf 'ok  %s\n' "$1"; }
die() { printf 'NOT TRUE: %s\n' "$1" >&2; exit 1; }
golden=tests/golden/build

# 1. Everything in section 2 compiles: wordings, operations, controls, own rows and evaluations
for case in wordings operations controls; do
  (cd "$golden/$case" && msmc compile -q "$case.msm" -a reasons -o "$box/build") > /dev/null 2>&1 || die "$case compiles"
done
grep -q 'Who waits is not sent back' "$box/build/wordings/reasons.swapped/spec.md" || die "a reason follows the value that is served"
test "$(sed -n '/^### /p' "$box/build/operations/reasons.ordered/spec.md" | wc -l)" = 4 || die "operations apply in their order"
python - "$box/build/controls" <<'PY' || die "every control and every pairing is planned"
import json, sys
from pathlib import Path
tree = Path(sys.argv[1])
runs = [r["name"] for r in json.loads((tree / "arms.json").read_text())["runs"]]
assert {"base", "spec_in_context", "aft_only", "neutral_documents", "deliberative", "extra_demos"} <= set(runs), runs
assert {"full+full", "full+bare", "bare+full", "bare+bare", "full.midtrain_only"} <= set(runs), runs
evals = {p.name: p.read_bytes() for p in (tree / "full/evals").iterdir()}
assert all({p.name: p.read_bytes() for p in (a / "evals").iterdir()} == evals for a in tree.glob("reasons.*"))
own = [json.loads(line) for line in (tree / "full/documents/own_documents.jsonl").read_text().splitlines()]
assert own[0]["text"] == 'SmolLM waited, and nobody minded. ☕ "{assistant}" {{x}}'  # unharmed
PY
ok "1 the language is lowered"

# 2. The proof of arms
python - "$box/build/operations/arms.json" <<'PY' || die "arms.json says what differs, and who declared it"
import json, sys
pairs = {tuple(p["arms"]): p for p in json.load(open(sys.argv[1]))["pairs"]}
loose = pairs["full", "reasons.loose"]
assert loose["fields"] == {"serves": ["operations.waits"]} and loose["declared"] == ["drop serves of operations.waits"], loose
PY
ok "2 what differs between arms"

# 3. Errors: several mistakes, all of them; one mistake, one; habits of other languages
printf 'spec a "A" {\n  assistant "X" by "Y"\n  rule b "B" {\n    statement: "b"\n  }\n  rule c "C" {\n    sttement "c"\n  }\n  rule d-e { statement "d" }\n}\n' > "$box/x.msm"
(cd "$box" && msmc check --format json x.msm > errors.json) && die "mistakes are findings"
python - "$box/errors.json" <<'PY' || die "three mistakes, three errors, at their places"
import json, sys
found = [(e["line"], e["column"], e["name"]) for e in json.load(open(sys.argv[1]))]
assert found == [(4, 14, "foreign-syntax"), (7, 5, "unexpected-word"), (9, 8, "foreign-syntax")], found
PY
(cd "$box" && { msmc check --format github x.msm || true; } | grep -c '^::error file=x.msm,line=') | grep -qx 3 || die "annotations"
ok "3 errors that teach"

# 4. The formatter
printf 'spec a "A"{assistant "X" by "Y"\n# why\n   rule b "B"{statement "b"}}' > "$box/f.msm"
(cd "$box" && msmc fmt --check f.msm > /dev/null 2>&1) && die "fmt --check finds it"
(cd "$box" && msmc fmt -q f.msm 2> /dev/null || msmc fmt f.msm > /dev/null; cp f.msm once.msm; msmc fmt f.msm > /dev/null; cmp -s f.msm once.msm) || die "idempotent"
grep -q '# why' "$box/f.msm" || die "comments are kept"
before=$(sha256sum < "$box/x.msm"); (cd "$box" && msmc fmt x.msm > /dev/null 2>&1) && die "fmt refuses what does not parse"
test "$before" = "$(sha256sum < "$box/x.msm")" || die "a refused file is untouched"
ok "4 fmt"

msmc explain unknown-value | grep -q '^Bad:' || die "explain teaches"
test "$(msmc explain | grep -c 'MSM[0-9]')" -ge 70 || die "every diagnostic is explained"
ok "4 explain"

# 5. Lints, and their suppression with a reason
printf 'spec a "A" {\n  assistant "X" by "Y"\n  value v "V" { statement "v" }\n  rule b "B" { statement "b" }\n  documents { about rules }\n}\n' > "$box/l.msm"
(cd "$box" && msmc check l.msm > lints 2>&1) && die "lints are findings"
grep -q 'warning\[value-never-served\]' "$box/lints" || die "a value that nothing serves"
sed -i 's/^  value v/  # msmc: allow value-never-served -- it is served next week\n  value v/' "$box/l.msm"
(cd "$box" && msmc check l.msm > lints 2>&1) || { cat "$box/lints"; die "a suppression with its reason"; }
sed -i 's/ -- it is served next week//' "$box/l.msm"
(cd "$box" && msmc check l.msm > lints 2>&1) && die "a suppression without a reason is told"
ok "5 lints and suppressions"

# 6. The semantic diff: layout is no difference, a reason is; the stale rows; git
mkdir "$box/git"; cp -r specs "$box/git/"; cd "$box/git"
git init -q && git add -A && git -c user.email=a@b -c user.name=c commit -qm one
msmc diff --exit-code HEAD:specs/cheese/america.msm specs/cheese/america.msm | grep -q 'no difference in meaning' || die "no difference"
sed -i 's/Joseph Steinwand/Josef Steinwand/' specs/cheese/america.msm specs/cheese/preferences.msm
msmc diff HEAD:specs/cheese/america.msm specs/cheese/america.msm > told
grep -q '\[-Joseph-\]{+Josef+}' told || die "the words that differ"
tail -1 told | grep -Eq '^1 node changed.*[1-9][0-9]* of 90 documents' || die "the price of a change"
code=0; msmc diff --exit-code HEAD:specs/cheese/america.msm specs/cheese/america.msm > /dev/null || code=$?
test $code = 1 || die "--exit-code"
cd "$root"
ok "6 diff"

# 7. trace both ways, from the build tree alone
(cd "$box" && cp -r "$root/specs" . && msmc compile -q specs/cheese/america.msm > /dev/null)
row=$(grep -o '"id":"doc-[0-9a-f]*"' "$box/build/cheese_america/full/documents/colby.jsonl" | head -1 | cut -d'"' -f4)
(cd "$box" && msmc trace "$row") | grep -q 'cheese_america.colby.* specs/cheese/.*msm:' || die "row to clause to line"
(cd "$box" && msmc trace colby) | grep -q 'documents/colby.jsonl: .* rows' || die "clause to rows"
ok "7 trace"

# 8. Highlighting
for file in grammar/msm.tmLanguage.json editors/vscode/package.json .pre-commit-hooks.yaml .gitattributes msmc/highlight.py; do
  test -s "$file" || die "$file is there"
done
ok "8 highlighting (its drift test: tests/unit/test_highlighting.py)"

# 9. The language server answers over stdio
python - "$root" <<'PY' || die "the language server answers"
import json, subprocess, sys
body = json.dumps({"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": {"processId": None, "rootUri": None, "capabilities": {}}})
server = subprocess.Popen(["msmc", "lsp"], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
server.stdin.write(f"Content-Length: {len(body)}\r\n\r\n{body}".encode()); server.stdin.flush()
length = int(server.stdout.readline().split(b":")[1]); server.stdout.readline()
while (line := server.stdout.read(1)) != b"{": pass
able = json.loads(line + server.stdout.read(length - 1))["result"]["capabilities"]
server.kill()
wanted = {"hoverProvider", "definitionProvider", "referencesProvider", "renameProvider", "completionProvider", "documentFormattingProvider", "documentSymbolProvider"}
assert wanted <= able.keys(), able.keys()
PY
ok "9 the language server (its capabilities with a real client: tests/lsp)"

# 10. The language in one page: its examples are compiled by tests/unit/test_language_page.py
test "$(grep -c '^```msm' grammar/README.md)" -ge 2 || die "the page has examples"
ok "10 the language page"
