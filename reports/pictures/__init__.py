"""Results as SVG pictures."""
