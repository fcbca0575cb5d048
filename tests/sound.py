"""What holds for `check`, `fmt` and the words of a diagnostic, whatever is in a file: no exception, places inside of files."""

from msmc.check import check
from msmc.render import as_github, as_json, as_text, order
from msmc.source import SourceFile
from msmc.syntax import parse as syntax
from msmc.syntax.format import formatted
from tests.project import Memory

PATH = "main.msm"
MOST_SHOWN = 100
"""Problems whose looks are made: each is a search for a line of the file."""


def sound(content: bytes) -> list[str]:
    """The names of what is found in a file that was never read before. Fails where something does not hold."""
    syntax._last.clear()
    checked = check(PATH, Memory(**{PATH: content}))
    for problem in checked.problems:
        for label in (*([problem.primary] if problem.primary else []), *problem.related):
            text = checked.files.sources[label.span.file].text
            assert 0 <= label.span.start <= label.span.end <= len(text), problem
    shown = order(checked.problems)[:MOST_SHOWN]
    for told in (as_text, as_json, as_github):
        assert told(shown, checked.files.sources).encode("utf-8").count(b"\0") == 0 or b"\0" in content
    if not checked.problems:
        text, problems = formatted(SourceFile(PATH, content))
        assert text is not None and not problems
        assert formatted(SourceFile(PATH, text.encode())) == (text, []), "fmt changes its own text"
    return [problem.name for problem in checked.problems]
