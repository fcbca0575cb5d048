"""Laws of planned rows: put together from shared texts, they are to the byte what each is by itself, with any template."""

from itertools import islice
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from msmc.build import Cell, DocumentRow, canonical, digest
from msmc.digest import seed_of
from msmc.ir import ArmRule, ArmSpec, Clause, Documents, Identity
from msmc.library import Library
from msmc.lower.cells import cells
from msmc.lower.planned import Planned
from msmc.lower.render import Templates
from tests.project import Memory

TEXT = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=12)
NAME = st.text('abc_é"\\\n\u2028😀', min_size=1, max_size=4)
LIBRARY = Library(Memory())
PIECES = (
    *(
        "{{ kind.brief }}",
        "{{ kind.register }}\n",
        "{{ kind['form'] | upper }}",
        "{{ audience }}",
        "{{ angle }}",
        "{{ avoid }}",
    ),
    *("{{ clause }}", "{% if avoid %}\n{{ avoid }}!{% endif %}", "{{ avoid | length }}", "{{ avoid ~ audience }}"),
    *(
        "{{ 'x' if kind.register == 'narrative' else angle }}",
        "{{ audience | replace('a', clause) }}",
        "{{ 1 + 2 }}\n\n",
    ),
    *("{% if kind.register == 'narrative' %}tale{% elif clause %}{{ angle }}{% else %}-{% endif %}", "{# nothing #}"),
    *("{% set told = audience %}", "{{ told }}", "{% for c in angle %}{{ loop.index }}{{ c }}{% endfor %}", ' \\ "\t'),
    *(
        "{% with x = clause %}{{ x }}{% endwith %}",
        "{% filter upper %}{{ angle }}é{% endfilter %}",
        "{{ [kind.form, avoid] }}",
    ),
)


@st.composite
def templates(draw: st.DrawFn) -> str:
    pieces = draw(st.lists(st.sampled_from(PIECES) | NAME.filter(lambda text: "{" not in text), max_size=8))
    told = PIECES.index("{{ told }}")
    return "".join("{% set told = clause %}" * (PIECES[told] in pieces) + piece for piece in pieces)


def slowly(clause: Clause, cell: Any, named: str, templates: Templates) -> str:
    """A row by itself."""
    kind, audience, angle = LIBRARY.kind(cell.kind), LIBRARY.audience(cell.audience), LIBRARY.angle(cell.angle)
    values = {
        "kind": kind,
        "audience": audience["phrase"],
        "angle": angle["brief"].replace("{angle}", cell.angle),
        "avoid": "; ".join(part["avoid"] for part in (kind, audience, angle) if part["avoid"]),
        "clause": named,
    }
    identity = ("document", clause.id, *cell)
    row = DocumentRow(
        id="doc-" + digest(*identity)[:16],
        about=(clause.id,) if clause.id == clause.node else (clause.id, clause.node),
        cell=Cell(clause=clause.id, **cell._asdict()),
        seed=seed_of(*identity),
        prefix=clause.node,
        prompt=templates.render("documents/cell.jinja", values),
    )
    return canonical(row.model_dump(mode="json")) + "\n"


@settings(max_examples=150, deadline=None)
@given(
    templates(),
    st.lists(st.sampled_from(LIBRARY.kinds), min_size=1, max_size=4),
    st.lists(st.sampled_from(LIBRARY.audiences) | TEXT, min_size=1, max_size=4),
    st.lists(st.sampled_from(LIBRARY.angles) | TEXT, min_size=1, max_size=4),
    st.integers(0, 5),
)
def test_rows_are_what_each_is_by_itself(
    template: str, kinds: list[str], audiences: list[str], angles: list[str], skip: int
) -> None:
    sources = Templates(Memory(**{"shipped:templates/documents/cell.jinja": template}))
    rule = ArmRule(id="s.é", title="T", statement="It asks.", rationale="So.")
    spec = ArmSpec(name="s", title="S", identity=Identity(assistant="A", provider="P"), rules=(rule,))
    block = Documents(about=("rules",), kinds=tuple(kinds), audiences=tuple(audiences), angles=tuple(angles))
    clauses, counts = list(spec.clauses()), {"s.é": 7, "s.é.rationale": 2}
    planned = Planned(block, spec, Library(Memory()), sources, {})
    found = list(planned.lines(clauses, counts, {"s.é": skip})())
    named = {"s.é": "the rule", "s.é.rationale": "the reason for the rule"}
    expected = [
        slowly(clause, cell, named[clause.id], sources)
        for clause in clauses
        for first in [skip if clause.id == "s.é" else 0]
        for cell in islice(cells(clause.id, kinds, audiences, angles), first, first + counts[clause.id])
    ]
    assert found == expected
    assert list(planned.lines(clauses, counts)()) == list(planned.lines(clauses, counts)()), "made anew at each reading"


@given(st.integers(1, 2500))
@settings(max_examples=10, deadline=None)
def test_blocks_of_cells_leave_no_seam(size: int) -> None:
    """More cells than are reckoned at once."""
    found = list(islice(cells("s.r", "abc", "xy", "1234567"), size))
    assert [cell.n for cell in found] == [i // 42 for i in range(size)]
    assert len(set(found)) == size
