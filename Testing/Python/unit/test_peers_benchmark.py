"""The parts of the peers' benchmark that need no peer: environments, processes, statistics, table, options."""

import importlib.util
import json
import sys
from pathlib import Path

import numpy as np
import pytest

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"


@pytest.fixture(autouse=True)
def on_path(monkeypatch):
    monkeypatch.syspath_prepend(str(BENCHMARKS))


@pytest.fixture
def command():
    """The command itself, whose name the package beside it has too."""
    specification = importlib.util.spec_from_file_location("peers_command", BENCHMARKS / "peers.py")
    module = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    return module


def started(load, *seconds, peak=100.0):
    answers = [{"seconds": value, "cpu_seconds": 2 * value, "peak_mib": peak + value} for value in seconds]
    return {"load_seconds": load, "answers": answers}


def test_ratios_are_taken_within_a_round_and_without_the_first_prediction():
    from peers.table import summarize

    # The machine is three times as slow in the second round: the ratio of the medians would say 1.5.
    figures = summarize([started(3.0, 50.0, 2.0, 6.0, 2.0)], [started(1.0, 1.0, 1.0, 3.0, 1.5)])
    assert figures["seconds"] == [2.0, 6.0, 2.0]
    assert figures["ratio"] == 2.0
    assert figures["least_seconds"] == 2.0
    assert figures["ratio_of_least"] == 2.0
    assert figures["cpu_seconds"] == 4.0
    assert figures["peak_mib"] == 150.0


def test_a_fresh_process_counts_loading_and_the_first_prediction():
    from peers.table import summarize

    ours = [started(1.0, 1.0, 1.0), started(1.0, 3.0, 1.0), started(1.0, 1.0, 1.0)]
    figures = summarize([started(2.0, 4.0, 1.0), started(2.0, 10.0, 1.0), started(4.0, 5.0, 1.0)], ours)
    assert figures["fresh_seconds"] == 9.0
    assert figures["fresh_ratio"] == 3.0
    assert figures["load_seconds"] == 2.0
    assert figures["first_seconds"] == 5.0
    assert len(figures["seconds"]) == 3


def test_a_peak_that_the_system_does_not_tell_stays_unknown():
    from peers.table import summarize

    start = started(1.0, 1.0, 1.0)
    start["answers"][0]["peak_mib"] = None
    assert summarize([start], [start])["peak_mib"] is None


def test_the_table_shows_a_dash_for_what_is_not_known():
    from peers.table import format_table

    rows = [{"title": "ours", "median_seconds": 1.004, "parameters": 1462401}, {"title": "another", "gflop": 228.6}]
    lines = format_table(rows).splitlines()
    assert len(lines) == 3
    assert lines[1].split() == ["ours", "1.00", *"-" * 7, "1,462,401", "-"]
    assert lines[2].split() == ["another", *"-" * 9, "229"]
    assert len({line.index(end) + len(end) for line, end in zip(lines[:2], ("median s", "1.00"))}) == 1


def test_a_markdown_table_has_as_many_cells_in_each_line():
    from peers.table import format_table

    lines = format_table([{"title": "ours"}], markdown=True).splitlines()
    assert {line.count("|") for line in lines} == {12}
    assert lines[1].startswith("| --- | ---: |")


@pytest.mark.parametrize(
    ("ratio", "words"), [(10.0, "the goal of 10 is met"), (12.5, "is met"), (7.5, "the goal of 10 is missed by 25%")]
)
def test_a_goal_is_met_or_missed_by_a_share(ratio, words):
    from peers.table import judge

    assert words in judge("Another", ratio, 10.0)


def test_every_peer_has_its_script_and_its_environment():
    from peers.catalog import ENVIRONMENTS, OURS, PEERS

    for name, peer in PEERS.items():
        assert peer.name == name
        assert (BENCHMARKS / "peers" / peer.script).is_file()
        assert (peer.environment is None) == (name == OURS)
        assert peer.environment is None or peer.environment in ENVIRONMENTS
    for requirements in ENVIRONMENTS.values():
        assert all(">=" in requirement and "==" not in requirement for requirement in requirements)


