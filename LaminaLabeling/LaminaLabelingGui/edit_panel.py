"""The part of the panel in which laminae are placed and reviewed: prompt, buttons, grid and checks."""

from contextlib import contextmanager

import qt
import slicer
from slicer.i18n import tr as _

from LaminaLabelingGui.list_watcher import ListWatcher
from LaminaLabelingGui.panel_tools import chooseKey, chosenKey, fillCombo
from LaminaLabelingGui.placing import Placing
from LaminaLabelingGui.shortcuts import cheatSheet
from LaminaLabelingGui.slot_grid import SlotGrid, reviewText, sourceText
from LaminaLabelingLib import guidance
from LaminaLabelingLib.errors import LaminaError
from LaminaLabelingLib.laminae import Lamina, LaminaSet, Review


class EditPanel:
    """Shows a session and lets the user work on it.

    Parameters
    ----------
    ui : namespace of widgets
    session : LabelingSession
    views : LabelingViews
    settings : callable
        Returns the parameter node, None while the module is not shown.
    """

    def __init__(self, ui, session, views, settings):
        self.ui, self.session, self.views = ui, session, views
        self._settings = settings
        self._findings = ()
        self._locked = (None, False)
        self._message = ""
        self.grid = SlotGrid(ui.slotTable, self.onSlot)
        self._placing = Placing(self.onPlaced, self.refresh)
        self._watcher = ListWatcher(session, self.onListChanged)
        # Several changes in one go: everything is shown once, when the event loop comes round.
        self._refresh = qt.QTimer()
        self._refresh.setSingleShot(True)
        self._refresh.setInterval(0)
        self._refresh.timeout.connect(self.refresh)
        session.onChanged.append(self._refresh.start)
        fillCombo(ui.orderComboBox, [(order, guidance.order_text(order)) for order in guidance.ORDERS])
        self._dress()
        self._connect()

    def _dress(self):
        self.ui.promptLabel.setStyleSheet("font-size: 24pt; font-weight: bold")
        # Room for a reason: the buttons below stay where the mouse is while one goes from lamina to lamina.
        self.ui.hintLabel.setMinimumHeight(2 * qt.QFontMetrics(self.ui.hintLabel.font).lineSpacing())
        self.ui.guideFrame.setFrameShape(qt.QFrame.StyledPanel)
        self.ui.problemLabel.setStyleSheet("color: #b00020")
        # No control of this panel keeps the keyboard, which belongs to the lamina.
        for name in dir(self.ui):
            widget = getattr(self.ui, name)
            if not hasattr(widget, "inherits"):
                continue
            if any(widget.inherits(kind) for kind in ("QPushButton", "QCheckBox", "QComboBox", "QListWidget")):
                widget.setFocusPolicy(qt.Qt.NoFocus)
            elif widget.inherits("QAbstractSpinBox"):
                widget.editingFinished.connect(widget.clearFocus)

    def _connect(self):
        ui = self.ui
        for button, action in (
            (ui.skipButton, self.skip),
            (ui.absentButton, self.markAbsent),
            (ui.unsetButton, lambda: self._edit(self.session.unset)),
            (ui.undoButton, lambda: self._travel(self.session.undo, _("Taken back: {text}."))),
            (ui.redoButton, lambda: self._travel(self.session.redo, _("Done again: {text}."))),
            (ui.acceptButton, self.accept),
            (ui.rejectButton, lambda: self._edit(self.session.reject)),
            (ui.nextToReviewButton, self.nextToReview),
            (ui.acceptAboveButton, self.acceptAbove),
            (ui.helpButton, self.showHelp),
        ):
            button.clicked.connect(lambda *_args, action=action: action())
        ui.placeButton.clicked.connect(lambda *_args: self.togglePlacing())
        ui.orderComboBox.currentIndexChanged.connect(lambda *_args: self.onOrder())
        ui.findingsList.itemClicked.connect(self.onFinding)

    def actions(self):
        """Return what the keys of `shortcuts.KEYS` do that concern laminae."""
        session = self.session

        def nudge(axis, sign):
            def move():
                direction = [sign * value for value in self.views.directions()[axis]]
                self._move(lambda: session.nudge(direction))

            return move

        return {
            "place": self.togglePlacing,
            "placeHere": self.placeHere,
            "skip": self.skip,
            "absent": self.markAbsent,
            "unset": lambda: self._edit(session.unset),
            "next": lambda: self._choose(lambda: session.step(1)),
            "previous": lambda: self._choose(lambda: session.step(-1)),
            "otherSide": lambda: self._choose(session.otherSide),
            "up": nudge(1, 1),
            "down": nudge(1, -1),
            "left": nudge(0, -1),
            "right": nudge(0, 1),
            "deeper": lambda: self._move(lambda: session.nudgeDepth(1)),
            "shallower": lambda: self._move(lambda: session.nudgeDepth(-1)),
            "snap": lambda: self.ui.snapCheckBox.setChecked(not self.ui.snapCheckBox.checked),
            "protect": lambda: self.ui.lockCheckBox.setChecked(not self.ui.lockCheckBox.checked),
            "accept": self.accept,
            "reject": lambda: self._edit(session.reject),
            "nextToReview": self.nextToReview,
            "undo": lambda: self._travel(session.undo, _("Taken back: {text}.")),
            "redo": lambda: self._travel(session.redo, _("Done again: {text}.")),
            "undoSlot": lambda: self._travel(session.undoSlot, "{text}."),
            "fit": self.views.fit,
            "help": self.showHelp,
        }

    # Shown or not

    def enter(self):
        """Begin to follow the list."""
        self._watcher.watch(self.session.listNode)
        self.onListChanged()  # it may have been changed while nobody watched
        self._refresh.start()

    def leave(self):
        """Stop to place and to follow the list, and unlock it if it was not locked before."""
        self._placing.stop()
        self._watcher.watch(None)
        self._lock(None, False)
        self._refresh.stop()

    # What the user does

    def onSlot(self, name):
        """Choose a slot and show where it is, or probably is."""
        self._choose(lambda: self.session.select(name))

    def _choose(self, choose):
        with self._saying():
            choose()
            self.jump()

    @contextmanager
    def _saying(self, text=""):
        """Show a sentence after an action, or why it could not be done, until the next one."""
        self._message = text
        try:
            yield
        except LaminaError as error:
            self._message = str(error)
        self._refresh.stop()
        self.refresh()

    def jump(self):
        """Show the chosen slot in every view."""
        self.views.jump(self.session.placeOf(self.session.selected))

    def togglePlacing(self):
        """Begin or stop to place laminae by clicks."""
        self._message = ""
        if self._placing.isActive or not self.session.isOpen or self.session.selected is None:
            self._placing.stop()
        else:
            self._placing.start(self.session.selected)
        self.refresh()

    def onPlaced(self, position):
        """Take a click in a view."""
        with self._saying():
            following = self.session.place(position)
            if following is None:
                self._placing.stop()
            self._follow(following)

    def placeHere(self):
        """Place the chosen lamina where the three views meet."""
        self._advance(lambda: self.session.place(self.views.intersection()))

    def skip(self):
        """Go to the next empty slot."""
        self._advance(self.session.skip)

    def markAbsent(self):
        """Say that the chosen lamina is not in the scan."""
        self._advance(self.session.markAbsent)

    def accept(self):
        """Confirm the chosen lamina and go to the next one to review."""
        self._advance(self.session.accept)

    def nextToReview(self):
        """Go to the next slot that needs a person."""
        self._advance(self.session.nextToReview)

    def acceptAbove(self):
        """Confirm all detected laminae above the threshold."""
        with self._saying():
            count = self.session.acceptAbove(self.ui.thresholdSpinBox.value)
            self._message = _("{count} laminae accepted.").format(count=count)

    def _advance(self, action):
        with self._saying():
            self._follow(action())

    def _follow(self, name):
        """Go on with the slot that comes next."""
        settings = self._settings()
        if name is not None and (settings is None or settings.follow):
            self.jump()
        if name is None:
            left = guidance.progress(self.session.laminae).unreviewed
            text = _("No slot is empty, {count} are left to review: press N.").format(count=left)
            self._message = text if left else _("No slot is left. Look at the checks below, then save.")

    def say(self, text):
        """Show a sentence under the prompt until the next action."""
        with self._saying(text):
            pass

    def _edit(self, action):
        with self._saying():
            action()

    def _move(self, action):
        """Move a lamina, and the views with it: else it would leave the slices that show it."""
        with self._saying():
            action()
            self.jump()

    def _travel(self, action, said):
        with self._saying():
            text = action()
            if text:
                self.jump()
            self._message = said.format(text=text) if text else _("There is nothing more to take back or to do again.")

    def onOrder(self):
        """Take another order of the slots."""
        self.session.order = chosenKey(self.ui.orderComboBox)
        settings = self._settings()
        if settings is not None:
            settings.order = self.session.order

    def onFinding(self, item):
        """Go to the slot that a check names."""
        row = self.ui.findingsList.row(item)
        if row < len(self._findings) and self._findings[row].name in self.session.laminae:
            self.onSlot(self._findings[row].name)

    def onListChanged(self):
        """Take over what was changed in the views or by Slicer's own tools."""
        try:
            self.session.readList()
        except LaminaError as error:
            self._message = str(error)

    def showHelp(self):
        """Show the keys."""
        slicer.util.infoDisplay(cheatSheet(), windowTitle=_("Keys of Lamina Labeling"))

    def applySettings(self, settings):
        """Take over what is set in the parameter node."""
        self.session.snap = settings.snap
        self.session.order = settings.order if settings.order in guidance.ORDERS else guidance.ORDERS[0]
        chooseKey(self.ui.orderComboBox, self.session.order)
        self._lock(self.session.listNode, settings.lock)
        self._refresh.start()

    def _lock(self, node, locked):
        """Lock or unlock a list while it is worked on, and give the former one back as it was."""
        former, before = self._locked
        if former is not node:
            if former is not None and former.GetScene() is not None:
                former.SetLocked(before)
            self._locked = (node, node.GetLocked() if node is not None else False)
        if node is not None and bool(node.GetLocked()) != locked:
            node.SetLocked(locked)

    # What is shown

    def refresh(self):
        """Show the session as it is now."""
        session, ui = self.session, self.ui
        self._watcher.watch(session.listNode)
        if self._placing.isActive:
            if session.selected is None:
                self._placing.stop()
            else:
                self._placing.start(session.selected)
        settings = self._settings()
        problem = session.problem
        self._findings = ()
        if session.isOpen:
            try:
                self._findings = session.findings()
            except LaminaError as error:
                problem = problem or str(error)
        self.grid.show(
            session.laminae if session.isOpen else LaminaSet.provisional(),
            session.selected,
            self._findings,
            settings is not None and settings.fromBehind,
        )
        ui.promptLabel.setText(slotText(session.selected) if session.isOpen else "")
        ui.hintLabel.setText(self._message or self._hint())
        ui.problemLabel.setText(problem)
        ui.progressLabel.setText(progressText(session.laminae) if session.isOpen else "")
        ui.findingsList.clear()
        for finding in self._findings:
            ui.findingsList.addItem(finding.text)
        ui.checksCollapsibleButton.setText(
            _("Checks: {count} to look at").format(count=len(self._findings))
            if self._findings
            else _("Checks: nothing looks wrong")
        )
        self._enableButtons()

    def _enableButtons(self):
        session, ui = self.session, self.ui
        lamina = session.laminae.get(session.selected) if session.isOpen else None
        chosen = session.isOpen and session.selected is not None
        for button in (ui.placeButton, ui.skipButton, ui.absentButton, ui.nextToReviewButton, ui.acceptAboveButton):
            button.setEnabled(chosen)
        ui.unsetButton.setEnabled(chosen and lamina is not None)
        for button in (ui.acceptButton, ui.rejectButton):
            button.setEnabled(lamina is not None and lamina.position is not None)
        ui.placeButton.setChecked(self._placing.isActive)
        for button, text, title in (
            (ui.undoButton, session.labeling.undo_text, _("Undo: {text} (Ctrl+Z)")),
            (ui.redoButton, session.labeling.redo_text, _("Redo: {text} (Ctrl+Y)")),
        ):
            button.setEnabled(bool(text))
            button.setToolTip(title.format(text=text) if text else _("Nothing to take back or to do again"))

    def _hint(self):
        session = self.session
        if not session.isOpen:
            return _("Choose a scan and press New list, choose a list, or open a case.")
        if session.selected is None:
            return _("The list is empty.")
        if self._placing.isActive:
            return _("Click it in any view. A right click or P stops.")
        lamina = session.laminae.get(session.selected) or Lamina(session.selected)
        if lamina.position is None:
            if lamina.review is Review.absent:
                return _("Absent.")
            return _("Not placed yet: the views show where it probably is.")
        confidence = "" if lamina.confidence is None else f" {lamina.confidence:.2f}"
        state = f"{sourceText(lamina).capitalize()}{confidence}, {reviewText(lamina)}"
        reason = session.reason(session.selected)
        return _("{state}: {reason}.").format(state=state, reason=reason) if reason else f"{state}."


def slotText(name):
    """Return a slot in words, "T6 right"; empty for None."""
    if name is None:
        return ""
    side = {"L": _("left"), "R": _("right")}[name[-1]]
    return f"{name[:-1]} {side}"


def progressText(laminae):
    """Return how far the work on a set is, in all and by region."""
    progress = guidance.progress(laminae)
    text = _("{done} of {total} done").format(done=progress.done, total=progress.total)
    details = [
        _("{count} absent").format(count=progress.absent) if progress.absent else "",
        _("{count} to review").format(count=progress.unreviewed) if progress.unreviewed else "",
    ]
    regions = [f"{region} {part.done}/{part.total}" for region, part in progress.by_region.items()]
    return "\n".join([" · ".join([text, *filter(None, details)]), " · ".join(regions)]).strip()
