"""Section ``metrics``."""

from bie.schema import Count, Section


class Kmeans(Section):
    """k-means behind the clustering scores."""

    n_init: Count


class BatchEntropy(Section):
    """Entropy of batch mixing; `pools` asks for the 2019 study's sampling of 100 cells a pool."""

    neighbours: Count
    pools: Count | None


class Metrics(Section):
    """How embeddings are scored."""

    kmeans: Kmeans
    be: BatchEntropy
