"""Estimation of mutual information by trained critics."""