def test_ours_is_always_among_the_chosen_and_first():
    from peers.catalog import OURS, PEERS, choose

    assert [peer.name for peer in choose(["nnunet", "keras"])] == [OURS, "keras", "nnunet"]
    assert [peer.name for peer in choose(None)] == list(PEERS)
    with pytest.raises(ValueError, match="onnxruntime"):
        choose(["caffe"])


@pytest.mark.parametrize(
    "arguments", [["--seed", "1000000"], ["--seed", "-1"], ["--rounds", "0"], ["--starts", "0"], ["--peers", "caffe"]]
)
def test_options_out_of_range_are_refused(command, arguments, capsys):
    with pytest.raises(SystemExit) as refused:
        command.parse(arguments)
    assert refused.value.code == 2
    assert arguments[0].strip("-") in capsys.readouterr().err or arguments[0] == "--peers"


def test_the_default_folder_of_the_environments_is_one_that_git_ignores(command):
    folder = command.parse([]).environments
    root = Path(__file__).parents[3]
    ignored = (root / ".gitignore").read_text(encoding="utf-8").splitlines()
    assert f"/{folder.relative_to(root).parts[0]}/" in ignored


@pytest.fixture
def installer(monkeypatch):
    """The module of the environments, with what it would run written down instead."""
    from peers import environments

    commands = []

    def run(arguments):
        commands.append(arguments)
        if "venv" in arguments:
            python = environments.interpreter(Path(arguments[-1]))
            python.parent.mkdir(parents=True)
            python.touch()
            (Path(arguments[-1]) / "pyvenv.cfg").touch()
        elif "broken" in arguments:
            raise RuntimeError("no such package")

    monkeypatch.setattr(environments, "_run", run)
    return environments, commands


def test_an_environment_is_made_once(installer, tmp_path):
    environments, commands = installer
    python = environments.make_environment(tmp_path / "peer", ["a>=1"], ["--pre"])
    assert python == environments.interpreter(tmp_path / "peer")
    assert commands[-1][0] == str(python)
    assert commands[-1][-2:] == ["--pre", "a>=1"]
    assert len(commands) == 2
    environments.make_environment(tmp_path / "peer", ["a>=1"])
    assert len(commands) == 2


def test_an_environment_is_made_anew_for_other_packages_or_after_a_failure(installer, tmp_path):
    environments, commands = installer
    with pytest.raises(RuntimeError, match="no such package"):
        environments.make_environment(tmp_path / "peer", ["broken"])
    assert not environments.is_ready(tmp_path / "peer", ["broken"])
    environments.make_environment(tmp_path / "peer", ["a>=1"])
    environments.make_environment(tmp_path / "peer", ["a>=2"])
    assert len(commands) == 6
    assert environments.is_ready(tmp_path / "peer", ["a>=2"])
    assert not environments.is_ready(tmp_path / "peer", ["a>=1"])


def test_a_folder_that_is_no_environment_is_not_removed(installer, tmp_path):
    environments, _ = installer
    (tmp_path / "thesis.txt").write_text("precious", encoding="utf-8")
    with pytest.raises(RuntimeError, match="no virtual environment"):
        environments.make_environment(tmp_path, ["a>=1"])
    assert (tmp_path / "thesis.txt").exists()


def test_each_round_begins_with_another():
    from peers.rounds import turns

    assert list(turns("abc", 4)) == [list("abc"), list("bca"), list("cab"), list("abc")]


class Scripted:
    """A process that answers with given times and then fails."""

    def __init__(self, *seconds):
        self.seconds = list(seconds)

    def ask(self, words):
        from peers.rounds import PeerError

        assert words == "predict"
        if not self.seconds:
            raise PeerError("out of memory")
        return {"seconds": self.seconds.pop(0)}


def test_a_peer_that_fails_is_left_out_and_the_others_go_on():
    from peers.rounds import run_rounds

    failed = {}
    answers = run_rounds({"one": Scripted(5.0, 1.0, 2.0), "other": Scripted(4.0)}, 2, failed)
    assert [answer["seconds"] for answer in answers["one"]] == [5.0, 1.0, 2.0]
    assert "other" not in answers
    assert failed == {"other": "out of memory"}


