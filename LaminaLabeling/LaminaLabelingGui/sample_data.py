"""The sample scan that comes with the extension, so that the tutorial works without a network."""

from pathlib import Path

import slicer
from slicer.i18n import tr as _

SAMPLE_NAME = "SimulatedSpineUltrasound"
_FOLDER = Path(__file__).parents[1] / "Resources" / "SampleData"
SAMPLE_FILE = _FOLDER / f"{SAMPLE_NAME}.nrrd"
TRUTH_FILE = _FOLDER / f"{SAMPLE_NAME}.truth.mrk.json"
_THUMBNAIL = _FOLDER / f"{SAMPLE_NAME}.png"


def register():
    """Register the sample in the module Sample Data."""
    import SampleData

    SampleData.SampleDataLogic.registerCustomSampleDataSource(
        category="Ultrasound",
        sampleName=SAMPLE_NAME,
        uris=SAMPLE_FILE.as_uri(),
        fileNames=SAMPLE_FILE.name,
        nodeNames=SAMPLE_NAME,
        thumbnailFileName=str(_THUMBNAIL),
        loadFileType="VolumeFile",
        customDownloader=load,
    )


def load(source=None):
    """Load the sample; returns the volume nodes. It is a simulated scan, not a patient's."""
    slicer.util.showStatusMessage(_("This is a simulated scan, not a patient's."), 5000)
    return [slicer.util.loadVolume(str(SAMPLE_FILE), {"name": SAMPLE_NAME})]
