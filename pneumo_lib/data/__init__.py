"""Phase 1: from DICOM files and an RLE table to arrays that a network can read."""
