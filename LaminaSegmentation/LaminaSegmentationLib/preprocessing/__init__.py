"""Preprocessing of a scan for the network (paper Section II, METHOD section 2): each step a function of its own.

``footprint``   where the probe looked, and the skin
``column``      the dark spinous process column
``top_layer``   depth of the laminae and what to blank above them
``grid``        region of interest, resampling, normalization
``labels``      3x3x3 cubes around the centroids
``prepare``     all of them in order
``corrections`` what a person has put right by hand
"""

from .column import Column, find_column
from .corrections import Corrections, read_corrections
from .footprint import Survey, survey
from .grid import GRID_SHAPE, normalize, region_of_interest, resample
from .labels import CubeReport, stamp_cubes
from .pipeline import PREPROCESSING_VERSION, Options, Prepared, prepare
from .top_layer import TopLayer, find_top_layer

__all__ = [
    "GRID_SHAPE",
    "PREPROCESSING_VERSION",
    "Column",
    "Corrections",
    "CubeReport",
    "Options",
    "Prepared",
    "Survey",
    "TopLayer",
    "find_column",
    "find_top_layer",
    "normalize",
    "prepare",
    "read_corrections",
    "region_of_interest",
    "resample",
    "stamp_cubes",
    "survey",
]
