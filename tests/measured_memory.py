"""Memory that torch allocates while something runs, measured."""

import json
import tempfile
from pathlib import Path

import torch
from torch.profiler import ProfilerActivity, profile


def peak_mib(run):
    """Highest sum of what was allocated and not yet freed, in MiB beyond what was held before."""
    with torch.no_grad(), profile(activities=[ProfilerActivity.CPU], profile_memory=True) as profiled:
        kept = run()
    with tempfile.TemporaryDirectory() as folder:
        trace = Path(folder) / "trace.json"
        profiled.export_chrome_trace(str(trace))
        events = json.loads(trace.read_text())["traceEvents"]
    del kept
    held = peak = 0
    for event in sorted((event for event in events if event.get("name") == "[memory]"), key=lambda event: event["ts"]):
        held += event["args"]["Bytes"]
        peak = max(peak, held)
    return peak / 2**20
