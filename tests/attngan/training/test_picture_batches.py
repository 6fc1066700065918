import torch

from attngan.training.picture_batches import close_ups, join_parts


def test_parts_are_put_together_in_the_order_of_the_batch():
    rows = [torch.tensor([0, 2]).numpy(), torch.tensor([1, 3]).numpy()]
    (whole,) = join_parts([[torch.tensor([0.0, 2.0])], [torch.tensor([1.0, 3.0])]], rows)
    assert whole.tolist() == [0, 1, 2, 3]


def test_close_ups_are_cut_at_random_places():
    ramp = torch.arange(16.0).expand(64, 3, 16, 16)
    pictures = torch.cat([ramp, ramp.transpose(2, 3)], 1)  # channels 0-2 tell the column, 3-5 the row
    pieces = close_ups(pictures, 4, torch.Generator().manual_seed(0))
    assert torch.equal(pieces[:, :3].diff(dim=3), torch.ones(64, 3, 4, 3))
    assert torch.equal(pieces[:, 3:].diff(dim=2), torch.ones(64, 3, 3, 4))
    corners = {(int(piece[3, 0, 0]), int(piece[0, 0, 0])) for piece in pieces}
    assert len(corners) > 40
    for places in zip(*corners, strict=True):
        assert (min(places), max(places)) == (0, 12)
