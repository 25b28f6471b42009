"""Finds texts in Python code that a user would see untranslated, or that Slicer's tools could not translate."""

import ast
import re
import string
from collections.abc import Iterator

_TRANSLATORS = {"slicer.i18n", "LaminaLabelingLib.i18n"}

# Calls that show what they are given, by the last part of the name.
_SHOWING = re.compile(
    "set(Text|ToolTip|StatusTip|WhatsThis|WindowTitle|Title|Format|PlaceholderText|PlainText|Html|LabelText)"
    "|set(InformativeText|DetailedText|Prefix|Suffix|SpecialValueText|TabText|ItemText|(Cancel)?ButtonText)"
    "|set(Horizontal|Vertical)?HeaderLabels?|Set(Text|Input|Title|XAxisTitle|YAxisTitle)"
    "|add(Tab|Row|Action|Menu|Button|Items)|showMessage|showStatusMessage"
    "|Q(Label|PushButton|ToolButton|CheckBox|RadioButton|GroupBox|Action|(Table|List|Tree)WidgetItem|ProgressDialog)"
    "|(error|info|warning|delay|confirmOkCancel|confirmYesNo|confirmRetryClose|tryWithError)Display|messageBox"
)
# Of these only one argument is shown; the next one may be data.
_SHOWN_ARGUMENT = {"addItem": 0, "insertItem": 1}
# All texts that a method of these is given are shown.
_SHOWING_CLASSES = {"QMessageBox", "QInputDialog", "QFileDialog", "QToolTip"}
_SHOWN_ATTRIBUTES = re.compile("title|windowTitle|helpText|acknowledgementText|text|toolTip|statusTip|placeholderText")
_SHOWN_KEYWORDS = re.compile("text|title|windowTitle|toolTip|message|detailedText|informativeText|prefix|suffix")

# What is raised with these is a defect, and its text is for the developer.
_DEVELOPER_ERRORS = {"ValueError", "TypeError", "RuntimeError", "KeyError", "NotImplementedError", "AssertionError"}

# Not words: HTML, a progress bar's %p, and names or endings of files.
_MARKUP = re.compile(r"<[^>]*>|&\w+;|%[a-z]\b|[\w*]*(\.\w+)+")
_SENTENCE = re.compile(r"[A-Za-z]+,? [a-z]+,? [a-z]+.*[.?!…]\s*\Z", re.DOTALL)


def error_classes(trees) -> set[str]:
    """Return the names of LaminaError and of everything that the given modules derive from it."""
    names = {"LaminaError"}
    classes = [node for tree in trees for node in ast.walk(tree) if isinstance(node, ast.ClassDef)]
    for _round in classes:  # a class may be derived from one that is found later
        names |= {node.name for node in classes if names & {_last_name(base) for base in node.bases}}
    return names


def untranslated_errors(tree, errors=frozenset({"LaminaError"})) -> list[str]:
    """Return where an error for the user gets a text outside `_()`, as "line: text"."""
    return [
        found
        for call in _calls(tree)
        if _last_name(call.func) in errors
        for argument in (*call.args, *(keyword.value for keyword in call.keywords))
        for found in _untranslated(argument)
    ]


def untranslated_widgets(tree) -> list[str]:
    """Return where a widget, a dialog or a plot gets a text outside `_()`."""
    shown = []
    for call in _calls(tree):
        shown += _shown_arguments(call)
    for node in ast.walk(tree):
        if isinstance(node, ast.Assign):
            targets = [target for target in node.targets if isinstance(target, ast.Attribute)]
            shown += [node.value for target in targets if _SHOWN_ATTRIBUTES.fullmatch(target.attr)]
    return [found for value in shown for found in _untranslated(value)]


def untranslated_sentences(tree) -> list[str]:
    """Return literals outside `_()` that read like a sentence and are neither a docstring nor for the developer."""
    ignored = set()
    for node in ast.walk(tree):
        is_developers = isinstance(node, ast.Call) and (
            _last_name(node.func) in _DEVELOPER_ERRORS or _owner(node.func) in ("logging", "logger", "re")
        )
        is_bare = isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
        if _is_translation(node) or is_developers or is_bare:
            ignored |= {id(inner) for inner in ast.walk(node)}
    return [
        _where(node)
        for node in _literals(tree)
        if id(node) not in ignored and _SENTENCE.search(_constant_text(node, "{}"))
    ]


def wrong_translations(tree) -> list[str]:
    """Return calls of `_` with anything but one literal, or whose named placeholders do not fit their `.format()`."""
    wrong = []
    for call in _calls(tree):
        if _is_translation(call):
            text = call.args[0] if len(call.args) == 1 and not call.keywords else None
            if not isinstance(text, ast.Constant) or not isinstance(text.value, str) or not text.value:
                wrong.append(f"{call.lineno}: not one literal: {ast.unparse(call)}")
            elif not all(re.match(r"[a-z]", name) for name in _placeholders(text.value)):
                wrong.append(f"{call.lineno}: a placeholder without a name: {text.value}")
        if isinstance(call.func, ast.Attribute) and call.func.attr == "format" and _is_translation(call.func.value):
            given = {keyword.arg for keyword in call.keywords}
            text = call.func.value.args[0] if call.func.value.args else None
            needed = _placeholders(text.value) if isinstance(text, ast.Constant) else set()
            if call.args or (None not in given and given != {re.split(r"[.\[]", name)[0] for name in needed}):
                wrong.append(f"{call.lineno}: filled in with other names: {ast.unparse(call)}")
    return wrong


