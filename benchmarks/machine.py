"""What the numbers depend on besides the code: the machine, whether it is quiet; and how results are written."""

import json
import os
import platform
import time
from pathlib import Path

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


def busy_share(seconds=1.0):
    """Share of the machine's processor time that others use while nothing of ours runs; None where it is not known.

    A busy core does not slow all implementations alike: a framework that waits for all its threads at the end of
    every operation was seen a hundred times slower, one that hands out tasks 1.3 times.
    """
    stat = Path("/proc/stat")
    if not stat.exists():
        return None

    def read():
        numbers = [int(x) for x in stat.read_text().split("\n", 1)[0].split()[1:9]]
        return sum(numbers), numbers[3] + numbers[4]  # all, idle and waiting for disk

    all_before, idle_before = read()
    time.sleep(seconds)
    all_after, idle_after = read()
    return round(1 - (idle_after - idle_before) / max(1, all_after - all_before), 3)


def write_json(path, content):
    """Write a JSON file so that a reader sees the old one or the new one."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f"{path.name}.tmp-{os.getpid()}")
    temporary.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
    os.replace(temporary, path)
