"""Simulated freehand 3D ultrasound scans of scoliotic spines, with ground truth laminae.

Anatomy -> bones and echo -> scan -> faults.

No public ultrasound set of adolescent idiopathic scoliosis with lamina labels exists. These scans stand in for one; a
figure measured on them is a figure about simulated scans and is called that wherever it is shown.
"""

from .scan import SimulatedScan, simulate_scan
from .styles import STYLES, Style, style_for_training, style_named

__all__ = ["STYLES", "SimulatedScan", "Style", "simulate_scan", "style_for_training", "style_named"]
