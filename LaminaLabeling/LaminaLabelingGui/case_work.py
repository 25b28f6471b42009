"""Cases of a folder in the scene: opening, leaving, looking at another rater's labels."""

import slicer
from slicer.i18n import tr as _

from LaminaLabelingGui import appearance, decision_nodes, scan_nodes
from LaminaLabelingLib.case_locks import CaseLockedError
from LaminaLabelingLib.case_session import CaseSession
from LaminaLabelingLib.cases import CaseFolder
from LaminaLabelingLib.errors import LaminaError
from LaminaLabelingLib.markups import from_node, to_node

CONSENSUS = "consensus"
"""Rater's name of an adjudicated list."""


class CaseWork:
    """A folder of scans, of which one is open.

    Parameters
    ----------
    session : LabelingSession
        Works on the list of the open case.

    Attributes
    ----------
    folder : CaseFolder or None
    warnings : list of str
        What the user should know about the case that was opened last.
    """

    def __init__(self, session):
        self._session = session
        self.folder = None
        self.warnings = []
        self.failures = {}
        """Why scans could not be opened, by name."""
        self._nodes = []
        self._otherNode = None
        self._shownRater = ""
        self._last = ""

    @property
    def isOpen(self):
        """Whether a case is open."""
        return self._session.case is not None

    @property
    def name(self):
        """Name of the open case, empty without one."""
        return self._session.case.name if self.isOpen else ""

    def openFolder(self, path, rater):
        """Open a folder of scans for a rater. Raises LaminaError if it cannot be read, or the rater's name is none."""
        folder = CaseFolder(path, rater)
        self.close()
        self.folder, self.failures, self._last = folder, {}, ""

    def closeFolder(self):
        """Leave the folder; a draft of the open case stays in it."""
        self.close()
        self.folder = None

    def open(self, name, takeOver=False, rater=""):
        """Open a case of the folder where it was left off.

        Parameters
        ----------
        name : str
            The scan's name without extension.
        takeOver : bool
            Whether to take the lock of somebody else over.
        rater : str
            Whose labels to edit; empty for the folder's rater.

        Raises
        ------
        CaseLockedError
            If somebody else has it open.
        LaminaError
            If the scan or the labels cannot be read.
        """
        self.close()
        self._last = name
        try:
            self._open(name, takeOver, rater)
        except CaseLockedError:
            raise
        except LaminaError as error:
            self.failures[name] = str(error)
            raise
        self.failures.pop(name, None)

    def _open(self, name, takeOver, rater):
        case = CaseSession.open(self.folder.folder, name, rater or self.folder.rater, take_over=takeOver)
        try:
            volumeNode = self._load(case.scan)
            markupsNode = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLMarkupsFiducialNode", f"{name} {case.rater}")
            self._nodes.append(markupsNode)
            if case.axes:
                self._nodes.append(scan_nodes.setAxes(volumeNode, case.axes, [markupsNode]))
            to_node(case.laminae, markupsNode)
            appearance.style(markupsNode)
            appearance.belongToScan(volumeNode, markupsNode)
            self._session.open(markupsNode, volumeNode, case)
        except Exception:
            case.close()
            self._session.close()
            self._removeNodes()
            raise
        self.warnings = list(case.warnings)
        if case.recovered:
            self.warnings.append(_("Edits that were not saved have been found and are shown."))
        self._doubt = "" if case.axes else scan_nodes.axesDoubt(volumeNode)
        if case.rater != self.folder.rater:
            self.warnings.append(_("You are editing the labels of {rater}.").format(rater=case.rater))
        if self._doubt:
            self.warnings.append(self._doubt)

    def _load(self, path):
        volumeNode = scan_nodes.loadScan(path)
        self._nodes.append(volumeNode)
        return volumeNode

    def close(self):
        """Leave the open case: release it, and take its nodes out of the scene. Its draft stays in the folder."""
        self.warnings = []
        if self.isOpen:
            self._session.close()
        self._removeNodes()

    def forgetNodes(self):
        """Release the open case when the scene is closing, which takes the nodes away itself."""
        self._nodes, self._otherNode = [], None
        if self.isOpen:
            self._session.close()

    def _removeNodes(self):
        nodes, self._nodes = self._nodes, []
        appearance.removeList(self._otherNode)
        self._otherNode = None
        for node in reversed(nodes):
            if node.IsA("vtkMRMLMarkupsNode"):
                appearance.removeList(node)
            elif node.GetScene() is not None:
                slicer.mrmlScene.RemoveNode(node)

    def step(self, by, unfinished=False):
        """Return the name of the next (1) or previous (-1) case, None at the end of the folder."""
        if self.folder is None:
            raise LaminaError(_("Open a folder of scans first."))
        self.folder.refresh()
        look = self.folder.next if by > 0 else self.folder.previous
        # A scan that cannot be opened is gone past, not come back to.
        case = look(self.name or self._last or None, unfinished=unfinished)
        return None if case is None else case.name

    def setAxes(self, code):
        """Say how the open scan lies in the patient; kept beside the scan for all raters."""
        session = self._session
        known = appearance.companionsOf(session.scanNode)
        for node in (session.listNode, self._otherNode):
            if node not in known:
                known.append(node)
        transformNode = scan_nodes.setAxes(session.scanNode, code, [node for node in known if node is not None])
        if self.isOpen:
            session.case.set_axes(code)
            self.warnings = [text for text in self.warnings if text != self._doubt]
            if transformNode not in self._nodes:
                self._nodes.append(transformNode)

    def takeOver(self, markupsNode):
        """Take a result that was computed for the open scan as its labels, to be reviewed: one edit.

        Raises LaminaError if the result belongs to another scan, or if the case holds labels already.
        """
        session = self._session
        if markupsNode.GetNodeReference(scan_nodes.SCAN_REFERENCE) is not session.scanNode:
            raise LaminaError(_("A case is open that belongs to another scan: close it first."))
        if session.laminae.positions():
            raise LaminaError(
                _("The open case holds labels already: compare them with the result under Agreement, or close it.")
            )
        result = scan_nodes.carriedOver(from_node(markupsNode), markupsNode, session.listNode)
        decisions = decision_nodes.decisionsOf(markupsNode)
        decision_nodes.carryOver(decisions, session.listNode, scan_nodes.between(markupsNode, session.listNode))
        session.labeling.replace(result, _("result taken over"))
        markupsNode.SetDisplayVisibility(False)

    # Another rater's labels

    def otherRaters(self):
        """Return who else has saved labels for the open case."""
        return tuple(rater for rater in self.savedRaters() if rater != self._session.case.rater)

    def savedRaters(self):
        """Return all who have saved labels for the open case; nobody if the scan is gone from the folder."""
        if not self.isOpen or self.folder is None:
            return ()
        return next((case.raters for case in self.folder.cases if case.name == self.name), ())

    @property
    def shownRater(self):
        """Whose labels are shown in gray; empty for nobody's."""
        return self._shownRater if self._otherNode is not None else ""

    def labelsOf(self, rater):
        """Return the saved labels of a rater for the open case, in the coordinates of the scan's file."""
        return self._session.case.labels_of(rater)

    def showRater(self, rater):
        """Show another rater's labels in gray, to look at only; an empty name hides them."""
        appearance.removeList(self._otherNode)
        self._otherNode, self._shownRater = None, rater or ""
        if not rater:
            return None
        session = self._session
        name = _("{name} {rater} (read only)").format(name=self.name, rater=rater)
        node = appearance.listToLookAt(name, self.labelsOf(rater), session.listNode, session.scanNode)
        self._otherNode = node
        return node
