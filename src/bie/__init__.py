"""bie: batch-invariant embeddings of single-cell counts."""

__version__ = "0.1.0"
