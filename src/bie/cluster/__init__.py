"""Launching: cut a plan into tasks, start them here or on Slurm, carry one out."""
