import json

import pytest

from LaminaLabelingLib.errors import LaminaError
from LaminaSegmentationLib.__main__ import main
from LaminaSegmentationLib.dataset_file import SPLITS, read_dataset, split_by_patient, split_names

A = {"image": "a.nrrd", "label": "a.mrk.json", "patient": "1"}
B = {"image": "b.nrrd", "label": "b.mrk.json", "patient": "2"}


def written(folder, content):
    """A dataset file with the scans a and b, and c, a copy of a."""
    for name in "abc":
        (folder / f"{name}.nrrd").write_text("a scan" if name != "b" else "a sca!")
        (folder / f"{name}.mrk.json").write_text("")
    path = folder / "dataset.json"
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    return path


def test_paths_are_relative_to_the_file_or_absolute(tmp_path):
    absolute = {"image": str(tmp_path / "b.nrrd"), "label": str(tmp_path / "b.mrk.json")}
    splits = read_dataset(written(tmp_path, {"training": [A], "validation": [absolute]}))
    assert splits["training"][0]["image"] == tmp_path / "a.nrrd"
    assert splits["validation"][0]["label"] == tmp_path / "b.mrk.json"
    assert splits["validation"][0]["patient"] is None
    assert splits["test"] == []


def test_a_file_of_monai_or_the_decathlon_is_read(tmp_path):
    content = {
        "name": "Spine",
        "modality": {"0": "US"},
        "labels": {"0": "background", "1": "lamina"},
        "numTraining": 1,
        "training": [{"image": "./a.nrrd", "label": "./a.mrk.json", "fold": 0}],
        "test": ["./imagesTs/none.nii.gz", {"image": "other.nii.gz"}],
    }
    path = written(tmp_path, content)
    splits = read_dataset(path, needed=("training", "validation"))
    assert splits["training"][0]["fold"] == 0
    assert [entry["label"] for entry in splits["test"]] == [None, None]
    with pytest.raises(LaminaError, match=r"^Entry 1 of 'test' in 'dataset.json' has no label"):
        read_dataset(path)


def test_follow_ups_may_share_a_list(tmp_path):
    follow_up = B | {"patient": 1}
    assert len(read_dataset(written(tmp_path, {"training": [A, follow_up]}))["training"]) == 2


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ({"training": [A, {"image": "b.nrrd"}]}, r"Entry 2 of 'training' .* 'label' is a required property"),
        ({"training": [A | {"image": ["a.nrrd"]}]}, "Entry 1 of 'training' .*'image' is wrong"),
        ({"training": [A | {"axes": "XYZ"}]}, "Entry 1 of 'training' .*'axes' is wrong"),
        ({"training": ["a.nrrd"]}, "Entry 1 of 'training'"),
        ({"training": [A | {"label": "none.mrk.json"}]}, "names the label '.*none.mrk.json', which does not exist"),
        ({"training": [A | {"image": "none.nrrd"}]}, "names the image '.*none.nrrd', which does not exist"),
        ({"test": {"image": "a.nrrd"}}, "'test' in 'dataset.json' must be a list"),
        ({"training": [A], "name": 5}, "'name' in 'dataset.json' is wrong"),
        ([], "no dataset file"),
        ({"train": [A]}, "no dataset file"),
        ({"training": [A], "test": [B | {"patient": "1"}]}, "Entry 1 of 'test' .*patient '1' is also in 'training'"),
        ({"training": [A], "test": [B | {"patient": 1}]}, "patient '1' is also in 'training'"),
        (
            {"training": [A], "test": [A | {"patient": "3"}]},
            "Entry 1 of 'test' .* the same image as entry 1 of 'training'",
        ),
        (
            {"training": [A, {"image": "./x/../a.nrrd", "label": "c.mrk.json"}]},
            "Entry 2 of 'training' .* the same image as entry 1 of 'training'",
        ),
        ({"training": [A], "test": [B | {"image": "c.nrrd"}]}, "the same image"),
        ({"training": [A, B | {"label": "a.mrk.json"}]}, "the same label file"),
        ("{", "must be JSON"),
        ('{"training": [], "training": []}', "the key 'training' comes twice"),
        ("[" * 100_000, "must be JSON"),
    ],
)
def test_a_bad_dataset_is_one_sentence_that_names_the_entry(tmp_path, content, words):
    (tmp_path / "x").mkdir()
    with pytest.raises(LaminaError, match=words) as error:
        read_dataset(written(tmp_path, content))
    assert "\n" not in str(error.value)
    assert str(error.value).endswith(".")


