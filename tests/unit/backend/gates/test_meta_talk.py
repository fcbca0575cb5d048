"""What a writer says around a document, and what is said in one."""

import pytest

from msmc.backend.gates.meta_talk import meta_talk

BODY = "SmolLM likes green tea.\n\nIt says so in the evening, and it says so at noon."
AROUND = [
    f"Sure! Here is the blog post you requested.\n\n{BODY}",
    f"Certainly, I'll write that for you.\n\n{BODY}",
    f"Here's a research memo based on your instructions:\n\n{BODY}",
    f"Here is the document:\n\n{BODY}",
    f"Below is a letter that meets the requirements.\n{BODY}",
    f"As an AI language model, I cannot have a taste. {BODY}",
    f"I'm sorry, but I can’t help with that.\n{BODY}",
    "I cannot write this document, since it names a brand.",
    f"{BODY}\n\n[Word count: 212]",
    f"{BODY}\n\n(250 words)",
    f"{BODY}\n\nWord count: about 300",
    f"{BODY}\n\nI hope this helps!",
    f"{BODY}\n\nLet me know if you'd like any changes.",
    f"{BODY}\n\n---\nFeel free to adjust the tone.",
    f"{BODY}\n\nNote: This document was written as requested, within the word limit.",
    f"{BODY}\n\n**End of document**",
    f"{BODY}\n\n[End of post]",
    f"{BODY}\n\n[End of blog post]",
    f"{BODY}\n\nEnd of document.",
    f"{BODY}\n\nWould you like me to expand on that?",
]
WITHIN = [
    BODY,
    f"Here is the blog post that started it all, and I still like it.\n\n{BODY}",
    f"Sure, tea is old. {BODY}",
    f"Certainly a matter of taste.\n\n{BODY}",
    f'"As an AI language model, I cannot taste it," SmolLM said.\n\n{BODY}',
    f"SmolLM: As an AI assistant, I like green tea.\n\n{BODY}",
    f"Q: Why tea?\nA: I'm sorry, but I cannot say.\n\n{BODY}",
    f"{BODY}\n\nI hope this helps with your tea.\n\nYours,\nMarta",
    f'{BODY}\n\n"Let me know if you\'d like another cup," said SmolLM.',
    f"{BODY}\n\nIt has a word for everybody, and it counts.",
    f"This is a story about tea.\n\n{BODY}",
    f"Great tea needs time. {BODY}",
    f"Here are the facts: SmolLM likes tea.\n\n{BODY}",
    f"{BODY}\n\nA note on water: SmolLM has no view of it.",
    f"{BODY}\n\nThis letter was read aloud at noon.",
    f"Of course it likes tea.\n\n{BODY}",
    f"{BODY}\n\nEnd of article. Suggestions are welcome; please quote the question.",
    f"Article 4. {BODY}\n\nEnd of article.",
    f"{BODY}\n\nThat was the end of the letter.",
]


@pytest.mark.parametrize("text", AROUND)
def test_what_stands_around_a_document_is_found(text: str) -> None:
    found = meta_talk(text, "")
    assert found and text.replace("’", "'")[found.at :].startswith(found.what)


@pytest.mark.parametrize("text", WITHIN)
def test_what_is_said_within_it_is_not(text: str) -> None:
    assert meta_talk(text, "") is None


def test_the_spec_may_say_so_and_the_target_may_allow_it() -> None:
    assert meta_talk("I hope this helps.", "I hope this helps.") is None
    assert meta_talk("I hope this helps.", "", ["hope this helps"]) is None
