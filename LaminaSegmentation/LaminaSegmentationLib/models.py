"""Model bundles: a folder with a trained network in two forms and a card that describes and guards it.

A bundle holds ``card.json`` (checked against ``model_card.schema.json``), ``model.weights.h5`` for Keras, and
``model.xml`` with ``model.bin`` for OpenVINO; a calibrated one also ``localization.json``. The card lists each file's
size and SHA-256; a bundle is loaded only when all of them agree.
"""

from __future__ import annotations

import functools
import hashlib
import json
import logging
import os
import re
import secrets
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from LaminaLabelingLib.errors import LaminaError

from .network import build_unet, count_parameters, get_preset

if TYPE_CHECKING:
    import keras

    from .calibration import Calibration

logger = logging.getLogger(__name__)

SCHEMA_VERSION = 1
CARD = "card.json"
WEIGHTS = "model.weights.h5"
IR_GRAPH = "model.xml"
IR_WEIGHTS = "model.bin"
CALIBRATION = "localization.json"
FILES = (WEIGHTS, IR_GRAPH, IR_WEIGHTS)

_HERE = Path(__file__).resolve()
MODEL_FOLDERS = (_HERE.parents[1] / "Resources" / "Models", _HERE.parent / "Models")
"""Where models come with the software: in the repository and in Slicer, and in an installed wheel."""

_SCHEMA = _HERE.with_name("model_card.schema.json")
_DAMAGED = "the model was changed or damaged, download it again"


@dataclass(frozen=True)
class ModelBundle:
    """A model on disk, with its card.

    Parameters
    ----------
    folder : Path
    card : dict
        Valid after the schema.
    """

    folder: Path
    card: Mapping[str, Any]

    @property
    def name(self) -> str:
        """Name of the model."""
        return self.card["name"]

    @property
    def grid_shape(self) -> tuple[int, int, int]:
        """Voxels of the network's grid along SI, LR and PA."""
        return tuple(self.card["input"]["grid"])

    @property
    def normalization(self) -> str:
        """Layer after each convolution: batch, instance or group."""
        return _normalization(self.card["architecture"])

    @property
    def weights(self) -> Path:
        """File of the weights, for Keras."""
        return self.folder / WEIGHTS

    @property
    def graph(self) -> Path:
        """File of OpenVINO's graph; its weights lie beside it."""
        return self.folder / IR_GRAPH

    @property
    def calibration(self) -> Calibration:
        """What localization knows of spines and of this model's candidates; the generic one of a model without its own.

        Raises
        ------
        LaminaError
            If the model's own cannot be read.
        """
        from .calibration import Calibration, read_calibration

        if CALIBRATION not in self.card["files"]:
            return Calibration()
        return read_calibration(self.folder / CALIBRATION, self.name)

    def verify(self) -> None:
        """Check size and SHA-256 of every file that the card lists.

        Raises
        ------
        LaminaError
            If a file is missing or differs; the message names it.
        """
        for name, expected in self.card["files"].items():
            path = self.folder / name
            if not path.is_file():
                raise LaminaError(f'The file "{name}" of the model "{self.name}" is missing: download the model again.')
            if path.stat().st_size != expected["bytes"] or _sha256(path) != expected["sha256"]:
                raise LaminaError(
                    f'The file "{name}" of the model "{self.name}" is not the one its card lists: {_DAMAGED}.'
                )

    def build(self, rows: int | None = None) -> keras.Model:
        """Build the Keras model in float32 with its weights, for the whole grid or for ``rows`` of its axis 0."""
        from .checkpoints import load_weights

        model = _build(self.card, rows)
        load_weights(model, self.weights)
        return model


def list_models() -> tuple[ModelBundle, ...]:
    """Return the models that come with the software, sorted by name; their files are not verified.

    A folder whose card is not valid is left out, with a warning in the log.
    """
    bundles: dict[str, ModelBundle] = {}
    for parent in MODEL_FOLDERS:
        for card in sorted(parent.glob(f"*/{CARD}")):
            try:
                bundles.setdefault(card.parent.name, _read_bundle(card.parent))
            except LaminaError as error:
                logger.warning("%s", error)
    return tuple(bundles[name] for name in sorted(bundles))


