"""`msmc plan`: what an experiment will take, before anything is spent."""
