"""How a condition becomes pictures, and how well the two match. Knows nothing of speech."""
