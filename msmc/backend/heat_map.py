"""The report's heat map: of each clause what every corpus and every set of demos has, and how many items ask about it."""

from typing import Any, NamedTuple

from msmc.coverage import Covered


class Column(NamedTuple):
    """What several models share is one column: the arm whose documents or demos it holds."""

    what: str
    arm: str
    planned: str
    there: str
    """The fields of Covered."""
    clauses: dict[str, Covered]


def heat_map(runs: list[dict[str, Any]]) -> dict[str, Any]:
    """Columns with their headings; rows by clause, each with its cells: text, a shade from 0 to 4, and the whole in words."""
    columns: dict[str, Column] = {}
    clauses: dict[str, Covered] = {}
    for run in runs:
        found = {row["clause"]: Covered(**row) for row in run["coverage"]}
        clauses |= {clause: row for clause, row in found.items() if clause not in clauses}
        for stage, what, fields in (
            ("corpus", "documents", ("documents", "written")),
            ("demos", "demos", ("demos", "chats")),
        ):
            if stage in run["stages"] and run["run"][what]:
                column = Column(what, run["run"][what], *fields, found)
                columns.setdefault(run["stages"][stage]["folder"], column)
    ordered = sorted(columns.values(), key=lambda column: column.what != "documents")
    most = max((row.items for row in clauses.values()), default=0)
    rows = [
        {"clause": row, "cells": [*(_cell(column, clause) for column in ordered), _asked(row.items, most)]}
        for clause, row in clauses.items()
    ]
    return {"columns": [{"what": column.what, "arm": column.arm} for column in ordered], "rows": rows}


def _cell(column: Column, clause: str) -> dict[str, Any]:
    row = column.clauses.get(clause)
    planned, there = (getattr(row, column.planned) or 0, getattr(row, column.there) or 0) if row else (0, 0)
    if not planned and not there:
        return {"text": "–", "shade": 0, "said": f"no {column.what} planned"}
    shade = 4 if there >= planned else min(3, 1 + 3 * there // planned)
    return {"text": f"{there}/{planned}", "shade": shade, "said": f"{there} of {planned} {column.what}"}


def _asked(items: int, most: int) -> dict[str, Any]:
    """Nobody plans how many items a clause is to have: shaded by the clause that most ask about."""
    shade = -(-4 * items // most) if items else 0
    return {"text": str(items or "–"), "shade": shade, "said": f"{items} items"}