def early_translations(tree) -> list[str]:
    """Return calls of `_` that run when the module is loaded, before the language is known."""
    late = {
        id(inner)
        for node in ast.walk(tree)
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda))
        for part in (node.body if isinstance(node.body, list) else [node.body])
        for inner in ast.walk(part)
    }
    return [_where(call.args[0]) for call in _calls(tree) if _is_translation(call) and id(call) not in late]


def other_uses(tree) -> list[str]:
    """Return where a file that translates binds `_` to something else, or calls it without importing a translator."""
    imported = []
    others = []
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom):
            for alias in node.names:
                if (alias.asname or alias.name) == "_":
                    imported.append(node.lineno)
                    if node.module not in _TRANSLATORS or alias.name != "tr":
                        others.append(f"{node.lineno}: imported from {node.module}")
        is_bound = isinstance(node, ast.Name) and node.id == "_" and isinstance(node.ctx, ast.Store)
        if is_bound or (isinstance(node, ast.arg) and node.arg == "_"):
            others.append(f"{node.lineno}: bound to something else")
    calls = [call for call in _calls(tree) if _is_translation(call)]
    if calls and not imported:
        return [f"{call.lineno}: called without a translator" for call in calls]
    return others if imported else []


def uncollected(source: str, tree) -> list[str]:
    """Return calls of `_` that Slicer's collection of texts would miss.

    Its preprocessing is a regular expression: a text ends with the kind of quote that it begins with, the bracket
    follows at once, and nothing inside looks like that end. Pieces in two kinds of quotes, or a comma after the text,
    swallow what comes next in the file; in an f-string the call is rewritten with quotes that end the string.
    """
    in_strings = {id(inner) for node in ast.walk(tree) if isinstance(node, ast.JoinedStr) for inner in ast.walk(node)}
    missed = []
    for call in _calls(tree):
        if not _is_translation(call):
            continue
        code = ast.get_source_segment(source, call) or ast.unparse(call)
        match = re.match(r"_\(\s*([\"']).+?\1\s*\)", code, re.DOTALL)
        if id(call) in in_strings or match is None or match.group() != code:
            missed.append(f"{call.lineno}: {code}")
    return missed


def _calls(tree) -> Iterator[ast.Call]:
    return (node for node in ast.walk(tree) if isinstance(node, ast.Call))


def _last_name(node) -> str:
    """Return ``setText`` for ``self.label.setText``; empty for what has no name."""
    return node.attr if isinstance(node, ast.Attribute) else getattr(node, "id", "")


def _owner(node) -> str:
    """Return ``QMessageBox`` for ``qt.QMessageBox.question``."""
    return _last_name(node.value) if isinstance(node, ast.Attribute) else ""


def _is_translation(node) -> bool:
    return isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "_"


def _shown_arguments(call) -> list:
    """Return the arguments of a call that are shown."""
    name = _last_name(call.func)
    if name in _SHOWN_ARGUMENT:
        return call.args[_SHOWN_ARGUMENT[name] :][:1]
    if not _SHOWING.fullmatch(name) and _owner(call.func) not in _SHOWING_CLASSES:
        return []
    return [*call.args, *(keyword.value for keyword in call.keywords if _SHOWN_KEYWORDS.fullmatch(keyword.arg or ""))]


def _untranslated(node) -> Iterator[str]:
    """Yield the literals with words of which an expression puts a text together outside `_()`."""
    if isinstance(node, (ast.Constant, ast.JoinedStr)):
        if re.search(r"[^\W\d_]", _MARKUP.sub("", _constant_text(node))):
            yield _where(node)
        parts = [part.value for part in getattr(node, "values", ()) if isinstance(part, ast.FormattedValue)]
    elif isinstance(node, ast.BinOp):
        parts = [node.left, node.right]
    elif isinstance(node, ast.IfExp):
        parts = [node.body, node.orelse]
    elif isinstance(node, ast.BoolOp):
        parts = node.values
    elif isinstance(node, (ast.List, ast.Tuple)):
        parts = node.elts
    elif isinstance(node, ast.Starred):
        parts = [node.value]
    elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in ("format", "join"):
        parts = [node.func.value, *node.args, *(keyword.value for keyword in node.keywords)]
    else:  # `_()` itself, a variable, or what another function returns
        parts = []
    for part in parts:
        yield from _untranslated(part)


def _literals(tree) -> Iterator:
    """Yield the texts in a module, an f-string as a whole."""
    pieces = {id(part) for node in ast.walk(tree) if isinstance(node, ast.JoinedStr) for part in node.values}
    for node in ast.walk(tree):
        if isinstance(node, ast.JoinedStr) or (isinstance(node, ast.Constant) and id(node) not in pieces):
            yield node


def _constant_text(node, value: str = "") -> str:
    """Return what a literal says; `value` stands for each value in an f-string."""
    if isinstance(node, ast.JoinedStr):
        return "".join(part.value if isinstance(part, ast.Constant) else value for part in node.values)
    return node.value if isinstance(node.value, str) else ""


def _placeholders(text: str) -> set[str]:
    return {name for _literal, name, _format, _conversion in string.Formatter().parse(text) if name is not None}


def _where(node) -> str:
    return f"{node.lineno}: {ast.unparse(node)}"
