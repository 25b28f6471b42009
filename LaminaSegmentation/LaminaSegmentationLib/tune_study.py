"""The study of a search: what Optuna is asked for and told. Only the command talks to it, no worker does."""

from __future__ import annotations

import importlib.util
import logging
import warnings
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from LaminaLabelingLib.errors import LaminaError

from .tune_folder import STUDY, TuneSettings, differences, plain
from .validation_score import FALSE_SHARE, SCORE

if TYPE_CHECKING:
    import optuna

FIRST_WITHOUT_PRUNING = 5
"""So many trials are brought to their end before others are measured by them."""

OWNER, SETTINGS, ERROR = "owner", "settings", "error"
_NAME_IN_FOLDER = "lamina-tune"


def require_optuna() -> None:
    """Raise LaminaError where Optuna is not installed."""
    if importlib.util.find_spec("optuna") is None:
        raise LaminaError("lamina tune needs Optuna; install it with: pip install optuna")


def open_study(
    folder: Path, settings: TuneSettings, storage: str | None, name: str, pruning: bool
) -> optuna.study.Study:
    """Open the study of a search, or make it.

    Parameters
    ----------
    folder : Path
        Of the search.
    settings : TuneSettings
    storage : str or None
        URL of a database; None takes a file in the folder.
    name : str
        Of the study in that database.
    pruning : bool
        Whether bad trials are given up.

    Raises
    ------
    LaminaError
        If the database cannot be reached, or the study in it was made with other settings.
    """
    import optuna

    optuna.logging.set_verbosity(optuna.logging.INFO if _verbose() else optuna.logging.ERROR)
    warnings.filterwarnings("ignore", category=optuna.exceptions.ExperimentalWarning)
    epochs = settings.epochs
    pruner: optuna.pruners.BasePruner = optuna.pruners.NopPruner()
    if pruning:
        # In the first fifth nearly all laminae are missed with any options; epochs count from 1.
        pruner = optuna.pruners.MedianPruner(FIRST_WITHOUT_PRUNING, n_warmup_steps=max(epochs // 5, 1) + 1)
    url = storage or f"sqlite:///{(folder / STUDY).absolute()}"
    try:
        study = optuna.create_study(
            storage=url,
            study_name=name if storage else _NAME_IN_FOLDER,
            pruner=pruner,
            direction="minimize",
            load_if_exists=True,
        )
        kept = study.user_attrs.get(SETTINGS)
        if kept is None:
            study.set_user_attr(SETTINGS, _shared(settings))
            study.set_metric_names([f"missed + {FALSE_SHARE:g} false laminae a scan"])
    except ImportError as error:
        raise LaminaError(
            f"The database of --storage needs a driver that is not installed ({error}); for PostgreSQL: pip install "
            "psycopg2-binary"
        ) from error
    except Exception as error:
        # SQLAlchemy and each driver have exceptions of their own; none of them may show the password of the URL.
        raise LaminaError(
            f"The study cannot be opened in {'the database of --storage' if storage else STUDY} "
            f"({type(error).__name__}): check the address, and that the database is running."
        ) from error
    if kept is not None and (different := list(differences(_shared(settings), kept))):
        raise LaminaError(
            f"The study '{study.study_name}' was started with another {', '.join(different)}: use the same, or another "
            "--study."
        )
    return study


def _shared(settings: TuneSettings) -> dict[str, Any]:
    """Return the settings that must agree among commands that share a study."""
    kept = plain(settings)
    del kept["seed"]
    return {**kept, "score": SCORE, "false_share": FALSE_SHARE}


def _verbose() -> bool:
    return logging.getLogger().isEnabledFor(logging.INFO)


class Trials:
    """The trials of one command in a study that others may share.

    Parameters
    ----------
    study : optuna.study.Study
    settings : TuneSettings
    owner : str
        Code of the command's folder.
    alone : bool
        Whether the study is that of the folder alone.
    """

    def __init__(self, study: optuna.study.Study, settings: TuneSettings, owner: str, alone: bool) -> None:
        self.study, self.settings, self.owner, self.alone = study, settings, owner, alone
        self._space = settings.searched()
        self._open: dict[str, optuna.trial.Trial] = {}
        self._epochs: dict[str, set[int]] = {}

    def count(self) -> int:
        """Return how many trials the study has."""
        return len(self.study.get_trials(deepcopy=False))

    def jobs(self, total: int) -> Iterator[tuple[str, dict[str, Any]]]:
        """Yield name and options of trials: first those in which this folder was interrupted, then new ones.

        Parameters
        ----------
        total : int
            Trials of the study at the end.
        """
        import optuna

        for kept in self.study.get_trials(deepcopy=False, states=[optuna.trial.TrialState.RUNNING]):
            if self.alone or kept.user_attrs.get(OWNER) == self.owner:
                # Optuna has no other way to go on with a trial that it is asked and told about.
                yield self._drawn(optuna.trial.Trial(self.study, kept._trial_id), kept.intermediate_values)
        while (number := self.count()) < total:
            # By the number, not by how many this call has drawn: a search that was interrupted draws what an unbroken
            # one does.
            seed = int(np.random.SeedSequence([self.settings.seed, number]).generate_state(1)[0])
            self.study.sampler = optuna.samplers.TPESampler(seed=seed, constant_liar=True)
            yield self._drawn(self.study.ask())

    def _drawn(self, trial: optuna.trial.Trial, epochs: Iterable[int] = ()) -> tuple[str, dict[str, Any]]:
        trial.set_user_attr(OWNER, self.owner)
        values = self._space.suggest(trial)
        name = f"trial-{trial.number:04d}"
        trial.set_user_attr("values", values)
        self._open[name], self._epochs[name] = trial, set(epochs)
        return name, values

    def is_bad(self, name: str, epoch: int, score: float) -> bool:
        """Note the score of an epoch, and tell whether the trial is to be given up."""
        if (trial := self._open.get(name)) is None:
            return False
        if epoch not in self._epochs[name]:
            self._epochs[name].add(epoch)
            trial.report(score, epoch)
        return epoch < self.settings.epochs and bool(trial.should_prune())

    def finish(self, name: str, result: Mapping[str, Any]) -> str:
        """Note the result of a trial, and return the state that it ends in; a second result is not looked at."""
        import optuna

        if (trial := self._open.pop(name, None)) is None:
            return ""
        for key, value in result.items():
            trial.set_user_attr(key, value)
        # Options with which the loss is no number any more are bad ones, and the sampler is to know it.
        whole = ERROR not in result and result["whole"]
        state = optuna.trial.TrialState.COMPLETE if whole else optuna.trial.TrialState.PRUNED
        self.study.tell(trial, result["score"] if whole else None, state=state, skip_if_finished=True)
        return state.name.lower()

    def fail(self, name: str, text: str) -> None:
        """Note that the process of a trial has failed, which says nothing about its options."""
        import optuna

        if (trial := self._open.pop(name, None)) is not None:
            trial.set_user_attr(ERROR, text)
            self.study.tell(trial, state=optuna.trial.TrialState.FAIL, skip_if_finished=True)
