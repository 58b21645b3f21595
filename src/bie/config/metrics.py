"""Section ``metrics``."""

from typing import Literal

from bie.schema import Count, Section


class Kmeans(Section):
    """k-means behind the clustering scores; `clusters`: as many as types are present, or in the data set."""

    n_init: Count
    clusters: Literal["present", "all"]


class BatchEntropy(Section):
    """Entropy of batch mixing; `pools` asks for the 2019 study's sampling of 100 cells a pool."""

    neighbours: Count
    pools: Count | None


class Metrics(Section):
    """How embeddings are scored."""

    names: Literal["bie", "scib"]
    kmeans: Kmeans
    be: BatchEntropy
