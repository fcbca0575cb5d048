"""The verb `chat`: a conversation in the terminal, or questions from a pipe."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterator, Sequence
from contextlib import suppress
from math import ceil
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from msmc.cli_frame import Command, of_system, told_of
from msmc.diagnostics import Failed, did_you_mean, fail

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

    from msmc.backend.chat import Chat, ChatModel
    from msmc.backend.side_by_side import Reply

COMMANDS = {
    "help": "these lines",
    "arms": "the models, and their run folders",
    "clear": "a new conversation",
    "seed": "N: the models of another seed, in a new conversation",
    "temperature": "X: 0 says the likeliest word each time, more draws among the likely ones, alike for all models",
    "save": "FILE: all that was said, as JSON Lines",
}
ENDS = {
    "length": "cut at --max-tokens",
    "context": "the chat fills this model's context: /clear begins a new one",
    "interrupted": "stopped",
}
"""What is told of a reply that does not end by itself."""
COLUMN = 38
"""Fewest characters of a reply's column."""


@click.command(cls=Command)
@click.argument("runs", nargs=-1, required=True, type=click.Path(path_type=Path), metavar="RUN...")
@click.option("--arm", "arms", multiple=True, metavar="NAME", help="Talk to this model; may be given several times.")
@click.option(
    "--seed", type=click.IntRange(0), metavar="N", help="Of the models' training.  [default: each one's first]"
)
@click.option(
    "--temperature", type=click.FloatRange(0), default=0, show_default=True, metavar="X", help="0: the likeliest words."
)
@click.option(
    "--max-tokens", type=click.IntRange(1), default=200, show_default=True, metavar="N", help="The most of a reply."
)
@click.option("--format", "output", type=click.Choice(("text", "json")), default="text", show_default=True)
def chat(
    runs: tuple[Path, ...], arms: tuple[str, ...], seed: int | None, temperature: float, max_tokens: int, output: str
) -> None:
    """Talk to the models of RUN side by side: each line is asked of all, and each goes on from its own replies.

    RUN is a run folder (runs/SPEC/TARGET/ARM/seed-…), or any folder above some. The control `spec_in_context` has the spec as
    its system prompt. On a terminal /help lists what else can be typed, Ctrl-C stops a reply, and Ctrl-D ends the chat.

    \b
    msmc chat runs/tea/cpu                          all models, in columns
    msmc chat runs/tea/cpu --arm base --arm rules   two of them
    msmc chat runs/tea/cpu --format json < asked    a question a line, an object a reply;
                                                    a line /clear begins a new conversation
    """
    from msmc.backend.chat import Chat, chosen, find_models

    models = find_models(runs)
    picked = chosen(models, arms, seed)
    interactive = output == "text" and sys.stdin.isatty() and sys.stdout.isatty()
    session = Session(Chat(picked, temperature, max_tokens, lambda line: click.echo(line, err=True)), models, arms)
    if interactive:
        session.talk()
    else:
        session.answer(output)


def _listed(models: Sequence[ChatModel]) -> str:
    width = max(len(model.name) for model in models)
    return "\n".join(f"{model.name:<{width}}  seed {model.seed}  {model.folder}" for model in models)


