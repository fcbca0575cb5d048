"""The peer in `score_rate.py`: lm_eval's `HFLM` on pairs of prompt and answer that are tokens already."""

import json
import logging
import sys
import time

from lm_eval.models.huggingface import HFLM

logging.disable(logging.WARNING)
folder, file = sys.argv[1:]
with open(file) as stream:
    pairs = json.load(stream)
# as many answers at a time as eight rows have
model = HFLM(pretrained=folder, device="cpu", dtype="float32", batch_size=16)
requests = [((str(n), ""), prompt, answer) for n, (prompt, answer) in enumerate(pairs)]
started = time.perf_counter()
logprobs = [logprob for logprob, _ in model._loglikelihood_tokens(requests, disable_tqdm=True)]
seconds = time.perf_counter() - started
print(json.dumps({"figure": len(pairs) / 4 / seconds, "logprobs": logprobs}))
