"""Where the tests of the modules find things."""

from pathlib import Path

ROOT = Path(__file__).parents[3]
MODULES = [ROOT / name / f"{name}.py" for name in ("LaminaLabeling", "LaminaSegmentation")]
FAKE_LAMINA = ROOT / "Testing" / "Python" / "fake_lamina.py"
FAKE_TRAINING = ROOT / "Testing" / "Python" / "fake_training.py"
