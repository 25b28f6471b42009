"""What ``--scheduler`` and ``--resource`` mean, and why a task that is done twice has one result."""

import importlib.util
import json
import subprocess
import sys

import pytest

from LaminaLabelingLib.errors import LaminaError
from LaminaSegmentationLib import cluster_worker
from LaminaSegmentationLib.batch_scans import put_in_place, remove_leftovers, staged_folder, staging_room
from LaminaSegmentationLib.cluster import Cluster
from LaminaSegmentationLib.console import Console
from LaminaSegmentationLib.folder_lock import LOCK, try_lock, waiting_lock
from LaminaSegmentationLib.scheduler_address import (
    SchedulerAddress,
    chosen_resource,
    parse_resource,
    parse_scheduler,
    places,
    require_dask,
)

# Addresses and resources


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("local:3", SchedulerAddress(processes=3)),
        (" local:1 ", SchedulerAddress(processes=1)),
        ("tcp://host:8786", SchedulerAddress(address="tcp://host:8786")),
        ("tls://10.0.0.1:8786/", SchedulerAddress(address="tls://10.0.0.1:8786/")),
        ("tcp://[::1]:8786", SchedulerAddress(address="tcp://[::1]:8786")),
        ("node-7.cluster:8786", SchedulerAddress(address="tcp://node-7.cluster:8786")),
    ],
)
def test_addresses(text, address):
    assert parse_scheduler(text) == address


@pytest.mark.parametrize(("cores", "processes"), [(1, 1), (2, 2), (4, 2), (8, 2), (16, 4), (64, 16)])
def test_local_leaves_each_process_several_cores_where_there_are_many(cores, processes):
    assert parse_scheduler("local", cores).processes == processes


def test_a_file_is_a_scheduler_file(tmp_path):
    (tmp_path / "scheduler.json").write_text("{}")
    address = parse_scheduler(str(tmp_path / "scheduler.json"))
    assert address == SchedulerAddress(file=tmp_path / "scheduler.json")
    assert str(address) == "the file 'scheduler.json'"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "local:0",
        "local:-1",
        "local:x",
        "local:1000",
        "host",
        "tcp://host",
        "http://host:80",
        "host:0",
        "host:99999",
    ],
)
def test_what_is_no_address_is_told_of(text):
    with pytest.raises(LaminaError, match="--scheduler is"):
        parse_scheduler(text)


def test_resources():
    assert parse_resource("auto") is None
    assert parse_resource("none") == {}
    assert parse_resource("GPU=1") == {"GPU": 1.0}
    assert parse_resource("fast_disk=0.5") == {"fast_disk": 0.5}
    for text in ("", "GPU", "GPU=", "GPU=0", "GPU=-1", "=1", "GPU=1=2"):
        with pytest.raises(LaminaError, match="--resource is"):
            parse_resource(text)


GPU_AND_CPU = [{"GPU": 1.0}, {}, {"GPU": 2.0}]


@pytest.mark.parametrize(
    ("asked", "gains", "offered", "chosen"),
    [
        (None, True, GPU_AND_CPU, {"GPU": 1.0}),
        (None, True, [{}, {}], {}),
        (None, False, GPU_AND_CPU, {}),
        ({}, True, GPU_AND_CPU, {}),
        ({"TPU": 1.0}, False, GPU_AND_CPU, {"TPU": 1.0}),
    ],
)
def test_a_gpu_is_asked_for_where_it_is_of_use_and_offered(asked, gains, offered, chosen):
    assert chosen_resource(asked, gains, offered) == chosen


def test_a_worker_does_one_task_at_a_time_if_it_offers_what_is_asked_for():
    assert places({}, GPU_AND_CPU) == 3
    assert places({"GPU": 1.0}, GPU_AND_CPU) == 2
    assert places({"GPU": 2.0}, GPU_AND_CPU) == 1
    assert places({"TPU": 1.0}, GPU_AND_CPU) == 0


