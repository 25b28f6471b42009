"""Which peers there are: what each needs from the package index, and what is equal between it and ours."""

from __future__ import annotations

from dataclasses import dataclass

OURS = "openvino"

# Later versions bring gigabytes of CUDA libraries where the package index has no CPU wheels, as in pyproject.toml.
_TORCH = "torch>=2.5,<2.14"
_KERAS = ("tensorflow>=2.18", "keras>=3.5", "h5py>=3.10", "jsonschema>=4.20")

ENVIRONMENTS: dict[str, tuple[str, ...]] = {
    "nnunet": ("nnunetv2>=2.5", _TORCH),
    "monai": ("monai>=1.4", _TORCH),
    "keras": _KERAS,
    "onnxruntime": ("onnxruntime>=1.20", "numpy>=1.26"),
    # Only to write the ONNX file: what times ONNX Runtime needs none of it.
    "export": (*_KERAS, "tf2onnx>=1.17", "onnx>=1.17"),
}
"""Packages of each environment, lower bounds; ours runs in the environment of the command itself."""


@dataclass(frozen=True)
class Peer:
    """One row of the table.

    Parameters
    ----------
    name : str
        Key in `PEERS` and on the command line.
    title : str
        Name in the table.
    script : str
        File in this folder.
    environment : str or None
        Key of `ENVIRONMENTS`; None for the interpreter that runs the command.
    equal : str
        What is equal to ours, in words.
    same_weights : bool
        Whether the result has to be ours.
    goal : float or None
        How many times as long as ours it is meant to take.
    arguments : tuple of str
        Further arguments of the script.
    needs_onnx : bool
        Whether the script is given our network as an ONNX file.
    """

    name: str
    title: str
    script: str
    environment: str | None
    equal: str
    same_weights: bool = False
    goal: float | None = None
    arguments: tuple[str, ...] = ()
    needs_onnx: bool = False


_SAME = "network, weights, grid, float32"
_NNUNET = "grid, float32; the network is nnU-Net's own default"
_MONAI = "grid, float32, feature maps a level; norm and upsampling differ"

PEERS: dict[str, Peer] = {
    peer.name: peer
    for peer in (
        Peer(OURS, "ours: OpenVINO", "with_openvino.py", None, _SAME, same_weights=True),
        Peer(
            "onnxruntime",
            "ONNX Runtime",
            "with_onnxruntime.py",
            "onnxruntime",
            _SAME,
            same_weights=True,
            needs_onnx=True,
        ),
        Peer("keras", "Keras predict", "with_keras.py", "keras", _SAME, same_weights=True, goal=2.0),
        Peer(
            "tensorflow",
            "TensorFlow function",
            "with_keras.py",
            "keras",
            _SAME,
            same_weights=True,
            arguments=("--function",),
        ),
        Peer("monai", "MONAI, windows", "with_monai.py", "monai", _MONAI, arguments=("--window", "96")),
        Peer("monai-whole", "MONAI, whole grid", "with_monai.py", "monai", _MONAI, arguments=("--window", "384")),
        Peer("nnunet", "nnU-Net v2", "with_nnunet.py", "nnunet", _NNUNET, goal=10.0),
        Peer(
            "nnunet-plain",
            "nnU-Net v2, no mirroring",
            "with_nnunet.py",
            "nnunet",
            _NNUNET,
            arguments=("--no-mirroring",),
        ),
    )
}
"""All peers, in the order of the table."""


def choose(names: list[str] | None) -> list[Peer]:
    """Return the peers of these names, ours first and always; all for None.

    Raises
    ------
    ValueError
        If there is no such peer.
    """
    for name in names or ():
        if name not in PEERS:
            raise ValueError(f'There is no peer "{name}"; choose of {", ".join(PEERS)}.')
    return [peer for peer in PEERS.values() if names is None or peer.name in names or peer.name == OURS]
