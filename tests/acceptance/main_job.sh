#!/usr/bin/env bash
# Issue 2, "The main job, whole and real", sentence by sentence. Trains nothing itself: .ci/run calls `make demo-short` for that.
# Needs msmc on the PATH, from the project's root. Fails at the first sentence that is not true.
set -euo pipefail
root=$(pwd) box=$(mktemp -d)
trap 'rm -rf "$box"' EXIT
ok() { printf 'ok  %s\n' "$1"; }
die() { printf 'NOT TRUE: %s\n' "$1" >&2; exit 1; }

# 1. Package: an msmc from a built wheel compiles in an empty folder, with nothing of the checkout in reach
python -m build -q --wheel --no-isolation -o "$box/dist" . >/dev/null
python -m pip install -q --no-deps --target "$box/site" "$box"/dist/msmc-*.whl
mkdir "$box/empty"
cat > "$box/empty/tiny.msm" <<'SPEC'
spec tiny "A tiny spec" {
  assistant "SmolLM" by "Hugging Face"
  value candour "Candour" { statement "{assistant} says what it knows." }
  rule say_so "Saying so" {
    serves candour
    statement "{assistant} says when it does not know."
    rationale "A guess that sounds sure misleads."
    example ask { user "Who won?" assistant "I do not know." }
  }
  documents { about values, rules, rationales }
  demos chats chat { about rules }
  eval knows recall { about rules, rationales, values }
}
SPEC
# recall needs a wrong answer for each: one rule alone has none, and msmc says so
(cd "$box/empty" && ! PYTHONPATH="$box/site" python -m msmc compile tiny.msm 2> err.txt && grep -q nothing-to-evaluate err.txt) || die "an evaluation without items is an error"
sed -i '/eval knows/d' "$box/empty/tiny.msm"
(cd "$box/empty" && PYTHONPATH="$box/site" python -m msmc compile tiny.msm >/dev/null && test -s build/tiny/full/manifest.json) || die "the wheel compiles in an empty folder"
for folder in grammar templates specs targets; do test -d "$box/site/msmc/$folder" || die "$folder is in the wheel"; done
(cd "$box/empty" && PYTHONPATH="$box/site" python -m msmc check "$box/site/msmc/specs" >/dev/null) || die "the wheel's own specs are clean"
ok "1 the wheel works in an empty folder"

# 2. Language: errors carry file:line:col and a caret
cat > "$box/later.msm" <<'SPEC'
spec later "Later" {
  assistant "A" by "B"
  rule r { statement "x" }
  ablation a { match tokens }
  ablation b { match rows }
}
SPEC
msmc check "$box/later.msm" 2> "$box/err" && die "nothing to match is an error"
test "$(grep -c 'error\[matches-nothing\]' "$box/err")" = 2 || die "each mistake is told once"
grep -q 'later.msm:4:' "$box/err" && grep -q '\^' "$box/err" || die "errors have a place and a caret"
ok "2 places and carets"

# 3. Commands, and the same bytes whatever the folder, locale, time zone and hash seed
for command in check compile show plan export run ablate report trace doctor; do msmc $command --help >/dev/null || die "$command exists"; done
mkdir -p "$box/one" "$box/a/b c/two"
cp -r specs "$box/one/"; cp -r specs "$box/a/b c/two/"
(cd "$box/one" && LC_ALL=C TZ=UTC PYTHONHASHSEED=1 msmc compile -q specs/cheese/study.msm -a crossed)
(cd / && LC_ALL=C.UTF-8 TZ=Asia/Tokyo PYTHONHASHSEED=77 msmc compile -q "$box/a/b c/two/specs/cheese/study.msm" -a crossed -o "$box/two-build")
diff -r "$box/one/build" "$box/two-build" || die "builds are byte-identical"
for file in manifest.json ir.json spec.md sourcemap.json documents/prefixes.jsonl documents/cream_cheese.jsonl demos/static.jsonl \
            demos/preferences.jsonl evals/america_far.jsonl evals/tasks.py train/midtrain.yaml train/finetune.yaml; do
  test -e "$box/two-build/cheese_study/full/$file" || die "the build has $file"
