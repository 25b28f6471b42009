"""Runs that are killed, run out of disk or choose several epochs: what is on disk is always a whole epoch."""

import csv
import errno
import hashlib
import json
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from test_training import OPTIONS, run
from tiny_networks import GRID, run_python

from LaminaLabelingLib.errors import LaminaError
from LaminaSegmentationLib import checkpoints
from LaminaSegmentationLib.event_log import EventLog
from LaminaSegmentationLib.training import load_trained

SHORT = replace(OPTIONS, epochs=2, steps_per_epoch=2, also=("val_bright",))


def bright(probability, case):
    return -float(probability.mean())


def trained(folder, options=SHORT, **more):
    return run(folder, options, metrics={"bright": bright}, **more)


# Every fork trains in the same folder as an unbroken run would, and is killed by the system the moment that its n-th
# file is in place, or at the n-th step. Forks start before PyTorch has threads, so that each can compute.
KILLED = """
import hashlib, json, os, pathlib, shutil, signal, sys
import keras
from test_interrupted_training import SHORT, summary, trained

def die():
    os.kill(os.getpid(), signal.SIGKILL)

def fork(action):
    child = os.fork()
    if child == 0:
        try:
            action()
            os._exit(0)
        except BaseException as error:
            sys.stderr.write(f"{type(error).__name__}: {error}\\n")
            os._exit(1)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])

def killed_after(files, folder):
    count, move = [0], pathlib.Path.replace
    def counted(self, target):
        move(self, target)
        count[0] += 1
        if count[0] == files:
            die()
    pathlib.Path.replace = counted
    trained(folder)

def killed_in(step, folder):
    seen = []
    def report(progress):
        seen.append(progress)
        if len(seen) == step:
            die()
    trained(folder, progress=report)

# What Keras imports at the first run is imported once, not in each fork.
keras.utils.set_random_seed(0)
base = pathlib.Path(sys.argv[1])
codes = {}
assert fork(lambda: trained(base / "unbroken")) == 0
for kind, kill, numbers in (("file", killed_after, range(1, 40)), ("step", killed_in, (1, 4))):
    for number in numbers:
        folder = base / f"{kind}{number}"
        code = fork(lambda: kill(number, folder))
        if code == 0:
            shutil.rmtree(folder)
            break
        codes[folder.name] = [code, fork(lambda: trained(folder, resume=True))]
print(json.dumps({"codes": codes, "folders": {path.name: summary(path) for path in base.iterdir()}}))
"""


def summary(folder):
    """What a run leaves, without its times."""
    with open(folder / "log.csv", newline="") as file:
        rows = [{key: value for key, value in row.items() if key != "seconds"} for row in csv.DictReader(file)]
    with np.load(folder / "state.npz") as state:
        variables = [state[name].tobytes() for name in state.files if name != "summary"]
        bests = json.loads(str(state["summary"]))["bests"]
    files = sorted(path.name for path in folder.iterdir())
    weights = [weights_digest(folder / name) for name in files if name.endswith(".h5")]
    return [rows, hashlib.sha256(b"".join(variables)).hexdigest(), bests, files, weights]


def weights_digest(path):
    """A digest of the arrays; HDF5 files differ in their times."""
    import h5py

    arrays = []
    with h5py.File(path) as file:
        file.visititems(
            lambda name, item: arrays.append(item[()].tobytes()) if isinstance(item, h5py.Dataset) else None
        )
    return hashlib.sha256(b"".join(arrays)).hexdigest()


def test_a_run_that_was_killed_at_any_moment_ends_like_an_unbroken_one(tmp_path, monkeypatch):
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parent))
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    result = run_python(KILLED, "torch", tmp_path)
    expected = result["folders"].pop("unbroken")
    assert expected[3] == ["best.weights.h5", "best_bright.weights.h5", "log.csv", "log.tfevents", "state.npz"]
    # The event log, and for each of two epochs state, log, and weights twice over when it was a best one.
    assert len(result["codes"]) >= 2 + 1 + 2 + 2 + 3
    assert set(map(tuple, result["codes"].values())) == {(-9, 0)}
    for name, found in result["folders"].items():
        assert found == expected, name


@pytest.fixture
def full_disk(monkeypatch):
    """A disk that takes so many bytes of each file and then is full, as the operating system reports it."""

    def fill(size):
        class Limited:
            def __init__(self, file):
                self.file = file

            def write(self, data):
                if self.file.tell() + len(data) > size:
                    self.file.write(bytes(data)[: max(size - self.file.tell(), 0)])
                    raise OSError(errno.ENOSPC, "No space left on device")
                return self.file.write(data)

            def __getattr__(self, name):
                return getattr(self.file, name)

        def savez(path, **arrays):
            with open(path, "wb") as file:
                real(Limited(file), **arrays)

        real = np.savez
        monkeypatch.setattr(checkpoints.np, "savez", savez)

    return fill


