"""`ir.Spec` to the rows of a build: arms, documents, demos, evals, recipes. Never sees `ast`."""
