"""msmc compiles Model Specs. For programs: `msmc.check.check`, `msmc.compile.compile`; `msmc.disk` and `msmc.project` for files."""
