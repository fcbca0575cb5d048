"""msmc compiles Model Specs. For programs: `msmc.compile.compile` and `check`, `msmc.project` for files on disk."""
