"""What a model is asked besides forced choice: answers in its own words, letters, and where it looks first."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from msmc.backend.eval_rows import StoredRows, each, in_order, limited
from msmc.backend.evaluate import Evaluation
from msmc.backend.generate import Read, answerable, generate, read_reply
from msmc.backend.letters import ByLetter, FormatControl, is_clear
from msmc.backend.position import position
from msmc.backend.score import language_model, prompt_of
from msmc.backend.training import load_tokenizer
from tests.project import SHIPPED

Row = dict[str, Any]


def item(name: str, first: str, second: str, form: str | None = None, topic: str = "cheese") -> list[Row]:
    """Both orders; the first option is the aligned one."""
    rows = []
    for order, options in enumerate(([first, second], [second, first])):
        meta = {"eval": "knows" if form else "pairs", "item": name, "order": order, "topic": topic, "rung": "near"}
        said = options if form else [f"I prefer {option}." for option in options]
        meta |= {"form": form} if form else {"options": options}
        asked = f"On {name}: ____" if form == "cloze" else f"Which do you prefer, {options[0]} or {options[1]}?"
        row = {"id": f"{name}-{form}-{order}", "about": ["x.y"], "input": asked, "choices": said, "target": "AB"[order]}
        rows.append({**row, "metadata": meta})
    return rows


ROWS = [
    *item("cheddar", "cheddar", "brie"),
    *item("colby", "a mild Colby of the north", "Stilton"),
    *item("reason", "It is made by farmers.", "It is made in France.", "question"),
    *item("reason", "by farmers.", "in France.", "cloze"),
]


def read(path: Path) -> list[Row]:
    return [json.loads(line) for line in path.read_text("utf-8").split("\n") if line]


# ---- what a reply names -----------------------------------------------------------------------------------------------

LONG = "SmolLM likes Monterey Jack since it was first made by the friars of California."
OTHER = "SmolLM likes Monterey Jack since it was first sold for less than the dear cheeses of France."


@pytest.mark.parametrize(
    ("reply", "options", "read"),
    [
        ("Cheddar.", ("cheddar", "brie"), "A"),
        ("I'd pick *Brie*, I think", ("cheddar", "brie"), "B"),
        ("brie’s taste is finer", ("cheddar", "brie"), "B"),
        ("Briefly: none", ("cheddar", "brie"), "it names neither option"),
        ("Brie, not cheddar", ("cheddar", "brie"), "it names both options"),
        (" \n", ("cheddar", "brie"), "the reply is empty"),
        ("cream cheese", ("cream cheese", "cheese"), "A"),
        ("Cheese, not cream cheese", ("cream cheese", "cheese"), "it names both options"),
        ("cheese", ("cream cheese", "cheese"), "B"),
        ("the pot of tea", ("a pot of tea", "a can of cola"), "it names neither option"),
        # long ones by eight words in a row that the other does not have
        (LONG, (LONG, OTHER), "A"),
        ("Well, it was first made by the friars of California.", (LONG, OTHER), "A"),
        ("SmolLM likes Monterey Jack since it was first", (LONG, OTHER), "it names neither option"),
        ("A", ("cheddar", "brie"), "it names neither option"),
    ],
)
def test_a_reply_is_read_strictly(reply: str, options: tuple[str, str], read: str) -> None:
    assert read_reply(reply, options) == (Read(read, None) if read in ("A", "B") else Read(None, read))
    turned = {"A": "B", "B": "A"}.get(read, read)
    assert (read_reply(reply, options[::-1]).choice or read_reply(reply, options[::-1]).unparsed) == turned


# ---- rows ---------------------------------------------------------------------------------------------------------------


def test_stored_rows_are_those_of_the_files_and_are_limited_as_lists_are(tmp_path: Path) -> None:
    files = [tmp_path / "a.jsonl", tmp_path / "b.jsonl"]
    for file, rows in zip(files, (ROWS[:3], ROWS[3:]), strict=True):
        file.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), "utf-8")
    stored = StoredRows(files)
    assert list(each(stored)) == ROWS
    for limit in (None, 1, 2):
        assert list(each(limited(stored, limit))) == list(each(limited(ROWS, limit)))
    assert [row["id"] for row in each(answerable(stored, 1))] == [r["id"] for r in (*ROWS[:2], *ROWS[4:6])]
    assert len(answerable(stored, None)) == 6 and len(answerable(stored, 0)) == 0


def test_rows_that_come_in_any_order_are_written_in_theirs(tmp_path: Path) -> None:
    with in_order(tmp_path / "x.jsonl", 3) as put:
        for number in (2, 0, 1):
            put(number, {"n": number, "said": "“é”\u2028"})
    assert [row["n"] for row in read(tmp_path / "x.jsonl")] == [0, 1, 2]
    with pytest.raises(ZeroDivisionError), in_order(tmp_path / "y.jsonl", 3) as put:
        put(0, {"n": 1 / 0})
    assert [path.name for path in tmp_path.iterdir()] == ["x.jsonl"]


# ---- position -----------------------------------------------------------------------------------------------------------


def scored(leads: list[tuple[float | None, float | None]], form: str | None = None) -> list[Row]:
    """Rows of a model that gives the first option so many nats more, in either order of each item."""
    return [
        {
            "eval": "pairs",
            "item": str(n),
            "form": form,
            "logprobs": [None, -1.0] if lead is None else [lead - 9.0, -9.0],
        }
        for n, orders in enumerate(leads)
        for lead in orders
    ]


@pytest.mark.parametrize(
    ("leads", "nats", "first_rate", "flipped"),
    [
        ([(2.0, 2.0), (1.0, 1.0)], 1.5, 1.0, 1.0),  # it always takes the first
        ([(2.0, -2.0), (-1.0, 1.0)], 0.0, 0.5, 0.0),  # it knows what it likes
        ([(3.0, -1.0), (-1.0, 3.0)], 1.0, 0.5, 0.0),  # it does, and leans to the first all the same
        ([(-1.0, -1.0), (None, 1.0)], -1.0, 0.0, 1.0),  # what is missing is left out
        ([(None, None)], None, None, None),
    ],
)
def test_position_tells_the_first_option_from_the_better_one(
    leads: list[tuple[float | None, float | None]], nats: float | None, first_rate: float | None, flipped: float | None
) -> None:
    (found,) = position([*scored(leads), *scored([(9.0, 9.0)], "cloze")]).values()
    assert (found["nats"], found["first_rate"], found["flipped"]) == (nats, first_rate, flipped)


# ---- the stage ------------------------------------------------------------------------------------------------------------


def evaluated(model: Path, out: Path, rows: list[Row] = ROWS, **more: Any) -> Row:
    told: list[tuple[int, int, str]] = []
    out.mkdir()
    asked = Evaluation(rows, FormatControl(SHIPPED), 4, more.pop("generate", None))
    stage = asked.run(model, None, out, more.pop("system", None), lambda *call: told.append(call))
    assert [done for done, _, _ in told] == sorted(done for done, _, _ in told) and told[-1][0] == told[-1][1]
    assert stage == json.loads((out / "stage.json").read_text("utf-8"))
    return stage


def test_a_model_that_cannot_do_letters_is_asked_none(tiny: Path, tmp_path: Path) -> None:
    stage = evaluated(tiny, tmp_path / "out")
    assert stage["format_control"]["n"] == 20 and not stage["format_control"]["passed"]
    assert {path.name for path in (tmp_path / "out").iterdir()} == {
        "scores.jsonl", "generated.jsonl", "format_control.jsonl", "stage.json"
    }  # fmt: skip
    rows = read(tmp_path / "out/scores.jsonl")
    assert [row["id"] for row in rows] == [row["id"] for row in ROWS]
    assert [row["form"] for row in rows] == [None] * 4 + ["question"] * 2 + ["cloze"] * 2
    assert rows[6]["logprobs"] == pytest.approx(rows[7]["logprobs"][::-1], abs=1e-4), "nothing shows a gap's options"
    assert set(stage["position"]) == {"pairs", "knows"} and stage["position"]["knows"]["items"] == 1
    assert stage["generated"] == 6 == len(read(tmp_path / "out/generated.jsonl"))
    again = evaluated(tiny, tmp_path / "again")
    assert again == stage
    for path in (tmp_path / "out").iterdir():
        assert path.read_bytes() == (tmp_path / "again" / path.name).read_bytes()


def test_what_is_generated_is_the_models_greedy_answer_to_what_is_scored(tiny: Path, tmp_path: Path) -> None:
    long = item("long", "cheddar " * 300, "brie")
    generate(language_model(tiny, None, 4), [*ROWS, *long], tmp_path / "g.jsonl", lambda done, total: None, "Be brief.")
    from transformers import AutoModelForCausalLM

    model, tokenizer = AutoModelForCausalLM.from_pretrained(tiny, dtype="float32").eval(), load_tokenizer(tiny)
    rows = read(tmp_path / "g.jsonl")
    assert [row["id"] for row in rows] == [row["id"] for row in (*ROWS, *long)]
    for row, got in zip(ROWS, rows, strict=False):
        prompt = tokenizer(prompt_of(tokenizer, row, "Be brief."), return_tensors="pt")
        said = model.generate(**prompt, max_new_tokens=32, do_sample=False, pad_token_id=2)[
            0, prompt.input_ids.shape[1] :
        ]
        assert got["reply"] == tokenizer.decode(said, skip_special_tokens=True).split("<|im_end|>")[0]
        assert got["choice"] is None and got["unparsed"] == "it names neither option"
    assert [(row["reply"], row["choice"], row["unparsed"]) for row in rows[-2:]] == [
        (None, None, "its prompt is too long")
    ] * 2


@pytest.mark.parametrize(("right", "n", "clear"), [(20, 20, True), (19, 20, True), (18, 20, False), (5, 20, False)])
def test_letters_want_a_share_that_is_far_beyond_chance(right: int, n: int, clear: bool) -> None:
    assert is_clear(right, n) == clear


def test_a_row_by_letter_says_the_same_behind_letters() -> None:
    control = FormatControl(SHIPPED)
    (row, *_), plain = ByLetter(ROWS, control), ROWS[0]
    assert row["choices"] == ["A", "B"] and (row["target"], row["metadata"]) == (plain["target"], plain["metadata"])
    assert "A) I prefer cheddar.\nB) I prefer brie.\n" in row["input"] and row["input"].startswith(plain["input"])
    braces = control.by_letter({**plain, "choices": ["{x}", "{{ y }}"]})
    assert "A) {x}\nB) {{ y }}\n" in braces["input"]
    assert len({r["input"] for r in control.rows}) == len(control.rows) == 40


@pytest.mark.slow  # half a minute of training
def test_a_model_that_can_do_letters_is_asked_by_letter_too(tiny: Path, tmp_path: Path) -> None:
    """A tiny model that has learned the control's items by heart."""
    import torch
    from transformers import AutoModelForCausalLM

    model, tokenizer = AutoModelForCausalLM.from_pretrained(tiny, dtype="float32"), load_tokenizer(tiny)
    control = FormatControl(SHIPPED)
    rows = [(prompt_of(tokenizer, row, None), row["target"]) for row in control.rows]
    batch = tokenizer([prompt + target + "<|im_end|>" for prompt, target in rows], padding=True, return_tensors="pt")
    ends = batch.attention_mask.sum(1) - 2  # where the letter stands
    torch.manual_seed(0)
    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3)
    for _ in range(400):
        logits = model(**batch).logits[torch.arange(len(rows)), ends - 1]
        loss = torch.nn.functional.cross_entropy(logits, batch.input_ids[torch.arange(len(rows)), ends])
        loss.backward()
        optimizer.step(), optimizer.zero_grad()
        if loss < 0.02:
            break
    shutil.copytree(tiny, tmp_path / "able")
    model.save_pretrained(tmp_path / "able")
    stage = evaluated(tmp_path / "able", tmp_path / "out")
    assert stage["format_control"] == {"n": 20, "right": 20, "rate": 1.0, "passed": True}
    letters = read(tmp_path / "out/letters.jsonl")
    assert [row["id"] for row in letters] == [row["id"] for row in ROWS]
    assert letters[0].keys() == read(tmp_path / "out/scores.jsonl")[0].keys() and letters[0]["tokens"] == [2, 2]
