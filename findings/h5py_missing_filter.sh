#!/usr/bin/env bash
# h5py 3.16.0: data whose compression filter is not installed look like a damaged file or a broken installation.
#
# AnnData files may be written with compression=hdf5plugin.FILTERS["zstd"], as anndata's documentation shows. Who
# opens one without hdf5plugin gets shapes, types and attributes; the first read ends in an OSError that speaks of
# a folder of the machine that built the HDF5 library and asks to verify that it exists. Neither the filter nor its
# number is in the message, and dataset.compression is "unknown". The file is whole.
# Seen: OSError "Can't synchronously read data (can't open directory (/usr/local/lib/plugin). Please verify its
# existence)"; after `import hdf5plugin` in the same process the same read succeeds.
# What helps: dataset.id.get_create_plist().get_filter(0) has the number (32015 is zstd); pip install hdf5plugin.
source "$(dirname "$0")/environment.bash"
packages h5py==3.16.0 hdf5plugin==7.1.0 numpy==2.4.6
"$python" - <<'END'
import os, subprocess, sys, tempfile

path = os.path.join(tempfile.mkdtemp(), "counts.h5")
write = "import sys, h5py, hdf5plugin; h5py.File(sys.argv[1], 'w').create_dataset('x', data=range(1000), **hdf5plugin.Zstd())"
subprocess.run([sys.executable, "-c", write, path], check=True)

import h5py

with h5py.File(path) as file:
    data = file["x"]
    try:
        said = f"read {data[:].sum()}"
    except OSError as error:
        said = str(error)
    number = data.id.get_create_plist().get_filter(0)[0]
    import hdf5plugin

    total = int(data[:].sum())
    print(f"h5py {h5py.__version__}: {said}; compression {data.compression}, filter {number}; with the plugin {total}")
assert "can't open directory" in said and "32015" not in said and "filter" not in said
assert number == 32015 and total == sum(range(1000))
END
