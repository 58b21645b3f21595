"""What the process of a task ends with, beside 0."""

FAILED, DISK, TIMEOUT, KILLED, TERMINATED = 1, 73, 124, 137, 143
"""Some runs failed; a disk was full, so that no ``failed.json`` may tell it; the time was over again and
again without any progress; the process was killed; it was cancelled."""

EXIT_REQUEUE = 75
"""Time or node are taken away before the task is through: it goes back into the queue."""
