import pytest
import torch
from PIL import Image

from s2i.evaluation.picture_grid import save_grid


@pytest.mark.parametrize("text", ["$", "5$ bird $\\frac", "a_b^c \\alpha", "a red bird"])
def test_titles_and_labels_are_text_and_no_formula(tmp_path, text):
    pictures = [torch.full((3, 8, 8), shade) for shade in (-1.0, 1.0)]
    save_grid(tmp_path / "grid.png", [pictures, pictures], titles=[[text, text]], labels=[text, text])
    grid = Image.open(tmp_path / "grid.png")
    assert min(grid.size) > 200
