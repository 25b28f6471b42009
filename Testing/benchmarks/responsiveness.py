"""How long the interface stands still during a run: the longest calls on its thread.

    python Testing/benchmarks/responsiveness.py [--size 1150 290 145] [--json FILE]

One click on a simulated scan of full size in SlicerHost, with the real command: from the click until the result is
shown. Each call that the event loop makes into the module is timed, and a timer that should tick every 2 ms shows how
long the loop was held up altogether, the drawing of the views included, which is done by the processor here. The goal
is that no call takes longer than 100 ms.
"""

import argparse
import functools
import json
import sys
import time
from pathlib import Path

ROOT = Path(__file__).parents[2]
MODULES = [ROOT / name / f"{name}.py" for name in ("LaminaLabeling", "LaminaSegmentation")]
GOAL_MS = 100.0


class Watch:
    """Times the calls of the event loop into the module, and how long the loop is held up."""

    def __init__(self):
        import qt

        self.calls = {}
        self.pauses = []
        self._depth = 0
        self._ticked = time.perf_counter()
        self._timer = qt.QTimer()
        self._timer.setInterval(2)
        self._timer.timeout.connect(self._tick)
        self._timer.start()

    def time(self, owner, *names):
        """Time some methods of a class, unless another timed one calls them."""
        for name in names:
            setattr(owner, name, self._timed(getattr(owner, name), f"{owner.__name__}.{name}"))

    def stop(self):
        self._timer.stop()

    def _timed(self, method, name):
        @functools.wraps(method)
        def call(*arguments, **options):
            self._depth += 1
            begun = time.perf_counter()
            try:
                return method(*arguments, **options)
            finally:
                self._depth -= 1
                if not self._depth:
                    taken = 1000.0 * (time.perf_counter() - begun)
                    self.calls.setdefault(name, []).append(taken)

        return call

    def _tick(self):
        now = time.perf_counter()
        self.pauses.append(1000.0 * (now - self._ticked))
        self._ticked = now


def one_click(host, size):
    """Click once on a scan of a size; return the watch, the seconds of the run and the shape of the scan."""
    import slicer

    from LaminaLabelingLib.volumes import write_volume
    from LaminaSegmentationLib.simulation import simulate_scan

    scan = simulate_scan(11, spacing=0.38 * 1150 / size[0]).volume
    path = Path(slicer.app.temporaryPath) / "scan.nrrd"
    write_volume(scan, path)
    slicer.util.loadVolume(str(path))
    watch = watched()  # before the panel is made, whose timers keep the methods
    widget = host.select_module("LaminaSegmentation")
    host.wait_until(lambda: not widget.settingsPanel.isRunning)
    host.process_events()
    watch.calls.clear()
    watch.pauses.clear()
    begun = time.perf_counter()
    host.click(widget.ui.applyButton)
    host.wait_until(lambda: not widget.logic.isRunning, timeout=600)
    host.wait_until(lambda: True)
    seconds = time.perf_counter() - begun
    watch.stop()
    if errors := host.take_slot_errors():
        raise SystemExit(f"The module failed: {errors[0]}")
    return watch, seconds, scan.array.shape


def watched():
    """Time everything by which the event loop enters the module during a run."""
    from LaminaSegmentation import LaminaSegmentationWidget
    from LaminaSegmentationGui.job_timer import JobTimer
    from LaminaSegmentationGui.segment_panel import SegmentPanel

    watch = Watch()
    watch.time(JobTimer, "tick")
    watch.time(SegmentPanel, "toggle")
    watch.time(LaminaSegmentationWidget, "onParameterNodeModified", "enter")
    return watch


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--size", type=int, nargs=3, default=(1150, 290, 145), help="voxels of the scan, about")
    parser.add_argument("--json", type=Path, help="write the figures into a file as well")
    options = parser.parse_args()
    sys.path.insert(0, str(ROOT / "Testing"))
    from SlicerHost import Host

    host = Host.start(MODULES)
    watch, seconds, shape = one_click(host, options.size)
    print(f"One click on a scan of {' x '.join(map(str, shape))} voxels: {seconds:.1f} s")
    worst = {name: max(taken) for name, taken in watch.calls.items()}
    for name, milliseconds in sorted(worst.items(), key=lambda item: -item[1]):
        print(f"{milliseconds:8.1f} ms at most, {len(watch.calls[name]):4} calls  {name}")
    longest, held = max(worst.values()), max(watch.pauses)
    print(f"Longest call of the module: {longest:.0f} ms, {longest / GOAL_MS:.2f} of the goal of {GOAL_MS:.0f} ms")
    print(f"Event loop held up at most {held:.0f} ms, the drawing of the views included")
    if options.json:
        content = {"seconds": seconds, "longest_ms": longest, "calls_ms": worst, "held_up_ms": held}
        options.json.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
