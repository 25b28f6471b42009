"""Scans and segmentations as the real MRML storage nodes see them: our world must be Slicer's world."""

import numpy as np
import pytest
import SimpleITK as sitk
import slicer
import vtk
from vtk.util.numpy_support import vtk_to_numpy

from LaminaLabelingLib import files
from LaminaLabelingLib.laminae import Lamina, LaminaSet
from LaminaLabelingLib.volumes import Volume, read_volume, write_volume

ARRAY = np.random.default_rng(2).integers(1, 255, (44, 40, 36), dtype=np.uint8)
TURN = np.array([[0.8, -0.6, 0.0], [0.6, 0.8, 0.0], [0.0, 0.0, 1.0]])
MATRICES = {
    "straight": np.diag([-0.5, -0.7, 0.9, 1.0]),
    "left-handed": np.diag([0.5, -0.7, 0.9, 1.0]),
    "oblique": np.block([[TURN * [-0.5, -0.7, 0.9], np.array([[10], [-20], [30]])], [0, 0, 0, 1]]),
    "sagittal": np.array([[0, 0, 0.9, 4], [-0.5, 0, 0, 5], [0, -0.7, 0, 6], [0, 0, 0, 1.0]]),
}


@pytest.fixture
def scene():
    scene = slicer.vtkMRMLScene()
    yield scene
    scene.Clear(1)


def slicer_reads(scene, path):
    node = scene.AddNewNodeByClass("vtkMRMLScalarVolumeNode")
    reader = slicer.vtkMRMLVolumeArchetypeStorageNode()
    reader.SetFileName(str(path))
    reader.SetSingleFile(True)
    assert reader.ReadData(node) == 1
    matrix = vtk.vtkMatrix4x4()
    node.GetIJKToRASMatrix(matrix)
    image = node.GetImageData()
    shape = image.GetDimensions()[::-1]
    array = vtk_to_numpy(image.GetPointData().GetScalars()).reshape(shape)
    return array, np.array([[matrix.GetElement(row, column) for column in range(4)] for row in range(4)])


def assert_same_voxels(volume, array_kji, ijk_to_ras):
    """Check voxel by voxel, by where they are: the order may differ, because Slicer keeps no left-handed array."""
    kji = np.stack(np.meshgrid(*map(np.arange, array_kji.shape), indexing="ij"), axis=-1).reshape(-1, 3)
    ras = kji[:, ::-1] @ ijk_to_ras[:3, :3].T + ijk_to_ras[:3, 3]
    indices = volume.to_index(ras)
    # NIfTI keeps the matrix in single precision.
    np.testing.assert_allclose(indices, np.rint(indices), atol=1e-3)
    np.testing.assert_array_equal(volume.array[tuple(np.rint(indices).astype(int).T)], array_kji.ravel())


@pytest.mark.parametrize("extension", [".nrrd", ".nii.gz", ".mha"])
@pytest.mark.parametrize("name", MATRICES)
def test_a_scan_lies_where_slicer_shows_it(scene, tmp_path, name, extension):
    matrix = MATRICES[name]
    lps = np.diag([-1.0, -1.0, 1.0, 1.0]) @ matrix
    spacing = np.linalg.norm(lps[:3, :3], axis=0)
    image = sitk.GetImageFromArray(ARRAY)
    image.SetSpacing(spacing.tolist())
    image.SetDirection((lps[:3, :3] / spacing).ravel().tolist())
    image.SetOrigin(lps[:3, 3].tolist())
    path = tmp_path / f"scan{extension}"
    sitk.WriteImage(image, str(path))

    array, ijk_to_ras = slicer_reads(scene, path)
    for axes in ("LPS", "RIA"):
        assert_same_voxels(read_volume(path, axes), array, ijk_to_ras)
        assert_same_voxels(Volume.from_ijk(array, ijk_to_ras, axes), array, ijk_to_ras)


def test_slicer_reverses_the_slices_of_a_left_handed_file_and_we_keep_them(scene, tmp_path):
    write_volume(Volume(ARRAY, MATRICES["straight"]), tmp_path / "scan.nrrd")
    array, ijk_to_ras = slicer_reads(scene, tmp_path / "scan.nrrd")
    np.testing.assert_array_equal(array, ARRAY[::-1])
    assert np.linalg.det(ijk_to_ras) > 0
    np.testing.assert_array_equal(read_volume(tmp_path / "scan.nrrd", "ARI").array, ARRAY)


@pytest.mark.parametrize("name", MATRICES)
def test_a_written_volume_lies_where_slicer_shows_it(scene, tmp_path, name):
    volume = Volume(ARRAY, MATRICES[name])
    write_volume(volume, tmp_path / "grid.nrrd")
    array, ijk_to_ras = slicer_reads(scene, tmp_path / "grid.nrrd")
    assert_same_voxels(volume, array, ijk_to_ras)


@pytest.mark.parametrize("code", ["LPS", "RPS", "PIR"])
def test_slicer_opens_the_segmentation_with_its_names_on_the_laminae(scene, tmp_path, code):
    matrix = np.array([[0, 0.8, 0, 5], [0, 0, 0.6, -7], [-1.1, 0, 0, 11], [0, 0, 0, 1]])
    volume = Volume(np.zeros((60, 48, 40), dtype=np.uint8), matrix, code)
    laminae = LaminaSet.from_positions(
        {"T1L": volume.to_world([9, 8, 20]), "T1R": volume.to_world([9, 30, 20]), "L5L": volume.to_world([50, 9, 5])}
    ).with_lamina(Lamina("L5R", volume.to_world([500, 0, 0]), "unreviewed", "inferred", 0.1))
    files.write_segmentation(laminae, volume, tmp_path / "laminae.seg.nrrd")
    node = scene.AddNewNodeByClass("vtkMRMLSegmentationNode")
    reader = slicer.vtkMRMLSegmentationStorageNode()
    reader.SetFileName(str(tmp_path / "laminae.seg.nrrd"))
    assert reader.ReadData(node) == 1
    segmentation = node.GetSegmentation()
    names = [segmentation.GetNthSegment(index).GetName() for index in range(segmentation.GetNumberOfSegments())]
    assert names == ["T1L", "T1R", "L5L", "L5R"]
    for index, name in enumerate(names[:3]):
        center = node.GetSegmentCenterRAS(segmentation.GetNthSegmentID(index))
        np.testing.assert_allclose(center, laminae[name].position, atol=1e-6)


def test_what_slicer_writes_as_a_segmentation_gives_the_same_points(scene, tmp_path):
    volume = Volume(np.zeros((60, 48, 40), dtype=np.uint8), MATRICES["straight"])
    laminae = LaminaSet.from_positions({"T1L": volume.to_world([9, 8, 20]), "T1R": volume.to_world([9, 30, 20])})
    files.write_segmentation(laminae, volume, tmp_path / "ours.seg.nrrd")
    node = scene.AddNewNodeByClass("vtkMRMLSegmentationNode")
    storage = slicer.vtkMRMLSegmentationStorageNode()
    storage.SetFileName(str(tmp_path / "ours.seg.nrrd"))
    storage.ReadData(node)
    storage.SetFileName(str(tmp_path / "theirs.seg.nrrd"))
    assert storage.WriteData(node) == 1
    points = files.read_label_volume(tmp_path / "theirs.seg.nrrd")
    np.testing.assert_allclose(points, list(laminae.positions().values()), atol=1e-6)
