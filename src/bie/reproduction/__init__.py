"""Make a recorded number once more: its environment, its source, its run, and the comparison."""
