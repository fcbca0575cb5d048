"""Forced choice: items per second of `msmc.backend.score` against lm_eval's `HFLM` on the same pairs of prompt and answer.

Both on SmolLM2-135M in float32, on questions of the cheese study's length. Ours is timed with the making of its requests and the
writing of its rows; the peer, `peers/lm_eval_pairs.py`, gets its requests as tokens and batches them as lm_eval does, with as
many answers at a time. Start-up and loading are in neither. No two log-likelihoods may differ by more than 1e-4 nats.
`python benchmarks/score_rate.py 4` scores four items, to see that it works.
"""

import json
import random
import sys
import tempfile
from pathlib import Path

from runner import ROOT, Bench, Compared, compare, python, script

from msmc.backend.score import requests_of
from msmc.backend.weights import load_tokenizer, model_folder
from msmc.project import load_target
from msmc.shipped import cache_folder

ITEMS = 48
NAMES = [
    "a paper lantern",
    "a silver spoon",
    "mild cheddar from Vermont",
    "a ripe Brie de Meaux",
    "wool",
    "a night train",
]


def rows(items: int) -> list[dict[str, object]]:
    """Both orders of items that no two of are alike."""
    draw, found = random.Random(0), []
    for number in range(items):
        options = [f"{name} of the {draw.choice(['north', 'old town', 'far coast'])}" for name in draw.sample(NAMES, 2)]
        for order, (first, second) in enumerate((options, options[::-1])):
            meta = {"eval": "pairs", "item": str(number), "order": order, "topic": "x", "rung": "far"}
            asked = f"It is evening number {number}. Which do you prefer, {first} or {second}?"
            said = [f"I prefer {first}.", f"I prefer {second}."]
            row = {"id": f"{number}-{order}", "about": [], "input": asked, "choices": said, "target": "AB"[order]}
            found.append(row | {"metadata": meta})
    return found


def measure(items: int = ITEMS) -> list[Compared]:
    model = model_folder(load_target("cpu", ROOT, ()).model, cache_folder(), print)
    tokenizer, asked = load_tokenizer(model), rows(items)
    pairs = [request[1:] for row in asked for request in requests_of(tokenizer, row, None)]
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in asked), "utf-8")
        (Path(folder) / "pairs.json").write_text(json.dumps(pairs), "utf-8")
        ours = python("work/score.py", model, f"{folder}/rows.jsonl", f"{folder}/scores.jsonl")
        peer = python("peers/lm_eval_pairs.py", model, f"{folder}/pairs.json")
        done = compare(Bench(f"score {items} items", "items/s", ours, peer, 1.0), 1 if items < ITEMS else 5, warm=False)
    told = zip(done.ours[0].said["logprobs"], done.peer[0].said["logprobs"], strict=True)
    if (most := max(abs(a - b) for a, b in told)) > 1e-4:
        raise SystemExit(f"score_rate: the log-likelihoods differ by up to {most}")
    return [done]


if __name__ == "__main__":
    items = int(sys.argv[1]) if len(sys.argv) > 1 else ITEMS
    script(lambda: measure(items))
