"""The spine-shaped grid: a row for each vertebra, a cell for each of its laminae."""

import qt
from slicer.i18n import tr as _

from LaminaLabelingLib.laminae import Review, Source

SYMBOLS = {Review.unset: "○", Review.unreviewed: "?", Review.placed: "✓", Review.absent: "✕"}
"""What a person has decided; the colors say where a position comes from, and every cell says it in words too."""

COLORS = {Source.detected: "#1f6fb2", Source.inferred: "#b45f06", Source.manual: "#2e7d32"}
_UNSET_COLOR, _ABSENT_COLOR = "#808080", "#606060"
_BACKGROUNDS = {
    Review.unset: "#f4f4f4",
    Review.unreviewed: "#fff3d6",
    Review.placed: "#e2f3e4",
    Review.absent: "#dcdcdc",
}
_ROW_HEIGHT = 21


def sourceText(lamina):
    """Return where a position comes from in a word."""
    return {
        Source.detected: _("detected"),
        Source.inferred: _("suggested"),
        Source.manual: _("by hand"),
        None: "",
    }[lamina.source]


def reviewText(lamina):
    """Return what a person has decided about a lamina."""
    return {
        Review.unset: _("not placed yet"),
        Review.unreviewed: _("to be reviewed"),
        Review.placed: _("placed"),
        Review.absent: _("absent"),
    }[lamina.review]


def cellText(lamina):
    """Return the text of a lamina's cell: symbol, source and confidence."""
    symbol = SYMBOLS[lamina.review]
    if lamina.review is Review.absent:
        return f"{symbol} {reviewText(lamina)}"
    if lamina.position is None:
        return symbol
    confidence = "" if lamina.confidence is None else f" {lamina.confidence:.2f}"
    return f"{symbol} {sourceText(lamina)}{confidence}"


class SlotGrid:
    """Fills a table with the laminae of a session, and selects the slot that is clicked.

    Parameters
    ----------
    table : QTableWidget
    onClicked : callable
        Called with the name of the slot.
    """

    def __init__(self, table, onClicked):
        self._table = table
        self._onClicked = onClicked
        self._names = {}
        self._cells = {}
        self._columns = ()
        table.setColumnCount(3)
        table.setSelectionMode(qt.QAbstractItemView.NoSelection)
        table.setEditTriggers(qt.QAbstractItemView.NoEditTriggers)
        table.setFocusPolicy(qt.Qt.NoFocus)  # the arrow keys move the lamina, not the cell
        table.setHorizontalScrollBarPolicy(qt.Qt.ScrollBarAlwaysOff)
        table.verticalHeader().setVisible(False)
        table.verticalHeader().setDefaultSectionSize(_ROW_HEIGHT)
        table.horizontalHeader().setSectionResizeMode(qt.QHeaderView.Stretch)
        table.horizontalHeader().setSectionResizeMode(0, qt.QHeaderView.ResizeToContents)
        table.cellClicked.connect(self._onCellClicked)

    def show(self, laminae, selected, findings=(), leftFirst=False):
        """Show a set of laminae.

        Parameters
        ----------
        laminae : LaminaSet
        selected : str or None
            The slot that gets the frame.
        findings : sequence of Finding
            Their slots get a mark, and the tool tip says what looks wrong.
        leftFirst : bool
            Whether the patient's left is the first column, as in a coronal view from behind.
        """
        sides = ("L", "R") if leftFirst else ("R", "L")
        vertebrae = list(laminae.pairs())
        if (sides, tuple(vertebrae)) != self._columns:
            self._build(sides, vertebrae)
        wrong = {}
        for finding in findings:
            wrong.setdefault(finding.name, []).append(finding.text)
        for name, item in self._cells.items():
            lamina = laminae.get(name)
            _showLamina(item, name, lamina, name == selected, wrong.get(name, ()))
        if selected in self._cells:
            self._table.scrollToItem(self._cells[selected])

    def _build(self, sides, vertebrae):
        titles = {"L": _("Left"), "R": _("Right")}
        self._columns = (sides, tuple(vertebrae))
        self._names, self._cells = {}, {}
        self._table.setRowCount(0)
        self._table.setHorizontalHeaderLabels(["", *(titles[side] for side in sides)])
        self._table.setRowCount(len(vertebrae))
        # All rows are seen at once, also with 13 thoracic and 6 lumbar vertebrae.
        self._table.setMinimumHeight(_ROW_HEIGHT * (max(len(vertebrae), 17) + 1) + 8)
        for row, vertebra in enumerate(vertebrae):
            header = qt.QTableWidgetItem(vertebra)
            header.setTextAlignment(qt.Qt.AlignCenter)
            self._table.setItem(row, 0, header)
            for column, side in enumerate(sides, start=1):
                item = qt.QTableWidgetItem("")
                self._table.setItem(row, column, item)
                self._names[row, column] = vertebra + side
                self._cells[vertebra + side] = item

    def cell(self, name):
        """Return row and column of a slot."""
        return next(cell for cell, slot in self._names.items() if slot == name)

    def _onCellClicked(self, row, column):
        # The level itself stands for the lamina in the first column.
        self._onClicked(self._names[row, max(column, 1)])


def _showLamina(item, name, lamina, isSelected, wrong):
    """Write one slot into its cell; None is an empty slot of a provisional pair."""
    review = Review.unset if lamina is None else lamina.review
    text = SYMBOLS[review] if lamina is None else cellText(lamina)
    words = _("not placed yet") if lamina is None else reviewText(lamina)
    item.setText(("▶ " if isSelected else "") + text + (" ⚠" if wrong else ""))
    item.setToolTip("\n".join([f"{name}: {words}", *wrong]))
    color = _UNSET_COLOR if lamina is None or lamina.position is None else COLORS[lamina.source]
    if review is Review.absent:
        color = _ABSENT_COLOR
    item.setForeground(qt.QBrush(qt.QColor("#ffffff" if isSelected else color)))
    item.setBackground(qt.QBrush(qt.QColor("#3a4a66" if isSelected else _BACKGROUNDS[review])))
    font = item.font()
    font.setBold(isSelected)
    item.setFont(font)
