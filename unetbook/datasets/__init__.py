"""Synthetic pictures that ship with the package, and readers of real data sets."""
