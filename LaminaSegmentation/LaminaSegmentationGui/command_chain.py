"""Several commands one after the other, followed as if they were one."""


class CommandChain:
    """Runs steps, each a command in a child process whose result decides about the next.

    Parameters
    ----------
    newCommand : callable
        Returns a LaminaCommand that has not been started.
    steps : sequence of callable
        Each is called with the result of the command before it, None for the first, and returns the arguments of its
        command, or None to end the chain.
    """

    def __init__(self, newCommand, steps):
        self._newCommand, self._steps = newCommand, list(steps)
        self._command = None
        self._last = None
        self.step = 0
        """The number of the step that runs, from 1; 0 before the start."""

    @property
    def isRunning(self):
        """Whether a command has been started and neither ended nor been canceled."""
        return self._command is not None

    def start(self):
        """Start the first command."""
        self._next(None)

    def poll(self):
        """Pass on what has happened; return the last command's result at the end of the chain, and None before."""
        if self._command is None:
            return self._last
        try:
            result = self._command.poll()
        except Exception:
            self.cancel()
            raise
        if result is None:
            return None
        self._command.close()
        self._command = None
        self._last = result
        self._next(result)
        return result if self._command is None else None

    def cancel(self):
        """End the command that runs and everything it started."""
        if self._command is not None:
            self._command.cancel()
        self._command, self._steps = None, []

    def _next(self, result):
        arguments = self._steps.pop(0)(result) if self._steps else None
        if arguments is None:
            self._steps = []
            return
        self.step += 1
        self._command = self._newCommand()
        try:
            self._command.start(arguments)
        except Exception:
            self.cancel()
            raise
