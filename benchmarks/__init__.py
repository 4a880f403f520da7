"""Measured, never asserted: ``python -m benchmarks core`` prints one JSON line per figure.

Every figure is the median of its runs; machines are shared and noisy, so read differences under 15 % as noise.
"""
