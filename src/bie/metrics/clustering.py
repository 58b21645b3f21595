"""Agreement of the embedding with the cell types.

`nmi`, `ari` and `uca` compare the labels with a k-means clustering of the embedding into as many clusters
as the data set has labels.
"""

import numpy as np

from bie.metrics.metric import Card, Codes, Embedding, metric
from bie.metrics.needs import clusterable, not_collapsed, pairs_in_reach, two_labels
from bie.metrics.silhouette import silhouette_widths


def kmeans(z_nd: Embedding, n_clusters: int, n_init: int, seed: int) -> Codes:
    """Cluster by k-means++ and Lloyd's iterations (Arthur & Vassilvitskii 2007).

    Parameters
    ----------
    z_nd
        Latent vectors, at least `n_clusters` of them distinct.
    n_init
        Random starts, of which the one with the least inertia is kept.
    seed
        Of the starts.

    Returns
    -------
    NDArray[int64]
        ``cluster_n``: codes 0 to n_clusters - 1.
    """
    from sklearn.cluster import KMeans

    model = KMeans(n_clusters, n_init=n_init, random_state=seed)
    return np.asarray(model.fit_predict(z_nd), dtype=np.int64)


@metric(
    Card("ASW", "higher", (-1.0, 1.0), "", "Rousseeuw 1987, doi:10.1016/0377-0427(87)90125-7", headline=True),
    two_labels,
    not_collapsed,
    pairs_in_reach,
)
def asw(z_nd: Embedding, label_n: Codes) -> float:
    """Average silhouette width of the labels in the embedding (Rousseeuw 1987); see `silhouette_widths`."""
    return float(silhouette_widths(z_nd, label_n).mean())


@metric(
    Card("NMI", "higher", (0.0, 1.0), "", "Strehl & Ghosh 2002, JMLR 3:583", headline=True),
    two_labels,
    clusterable,
)
def nmi(label_n: Codes, cluster_n: Codes) -> float:
    """Normalised mutual information of labels and clusters, geometric mean.

    ``I(label; cluster) / sqrt(H(label) H(cluster))`` (Strehl & Ghosh 2002).
    """
    from sklearn.metrics import normalized_mutual_info_score

    return float(normalized_mutual_info_score(label_n, cluster_n, average_method="geometric"))


@metric(
    Card("ARI", "higher", (-0.5, 1.0), "", "Hubert & Arabie 1985, doi:10.1007/BF01908075", headline=True),
    two_labels,
    clusterable,
)
def ari(label_n: Codes, cluster_n: Codes) -> float:
    """Adjusted Rand index of labels and clusters.

    Share of pairs of cells on which both partitions agree, corrected so that independent partitions have
    expectation 0 (Hubert & Arabie 1985).
    """
    from sklearn.metrics import adjusted_rand_score

    return float(adjusted_rand_score(label_n, cluster_n))


@metric(
    Card("UCA", "higher", (0.0, 1.0), "", "Kuhn 1955, doi:10.1002/nav.3800020109", headline=True),
    two_labels,
    clusterable,
)
def uca(label_n: Codes, cluster_n: Codes) -> float:
    """Unsupervised clustering accuracy.

    ``max_m mean_i [label_i = m(cluster_i)]`` over the one-to-one maps m of clusters to labels, found by
    the Hungarian method (Kuhn 1955).
    """
    from scipy.optimize import linear_sum_assignment

    n_labels, n_clusters = label_n.max() + 1, cluster_n.max() + 1
    cells = np.bincount(label_n * n_clusters + cluster_n, minlength=n_labels * n_clusters)
    matched = cells.reshape(n_labels, n_clusters)
    rows, columns = linear_sum_assignment(matched, maximize=True)
    return float(matched[rows, columns].sum() / len(label_n))
