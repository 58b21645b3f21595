"""Cells: where counts, batches and labels come from, how they are checked, split and shared."""
