"""Every text that a user may read can be translated, and a wrong translation does no harm."""

import ast
import sys
from pathlib import Path
from types import ModuleType
from unittest import mock

import numpy as np
import pytest
import user_texts
from hypothesis import given
from hypothesis import strategies as st

from LaminaLabelingLib.anatomy import split_name
from LaminaLabelingLib.atomic import atomic_path
from LaminaLabelingLib.errors import LaminaError
from LaminaLabelingLib.i18n import tr
from LaminaLabelingLib.image_checks import damaged
from LaminaLabelingLib.image_files import read_image
from LaminaLabelingLib.lamina import Lamina, Review
from LaminaLabelingLib.laminae import LaminaSet
from LaminaLabelingLib.orientation import parse_code
from LaminaLabelingLib.orientation_checks import untrusted
from LaminaLabelingLib.volumes import Volume

MODULE = Path(__file__).parents[3] / "LaminaLabeling"
FILES = sorted(
    [
        MODULE / "LaminaLabeling.py",
        *(MODULE / "LaminaLabelingLib").rglob("*.py"),
        *(MODULE / "LaminaLabelingGui").rglob("*.py"),
    ]
)
SOURCES = {path: path.read_text(encoding="utf-8") for path in FILES}
TREES = {path: ast.parse(source) for path, source in SOURCES.items()}
ERRORS = user_texts.error_classes(TREES.values())


def slicer_speaking(translate):
    """Return a context in which Slicer is there and translates with a function of context and text."""
    module = ModuleType("slicer.i18n")
    module.translate = translate
    return mock.patch.dict(sys.modules, {"slicer.i18n": module})


@pytest.fixture
def without_slicer(monkeypatch):
    monkeypatch.delitem(sys.modules, "slicer.i18n", raising=False)


# What the translation does


@pytest.mark.parametrize("text", ["", "One lamina.", "{count} laminae", "100 % {{literally}}"])
def test_without_slicer_a_text_comes_back_as_it_is_written(without_slicer, text):
    assert tr(text) == text


@pytest.mark.usefixtures("without_slicer")
def test_without_slicer_a_message_is_english():
    with pytest.raises(LaminaError, match=r'^"T14L" is not the name of a lamina: use T1 to T13 or L1 to L6'):
        split_name("T14L")


def test_a_text_is_looked_up_as_it_is_written_under_the_package_and_the_file_that_asks():
    asked = []
    with slicer_speaking(lambda context, text: asked.append((context, text)) or text), pytest.raises(LaminaError):
        parse_code("LPX")
    text = 'The axis code "{code}" contains "{letter}": use only R, L, A, P, S and I, for example LPS.'
    assert asked == [("LaminaLabelingLib.orientation", text)]


def placed_without_source():
    return Lamina("T6L", (1.0, 2.0, 3.0), "placed")


MESSAGES = {
    "anatomy": lambda: split_name("T14L"),
    "atomic": lambda: atomic_path("no such folder/points.csv").__enter__(),
    "image_files": lambda: read_image("no such scan.nrrd"),
    "lamina": placed_without_source,
    "laminae": lambda: LaminaSet().renamed({"P01L": "T1L"}),
    "orientation": lambda: parse_code("LPX"),
    "volumes": lambda: Volume.from_ijk(np.zeros((3, 3)), np.eye(4), name="scan.nrrd"),
}


@pytest.mark.parametrize("file", MESSAGES)
def test_messages_come_in_the_language_of_slicer(file):
    with (
        slicer_speaking(lambda context, text: f"[{context}] {text}"),
        pytest.raises((LaminaError, ValueError), match=rf"^\[LaminaLabelingLib\.{file}\] "),
    ):
        MESSAGES[file]()


def test_a_word_that_is_none_of_a_choice_is_named_in_the_language_of_slicer(without_slicer):
    with pytest.raises(ValueError, match=r"^'plaecd' is not a valid Review$"):
        Review("plaecd")
    with (
        slicer_speaking(lambda context, text: "{kind} kennt {value} nicht"),
        pytest.raises(ValueError, match=r"^Review kennt 'plaecd' nicht$"),
    ):
        Review("plaecd")


def test_a_text_within_a_text_is_translated_too():
    def german(context, text):
        return {
            "NRRD (.nrrd, .nhdr), NIfTI (.nii, .nii.gz) or MetaImage (.mha, .mhd)": "NRRD, NIfTI oder MetaImage",
            "{called} cannot be read as a 3D scan: it is damaged or not what its extension says; give {formats}.": (
                "{called} ist beschädigt: {formats} wird gebraucht."
            ),
        }[text]

    with slicer_speaking(german):
        assert str(damaged('"scan.mha"')) == '"scan.mha" ist beschädigt: NRRD, NIfTI oder MetaImage wird gebraucht.'


