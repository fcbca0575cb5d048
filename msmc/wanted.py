"""What a value should have been, in words: pydantic speaks of inputs, strings and extra fields."""

from typing import Any


def wanted(fault: Any) -> str:
    """One fault of `ValidationError.errors()` as a message about its key."""
    key, kind, told = ".".join(str(part) for part in fault["loc"]), fault["type"], fault.get("ctx", {})
    if kind == "missing":
        return f"`{key}` is missing"
    if kind == "extra_forbidden":
        return f"`{key}` is not a key here"
    limits = {"greater_than": ("gt", "more than"), "greater_than_equal": ("ge", "at least")}
    limits |= {"less_than": ("lt", "less than"), "less_than_equal": ("le", "at most")}
    if kind in limits:
        name, words = limits[kind]
        return f"`{key}` must be {words} {told[name]:g}"
    if kind == "too_short" and told.get("min_length", 1) > 1:
        return f"`{key}` takes at least {told['min_length']}, and it has {told['actual_length']}"
    if kind == "literal_error":
        return f"`{key}` is one of: {told['expected'].replace(' or ', ', ')}"
    for start, words in WORDS.items():
        if kind.startswith(start):
            return f"`{key}` takes {words}"
    return f"`{key}`: {fault['msg'][0].lower()}{fault['msg'][1:]}"


WORDS = {
    "string_pattern": "text of another form",
    "string_too_short": "text, and it is empty",
    "too_short": "a list, and it is empty",
    "string": "text",
    "int": "a whole number",
    "float": "a number",
    "finite_number": "a finite number",
    "bool": "true or false",
    "list": "a list",
    "tuple": "a list",
    "dict": "keys and values",
    "model": "keys and values",
}
