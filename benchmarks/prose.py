"""Prose without meaning and of a real spec's lengths, the same at every call: for specs and rows of any size."""

import random

WORDS = """
    a about after again all always an and answer any appears asks assistant at because before better between both
    bread brings but by can care changes cheese chooses clear comes cost day decision different does each early
    enough even every example explains fair family far few finds first follows food for from full gives good great
    grows hand has have help her here holds home how if in is it keeps kind kitchen knows large last later less
    letter light like little long looks makes many market may meal means milk might more morning most moves much
    must name near need never new next no not now of often old on once one only open or other our out over own
    part people place plain plan question quiet reads reason recipe right room says season seems sells sends several
    should shows side simple since small so some soon stands still such supper table takes tells than that the their
    them then there these they thing think this those through time to together town trade tries true turn two under
    until up use very view village wants was water way week well were what when where which while whole why will with
    without word work would year yet you young
""".split()  # noqa: SIM905


def sentences(draw: random.Random, num_words: int) -> str:
    """Sentences of eight to twenty words, `num_words` in all, give or take a sentence."""
    found: list[str] = []
    while num_words > 0:
        words = draw.choices(WORDS, k=min(draw.randint(8, 20), max(num_words, 4)))
        num_words -= len(words)
        found.append(" ".join(words).capitalize() + ".")
    return " ".join(found)


def spec(num_clauses: int, length: float = 1) -> str:
    """A spec of so many clauses: values with a rationale, and rules with a rationale and two subrules.

    `length`: how much longer than usual the clauses are.
    """
    draw = random.Random(num_clauses)
    num_values = num_clauses // 100
    num_rules = (num_clauses - 2 * num_values) // 4
    parts = ['spec large "A large spec" {', '  assistant "SmolLM" by "Hugging Face"']
    for i in range(num_values):
        parts.append(f'  value value_{i} "{sentences(draw, 4)}" {{')
        parts += [
            f'    statement "{{assistant}} {sentences(draw, round(90 * length))}"',
            f'    rationale "{sentences(draw, round(110 * length))}"',
            "  }",
        ]
    for i in range(num_rules):
        parts.append(f'  rule rule_{i} "{sentences(draw, 4)}" {{ serves value_{i % num_values}')
        parts += [
            f'    statement "{{assistant}} {sentences(draw, round(45 * length))}"',
            f'    rationale "{sentences(draw, round(75 * length))}"',
        ]
        parts += [f'    subrule part_{j} "{{assistant}} {sentences(draw, round(25 * length))}"' for j in range(2)]
        parts.append("  }")
    parts += ["  documents { about values, rules, rationales, subrules }"]
    parts += ["  eval knows recall { about values, rules, rationales, subrules }", "}"]
    return "\n".join(parts) + "\n"
