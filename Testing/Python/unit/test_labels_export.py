"""What `export_labels` refuses; that everything comes back is tested with the import."""

import pytest
from labeled_scans import laminae_in, provisional_in, scan
from synthetic_scan import assert_one_sentence

from LaminaLabelingLib.errors import LaminaError
from LaminaLabelingLib.labels_import import EXPORT_ENDINGS, export_labels, import_labels
from LaminaLabelingLib.laminae import Lamina, LaminaSet, Review


@pytest.mark.parametrize("ending", EXPORT_ENDINGS)
def test_nothing_is_replaced_unless_asked(tmp_path, ending):
    volume = scan()
    path = tmp_path / f"labels{ending}"
    path.write_text("precious")
    with pytest.raises(LaminaError, match="exists already") as caught:
        export_labels(laminae_in(volume), volume, path)
    assert_one_sentence(caught.value)
    assert path.read_text() == "precious"
    assert export_labels(laminae_in(volume), volume, str(path), overwrite=True) == path
    assert len(import_labels(path, volume).laminae.positions()) == 34
    assert [entry.name for entry in tmp_path.iterdir()] == [path.name]


@pytest.mark.parametrize(
    ("name", "message"),
    [("labels.json", "no format that can be exported"), ("labels.fcsv", "no format"), ("a", "ends")],
)
def test_other_endings_are_not_exported(tmp_path, name, message):
    with pytest.raises(LaminaError, match=message) as caught:
        export_labels(LaminaSet(), scan(), tmp_path / name)
    assert_one_sentence(caught.value)


@pytest.mark.parametrize("ending", [".seg.nrrd", ".verse.json", ".nrrd"])
def test_what_a_format_cannot_hold_is_not_exported(tmp_path, ending):
    volume = scan()
    cases = {"no lamina has a position": LaminaSet(laminae=[Lamina("T1L", None, Review.absent)])}
    if ending == ".verse.json":
        cases["no numbers yet"] = provisional_in(volume, 2)
    else:
        cases["T1L would be lost outside"] = LaminaSet.from_positions({"T1L": volume.to_world([-30, 0, 0])})
    for message, laminae in cases.items():
        with pytest.raises(LaminaError, match=message) as caught:
            export_labels(laminae, volume, tmp_path / f"labels{ending}")
        assert_one_sentence(caught.value)
    assert list(tmp_path.iterdir()) == []


def test_endings_do_not_depend_on_capitals(tmp_path):
    laminae = laminae_in(scan())
    assert import_labels(export_labels(laminae, None, tmp_path / "Labels.MRK.JSON")).laminae == laminae
