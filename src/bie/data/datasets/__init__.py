"""One module for each data set: its `CARD`, and ``load(settings) -> Cells``.

A new data set is one module here and one file of the same name in ``conf/dataset``.
"""
