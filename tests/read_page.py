"""A page as a browser would read it; the rows that a link's filters let through, and what they come to."""

import html.parser
import json
from collections import defaultdict
from typing import Any


class Page(html.parser.HTMLParser):
    """What a browser would make of it: scripts with their text, links, ids, headings and what loads."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.scripts: list[tuple[dict[str, str | None], str]] = []
        self.ids: list[str] = []
        self.links: list[str] = []
        self.headings: list[str] = []
        self.loads: list[str] = []
        self.policy = ""
        self._in = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._in, found = tag, dict(attrs)
        self.ids += [found["id"]] if found.get("id") else []
        self.loads += [str(found[name]) for name in ("src", "srcset", "data", "action") if name in found]
        if tag == "a":
            self.links.append(found["href"] or "")
        elif tag == "link":
            self.loads.append(found["href"] or "")
        elif tag == "script":
            self.scripts.append((found, ""))
        elif found.get("http-equiv") == "Content-Security-Policy":
            self.policy = found["content"] or ""

    def handle_endtag(self, tag: str) -> None:
        self._in = ""

    def handle_data(self, data: str) -> None:
        if self._in == "script":
            attributes, text = self.scripts.pop()
            self.scripts.append((attributes, text + data))
        elif self._in == "h2":
            self.headings.append(data.strip())

    def data(self, name: str) -> Any:
        return next(json.loads(text) for found, text in self.scripts if found.get("id") == f"data-{name}")


Query = dict[str, list[str]]


def led_to(data: Any, query: Query) -> list[int]:
    """The lines that the page's filters let through."""
    lines, asked, words = data["lines"], data["asked"], data["words"]
    models = data["models"]

    def passes(line: int, key: str, wanted: list[str]) -> bool:
        row, model = lines["row"][line], models[lines["model"][line]]
        if key in ("arm", "seed"):
            return str(model[key]) in wanted
        found = lines[key][line] if key in ("when", "outcome") else asked["about" if key == "clause" else key][row]
        return any(words[key][number] in wanted for number in (found if isinstance(found, list) else [found]))

    every = range(len(lines["row"]))
    return [line for line in every if all(passes(line, key, wanted) for key, wanted in query.items())]


def came_to(data: Any, query: Query, measure: str) -> float:
    """A figure, counted again from the rows that it leads to: of one model; of two the difference, item by item and seed by
    seed; and of two evaluations what it is more in the first."""
    lines, asked, words = data["lines"], data["asked"], data["words"]
    found: dict[tuple[str, str], dict[tuple[str, int], list[float | None]]] = defaultdict(lambda: defaultdict(list))
    for line in led_to(data, query):
        row, model = lines["row"][line], data["models"][lines["model"][line]]
        item = asked["id"][row].rpartition("-")[0] if asked["order"][row] is not None else asked["id"][row]
        found[words["eval"][asked["eval"][row]], model["arm"]][item, model["seed"]].append(lines["value"][line])

    def scored(name: str, arm: str) -> dict[tuple[str, int], float]:
        whole = {k: sum(v) / len(v) for k, v in found[name, arm].items() if None not in v}
        return {k: 0.5 if v == 0 else float(v > 0) for k, v in whole.items()} if measure == "rate" else whole

    def of_evals(names: list[str]) -> float:
        first, *others = [{k: v for name in names for k, v in scored(name, arm).items()} for arm in query["arm"]]
        values = [first[k] - others[0][k] for k in first if k in others[0]] if others else list(first.values())
        return sum(values) / len(values)

    if len(query["arm"]) == 2 and len(query["eval"]) == 2:
        return of_evals(query["eval"][:1]) - of_evals(query["eval"][1:])
    return of_evals(query["eval"])
