"""What needs the whole application, and is done when it has started."""

from LaminaLabelingGui import sample_data
from LaminaLabelingGui.views import registerLayouts


def onStartup():
    """Register the sample scan and the layouts."""
    sample_data.register()
    registerLayouts()
