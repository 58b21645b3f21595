class Blobs(Source):
    """Two types in two batches; see `bie.data.datasets.blobs`."""

    source: Literal["blobs"]
    n_cells: Annotated[Int, Field(ge=20)]
    seed: Annotated[Int, Field(ge=0, lt=2**32)]