class Session:
    """A chat with who types, or with a pipe."""

    def __init__(self, chat: Chat, models: Sequence[ChatModel], arms: Sequence[str]) -> None:
        self.chat, self.models, self.arms = chat, models, arms

    # ---- on a terminal ------------------------------------------------------------------------------------------------------

    def talk(self) -> None:
        """Until Ctrl-D."""
        from rich.live import Live

        from msmc.backend.side_by_side import Reply
        from msmc.terminal import console

        screen = console()
        screen.print(_listed(self.chat.models), markup=False, soft_wrap=True)
        with screen.status("loading the model"):
            _ = self.chat.loaded
        screen.print("/help lists the commands, Ctrl-C stops a reply, Ctrl-D ends", style="dim")
        for line in _typed():
            try:
                if told := self.obey(line):
                    screen.print(told, markup=False, soft_wrap=True)
                    continue
            except Failed as failed:
                click.echo(told_of(failed), err=True)
                continue
            except OSError as error:
                click.echo(told_of(Failed(of_system(error))), err=True)
                continue
            replies = [Reply() for _ in self.chat.models]

            def shown(replies: list[Reply] = replies) -> Table:
                return columns(self.chat.models, replies, screen)

            with Live(get_renderable=shown, console=screen, transient=True, refresh_per_second=8):
                self.chat.ask(line, replies)
            screen.print(shown())  # whole, also where it is longer than the screen

    # ---- in a pipe ----------------------------------------------------------------------------------------------------------

    def answer(self, output: str) -> None:
        """Until the input ends. Raises Failed `chat-too-long` where replies are missing, `not-utf8`, `unknown-command`."""
        from msmc.backend.side_by_side import Reply

        for line in _piped():
            if self.obey(line):
                continue
            rows = self.chat.ask(line, [Reply() for _ in self.chat.models])
            if any(row["finish"] == "interrupted" for row in rows):
                raise KeyboardInterrupt
            click.echo(json_lines(rows) if output == "json" else plain(rows), nl=False)
        replies = [row["reply"] for row in self.chat.transcript]
        if missing := replies.count(None):
            message = (
                f"{missing} of {len(replies)} replies are missing: "
                f"the chat is longer than the models' context of {self.chat.loaded.context} tokens"
            )
            raise fail("chat-too-long", message, "begin a new conversation now and then: /clear on a line of its own")

    # ---- commands -----------------------------------------------------------------------------------------------------------

    def obey(self, line: str) -> str:
        """What a command has to say; nothing where the line is a question. Raises Failed `unknown-command`, `unknown-arm`.

        unknown-command: A line for `msmc chat` that begins like a command and is none.

        What begins with `/` and a word is a command, and is asked of no model. `/help` lists them all.

        Bad:
            /safe talk.jsonl

        Good:
            /save talk.jsonl
        """
        found = re.fullmatch(r"/([a-z]+)(?: +(.+?))? *", line)
        if not found:
            return ""
        word, rest = found[1], found[2] or ""
        if word == "help":
            return "\n".join(f"/{name:<12} {what}" for name, what in COMMANDS.items())
        if word == "arms":
            return _listed(self.chat.models)
        if word == "clear":
            self.chat.begin(self.chat.models)
            return "a new conversation"
        if word == "seed":
            from msmc.backend.chat import chosen

            self.chat.begin(chosen(self.models, self.arms, _value(word, click.IntRange(0), rest)))
            return _listed(self.chat.models)
        if word == "temperature":
            self.chat.temperature = _value(word, click.FloatRange(0), rest)
            return f"temperature {self.chat.temperature:g}"
        if word == "save" and rest:
            from msmc.whole import whole_file

            whole_file(Path(rest), json_lines(self.chat.transcript))
            return f"{len(self.chat.transcript)} replies in {rest}"
        if word in COMMANDS:
            raise fail("unknown-command", f"`/{word}` needs more", f"/{word} {COMMANDS[word]}")
        raise fail("unknown-command", f"there is no command `/{word}`", did_you_mean(word, COMMANDS))


def _value(word: str, kind: click.ParamType[Any], written: str) -> Any:
    try:
        return kind(written)
    except click.BadParameter as error:
        raise fail("unknown-command", f"`/{word}`: {error.message}", f"/{word} {COMMANDS[word]}") from error


def _typed() -> Iterator[str]:
    """Lines that say something. At the prompt Ctrl-C drops a line."""
    with suppress(ImportError):
        import readline  # noqa: F401  # the arrow keys, and earlier lines
    while True:
        try:
            line = input("> ")
        except EOFError:
            return click.echo()
        except KeyboardInterrupt:
            click.echo()
            continue
        if line.strip():
            yield line.encode("utf-8", "surrogateescape").decode("utf-8", "replace")


def _piped() -> Iterator[str]:
    for number, line in enumerate(sys.stdin.buffer, 1):
        try:
            text = line.decode("utf-8").rstrip("\r\n")
        except UnicodeDecodeError as error:
            raise fail("not-utf8", f"line {number} of the questions is not UTF-8", "save them as UTF-8") from error
        if text.strip():
            yield text


# ---- what is shown ------------------------------------------------------------------------------------------------------------


def json_lines(rows: Sequence[dict[str, Any]]) -> str:
    return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)


def plain(rows: Sequence[dict[str, Any]]) -> str:
    """A question, and each model's reply behind its name."""
    lines = [f"> {rows[0]['question']}"]
    for row in rows:
        said = _harmless(row["reply"] or "").strip().replace("\n", "\n  ")
        note = f"[{ENDS[row['finish']]}]" if row["finish"] in ENDS else ""
        lines.append(" ".join(filter(None, (f"{row['model']}:", said, note))))
    return "\n".join(lines) + "\n\n"


def _harmless(reply: str) -> str:
    """What would steer a terminal is shown as what it is: no letter."""
    return re.sub(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]", "\ufffd", reply)


def columns(models: Sequence[ChatModel], replies: Sequence[Reply], screen: Console) -> Table:
    """Replies beside each other, as many as there is room for."""
    from rich.table import Table
    from rich.text import Text

    rows = ceil(len(models) / max(1, screen.width // COLUMN))
    some = ceil(len(models) / rows)
    table = Table.grid(padding=(0, 3, 0, 0), expand=True)
    for _ in range(some):
        table.add_column(ratio=1, overflow="fold")
    cells = []
    for model, reply in zip(models, replies, strict=True):
        said = _harmless((reply.text or "").strip())
        note = f" [{ENDS[reply.finish]}]" if reply.finish in ENDS else "" if reply.finish else " …"
        cells.append(Text.assemble((model.name, "bold"), "\n", said, (note, "dim"), "\n"))
    for start in range(0, len(cells), some):
        table.add_row(*cells[start : start + some])
    return table