def test_a_file_name_with_braces_is_shown_as_it_is(without_slicer):
    message = str(damaged('"{0} {x.nrrd"'))
    assert message.startswith('"{0} {x.nrrd" cannot be read')
    assert str(untrusted("{1}")).startswith("{1}: give the axis code")


@pytest.mark.parametrize(
    "translation",
    [
        "laminae",
        "{anzahl:.1f} von {total}",
        "{count} von {total}",
        "{count:.1f} von",
        "{count:.1f} von {total} {mehr}",
        "{{count:.1f}} von {total}",
        "{count:.1f} von {total} und {total}",
        "{count:.1f} von {total} { Laminae",
    ],
)
def test_a_translation_with_wrong_placeholders_is_refused(translation):
    text = "{count:.1f} of {total}"
    with slicer_speaking(lambda context, text: translation):
        assert tr(text) == text


NAMES = st.lists(st.from_regex(r"[a-z]{1,8}", fullmatch=True), min_size=1, max_size=5, unique=True)


@given(NAMES, st.randoms(use_true_random=False))
def test_placeholders_may_change_places_but_none_may_be_lost(names, random):
    fields = [f"{{{name}}}" for name in names]
    text = " of ".join(fields)
    moved = " von ".join(random.sample(fields, len(fields)))
    lost = " von ".join(random.sample(fields, len(fields) - 1))
    with slicer_speaking(lambda context, text: moved):
        assert tr(text) == moved
    with slicer_speaking(lambda context, text: lost):
        assert tr(text) == text


# What the files of the module say


def per_file(test):
    names = [path.relative_to(MODULE).as_posix() for path in FILES]
    return pytest.mark.parametrize("path", FILES, ids=names)(test)


def test_the_files_of_the_library_are_looked_at():
    names = {path.name for path in FILES}
    assert {"LaminaLabeling.py", "anatomy.py", "volumes.py", "markups_files.py"} <= names


@per_file
def test_no_error_for_the_user_is_raised_with_an_untranslated_text(path):
    assert user_texts.untranslated_errors(TREES[path], ERRORS) == []


@per_file
def test_no_widget_is_given_an_untranslated_text(path):
    assert user_texts.untranslated_widgets(TREES[path]) == []


@per_file
def test_no_sentence_stands_outside_a_translation(path):
    assert user_texts.untranslated_sentences(TREES[path]) == []


@per_file
def test_what_is_translated_is_one_literal_with_named_placeholders_that_are_filled_in(path):
    assert user_texts.wrong_translations(TREES[path]) == []


@per_file
def test_no_text_is_translated_before_the_language_is_known(path):
    assert user_texts.early_translations(TREES[path]) == []


@per_file
def test_the_name_of_the_translator_means_nothing_else(path):
    assert user_texts.other_uses(TREES[path]) == []


@per_file
def test_slicer_collects_every_text(path):
    assert user_texts.uncollected(SOURCES[path], TREES[path]) == []


# That the checks would find something


def errors_in(tree):
    return user_texts.untranslated_errors(tree, user_texts.error_classes([tree]))


