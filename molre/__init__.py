"""molre: head CT archives and foundation models into a detector of 75 findings, on Ray."""

__version__ = "0.1.0"
