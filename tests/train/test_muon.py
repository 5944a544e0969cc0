import torch
from torch import nn

from enhance_cli.train.muon import Muon, orthogonalise


def test_orthogonalised_singular_values_are_near_one():
    values = torch.linalg.svdvals(orthogonalise(torch.randn(3, 8, 30)))
    assert values.min() > 0.6
    assert values.max() < 1.3


def test_steps_lower_the_loss():
    layer, x = nn.Conv2d(4, 4, 3, bias=False), torch.randn(8, 4, 6, 6)
    target = nn.Conv2d(4, 4, 3, bias=False)(x).detach()
    optimizer, losses = Muon(layer.parameters(), lr=0.01), []
    for _ in range(30):
        loss = (layer(x) - target).square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < 0.7 * losses[0]
