@metric(
    Card("centroid distance", "lower", (0.0, math.inf), "", "Mahalanobis 1936"), two_batches, not_collapsed
)
def centroid_distance(z_nd: Embedding, batch_n: Codes) -> float:
    """How far apart the means of the batches lie, in standard deviations of all cells: the largest pair."""
    centre_bd = np.stack([z_nd[batch_n == batch].mean(0) for batch in np.unique(batch_n)]) / z_nd.std()
    return float(np.linalg.norm(centre_bd[:, None] - centre_bd[None], axis=-1).max())
