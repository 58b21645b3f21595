"""Hydra finds plugins of its applications in packages of this namespace."""
