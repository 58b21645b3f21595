"""What became of the runs of a study: status, failures, logs; retry and cancel."""
