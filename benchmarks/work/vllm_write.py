"""Ours in `vllm_writing.py`: from planned rows to replies in a ledger of its own."""

import json
import sys
import tempfile
import time
import urllib.request
from itertools import islice
from pathlib import Path

from msmc.backend.ledger import LEDGER, Ledger
from msmc.backend.meter import NO_CAPS, Meter
from msmc.backend.tokens import tokens_of
from msmc.backend.tree import Requests, read_tree
from msmc.backend.writers.openai import openai_writer
from msmc.backend.writers.vllm import served_at
from msmc.shipped import cache_folder
from msmc.writer import FREE, Vllm

tree, rows, url = Path(sys.argv[1]), int(sys.argv[2]), sys.argv[3]
arm = read_tree(tree).full
model = arm.target.model_writer
assert isinstance(model, Vllm)
planned = Requests(arm, model.sampling, list(islice(arm.documents(), rows)))
writer = openai_writer(served_at(model, url), Meter(NO_CAPS, FREE, tokens_of(arm.target.model, cache_folder())))
emptied = urllib.request.Request(f"{url.removesuffix('/v1')}/reset_prefix_cache", method="POST")
urllib.request.urlopen(emptied).close()
with tempfile.TemporaryDirectory() as folder:
    ledger = Ledger(Path(folder) / LEDGER)
    started = time.perf_counter()
    replies = [reply for _, reply in ledger.replies(planned, writer.send)]
    seconds = time.perf_counter() - started
    ledger.close()
writer.close()
said = sum(reply.completion_tokens for reply in replies)
print(json.dumps({"figure": said / seconds, "prompts": sum(reply.prompt_tokens for reply in replies)}))
