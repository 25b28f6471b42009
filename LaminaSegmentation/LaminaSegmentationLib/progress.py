"""The stages of a run and who is told about them; imports nothing, so that commands start at once."""

STAGES = {
    "simulate": "Simulating a scan",
    "read": "Reading the scan",
    "preprocess": "Preprocessing the scan",
    "network": "Running the network",
    "localization": "Locating the laminae",
    "write": "Writing the results",
}


class Progress:
    """Told what is going on; this one keeps it to itself. A console or a graphical interface overrides the methods."""

    def stage(self, name: str) -> None:
        """Begin the stage ``name``, a key of `STAGES`."""

    def fraction(self, share: float) -> None:
        """Report the share of the current stage that is done."""

    def warning(self, text: str) -> None:
        """Report a sentence that the user should read."""