def find_model(name_or_path: str | Path) -> Path:
    """Return the folder of a model.

    Parameters
    ----------
    name_or_path : str or Path
        Name of a model that comes with the software, or path of a bundle's folder. A name comes first.

    Raises
    ------
    LaminaError
        If there is no such model; the message lists the known ones.
    """
    text = str(name_or_path)
    if re.fullmatch(r"[\w][\w.-]*", text):
        for parent in MODEL_FOLDERS:
            if (parent / text / CARD).is_file():
                return parent / text
    folder = Path(name_or_path)
    if (folder / CARD).is_file():
        return folder
    if folder.is_dir():
        raise LaminaError(f'The folder "{folder.name}" is not a model: it has no {CARD}.')
    known = ", ".join(bundle.name for bundle in list_models()) or "none"
    raise LaminaError(f'There is no model "{folder.name}"; known models: {known}. Give one of them or a folder.')


def load_model(name_or_path: str | Path) -> ModelBundle:
    """Find a model, check its card and verify its files.

    Parameters
    ----------
    name_or_path : str or Path
        As for `find_model`.

    Returns
    -------
    ModelBundle
        No network is loaded yet: `engines.create_engine` does that.

    Raises
    ------
    LaminaError
        If there is no such model, its card is not valid, or a file differs from what the card lists.
    """
    bundle = _read_bundle(find_model(name_or_path))
    bundle.verify()
    return bundle


def check_card(card: Any) -> None:
    """Check a model card against the schema, and its architecture against this software's network.

    Raises
    ------
    LaminaError
        Naming the field that is wrong.
    """
    import jsonschema

    try:
        errors = sorted(_validator().iter_errors(card), key=lambda error: (len(error.path), str(error.path)))
    except jsonschema.SchemaError as error:
        raise RuntimeError("model_card.schema.json is not a valid schema") from error
    if errors:
        field = ".".join(str(part) for part in errors[0].path) or "the card"
        raise LaminaError(f'The model card is not valid: "{field}": {errors[0].message}.')
    try:
        json.dumps(card, allow_nan=False)
    except ValueError as error:
        raise LaminaError(
            "The model card is not valid: a figure in it is not a finite number; leave it out."
        ) from error
    architecture = card["architecture"]
    expected = count_parameters(architecture["width"], _normalization(architecture))
    if architecture["parameters"] != expected:
        raise LaminaError(
            f'The model card is not valid: "architecture.parameters" is {architecture["parameters"]}, '
            f"but a network of width {architecture['width']} has {expected}."
        )


def write_bundle(folder: str | Path, model: keras.Model, card: Mapping[str, Any]) -> Path:
    """Write a model bundle: weights, OpenVINO graph and card; all of it or nothing.

    The OpenVINO graph is made in a child process, see `openvino_export`: the conversion wants the TensorFlow backend,
    the model may have been trained on another, and Keras cannot change its backend in a running process.

    Parameters
    ----------
    folder : str or Path
        The bundle's folder, which must not exist yet; the folder above it is made if need be.
    model : keras.Model
        A network of `network.build_unet`, float32, of the width and preset that the card states.
    card : mapping
        The model card; ``schema_version``, ``output`` and ``files`` are filled in here.

    Returns
    -------
    Path
        The folder.

    Raises
    ------
    LaminaError
        If the folder exists, the card is not valid or does not fit the model, or TensorFlow or OpenVINO is missing.
    """
    folder = Path(folder)
    _require_new(folder)
    card = {
        "schema_version": SCHEMA_VERSION,
        **card,
        "output": {"meaning": "probability that a voxel belongs to a lamina", "range": [0, 1]},
        "files": {name: {"sha256": "0" * 64, "bytes": 1} for name in FILES},
    }
    check_card(card)  # before the slow part
    if model.count_params() != card["architecture"]["parameters"]:
        raise LaminaError("The model is not the one its card describes: it has another number of parameters.")
    with _new_folder(folder) as temporary:
        model.save_weights(temporary / WEIGHTS)
        _export(temporary, card)
        card["files"] = {name: _describe(temporary / name) for name in FILES}
        _write_text(card, temporary / CARD)
    return folder


