#!/usr/bin/env bash
# scanpy 1.11.5 (and 1.12.4): of a panel of 60 genes, n_top_genes=15 by cell_ranger chooses 18.
#
# flavor="cell_ranger" puts genes into 20 bins by their means and divides the distance of each dispersion from the
# bin's median by the median of these distances. In a bin of three genes one is then at 1 or -1 exactly, in a bin of
# two both are: genes that have nothing in common share a value to the last bit, and the threshold takes all that
# share the value of the last one asked for. With a batch_key, even of one batch, ranks decide, and it is 15. Among
# 3,000 genes the bins are large and the number is the one asked for; small panels are where this is met.
# Seen: 18 genes for 15; 15 with a batch_key of one batch; 27 different values of dispersions_norm for 60 genes.
# What helps: batch_key=..., or adata.var["dispersions_norm"].nlargest(15).
source "$(dirname "$0")/environment.bash"
packages scanpy==1.11.5 anndata==0.12.19 pandas==2.3.3 numpy==2.4.6 scipy==1.17.1
"$python" -W ignore - <<'END'
import anndata, numpy, scanpy

rng = numpy.random.default_rng(1)
counts = rng.poisson(rng.gamma(1, 1, 60), (200, 60)).astype("float32")


def chosen(batch_key):
    data = anndata.AnnData(counts.copy())
    data.obs["batch"] = "one"
    data.obs["batch"] = data.obs["batch"].astype("category")
    scanpy.pp.normalize_total(data)
    scanpy.pp.log1p(data)
    scanpy.pp.highly_variable_genes(data, n_top_genes=15, flavor="cell_ranger", batch_key=batch_key)
    return data.var


alone, batched = chosen(None), chosen("batch")
found, distinct = int(alone["highly_variable"].sum()), alone["dispersions_norm"].nunique()
of_batch = int(batched["highly_variable"].sum())
print(f"scanpy {scanpy.__version__}: n_top_genes=15 chooses {found}, with one batch {of_batch}; {distinct} different values of 60")
assert found == 18 and of_batch == 15 and distinct < 60
END
