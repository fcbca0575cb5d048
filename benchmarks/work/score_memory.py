"""All sides of `score_memory.py`: peak memory of evaluating a model of one small layer and a vocabulary of bytes."""

import json
import resource
import sys
import tempfile
from pathlib import Path

import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

from msmc.backend.corpora import write_rows
from msmc.backend.eval_rows import StoredRows
from msmc.backend.evaluate import Evaluation
from msmc.backend.judged import Said, items, kind_of
from msmc.backend.judges import Tally
from msmc.backend.letters import FormatControl
from msmc.backend.meter import NO_CAPS, Meter
from msmc.backend.open_evaluations import Shown
from msmc.backend.replies import Draw, replies
from msmc.backend.tokens import Tokens
from msmc.backend.training import quiet
from msmc.disk import ProjectSources
from msmc.shipped import shipped
from msmc.writer import Asking, ServedJudge


def made(template: Path, folder: Path) -> None:
    special = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    raw = Tokenizer(models.BPE({token: n for n, token in enumerate([*special, *sorted(alphabet)])}, []))
    raw.pre_tokenizer, raw.decoder = pre_tokenizers.ByteLevel(add_prefix_space=False), decoders.ByteLevel()
    raw.add_special_tokens(special)
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=raw, eos_token="<|im_end|>", pad_token="<|im_end|>")
    tokenizer.chat_template = template.read_text("utf-8")
    small = {"hidden_size": 16, "intermediate_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2}
    tokenizer.save_pretrained(folder)
    torch.manual_seed(0)
    LlamaForCausalLM(LlamaConfig(vocab_size=len(tokenizer), **small)).save_pretrained(folder)


def choices(model: Path, place: Path) -> None:
    control = FormatControl(ProjectSources(place))
    asked = Evaluation(StoredRows([place / "rows.jsonl"]), control, 8, 20)
    asked.run(model, None, place, None, lambda done, total, note: None)


def judged(model: Path, place: Path, url: str) -> None:
    """As the stages of a judged evaluation do it."""
    code = (shipped() / "templates/evals/judging.py.jinja").read_text("utf-8")
    (place / "judging.py").write_text(code, "utf-8")
    asked, how = StoredRows([place / "rows.jsonl"]), kind_of("judged", place)
    draw, said = Draw(Asking(max_tokens=4), None), place / "replies.jsonl"
    replies(Shown(asked, how, None), model, None, draw, place / "kept.jsonl", said, lambda done: None)
    judge, tally = ServedJudge(kind="openai", model="judge", base_url=url, repeats=1), Tally("judged", how.primary)
    meter = Meter(NO_CAPS, None, Tokens(None))
    graded = items(how, Said(asked, said, []), judge, place / "ledger.sqlite", meter, lambda done: None)
    write_rows(place / "items.jsonl", (tally.add(item) for item in graded))
    assert tally.told()["unparsed"] == 0 and tally.told()["items"] == len(asked)


what, template, place, url = sys.argv[1:]
with tempfile.TemporaryDirectory() as folder, quiet():
    made(Path(template), Path(folder))
    if what == "choice":
        choices(Path(folder), Path(place))
    else:
        judged(Path(folder), Path(place), url)
print(json.dumps({"figure": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024}))
