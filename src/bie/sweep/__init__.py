"""From what was typed to a plan of runs, and from a plan to records."""