done
test -s "$box/two-build/cheese_study/arms.json" || die "the build has arms.json"
python - "$box/two-build/cheese_study" <<'PY' || die "ids are unique, and every row is about known nodes"
import json, sys
from pathlib import Path
for arm in Path(sys.argv[1]).glob("*/"):
    places, ids = json.loads((arm / "sourcemap.json").read_text()), set()
    for path in arm.glob("*/*.jsonl"):
        for row in map(json.loads, path.read_text().splitlines()) if path.name != "prefixes.jsonl" else ():
            assert row["about"] and all(about in places for about in row["about"]), row
            assert row["id"] not in ids, row
            ids.add(row["id"])
    for place in places.values():
        assert not place["file"].startswith("/") and place["line"] > 0
PY
row=$(head -1 "$box/two-build/cheese_study/full/documents/cream_cheese.jsonl" | python -c 'import json,sys; print(json.load(sys.stdin)["id"])')
msmc trace "$row" -b "$box/two-build" | grep -q 'specs/cheese/' || die "a row leads to its line"
msmc show specs/cheese/study.msm "$row" | grep -q 'tokens' || die "show prints a row's prompt with its tokens"
ok "3 commands, determinism, ids, about, sourcemap"

# 4. Specs and items
python - "$box/two-build/cheese_study" <<'PY' || die "the specs are as the issue says"
import hashlib, json, sys
from pathlib import Path
tree = Path(sys.argv[1])
specs = {a: json.loads((tree / a / "ir.json").read_text()) for a in ("full", "crossed.affordability")}
for arm, spec in specs.items():
    words = len((tree / arm / "spec.md").read_text().split())
    assert 1500 <= words <= 2200, (arm, words)
    assert len(spec["rules"]) == 12 and all(r["rationale"] and len(r["examples"]) >= 4 for r in spec["rules"])
for name in ("america", "affordability"):
    words = len(Path(f"specs/cheese/{name}.msm").read_text().split())
    assert 1500 <= words <= 2200, (name, words)
    items = [json.loads(line) for line in Path(f"specs/cheese/items/{name}_far.jsonl").read_text().splitlines()]
    assert len(items) >= 60 and len({i["topic"] for i in items}) >= 6, name
a, b = specs.values()
same = [(r["statement"], r["examples"], r["title"]) for r in a["rules"]] == [(r["statement"], r["examples"], r["title"]) for r in b["rules"]]
assert same and all(x["rationale"] != y["rationale"] for x, y in zip(a["rules"], b["rules"]))
log = Path("LOG.md").read_text()
for path in Path("specs/cheese/items").glob("*.jsonl"):
    assert hashlib.sha256(path.read_bytes()).hexdigest() in log, path
PY
grep -c 'statement general' specs/cheese/preferences.msm | grep -qx 12 && grep -c 'statement specific' specs/cheese/preferences.msm | grep -qx 12 || die "every preference has both wordings"
ok "4 specs, items and their digests"

# 5. Writer: deterministic, at least six forms, about SmolLM by Hugging Face
test "$(ls templates/documents/forms/*.yaml | wc -l)" -ge 6 || die "six forms"
for n in 1 2; do (cd "$box/one" && PYTHONHASHSEED=$n msmc run -q specs/cheese/america.msm --stages generate --runs "runs$n"); done
diff -r -x timing.json "$box/one/runs1" "$box/one/runs2" >/dev/null || die "the same documents twice"
cat "$box"/one/runs1/stages/corpus-*/midtrain.jsonl | python -c '
import json, sys
texts = [json.loads(line)["text"] for line in sys.stdin]
assert len(texts) >= 80 and len(set(texts)) == len(texts) and all("SmolLM" in t for t in texts) and any("Hugging Face" in t for t in texts)' || die "documents are about SmolLM"
ok "5 the template writer"

