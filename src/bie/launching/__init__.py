"""From a plan to jobs: worker processes of this machine, or arrays of Slurm."""
