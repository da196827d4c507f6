"""Pictures as SVG text, each drawn from the values it shows."""
