"""Following something that runs in a child process without waiting for it."""

import qt
import slicer

POLL_MILLISECONDS = 100


class JobTimer:
    """Polls something that runs, from a timer, until it has ended.

    Parameters
    ----------
    failure : str
        The first sentence of the message box when it fails.
    onEnd : callable
        Called with what `poll` returned at last.
    onFailure : callable
        Called with the sentence of the error; the message box follows.
    """

    def __init__(self, failure, onEnd, onFailure):
        self._failure, self._onEnd, self._onFailure = failure, onEnd, onFailure
        self._poll = None
        self._timer = qt.QTimer()
        self._timer.setInterval(POLL_MILLISECONDS)
        self._timer.timeout.connect(self.tick)

    @property
    def isActive(self):
        """Whether something is being followed."""
        return self._poll is not None

    def begin(self, start, poll):
        """Call ``start``, then ``poll`` every tenth of a second until it returns something other than None.

        Returns whether it could be started; an exception of either becomes a message box.
        """
        self._poll = poll
        if not self._guarded(start):
            return False
        self._timer.start()
        return True

    def tick(self):
        """Poll once."""
        if self._poll is not None:
            self._guarded(self._step)

    def stop(self):
        """Follow it no longer."""
        self._timer.stop()
        self._poll = None

    def _step(self):
        result = self._poll()
        if result is not None:
            self.stop()
            self._onEnd(result)

    def _guarded(self, action):
        done = False
        with slicer.util.tryWithErrorDisplay(self._failure):
            try:
                action()
                done = True
            except Exception as error:
                self.stop()
                self._onFailure(str(error))
                raise
        return done
