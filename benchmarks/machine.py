"""What the numbers depend on besides the code: the machine, whether it is quiet; and how results are written."""

import json
import os
import platform
import time
from pathlib import Path

QUIET = 0.03  # share of the processors that others, the machine's host included, may use during a measurement
ROOT = Path(__file__).resolve().parents[1]


def machine_facts():
    """What the numbers depend on and a reader can compare: processor, cores, memory, system."""
    model = platform.processor() or platform.machine()
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        names = [x.split(":", 1)[1].strip() for x in cpuinfo.read_text().splitlines() if x.startswith("model name")]
        model = names[0] if names else model
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e9
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return {"processor": model, "cores": cores, "memory_gb": round(memory, 1), "system": platform.system()}


def busy_seconds():
    """Processor seconds spent since the machine started, by all programs and its host; None where it is not known."""
    stat = Path("/proc/stat")
    if not stat.exists():
        return None
    ticks = [int(x) for x in stat.read_text().split("\n", 1)[0].split()[1:9]]
    return (sum(ticks) - ticks[3] - ticks[4]) / os.sysconf("SC_CLK_TCK")  # without idle and waiting for disk


def quiet_seconds(work, attempts=20):
    """Seconds that `work()` takes, repeated while others use the machine: a host that lends a virtual processor to
    somebody else for some seconds halves a speed, and would be taken for a property of what was measured.

    Args:
        work: what to time.
        attempts: how often at most; the last one counts, quiet or not.

    Returns:
        Pair of seconds and the share of the processors that others used, None where it is not known.
    """
    for _ in range(attempts):
        busy, cpu, start = busy_seconds(), time.process_time(), time.perf_counter()
        work()
        seconds = time.perf_counter() - start
        if busy is None:
            return seconds, None
        others = (busy_seconds() - busy - (time.process_time() - cpu)) / seconds / os.cpu_count()
        if others <= QUIET:
            break
    return seconds, round(max(0.0, others), 3)


def write_json(path, content):
    """Write a JSON file so that a reader sees the old one or the new one."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f"{path.name}.tmp-{os.getpid()}")
    temporary.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
    os.replace(temporary, path)
