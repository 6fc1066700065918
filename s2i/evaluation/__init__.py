"""Who paints better: the rows of the table, their pictures, scores and pages."""
