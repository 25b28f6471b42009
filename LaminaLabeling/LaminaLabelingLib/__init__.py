"""The labelling library: anatomy, laminae, volumes and files, usable with and without 3D Slicer."""