def write_calibrated(
    folder: str | Path, bundle: ModelBundle, calibration: Calibration, changes: Mapping[str, Any]
) -> Path:
    """Write a copy of a model with a calibration of its own; all of it or nothing.

    Parameters
    ----------
    folder : str or Path
        The copy's folder, which must not exist yet.
    bundle : ModelBundle
    calibration : Calibration
    changes : mapping
        Fields of the card that become others, such as ``version`` and ``localization``.

    Returns
    -------
    Path
        The folder.

    Raises
    ------
    LaminaError
        If the folder exists or the card is not valid.
    """
    folder = Path(folder)
    _require_new(folder)
    card = {**bundle.card, **changes}
    check_card(card)
    with _new_folder(folder) as temporary:
        for name in FILES:
            shutil.copyfile(bundle.folder / name, temporary / name)
        _write_text(calibration.as_dict(), temporary / CALIBRATION)
        card["files"] = {name: _describe(temporary / name) for name in (*FILES, CALIBRATION)}
        _write_text(card, temporary / CARD)
    return folder


def _require_new(folder: Path) -> None:
    if folder.exists():
        raise LaminaError(f'The folder "{folder.name}" already exists: choose another, nothing is overwritten.')


@contextmanager
def _new_folder(folder: Path) -> Iterator[Path]:
    """Give a temporary folder that becomes ``folder`` when the block ends well, else vanishes."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    temporary = folder.with_name(f".{secrets.token_hex(6)}-{folder.name}")
    temporary.mkdir()
    try:
        yield temporary
        temporary.rename(folder)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _write_text(values: Mapping[str, Any], path: Path) -> None:
    text = json.dumps(values, indent=2, ensure_ascii=False) + "\n"
    path.write_text(text, encoding="utf-8", newline="\n")


def _normalization(architecture: Mapping[str, Any]) -> str:
    """Return the kind of normalization; cards that do not state it have their preset's."""
    return architecture.get("normalization") or get_preset(architecture["preset"]).normalization


def _export(folder: Path, card: Mapping[str, Any]) -> None:
    architecture = card["architecture"]
    command = [sys.executable, "-m", "LaminaSegmentationLib.openvino_export", WEIGHTS, IR_GRAPH]
    command += ["--preset", architecture["preset"], "--width", str(architecture["width"])]
    command += ["--normalization", _normalization(architecture)]
    command += ["--grid", *map(str, card["input"]["grid"])]
    # The child finds this library and its dependencies where this process did, installed or not.
    paths = os.pathsep.join(dict.fromkeys(path for path in sys.path if path))
    environment = {**os.environ, "KERAS_BACKEND": "tensorflow", "PYTHONPATH": paths}
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, errors="replace")
    if done.returncode != 0:
        lines = [line for line in done.stderr.splitlines() if line.strip()]
        logger.error("The conversion to OpenVINO failed:\n%s", done.stderr)
        raise LaminaError(
            f"The model could not be converted to OpenVINO ({lines[-1] if lines else 'no reason given'}); "
            "the conversion needs: pip install tensorflow openvino"
        )


def _build(card: Mapping[str, Any], rows: int | None = None) -> keras.Model:
    architecture = card["architecture"]
    grid = card["input"]["grid"]
    shape = (rows or grid[0], *grid[1:], 1)
    return build_unet(
        architecture["width"], shape, preset=architecture["preset"], normalization=_normalization(architecture)
    )


def _read_bundle(folder: Path) -> ModelBundle:
    try:
        card = json.loads((folder / CARD).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise LaminaError(f'The card of the model "{folder.name}" cannot be read: {_DAMAGED}.') from error
    try:
        check_card(card)
    except LaminaError as error:
        raise LaminaError(f'The model "{folder.name}" cannot be used. {error}') from error
    return ModelBundle(folder, card)


@functools.cache
def _validator() -> Any:
    import jsonschema

    return jsonschema.Draft202012Validator(json.loads(_SCHEMA.read_text(encoding="utf-8")))


def _describe(path: Path) -> dict[str, Any]:
    return {"sha256": _sha256(path), "bytes": path.stat().st_size}


def _sha256(path: Path) -> str:
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
