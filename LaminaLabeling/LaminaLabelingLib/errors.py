"""The one exception whose text is written for the person at the screen."""


class LaminaError(Exception):
    """Something the user can put right.

    The message is one clear sentence that says what is wrong and what to do. The commands print it and exit with
    code 2; the modules show it in a dialog. Anything else that is raised is a defect of ours.
    """
