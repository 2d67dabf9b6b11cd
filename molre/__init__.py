"""molre: head CT archives and foundation models into a detector of 75 findings, on Ray."""

import os

# Ray would put the class, the process number and colours before every line of a worker; it reads this when imported.
os.environ.setdefault("RAY_DISABLE_WORKER_LOG_PREFIX", "1")

__version__ = "0.1.0"
