"""From the records of a study to its tables; reads records only, never imports torch."""
