#!/usr/bin/env bash
# scanpy 1.11.5 (and 1.12.4): with two groups, markers by logistic regression are those of the other group.
#
# rank_genes_groups(method="logreg") promises for each group its genes in the order of their scores. Of two groups
# there is one vector of coefficients, which scikit-learn gives for the second class. It is filed under the first
# group that was asked for, whichever class that is: with all groups, or with the group that is first by name against
# the other as reference, the list is upside down. Asked for the one that is second by name, it is right. The second
# group has no list. With three groups all are right, so are the t-test and the Wilcoxon test. Nothing is said.
# (A correction has been proposed: scverse/scanpy, pull request 4348.)
# Seen: two types of 100 cells, gene "high in A" higher in A, "high in B" higher in B. First gene of A: "high in B" with
# all groups and with groups=["A"], reference="B"; of B against A "high in B"; by the t-test the right ones; with a
# third type in the data and in groups the right ones.
# What it means: "treated" against "control" is right, against "untreated" it shows the markers of the untreated.
# What helps: method="wilcoxon"; or the signs of the scores turned where the group is the first of the two by name.
source "$(dirname "$0")/environment.bash"
packages scanpy==1.11.5 anndata==0.12.19 pandas==2.3.3 numpy==2.4.6 scipy==1.17.1 scikit-learn==1.9.1
"$python" -W ignore - <<'END'
from importlib.metadata import version

import anndata, numpy, scanpy

rng = numpy.random.default_rng(0)
types = numpy.repeat(["A", "B", "C"], 100)
counts = rng.poisson(1, (300, 6)).astype("float32")
for gene, name in enumerate("ABC"):
    counts[types == name, gene] += 5
three = anndata.AnnData(numpy.log1p(counts))
three.var_names = ["high in A", "high in B", "high in C", "4", "5", "6"]
three.obs["type"] = types
three.strings_to_categoricals()
two = three[types != "C"].copy()


def first(data, method, **which):
    """The first gene of each group that has a list."""
    scanpy.tl.rank_genes_groups(data, "type", method=method, **which)
    names = data.uns["rank_genes_groups"]["names"]
    return {group: names[group][0] for group in names.dtype.names}


everything = first(two, "logreg")
of_a = first(two, "logreg", groups=["A"], reference="B")
of_b = first(two, "logreg", groups=["B"], reference="A")
of_three = first(three, "logreg")
tests = [first(two, method) for method in ("t-test", "wilcoxon")]
print(f"scanpy {version('scanpy')}, logreg: two groups {everything}; A against B {of_a}; B against A {of_b}")
print(f"three groups {of_three}; t-test and Wilcoxon, two groups {tests}")
assert everything == of_a == {"A": "high in B"} and of_b == {"B": "high in B"}
assert tests == [{name: f"high in {name}" for name in "AB"}] * 2
assert of_three == {name: f"high in {name}" for name in "ABC"}
END
