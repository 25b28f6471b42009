"""What the modules add to the start of the application, and which packages they bring in.

    python Testing/benchmarks/startup.py [--runs 5] [--json FILE]

Each run starts SlicerHost in a process of its own without the modules, then loads both as Slicer does at its start and
times that. The goal is 100 ms, and none of the heavy packages.
"""

import argparse
import json
import statistics
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
GOAL_MS = 100.0
HEAVY = ("tensorflow", "keras", "torch", "jax", "openvino", "skimage", "matplotlib", "SimpleITK", "scipy", "jsonschema")

_PROGRAM = f"""
import json, sys, time
sys.path.insert(0, {str(ROOT / "Testing")!r})
from pathlib import Path
from SlicerHost import Host
host = Host.start([])
before = set(sys.modules)
times = {{}}
for name in ("LaminaLabeling", "LaminaSegmentation"):
    begun = time.perf_counter()
    host.app.moduleManager().load_scripted_modules([Path({str(ROOT)!r}) / name / f"{{name}}.py"])
    times[name] = 1000 * (time.perf_counter() - begun)
heavy = [name for name in {HEAVY!r} if name in sys.modules and name not in before]
print(json.dumps({{"times": times, "heavy": heavy}}))
"""


def one_start():
    """Return what one start of the application tells: milliseconds by module, and heavy packages."""
    done = subprocess.run([sys.executable, "-c", _PROGRAM], capture_output=True, text=True, check=True)
    return json.loads(done.stdout.splitlines()[-1])


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=int, default=5, help="how often the application is started")
    parser.add_argument("--json", type=Path, help="write the figures into a file as well")
    options = parser.parse_args()
    runs = [one_start() for _ in range(options.runs)]
    names = list(runs[0]["times"])
    medians = {name: statistics.median(run["times"][name] for run in runs) for name in names}
    for name in names:
        print(f"{medians[name]:8.1f} ms  {name}")
    total = sum(medians.values())
    print(f"Both modules: {total:.0f} ms, {total / GOAL_MS:.2f} of the goal of {GOAL_MS:.0f} ms")
    print(f"Heavy packages brought in: {', '.join(runs[0]['heavy']) or 'none'}")
    if options.json:
        content = {"times_ms": medians, "total_ms": total, "heavy": runs[0]["heavy"]}
        options.json.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
