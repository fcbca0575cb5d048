"""Both sides of `score_memory.py`: peak memory of scoring rows with a model of one small layer."""

import json
import resource
import sys
import tempfile
from pathlib import Path

import torch
from transformers import AutoTokenizer, LlamaConfig, LlamaForCausalLM

from msmc.backend.eval_rows import StoredRows
from msmc.backend.score import score
from msmc.backend.training import quiet

tokenizer, rows, out = map(Path, sys.argv[1:])
with tempfile.TemporaryDirectory() as folder, quiet():
    named = AutoTokenizer.from_pretrained(tokenizer)
    named.save_pretrained(folder)
    torch.manual_seed(0)
    small = {"hidden_size": 16, "intermediate_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2}
    LlamaForCausalLM(LlamaConfig(vocab_size=len(named), **small)).save_pretrained(folder)
    score(StoredRows([rows]), Path(folder), None, out, lambda done, total: None)
print(json.dumps({"figure": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024}))
