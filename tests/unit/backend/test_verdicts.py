"""A critic's verdict: one JSON object, read strictly; whatever else it says is unparsed, and never `keep`."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from msmc.backend.writers.verdicts import Unparsed, Verdict, read_verdict

KEEP = '{"verdict": "keep", "reason": "It tells the rule.", "problems": []}'
REWRITE = '{"verdict": "rewrite", "reason": "One sentence is off.", "problems": ["It gives a reason."]}'
DROP = '{"verdict": "drop", "reason": "It is about coffee.", "problems": ["It never tells the rule."]}'


def fenced(text: str) -> str:
    return f"```json\n{text}\n```"


@pytest.mark.parametrize(
    "raw",
    [
        KEEP,
        f"\n {KEEP}\n",
        fenced(KEEP),
        f"```\n{KEEP}\n```",
        f"Here is my verdict:\n\n{fenced(KEEP)}\n\nI would not rewrite or drop it.",
        f"<think>Should I drop it? {DROP} No.</think>\n{KEEP}",
        f"The server dropped the first tag. {DROP}</think>{KEEP}",
        json.dumps({"problems": [], "reason": "It tells the rule.", "verdict": "keep"}, indent=2),
    ],
)
def test_one_whole_object_is_a_verdict(raw: str) -> None:
    assert read_verdict(raw, "stop") == Verdict("keep", "It tells the rule.", ())


def test_a_verdict_has_its_problems() -> None:
    assert read_verdict(REWRITE, None) == Verdict("rewrite", "One sentence is off.", ("It gives a reason.",))
    assert read_verdict(DROP, "stop") == Verdict("drop", "It is about coffee.", ("It never tells the rule.",))


def verdict(said: object, reason: object = "It tells the rule.", problems: object = ()) -> str:
    return json.dumps({"verdict": said, "reason": reason, "problems": problems})


@pytest.mark.parametrize(
    ("raw", "why"),
    [
        ("", "the critic's reply is empty"),
        ("<think>Let me see whether it", "the critic's reply is truncated"),
        *((KEEP[:n], "it is not one whole JSON object") for n in (1, 18, 30, 50, len(KEEP) - 1)),
        ("keep", "it is not one whole JSON object"),
        ("Verdict: keep", "it is not one whole JSON object"),
        ("It tells the rule, so I would KEEP it.", "it is not one whole JSON object"),
        (f"Here it is: {KEEP}", "it is not one whole JSON object"),
        (f"{KEEP} {DROP}", "it is not one whole JSON object"),
        (f"{KEEP}\n{KEEP}", "it is not one whole JSON object"),
        (fenced(f"{KEEP}\n{DROP}"), "it is not one whole JSON object"),
        (f"{fenced(KEEP)}\nOr rather:\n{fenced(DROP)}", "it has several verdicts"),
        (f"{fenced(KEEP)}\nOr rather:\n```json\n{DROP[:20]}", "it has several verdicts"),
        (f"{fenced(KEEP)}\nOr rather: {DROP}", "it has several verdicts"),
        ('{"verdict": "drop", "verdict": "keep", "reason": "So.", "problems": []}', "it has a key twice"),
        (verdict("keep|rewrite|drop"), "its verdict is none of keep, rewrite and drop"),
        (verdict("keep or rewrite"), "its verdict is none of keep, rewrite and drop"),
        (verdict("KEEP / DROP"), "its verdict is none of keep, rewrite and drop"),
        (verdict(["keep"]), "its verdict is none of keep, rewrite and drop"),
        (verdict({"keep": 1}), "its verdict is none of keep, rewrite and drop"),
        (verdict(None), "its verdict is none of keep, rewrite and drop"),
        (verdict(True), "its verdict is none of keep, rewrite and drop"),
        (verdict("keep", "…"), "it gives no reason"),
        (verdict("keep", "<one sentence>"), "it gives no reason"),
        (verdict("keep", ""), "it gives no reason"),
        (verdict("keep", 1), "it gives no reason"),
        (verdict("keep", problems="none"), "its problems are no list of texts"),
        (verdict("drop", problems=["..."]), "its problems are no list of texts"),
        (verdict("drop", problems=[{"what": "x"}]), "its problems are no list of texts"),
        (verdict("keep", problems=["It gives a reason."]), "its verdict and its problems contradict each other"),
        (verdict("rewrite"), "its verdict and its problems contradict each other"),
        (verdict("drop"), "its verdict and its problems contradict each other"),
        ('{"verdict": "keep"}', "it has not the keys verdict, reason and problems alone"),
        ('{"verdict": "keep", "reason": "So."}', "it has not the keys verdict, reason and problems alone"),
        (KEEP.replace("{", '{"score": 3, '), "it has not the keys verdict, reason and problems alone"),
        (f"[{KEEP}]", "it has not the keys verdict, reason and problems alone"),
        ('"keep"', "it has not the keys verdict, reason and problems alone"),
        ("[" * 100_000, "it is not one whole JSON object"),
    ],
)  # fmt: skip
def test_what_leaves_a_doubt_is_unparsed(raw: str, why: str) -> None:
    assert read_verdict(raw, "stop") == Unparsed(why)


@pytest.mark.parametrize(
    ("finish", "why"), [("length", "truncated"), ("max_tokens", "truncated"), ("content_filter", "refused")]
)
def test_what_its_server_cut_is_unparsed_however_whole_it_looks(finish: str, why: str) -> None:
    assert read_verdict(KEEP, finish) == Unparsed(f"the critic's reply is {why}")


@given(st.sampled_from([KEEP, REWRITE, DROP, fenced(KEEP)]), st.data())
def test_no_cut_verdict_is_read(raw: str, data: st.DataObject) -> None:
    cut = raw[: data.draw(st.integers(0, len(raw.rstrip("`")) - 2))]
    assert isinstance(read_verdict(cut, "stop"), Unparsed)


@given(st.text())
def test_no_text_makes_it_fail_or_keep(raw: str) -> None:
    assert isinstance(read_verdict(raw, "stop"), Unparsed)
