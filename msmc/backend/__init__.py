"""Build tree to models and measurements: writing, gates, training, scoring, comparing. Never sees the syntax tree."""
