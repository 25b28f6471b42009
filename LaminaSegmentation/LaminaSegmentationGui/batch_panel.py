"""To be written."""


class BatchPanel:
    def __init__(self, section, logic, settings=None):
        self.logic = logic

    isRunning = False

    def cancel(self, text):
        pass

    def applySettings(self, settings):
        pass

    def enter(self):
        pass
