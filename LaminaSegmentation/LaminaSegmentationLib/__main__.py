"""The command line: ``lamina`` or ``python -m LaminaSegmentationLib``."""

from __future__ import annotations

import importlib
import logging
import signal
import sys
from collections.abc import Sequence

from LaminaLabelingLib.errors import LaminaError

from .arguments import parser
from .console import Console, set_up_logging
from .parent_watch import watch

_ACTIONS = {
    "calibrate": ("calibrate_command", "calibrate"),
    "demo": ("commands", "demo"),
    "evaluate": ("evaluation", "evaluate"),
    "experiment": ("experiment_command", "experiment"),
    "measure": ("measure_command", "measure"),
    "preprocess": ("preprocess_command", "preprocess"),
    "report": ("measure_command", "report"),
    "segment": ("commands", "run_segment"),
    "simulate": ("commands", "simulate"),
    "split": ("dataset_command", "split"),
    "train": ("train_command", "train"),
    "tune": ("tune_command", "tune"),
}
"""Module and function of each command."""

_OF_FOLDERS = {"segment": ("batch_command", "segment_folder")}
"""Those of commands that are given a folder of scans instead of a scan."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command and return its exit code.

    It is 0, 2 for what the user can put right, 1 for a defect, 130 when interrupted, and 3 when some scans of a folder
    could not be done; the last only for people: machines read it in the event ``result``.
    """
    options = parser().parse_args(arguments)
    # What ends the process from outside ends it in order, like Ctrl-C: nothing half-written stays.
    before = signal.signal(signal.SIGTERM, _interrupt)
    console = Console(options.json)
    watch()
    try:
        set_up_logging(options.verbose)
        # Only now: `lamina --help` must not wait for NumPy and its like.
        module, function = _action(options)
        action = getattr(importlib.import_module(f".{module}", __package__), function)
        result = action(options, console)
    except LaminaError as error:
        console.error(str(error))
        return 2
    except KeyboardInterrupt:
        console.error("Interrupted; nothing half-written was kept.")
        return 130
    except MemoryError:
        console.error("There is not enough memory; close other programs, or, to segment, add --low-memory.")
        return 2
    except OSError as error:
        console.error(f"A file could not be read or written: {error}.")
        return 2
    except Exception as error:
        # A defect of ours: one sentence for the user, the traceback for whoever mends it.
        logging.getLogger(__name__).info("Traceback of the unexpected error:", exc_info=True)
        console.error(
            f"An unexpected error ended the command ({type(error).__name__}: {error}); please report it with what "
            "--verbose prints."
        )
        return 1
    finally:
        signal.signal(signal.SIGTERM, before)
    code = result.pop("exit_code", 0)
    console.emit("result", **result)
    return 0 if options.json else code


def _action(options) -> tuple[str, str]:
    """Return module and function of the command."""
    if options.command in _OF_FOLDERS and (options.scan.is_dir() or options.resume):
        if options.corrections:
            raise LaminaError("--corrections are those of one scan; give the scan, not a folder.")
        if options.anchor or options.absent or options.vertebrae != "12,5":
            raise LaminaError("--vertebrae, --anchor and --absent are those of one scan; give the scan, not a folder.")
        return _OF_FOLDERS[options.command]
    if options.command == "segment" and options.scheduler:
        raise LaminaError("--scheduler is for a folder of scans; give the folder, not one scan.")
    return _ACTIONS[options.command]


def _interrupt(number, frame) -> None:
    raise KeyboardInterrupt


if __name__ == "__main__":
    sys.exit(main())
