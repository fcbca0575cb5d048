"""Lines of a formatted file: where empty lines stand between them, and in which column their comments."""

from dataclasses import dataclass, field


@dataclass
class Line:
    """What stands on a line; a prose block takes its further lines along."""

    indent: int
    code: str
    own: bool = False
    """Is it a comment on a line of its own?"""
    blank: bool = False
    """Does an empty line stand before it?"""
    begins: bool = False
    """Does a declaration begin here that stands apart?"""
    ends: bool = False
    comments: list[str] = field(default_factory=list)
    """The comment behind the code, and those that the author wrote right below it in its column."""
    column: int = -1
    """Of these comments, in the source."""

    @property
    def width(self) -> int:
        return len((" " * self.indent + self.code).rpartition("\n")[2])


def rendered(lines: list[Line]) -> str:
    """The file's text."""
    _set_apart(lines)
    found: list[str] = []
    at = 0
    while at < len(lines):
        run = _run(lines, at)
        column = max(line.width for line in run) + 2
        for line in run:
            code = " " * line.indent + line.code
            comment, *more = line.comments or [""]
            found += [""] if line.blank else []
            found.append(code + " " * (column - line.width) + comment if comment else code)
            found += [" " * column + further for further in more]
        at += len(run)
    return "\n".join(found) + "\n"


def _set_apart(lines: list[Line]) -> None:
    """No empty line where a block begins, and one around what stands apart: before the comments that lead to it."""
    gap = 0  # behind the last line that is no comment
    for number, line in enumerate(lines):
        if line.own:
            continue
        between = lines[gap : number + 1]
        if gap == 0 or lines[gap - 1].code.endswith("{"):
            between[0].blank = False
        elif (lines[gap - 1].ends or line.begins) and line.code != "}" and not any(b.blank for b in between):
            between[0].blank = True
        gap = number + 1
    if lines:
        lines[0].blank = False


def _run(lines: list[Line], at: int) -> list[Line]:
    """The line, and those right below it whose comments the author wrote in the same column: they stay in one."""
    end = at + 1
    while end < len(lines) and lines[at].comments and _continues(lines[at], lines[end]):
        end += 1
    return lines[at:end]


def _continues(first: Line, line: Line) -> bool:
    return bool(line.comments) and line.column == first.column and not line.blank and "\n" not in line.code
