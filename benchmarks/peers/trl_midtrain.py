"""The peer in `train_throughput.py`: TRL as documented, with its best settings for two cores."""

import json
import sys
import time

import torch
from datasets import load_dataset
from peft import LoraConfig
from transformers import AutoModelForCausalLM, AutoTokenizer, TrainerCallback
from trl import SFTConfig, SFTTrainer

folder, rows, updates, out = sys.argv[1:]
ends: list[float] = []
seen: list[int] = []


class Clock(TrainerCallback):
    def on_step_end(self, args, state, control, **_):
        ends.append(time.perf_counter())
        seen.append(trainer._total_train_tokens)


config = SFTConfig(
    output_dir=out, max_steps=int(updates), max_length=160, packing=True, packing_strategy="bfd_split",
    per_device_train_batch_size=1, learning_rate=3e-4, lr_scheduler_type="cosine", warmup_steps=0.05, weight_decay=0.01,
    eos_token="<|endoftext|>", seed=0, data_seed=0, use_cpu=True, bf16=False, gradient_checkpointing=False,
    dataloader_pin_memory=False, logging_strategy="no", save_strategy="no", report_to="none", disable_tqdm=True,
)  # fmt: skip
trainer = SFTTrainer(
    model=AutoModelForCausalLM.from_pretrained(folder, dtype=torch.bfloat16),
    args=config,
    train_dataset=load_dataset("json", data_files=rows, split="train"),
    processing_class=AutoTokenizer.from_pretrained(folder),
    peft_config=LoraConfig(r=16, lora_alpha=32, lora_dropout=0.0, target_modules="all-linear", task_type="CAUSAL_LM"),
    callbacks=[Clock()],
)
trainer.train()
print(json.dumps({"figure": (seen[-1] - seen[0]) / (ends[-1] - ends[0]), "tokens": seen[-1]}))
