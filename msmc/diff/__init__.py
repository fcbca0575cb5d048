"""What differs between two specs in meaning: nodes, words, and the rows that go stale. `difference.py` is where to begin."""
