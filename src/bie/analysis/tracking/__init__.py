"""The runs of a study for trackers of experiments, read from the records, without a network.

A tracker is a module with ``FOLDER``, its folder in ``report/`` and its option of ``bie report``; ``check``,
which raises `bie.errors.BadInput` where its package is not installed; ``export``; and ``then``: what to do
with what was written.
"""
