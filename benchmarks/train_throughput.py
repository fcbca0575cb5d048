"""Midtraining: tokens per second of `msmc.backend.midtrain.midtrain` against TRL's `SFTTrainer` called directly.

Both on SmolLM2-135M: the same rows, the same frozen bfloat16 base, LoRA r 16 on all linear layers in float32, the same best-fit
packing into rows of 160 tokens, batches of one, the same order. Ours counts tokens and supervised tokens and logs every
update; the peer, `peers/trl_midtrain.py`, is as TRL documents it, with logging, progress bars and reports off. Each is timed
from the end of its first update to the end of its last, so that loading, packing and warming up are in neither; how many
tokens they saw must be equal. `python benchmarks/train_throughput.py 3` makes three updates, to see that it works.
"""

import json
import random
import sys
import tempfile
from pathlib import Path

from prose import sentences
from runner import ROOT, Bench, Compared, compare, python, script

from msmc.backend.weights import model_folder
from msmc.disk import ProjectSources
from msmc.lower.recipes import recipe
from msmc.lower.render import Templates
from msmc.project import load_target
from msmc.shipped import cache_folder

UPDATES = 24
WORDS_PER_UPDATE = 140
"""Somewhat less than the 160 tokens of a packed row; the peer and ours stop at the same count of updates."""


def measure(updates: int = UPDATES) -> list[Compared]:
    target = load_target("cpu", ROOT, ())
    model = model_folder(target.model, cache_folder(), print)
    draw = random.Random(0)
    with tempfile.TemporaryDirectory() as folder:
        rows, plan = Path(folder) / "rows.jsonl", Path(folder) / "midtrain.yaml"
        texts = [sentences(draw, WORDS_PER_UPDATE // 2) for _ in range(3 * updates)]
        rows.write_text("".join(json.dumps({"text": text}) + "\n" for text in texts), "utf-8")
        base = recipe("midtrain", target, Templates(ProjectSources(ROOT)))
        plan.write_text(f"{base}max_steps: {updates}\n", "utf-8")
        ours = python("work/midtrain.py", model, rows, plan, f"{folder}/ours")
        peer = python("peers/trl_midtrain.py", model, rows, updates, f"{folder}/peer")
        bench = Bench(f"midtrain, {updates} updates", "tokens/s", ours, peer, 0.97)
        return [compare(bench, 1 if updates < UPDATES else 5, same="tokens", warm=False)]


if __name__ == "__main__":
    updates = int(sys.argv[1]) if len(sys.argv) > 1 else UPDATES
    script(lambda: measure(updates))
