"""Questions and answers: measurements, comparisons, tables, figures, HTML."""
