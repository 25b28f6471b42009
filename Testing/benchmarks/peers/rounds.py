"""The processes of the peers, and the rounds in which each predicts once."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any


class PeerError(Exception):
    """A peer could not be installed, loaded or run."""


class Process:
    """A script of a peer, loaded and waiting.

    Parameters
    ----------
    command : sequence of str
    log : Path
        File for what it prints.
    environment : mapping
        Variables beside those of this process.
    """

    def __init__(self, command: Sequence[str], log: Path, environment: Mapping[str, str] | None = None) -> None:
        self._log = log
        with open(log, "w", encoding="utf-8") as errors:
            self._process = subprocess.Popen(
                command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors,
                text=True,
                env={**os.environ, **(environment or {})},
            )
        try:
            self.facts = self._answer()
        except PeerError:
            self.close()
            raise

    def ask(self, words: str) -> dict[str, Any]:
        """Send a line and return the answer.

        Raises
        ------
        PeerError
            If the process has ended; the message is the last line that it printed.
        """
        # One that has ended gives no answer, and that is told with its reason.
        with contextlib.suppress(OSError):
            self._process.stdin.write(f"{words}\n")
            self._process.stdin.flush()
        return self._answer()

    def close(self) -> None:
        """End the process."""
        with contextlib.suppress(OSError):
            self._process.stdin.close()
        try:
            self._process.wait(timeout=10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._process.stdout.close()

    def _answer(self) -> dict[str, Any]:
        line = self._process.stdout.readline()
        if line:
            return json.loads(line)
        lines = [line for line in self._log.read_text(encoding="utf-8", errors="replace").splitlines() if line.strip()]
        code = self._process.wait()
        raise PeerError(lines[-1].strip() if lines else f"ended with code {code}")


def turns(names: Sequence[str], rounds: int) -> Iterable[list[str]]:
    """Yield the order of each round: everyone once, and each round begins with another, so that all follow all."""
    for number in range(rounds):
        start = number % len(names)
        yield [*names[start:], *names[:start]]


def run_rounds(
    processes: dict[str, Any],
    rounds: int,
    failed: dict[str, str],
    tell=lambda text: None,
    before=lambda: None,
) -> dict[str, list[dict[str, Any]]]:
    """Let each process predict once a round; the first round is not part of the statistics.

    Parameters
    ----------
    processes : dict of Process
        By name; one that fails is left out from then on.
    rounds : int
        Rounds after the first.
    failed : dict
        Takes the reason of each failure, by name.
    tell : callable
        Takes a line about each prediction.
    before : callable
        Called before each prediction.

    Returns
    -------
    dict
        By name the answers, that of the first round first.
    """
    answers: dict[str, list[dict[str, Any]]] = {name: [] for name in processes}
    for number, order in enumerate(turns(list(processes), rounds + 1)):
        for name in order:
            if name in failed:
                continue
            before()
            try:
                answers[name].append(processes[name].ask("predict"))
            except PeerError as error:
                failed[name] = str(error)
                continue
            tell(f"round {number} of {rounds}: {name} {answers[name][-1]['seconds']:.2f} s")
    return {name: given for name, given in answers.items() if name not in failed}
