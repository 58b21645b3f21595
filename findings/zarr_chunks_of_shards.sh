#!/usr/bin/env bash
# zarr 3.1.6 (and 3.4.2): a sharded array that lost most of its data has more chunks, as is said, than it needs.
#
# `nchunks` counts the chunks that the array's length needs; `nchunks_initialized` counts all chunks of every shard
# that exists, also those beyond the end. A whole array that does not fill its last shards so has more than all of
# its chunks, and `nchunks_initialized == nchunks`, the natural test for a store that was copied whole, is wrong on
# both sides: it refuses whole arrays and cannot see that a shard is gone, which is then read as zeros.
# Seen: 400 of 121 chunks; with one of four shards deleted 300 of 121, and 100 x 100 of 110 x 110 ones are zeros.
# What helps: count the shards, ceil(shape / shards), times the chunks in each.
source "$(dirname "$0")/environment.bash"
packages zarr==3.1.6 numpy==2.4.6
"$python" - <<'END'
import pathlib, tempfile
import numpy, zarr

with tempfile.TemporaryDirectory() as folder:
    ones = zarr.create_array(folder, shape=(110, 110), chunks=(10, 10), shards=(100, 100), dtype="f4")
    ones[:] = 1
    whole, needed = ones.nchunks_initialized, ones.nchunks
    (pathlib.Path(folder) / "c/0/0").unlink()
    torn = zarr.open_array(folder, mode="r")
    left, total = torn.nchunks_initialized, int(torn[:].sum())

print(f"zarr {zarr.__version__}: {whole} of {needed} chunks; without a shard {left} of {needed}, the sum of {110**2} is {total}")
assert needed == 121 and whole == 400 and left == 300
assert total == 110**2 - 100**2
END
