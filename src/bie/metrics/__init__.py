"""How embeddings are scored: pure functions of arrays, one file per family, each metric with its card."""
