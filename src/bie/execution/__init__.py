"""Runs are carried out on this machine: workers, packs, checkpoints, scoring, progress."""
