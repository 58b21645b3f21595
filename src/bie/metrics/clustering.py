"""Agreement of the embedding with the cell types.

`nmi`, `ari` and `uca` compare the labels with a k-means clustering of the embedding into as many clusters as
there are types among these cells, so that an embedding that knows the types and nothing else scores 1. The
2019 study looked for as many as the data set has (``metrics.kmeans.clusters=all``): where a split leaves a
rare type out, others are torn apart.
"""

import numpy as np

from bie.metrics.metric import Card, Codes, Embedding, metric
from bie.metrics.needs import clusterable, not_collapsed, two_labels
from bie.metrics.silhouette import Widths, sampled

_LUECKEN = "Luecken et al. 2022, doi:10.1038/s41592-021-01336-8"


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
    caveats=(sampled,),
)
def asw(label_widths: Widths) -> float:
    """Average silhouette width of the labels in the embedding (Rousseeuw 1987); see `silhouette_widths`."""
    return label_widths.mean()


@metric(
    Card("NMI", "higher", (0.0, 1.0), "", "Strehl & Ghosh 2002, JMLR 3:583", headline=True),
    two_labels,
    clusterable,
)
def nmi(label_n: Codes, cluster_n: Codes, nmi_average: str) -> float:
    """Normalised mutual information of labels and clusters.

    ``I(label; cluster) / sqrt(H(label) H(cluster))`` (Strehl & Ghosh 2002); with ``metrics=scib`` the
    arithmetic mean of the entropies takes the place of the geometric one.
    """
    from sklearn.metrics import normalized_mutual_info_score

    found = normalized_mutual_info_score(label_n, cluster_n, average_method=nmi_average)
    return min(float(found), 1.0)  # above by rounding, which a table would show as spread


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


def _in_every_batch(batch_n: Codes, label_n: Codes) -> str | None:
    """Caveat: there is no type that stands apart."""
    n_batches = len(np.unique(batch_n))
    least = _batches_by_label(batch_n, label_n).min()
    return "every type is in all batches: the mean over all types" if least == n_batches else None


@metric(
    Card("isolated labels", "higher", (0.0, 1.0), "", _LUECKEN),
    two_labels,
    not_collapsed,
    caveats=(sampled, _in_every_batch),
)
def isolated_labels(label_widths: Widths, batch_n: Codes, label_n: Codes) -> float:
    """How well the types that the fewest batches have stand apart: 1 compact and far from the others.

    Mean over these types of the mean of ``(s + 1) / 2`` over their cells, with s the silhouette width of the
    labels (Luecken et al. 2022, as in scib-metrics). Types that are in one batch alone are those that a
    correction tends to merge into others. Where all types are in equally many batches these are all types.
    """
    n_batches_l = _batches_by_label(batch_n, label_n)
    present = np.unique(label_n)
    label_m = label_n[label_widths.row_m]
    isolated = present[n_batches_l == n_batches_l.min()]
    return float(np.mean([(label_widths.width_m[label_m == label].mean() + 1) / 2 for label in isolated]))


def _batches_by_label(batch_n: Codes, label_n: Codes) -> Codes:
    """Number of batches that each present type has cells of."""
    return np.array([len(np.unique(batch_n[label_n == label])) for label in np.unique(label_n)])
