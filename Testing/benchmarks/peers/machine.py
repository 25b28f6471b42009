"""What the machine is, in words that name nobody's."""

from __future__ import annotations

import os
import platform
import subprocess
import sys
from pathlib import Path

INSTRUCTION_SETS = ("avx2", "fma", "avx512f", "avx512_vnni", "avx512_bf16", "amx_tile", "neon", "asimd")


def cores() -> int:
    """Return how many cores this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def describe() -> dict[str, str | int | float | list[str]]:
    """Return the kind of processor, its cores and instruction sets, the memory and the system."""
    information = _read("/proc/cpuinfo")
    fields = {
        key.strip(): value.strip()
        for key, found, value in (line.partition(":") for line in information.splitlines())
        if found
    }
    flags = set(fields.get("flags", fields.get("Features", "")).split())
    memory = [line.split()[1] for line in _read("/proc/meminfo").splitlines() if line.startswith("MemTotal:")]
    return {
        "processor": fields.get("model name") or platform.processor() or platform.machine(),
        "cores": cores(),
        "instruction_sets": [name for name in INSTRUCTION_SETS if name in flags],
        "memory_gib": round(int(memory[0]) / 2**20) if memory else 0,
        "system": f"{platform.system()} on {platform.machine()}",
        "python": platform.python_version(),
    }


def load_average() -> float | None:
    """Return how many processes wanted a core over the last minute; None where the system does not tell."""
    return os.getloadavg()[0] if hasattr(os, "getloadavg") else None


def touch_memory(megabytes: int = 2500) -> float:
    """Let another process use memory; return its seconds per GB.

    A virtual machine may have to fetch memory that was free for a while from its host, which can take longer than a
    network: a second a GB was seen, twenty times as long as memory that is there. Done before what is timed, nobody
    pays for it.
    """
    program = (
        "import time, numpy; begun = time.perf_counter(); "
        f"numpy.empty({megabytes}000000, numpy.uint8)[::4096] = 1; print(time.perf_counter() - begun)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    return float(done.stdout) * 1000 / megabytes


def _read(path: str) -> str:
    try:
        return Path(path).read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
