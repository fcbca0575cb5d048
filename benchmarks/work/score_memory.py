"""Both sides of `score_memory.py`: peak memory of scoring rows with a model of one small layer and a vocabulary of bytes."""

import json
import resource
import sys
import tempfile
from pathlib import Path

import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

from msmc.backend.eval_rows import StoredRows
from msmc.backend.score import score
from msmc.backend.training import quiet

template, rows, out = map(Path, sys.argv[1:])
special = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]
alphabet = pre_tokenizers.ByteLevel.alphabet()
raw = Tokenizer(models.BPE({token: n for n, token in enumerate([*special, *sorted(alphabet)])}, []))
raw.pre_tokenizer, raw.decoder = pre_tokenizers.ByteLevel(add_prefix_space=False), decoders.ByteLevel()
raw.add_special_tokens(special)
tokenizer = PreTrainedTokenizerFast(tokenizer_object=raw, eos_token="<|im_end|>", pad_token="<|im_end|>")
tokenizer.chat_template = template.read_text("utf-8")
small = {"hidden_size": 16, "intermediate_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2}
with tempfile.TemporaryDirectory() as folder, quiet():
    tokenizer.save_pretrained(folder)
    torch.manual_seed(0)
    LlamaForCausalLM(LlamaConfig(vocab_size=len(tokenizer), **small)).save_pretrained(folder)
    score(StoredRows([rows]), Path(folder), None, out, lambda done, total: None)
print(json.dumps({"figure": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024}))
