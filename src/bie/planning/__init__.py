"""From what was typed to a plan of runs."""
