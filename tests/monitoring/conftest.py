"""A study on disk and a Slurm whose answers are files, for this folder's tests."""

from tests.disk import captured, disk, point, slurm

__all__ = ["captured", "disk", "point", "slurm"]
