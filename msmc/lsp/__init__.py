"""The language server: requests of an editor to functions of the compiler. It decides nothing about the language."""
