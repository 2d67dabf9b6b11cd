"""How well a bundle finds what it looks for: metrics, intervals, calibration, expert usage, and the report."""
