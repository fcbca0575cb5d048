"""msmc compiles Model Specs. For programs: `msmc.check`, `msmc.compile`; `msmc.disk` and `msmc.project` for files."""
