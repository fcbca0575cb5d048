"""Text to `ast`: the only layer that knows lark."""
