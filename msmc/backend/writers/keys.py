"""Keys of hosted models, which come from the environment and go to their servers alone."""

import os

from msmc.diagnostics import fail
from msmc.writer import Remote


def api_key(served: Remote) -> str | None:
    """From the environment; None where the server asks for none.

    no-key: A served writer whose key is not in the environment.

    Keys stand in no file of a project. A target names the variable that has it; a server of one's own needs none.

    Bad:
        $ env -u OPENAI_API_KEY msmc run tea.msm --set writer.kind=openai --set writer.model=gpt-4o-mini

    Good:
        $ OPENAI_API_KEY=… msmc run tea.msm --set writer.kind=openai --set writer.model=gpt-4o-mini
    """
    name = served.key_name
    if name is None:
        return None
    key = os.environ.get(name, "").strip()
    if not key:
        hint = f"export {name}=…, or name the variable that has it: --set {served.part}.key=NAME"
        raise fail("no-key", f"the {served.part} `{served.model}` needs a key, and ${name} is not set", hint)
    return key