def test_a_full_disk_keeps_the_epochs_before_and_says_so(tmp_path, full_disk, monkeypatch):
    first = trained(tmp_path / "a", replace(SHORT, epochs=1))
    before = summary(tmp_path / "a")
    full_disk(5000)
    with pytest.raises(LaminaError, match=r"Epoch 2 could not be saved.*No space left on device.*resume") as error:
        trained(tmp_path / "a", resume=True)
    assert str(error.value).count(".") == 1
    monkeypatch.undo()
    kept = summary(tmp_path / "a")
    pending = [name for name in kept[3] if name.startswith("pending")]
    assert [*kept[:3], kept[4][: len(before[4])]] == [*before[:3], before[4]]
    assert len(pending) <= 1
    assert first.weights.is_file()
    resumed, unbroken = trained(tmp_path / "a", resume=True), trained(tmp_path / "b")
    assert resumed.best_value == unbroken.best_value
    assert summary(tmp_path / "a") == summary(tmp_path / "b")


LIMITED = """
import json, resource, signal, sys
from pathlib import Path
from dataclasses import replace
import test_interrupted_training as t
folder = Path(sys.argv[1])
t.trained(folder, replace(t.SHORT, epochs=1))
size = max(path.stat().st_size for path in folder.glob("*.h5"))
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
before = resource.getrlimit(resource.RLIMIT_FSIZE)
resource.setrlimit(resource.RLIMIT_FSIZE, (size // 2, before[1]))
try:
    t.trained(folder, resume=True)
    message = ""
except t.LaminaError as error:
    message = str(error)
resource.setrlimit(resource.RLIMIT_FSIZE, before)
print(json.dumps([message, t.summary(folder)]))
"""


def test_weights_that_do_not_fit_on_the_disk_leave_those_before(tmp_path, monkeypatch):
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parent))
    # The system itself refuses to write more than half of the file of weights.
    message, kept = run_python(LIMITED, "torch", tmp_path / "a")
    assert message.startswith("Epoch 2 could not be saved, the epochs before it are kept: ")
    assert message.endswith("make space on the disk, then resume the run.")
    trained(tmp_path / "b", replace(SHORT, epochs=1))
    assert kept == json.loads(json.dumps(summary(tmp_path / "b")))


def test_each_monitor_keeps_its_own_best_epoch(tmp_path):
    result = trained(tmp_path / "a", replace(SHORT, epochs=4, also=("val_bright", "val_loss")))
    darkest = [row["val_bright"] for row in result.history]
    best = result.others["val_bright"]
    assert (best.epoch, best.value) == (1 + int(np.argmin(darkest)), min(darkest))
    assert best.weights.name == "best_bright.weights.h5"
    assert result.others["val_loss"].weights == result.weights
    model = load_trained(best.weights, SHORT, GRID)
    from test_training import UNSEEN

    means = [model.predict_on_batch(case.grid[None, ..., None].astype(np.float32)).mean() for case in UNSEEN]
    assert -np.mean(means) == pytest.approx(best.value, rel=1e-3)


def test_a_further_monitor_must_be_measured(tmp_path):
    with pytest.raises(LaminaError, match='"val_none" cannot choose'):
        run(tmp_path / "a", replace(OPTIONS, also=("val_none",)))


READ = """
import json, sys
import tensorflow
from tensorflow.core.util.event_pb2 import Event
events = [Event.FromString(record.numpy()) for record in tensorflow.data.TFRecordDataset(sys.argv[1])]
steps = [[event.step, {item.tag: item.simple_value for item in event.summary.value}] for event in events[1:]]
print(json.dumps([events[0].file_version, steps, [event.wall_time for event in events]]))
"""


def test_tensorboard_reads_each_epoch_once_after_a_resumption(tmp_path):
    trained(tmp_path / "a", replace(SHORT, epochs=1))
    with open(tmp_path / "a" / "log.tfevents", "ab") as file:
        file.write(b"a record that was cut off")
    result = trained(tmp_path / "a", resume=True)
    version, steps, times = run_python(READ, "tensorflow", tmp_path / "a" / "log.tfevents")
    assert version == "brain.Event:2"
    assert all(abs(moment - time.time()) < 600 for moment in times)
    assert [step for step, _ in steps] == [1, 2]
    for (_, scalars), row in zip(steps, result.history):
        assert set(scalars) == set(row) - {"epoch"}
        for name, value in scalars.items():
            assert value == pytest.approx(row[name], rel=1e-6)


def test_the_event_log_of_nothing_is_removed(tmp_path):
    log = EventLog(tmp_path / "log.tfevents")
    assert log.path.stat().st_size > 0
    log.remove()
    assert not log.path.exists()
