"""Lints: what the language permits and its author cannot have meant. Warnings, told where a file has no error."""
