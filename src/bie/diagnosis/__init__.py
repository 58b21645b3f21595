"""What an installation, a machine and a cluster can do, row by row: the parts of ``bie doctor``."""