SCRIPT = """
import sys
import numpy as np
from protocol import Loaded, parser, read_grid, serve

def load(options):
    print("a library that prints")
    grid, spacing = read_grid(options.grid)
    if spacing[0] < 0:
        raise ValueError("the spacing is negative")
    return Loaded(lambda: 2 * grid, "doubles", parameters=0, packages=("numpy",))

sys.exit(serve(load, parser("Doubles.").parse_args()))
"""


def start_script(tmp_path, spacing):
    from peers.rounds import Process

    (tmp_path / "script.py").write_text(SCRIPT, encoding="utf-8")
    np.savez(tmp_path / "grid.npz", grid=np.arange(6.0).reshape(1, 2, 3), spacing=[spacing] * 3)
    command = [sys.executable, str(tmp_path / "script.py"), str(tmp_path / "grid.npz"), "--threads", "1"]
    return Process(command, tmp_path / "log", {"PYTHONPATH": str(BENCHMARKS / "peers")})


def test_a_script_loads_predicts_and_saves(tmp_path):
    process = start_script(tmp_path, 1.0)
    try:
        assert process.facts["configuration"] == "doubles"
        assert process.facts["versions"] == {"numpy": np.__version__}
        answer = process.ask("predict")
        assert answer["seconds"] > 0.0
        assert answer["peak_mib"] is None or answer["peak_mib"] > 5.0
        process.ask(f"save {tmp_path / 'result.npy'}")
        assert np.load(tmp_path / "result.npy").tolist() == [[[0.0, 2.0, 4.0], [6.0, 8.0, 10.0]]]
    finally:
        process.close()
    assert "a library that prints" in (tmp_path / "log").read_text(encoding="utf-8")


def test_a_script_that_ends_says_why(tmp_path):
    from peers.rounds import PeerError

    with pytest.raises(PeerError, match="the spacing is negative"):
        start_script(tmp_path, -1.0)


def test_equal_results_need_the_same_names_and_places():
    from peers.comparison import compare

    ours = {"T1L": np.zeros(3), "T1R": np.ones(3)}
    probability = np.zeros((2, 2, 2))
    near = compare(probability + 1e-6, probability, {**ours, "T1L": np.array([0.0, 0.0, 5e-5])}, ours)
    assert near["equal"] and near["mm"] == pytest.approx(5e-5) and near["probability"] == pytest.approx(1e-6)
    assert not compare(probability, probability, {**ours, "T1L": np.array([0.0, 0.0, 2e-4])}, ours)["equal"]
    assert not compare(probability, probability, {"T1L": ours["T1L"]}, ours)["equal"]
    assert not compare(probability, probability, {**ours, "T2L": np.zeros(3)}, ours)["equal"]


def test_the_machine_is_described_without_naming_it():
    import platform

    from peers.machine import cores, describe

    described = describe()
    assert described["cores"] == cores() >= 1
    assert set(described) == {"processor", "cores", "instruction_sets", "memory_gib", "system", "python"}
    assert platform.node() not in json.dumps(described)


def test_a_run_reports_what_failed_and_what_differs(command, capsys):
    row = {"name": "keras", "title": "Keras predict", "equal": "all", "configuration": "c", "versions": {"keras": "3"}}
    row |= {"ratio": 1.5, "fresh_ratio": 3.0}
    row["difference"] = {"probability": 1e-6, "laminae": 34, "mm": 0.0, "equal": True}
    assert command.report({"peers": [row], "failed": {}}, markdown=False)
    out = capsys.readouterr().out
    assert "goal of 2 is missed by 25%" in out
    assert "a fresh process for one scan: 3.00 times ours, the goal of 2 is met" in out
    assert not command.report({"peers": [row], "failed": {"monai": "out of memory"}}, markdown=False)
    assert "out of memory" in capsys.readouterr().out
    row["difference"]["equal"] = False
    assert not command.report({"peers": [row], "failed": {}}, markdown=False)