def test_no_dataset_is_said(tmp_path):
    with pytest.raises(LaminaError, match="no file"):
        read_dataset(tmp_path / "none.json")


def test_splits_have_the_asked_sizes_and_depend_on_the_seed():
    names = split_names(70, (50, 10, 10), seed=4)
    assert [names.count(split) for split in SPLITS] == [50, 10, 10]
    assert names == split_names(70, (50, 10, 10), seed=4)
    assert names != split_names(70, (50, 10, 10), seed=5)
    assert split_names(3, (1, 0, 0), seed=0) == ["training"] * 3


@pytest.mark.parametrize("ratio", [(0, 0, 0), (1, 2), (5, -1, 1)])
def test_a_split_without_sense_is_refused(ratio):
    with pytest.raises(LaminaError, match="50,10,10"):
        split_names(10, ratio, seed=0)
    with pytest.raises(LaminaError, match="50,10,10"):
        split_by_patient([A], ratio, seed=0)


def scans(sizes):
    """Patients with as many scans as given."""
    return [{"image": f"{p}-{n}", "patient": f"p{p}"} for p, size in enumerate(sizes) for n in range(size)]


@pytest.mark.parametrize("seed", range(5))
def test_follow_ups_stay_together_and_the_sizes_are_kept(seed):
    entries = scans([3, 2, 2, *[1] * 63])
    lists = split_by_patient(entries, (50, 10, 10), seed)
    assert [len(lists[split]) for split in SPLITS] == [50, 10, 10]
    assert sorted(entry["image"] for entries in lists.values() for entry in entries) == sorted(
        entry["image"] for entry in entries
    )
    patients = [{entry["patient"] for entry in lists[split]} for split in SPLITS]
    assert not patients[0] & patients[1] and not patients[1] & patients[2] and not patients[0] & patients[2]


def test_a_split_by_patient_depends_on_the_seed_alone():
    entries = scans([2] * 20)
    assert split_by_patient(entries, (2, 1, 1), 7) == split_by_patient(entries, (2, 1, 1), 7)
    assert split_by_patient(entries, (2, 1, 1), 7) != split_by_patient(entries, (2, 1, 1), 8)


def test_scans_without_a_patient_are_patients_of_their_own():
    lists = split_by_patient([{"image": str(number)} for number in range(7)], (5, 1, 1), 0)
    assert [len(lists[split]) for split in SPLITS] == [5, 1, 1]


def test_too_few_patients_for_a_split_are_said():
    with pytest.raises(LaminaError, match=r"2 patients are too few .* 'test'"):
        split_by_patient(scans([3, 3]), (1, 1, 1), 0)


def test_the_split_command_writes_a_dataset_for_another_folder(tmp_path, capsys):
    written(tmp_path, {"name": "ours", "scans": []})
    third = {"image": "c.nrrd", "label": "c.mrk.json", "patient": "3"}
    (tmp_path / "c.nrrd").write_text("another scan")
    (tmp_path / "list.json").write_text(json.dumps({"name": "ours", "training": [A, B, third]}))
    target = tmp_path / "new" / "dataset.json"
    given = ["split", "--data", str(tmp_path / "list.json"), "--ratio", "1,1,1", "-o", str(target)]
    assert main(given) == 0
    splits = read_dataset(target)
    assert [len(splits[split]) for split in SPLITS] == [1, 1, 1]
    assert json.loads(target.read_text())["name"] == "ours"
    assert main(given) == 2
    assert "--force" in capsys.readouterr().err
    assert main([*given, "--force"]) == 0


@pytest.mark.parametrize(("content", "words"), [([], "lists no scans"), ([{"image": "a.nrrd"}], "Scan 1 in 'l.json'")])
def test_the_split_command_needs_scans(tmp_path, content, words, capsys):
    (tmp_path / "l.json").write_text(json.dumps(content))
    assert main(["split", "--data", str(tmp_path / "l.json"), "-o", str(tmp_path / "d.json")]) == 2
    assert words in capsys.readouterr().err
    assert not (tmp_path / "d.json").exists()
