"""To be written."""


class BatchWork:
    def __init__(self, installation, models):
        self._installation, self._models = installation, models

    isRunning = False

    def corrections(self, volumeNode):
        return None