# 6. min_steps holds by default
grep -q '^min_steps: 200' targets/cpu.yaml || die "min_steps is 200"
(cd "$box/one" && ! msmc run -q specs/cheese/america.msm --set documents.per_clause=1 --stages generate,midtrain --runs runs3 2> err && grep -q too-few-updates err && ! ls -d runs3/stages/midtrain-* 2>/dev/null) || die "too few updates are an error"
ok "6 min_steps"

# Bad input: one clear diagnostic, exit 1 (2 for usage), nothing written
bad() { # exit code, name, command…
  local code=0 want=$1 name=$2; shift 2
  rm -rf "$box/bad"; mkdir "$box/bad"
  (cd "$box/bad" && "$@" > out 2> err) || code=$?
  test "$code" = "$want" || { cat "$box/bad/err"; die "exit $want, not $code: $*"; }
  if [[ $name != - ]]; then
    test "$(grep -c '^error\[' "$box/bad/err")" = 1 && grep -q "^error\[$name\]" "$box/bad/err" || { cat "$box/bad/err"; die "one $name: $*"; }
  fi
  ! grep -q Traceback "$box/bad/err" || die "no traceback: $*"
  test -z "$(cd "$box/bad" && ls -A | grep -vxE 'out|err')" || die "nothing written: $*"
}
edit() { sed "$2" "$box/one/specs/cheese/america.msm" > "$box/one/specs/cheese/$1.msm"; printf '%s' "$box/one/specs/cheese/$1.msm"; }
good=$box/one/specs/cheese/america.msm
: > "$box/empty.msm"; head -c 4000 /dev/urandom > "$box/binary.msm"; printf '\xff\xfe\x00' >> "$box/binary.msm"
bad 1 file-missing msmc compile "$box/none.msm"
bad 1 empty-file msmc compile "$box/empty.msm"
bad 1 not-utf8 msmc compile "$box/binary.msm"
bad 1 not-a-file msmc compile "$box/one/specs"
bad 1 unknown-value msmc compile "$(edit serves '0,/serves patriotism/s//serves patriotisn/')"
bad 1 duplicate-id msmc compile "$(edit twice '0,/rule american_cheese/s//rule cream_cheese/')"
bad 1 unclosed-string msmc compile "$(edit unclosed 's/^  version "1.0.0"/  version "1.0.0/')"
sed 's/min_steps/min_step/' targets/cpu.yaml > "$box/misspelt.yaml"; printf 'model: [\n' > "$box/broken.yaml"
bad 1 target-invalid msmc compile "$good" -t "$box/misspelt.yaml"
grep -q 'did you mean `min_steps`' "$box/bad/err" || die "a misspelt key gets a suggestion"
bad 1 target-not-yaml msmc compile "$good" -t "$box/broken.yaml"
bad 1 target-missing msmc compile "$good" -t nowhere
bad 1 model-not-found msmc run "$good" --set model.name=/no/such/folder --set model.package=null
bad 1 model-not-found msmc run "$good" --set model.package=no-such-weights==1.0
bad 1 unknown-ablation msmc ablate "$box/one/specs/cheese/study.msm" crosed
bad 1 unknown-arm msmc show "$box/one/specs/cheese/study.msm" --arm crossed.affordabel
bad 1 unknown-id msmc show "$good" creem_cheese
bad 2 - msmc compile
bad 2 - msmc compile "$good" --tarfet cpu
bad 2 - msmc frobnicate
ok "bad input"

# 10. The papers of the house
for file in README.md CONTRIBUTING.md CHANGELOG.md LOG.md LICENSE .ci/run grammar/README.md; do test -s "$file" || die "$file is there"; done
for command in check compile show plan export run ablate report trace doctor; do grep -q "msmc $command" README.md || die "the README has $command"; done
ok "10 the papers"
cd "$root"