@pytest.mark.parametrize(
    ("check", "code"),
    [
        (errors_in, 'raise LaminaError("It is gone.")'),
        (errors_in, 'raise LaminaError(f"{name} is gone.")'),
        (errors_in, 'raise LaminaError("{} is gone.".format(name))'),
        (errors_in, 'raise LaminaError(_("It is gone") + " now.")'),
        (errors_in, 'raise LaminaError(_("{a} is gone").format(a=name or "something"))'),
        (errors_in, 'raise errors.LaminaError("It is gone.") from None'),
        (errors_in, 'return_it = LaminaError("It is gone.")'),
        (errors_in, 'class A(B): pass\nclass B(LaminaError): pass\nraise A(path, text="It is gone.")'),
        (user_texts.untranslated_widgets, 'label.setText("Scan")'),
        (user_texts.untranslated_widgets, 'self.ui.label.setToolTip(f"{count} laminae")'),
        (user_texts.untranslated_widgets, 'window.setWindowTitle(name or "Scan")'),
        (user_texts.untranslated_widgets, 'bar.setFormat("%v of %m")'),
        (user_texts.untranslated_widgets, 'qt.QLabel("Scan")'),
        (user_texts.untranslated_widgets, 'QPushButton(name if name else "Folder")'),
        (user_texts.untranslated_widgets, 'table.setHorizontalHeaderLabels(["", "Left", _("Right")])'),
        (user_texts.untranslated_widgets, 'box.addItem("Scan", "key")'),
        (user_texts.untranslated_widgets, 'qt.QMessageBox.question(None, name, "Go on?")'),
        (user_texts.untranslated_widgets, 'slicer.util.errorDisplay("It failed", windowTitle=_("Scan"))'),
        (user_texts.untranslated_widgets, 'slicer.util.errorDisplay(_("It failed"), windowTitle="Scan")'),
        (user_texts.untranslated_widgets, 'self.parent.helpText = "Lists the laminae"'),
        (user_texts.untranslated_widgets, 'label.setText("<b>Scan</b>")'),
        (user_texts.untranslated_sentences, 'warnings = ["The scan is small."]'),
        (user_texts.untranslated_sentences, 'def f(x):\n    "Docstring of it."\n    return f"{x} is too small."'),
        (user_texts.wrong_translations, "_(text)"),
        (user_texts.wrong_translations, '_(f"{name} is gone")'),
        (user_texts.wrong_translations, '_("It is " + "gone")'),
        (user_texts.wrong_translations, '_("It is gone", "twice")'),
        (user_texts.wrong_translations, '_("{} is gone")'),
        (user_texts.wrong_translations, '_("{0} is gone")'),
        (user_texts.wrong_translations, '_("{name} is gone").format(nmae=name)'),
        (user_texts.wrong_translations, '_("It is gone").format(name=name)'),
        (user_texts.early_translations, 'TEXT = _("Scan")'),
        (user_texts.early_translations, 'def f(text=_("Scan")): pass'),
        (user_texts.other_uses, 'def f(): return _("Scan")'),
        (user_texts.other_uses, 'from gettext import gettext as _\n_("Scan")'),
        (user_texts.other_uses, "from slicer.i18n import tr as _\nfor _ in range(3): pass"),
        (user_texts.other_uses, "from slicer.i18n import tr as _\n[a for a, _ in pairs]"),
        (user_texts.other_uses, "from slicer.i18n import tr as _\nf = lambda _: 1"),
    ],
)
def test_a_text_that_is_not_translated_is_found(check, code):
    assert len(check(ast.parse(code))) == 1


@pytest.mark.parametrize(
    "code",
    [
        "from slicer.i18n import tr as _",
        'class A(LaminaError):\n    "Somebody else works on it."',
        'def f():\n    raise LaminaError(_("{name} is gone.").format(name=f\'"{path.name}"\'))',
        "raise LaminaError(str(error))",
        'raise ValueError("the array has three axes.")',
        'logging.warning("The list is not read again.")',
        'label.setText("")',
        'label.setText(f"{done}/{total}")',
        'label.setText(f"<b>{name}</b>&nbsp;")',
        'bar.setFormat("%v/%m")',
        'box.addItem(name, "key")',
        'qt.QFileDialog.getSaveFileName(window, title, "agreement.csv", filters)',
        'lambda: label.setText(_("{done:.1f} of {size[0]}").format(done=done, size=size))',
        'lambda: _("{name} is gone").format(**values)',
    ],
)
def test_what_needs_no_translation_is_left_alone(code):
    tree = ast.parse(code if "_(" not in code else f"from slicer.i18n import tr as _\n{code}")
    found = [
        errors_in(tree),
        user_texts.untranslated_widgets(tree),
        user_texts.untranslated_sentences(tree),
        user_texts.wrong_translations(tree),
        user_texts.early_translations(tree),
        user_texts.other_uses(tree),
        user_texts.uncollected(code, ast.parse(code)),
    ]
    assert [item for items in found for item in items] == []


@pytest.mark.parametrize(
    ("code", "missed"),
    [
        ('_("Scan")', 0),
        ("_(\n  'Scan \"{name}\" '\n  'is gone'\n)", 0),
        ('_(\'Scan "{name}" \' "is gone")', 1),
        ('_("Scan",)', 1),
        ("_(\"Scan ('T1')\")", 0),
        ("_('Scan (\"T1\")')", 0),
        ('_("Scan (" "T1" ")")', 1),
        ("f\"{_('Scan')} (*.csv)\"", 1),
    ],
)
def test_what_slicer_would_not_collect_is_found(code, missed):
    assert len(user_texts.uncollected(code, ast.parse(code))) == missed
