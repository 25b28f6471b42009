"""The module ``SampleData``: keeps what other modules register and loads it. Downloading is not imitated."""

import slicer

from SlicerHost.errors import NotImitatedError


class SampleDataSource:
    """One set of sample data."""

    def __init__(self, **fields):
        vars(self).update(fields)


class SampleDataLogic:
    """Registers and loads sample data."""

    @staticmethod
    def registerCustomSampleDataSource(category="Custom", **fields):
        if not hasattr(slicer.modules, "sampleDataSources"):
            slicer.modules.sampleDataSources = {}
        slicer.modules.sampleDataSources.setdefault(category, []).append(SampleDataSource(**fields))

    def downloadSamples(self, sampleName):
        for sources in getattr(slicer.modules, "sampleDataSources", {}).values():
            for source in sources:
                if source.sampleName == sampleName:
                    if source.customDownloader is None:
                        raise NotImitatedError("SlicerHost downloads nothing.")
                    return source.customDownloader(source)
        return []
