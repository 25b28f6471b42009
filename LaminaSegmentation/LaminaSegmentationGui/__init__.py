"""What the module LaminaSegmentation does in the scene. It knows Slicer and MRML."""