def test_without_dask_it_is_said_what_to_install(monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(LaminaError, match="pip install distributed"):
        require_dask()


@pytest.mark.parametrize("arguments", [["--help"], ["tune", "--help"], ["segment", "--help"]])
def test_help_loads_nothing_heavy(arguments):
    code = (
        "import sys\nfrom LaminaSegmentationLib.__main__ import main\n"
        "try: main(sys.argv[1:])\nexcept SystemExit: pass\n"
        "print([name for name in ('numpy', 'distributed', 'dask', 'optuna', 'keras') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code, *arguments], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"


def test_the_command_for_a_folder_loads_no_dask():
    code = "import sys, LaminaSegmentationLib.batch_command; print('distributed' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout.strip() == "False"


# Tasks


def job(tmp_path, **changes):
    (tmp_path / "room").mkdir(exist_ok=True)
    common = {"software": cluster_worker.__version__, "shared": str(tmp_path / "room"), "sees": [str(tmp_path)]}
    return {**common, "topic": "t", **changes}


def test_a_worker_says_why_it_cannot_work(tmp_path):
    assert cluster_worker.unsuitable(job(tmp_path)) == ""
    assert "has LaminaUltrasound" in cluster_worker.unsuitable(job(tmp_path, software="9.9"))
    assert "folder of the scans" in cluster_worker.unsuitable(job(tmp_path, sees=[str(tmp_path / "none")]))
    assert "folder of the results" in cluster_worker.unsuitable(job(tmp_path, shared=str(tmp_path / "none")))


def test_a_task_answers_and_never_raises(tmp_path):
    broken = tmp_path / "broken.nrrd"
    missing = cluster_worker.segment_scan("0", job(tmp_path, scan=str(broken), name="broken", rivals=[]))
    assert missing == {"failed": 'There is no file "broken.nrrd" any more.'}
    broken.write_text("nonsense")
    manner = {"model": "none", "engine": "auto", "threads": 1, "low_memory": False, "precision": "float32"}
    told = cluster_worker.segment_scan("0", job(tmp_path, scan=str(broken), name="broken", rivals=[], **manner))
    assert 'There is no model "none"' in told["failed"]
    assert list((tmp_path / "room").iterdir()) == []


def staged(room, text):
    made = []
    with staged_folder(room, made) as folder:
        (folder / "laminae.csv").write_text(text)
        (folder / "summary.json").write_text(json.dumps({"software": "LaminaUltrasound", "text": text}))
    return made[0]


def test_a_scan_that_was_done_twice_has_one_result(tmp_path):
    """Also where somebody keeps a file of his own beside the result."""
    with staging_room(tmp_path) as room:
        first, second = staged(room, "first"), staged(room, "second")
        put_in_place(first, tmp_path / "scan")
        (tmp_path / "scan" / "notes.txt").write_text("mine")
        put_in_place(second, tmp_path / "scan")
        assert list(room.iterdir()) == []
    assert {path.name for path in (tmp_path / "scan").iterdir()} == {"laminae.csv", "summary.json", "notes.txt"}
    assert (tmp_path / "scan" / "laminae.csv").read_text() == "second"
    assert [path.name for path in tmp_path.iterdir()] == ["scan"]


def test_a_worker_that_comes_too_late_writes_nothing(tmp_path):
    with staging_room(tmp_path) as room:
        pass
    with pytest.raises(FileNotFoundError):
        staged(room, "late")
    assert list(tmp_path.iterdir()) == []


def test_what_fails_while_it_is_written_leaves_nothing(tmp_path):
    with staging_room(tmp_path) as room:
        with pytest.raises(ZeroDivisionError), staged_folder(room, []) as folder:
            (folder / "half").write_text("half")
            raise ZeroDivisionError
        assert list(room.iterdir()) == []


def test_the_room_of_a_killed_command_is_removed_by_the_next(tmp_path):
    code = (
        "import os, sys; from pathlib import Path; from LaminaSegmentationLib.batch_scans import staging_room\n"
        "with staging_room(Path(sys.argv[1])) as room: (room / 'half').mkdir(); os._exit(1)"
    )
    subprocess.run([sys.executable, "-c", code, str(tmp_path)])
    assert len(list(tmp_path.iterdir())) == 1
    remove_leftovers(tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_second_process_waits_for_a_folder_in_which_one_is_at_work(tmp_path):
    code = (
        "import sys; from pathlib import Path; from LaminaSegmentationLib.folder_lock import waiting_lock\n"
        "with waiting_lock(Path(sys.argv[1])): print('entered', flush=True); sys.stdin.read()"
    )
    command = [sys.executable, "-c", code, str(tmp_path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout.readline() == "entered\n"
        with open(tmp_path / LOCK, "a+") as file:
            assert not try_lock(file)
        other.stdin.close()
        with waiting_lock(tmp_path):
            assert other.wait() == 0


# The cluster, without one


class FakeFuture:
    def __init__(self, answer):
        self.answer, self.called = answer, None

    def add_done_callback(self, function):
        function(self)

    def result(self, timeout):
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer

    def release(self):
        self.answer = None


class FakeClient:
    """Answers each task at once, and notes how many are there at a time."""

    status = "running"

    def __init__(self, answers, workers=2):
        self.answers, self.workers, self.submitted = answers, workers, []

    def scheduler_info(self, n_workers):
        return {"workers": {str(number): {"resources": {}} for number in range(self.workers)}}

    def submit(self, function, task, job, **options):
        self.submitted.append(task)
        return FakeFuture(self.answers[task])


def cluster_with(tmp_path, answers, **options):
    cluster = Cluster(parse_scheduler("tcp://host:1"), Console(machine=True), tmp_path)
    cluster._client = FakeClient(answers, **options)
    return cluster


def test_answers_failures_and_killed_workers_are_told_apart(tmp_path):
    from distributed.scheduler import KilledWorker

    answers = {
        "good": {"answer": {"n": 1}},
        "bad": {"failed": "It is broken.", "seconds": 2.0},
        "deadly": KilledWorker("key", None, 3),
    }
    cluster = cluster_with(tmp_path, answers)
    told = {task: (kind, content) for kind, task, content in cluster.run(len, ((name, {}) for name in answers))}
    assert cluster.completed
    assert told["good"] == ("answer", {"n": 1})
    assert told["bad"] == ("failed", {"text": "It is broken.", "seconds": 2.0})
    assert told["deadly"][0] == "failed" and "ended its worker several times" in told["deadly"][1]["text"]


def test_no_more_tasks_are_handed_out_than_there_are_workers(tmp_path):
    cluster = cluster_with(tmp_path, {str(number): {"answer": {}} for number in range(5)}, workers=2)
    running = cluster.run(len, ((str(number), {}) for number in range(5)))
    assert next(running)[1] == "0"
    assert cluster._client.submitted == ["0", "1"]
    assert [task for _kind, task, _content in running] == ["1", "2", "3", "4"]


def test_late_news_of_a_task_that_is_finished_are_not_told(tmp_path):
    cluster = cluster_with(tmp_path, {"a": {"answer": {}}, "b": {"answer": {}}}, workers=1)
    kinds = []
    for kind, task, _content in cluster.run(len, [("a", {}), ("b", {})]):
        cluster._hear((0.0, {"task": "a", "share": 0.5}))
        kinds.append((kind, task))
    assert kinds == [("answer", "a"), ("answer", "b")]


@pytest.mark.parametrize(
    ("answer", "sentence"),
    [
        ({"unsuitable": "cannot see the folder of the scans: share it."}, "cannot see the folder"),
        (ModuleNotFoundError("no", name="LaminaSegmentationLib"), "A worker has no LaminaSegmentationLib"),
    ],
)
def test_a_worker_that_came_later_and_cannot_work_ends_the_run(tmp_path, answer, sentence):
    cluster = cluster_with(tmp_path, {"a": answer})
    with pytest.raises(LaminaError, match=sentence):
        list(cluster.run(len, [("a", {})]))


def test_the_loss_of_the_scheduler_ends_the_run(tmp_path):
    cluster = cluster_with(tmp_path, {}, workers=0)
    cluster._client.status = "closed"
    with pytest.raises(LaminaError, match="connection to the scheduler was lost"):
        list(cluster.run(len, [("a", {})]))


def test_processes_of_one_computer_get_cores_of_their_own():
    cores = [0, 1, 2, 3, 8, 9]
    assert [cluster_worker.cores_of(number, 2, cores) for number in range(3)] == [[0, 1], [2, 3], [8, 9]]
    assert cluster_worker.cores_of(0, 6, cores) == cores
    assert [cluster_worker.cores_of(number, 1, [4, 5]) for number in range(3)] == [[4], [5], [4]]
    assert cluster_worker.cores_of(1, 4, [0, 1]) == [0, 1]
