"""NAND flash inside a drive: its geometry, its rates by formula and by events, and the pages that sparse attention reads."""
