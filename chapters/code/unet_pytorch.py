"""The U-Net of Ronneberger, Fischer and Brox (2015) in PyTorch: the network of chapter 02, to read and to copy.

``UNet()`` maps images (N, 1, 572, 572) to logits (N, 2, 388, 388) and has 31,030,658 parameters. Channels come second
here, where Keras has them last. The layers stand in the order in which the Keras model holds its weights.
"""

import torch
from torch import nn


def convolutions(channels_in: int, channels: int) -> nn.Sequential:
    """Twice: a 3 x 3 convolution, which cuts one pixel from each side, and a ReLU."""
    return nn.Sequential(
        nn.Conv2d(channels_in, channels, 3),
        nn.ReLU(),
        nn.Conv2d(channels, channels, 3),
        nn.ReLU(),
    )


class UNet(nn.Module):
    """Four poolings down, four up-convolutions up, and a copy of the map at each level."""

    def __init__(self, channels_in: int = 1, classes: int = 2, filters: int = 64, depth: int = 4):
        super().__init__()
        widths = [filters * 2**level for level in range(depth + 1)]  # 64, 128, 256, 512, 1024
        self.down = nn.ModuleList(map(convolutions, [channels_in, *widths[:-2]], widths[:-1]))
        self.bottom = convolutions(widths[-2], widths[-1])
        self.enlarge = nn.ModuleList(nn.ConvTranspose2d(2 * width, width, 2, 2) for width in widths[-2::-1])
        self.up = nn.ModuleList(convolutions(2 * width, width) for width in widths[-2::-1])
        self.logits = nn.Conv2d(filters, classes, 1)

    def forward(self, maps: torch.Tensor) -> torch.Tensor:
        """Images (N, C, H, W) to logits (N, classes, H - 184, W - 184) at depth 4."""
        skips = []
        for block in self.down:
            maps = block(maps)
            skips.append(maps)
            maps = nn.functional.max_pool2d(maps, 2)
        maps = self.bottom(maps)
        for enlarge, block in zip(self.enlarge, self.up, strict=True):
            maps = enlarge(maps)
            skip = skips.pop()
            top, left = ((skip.shape[axis] - maps.shape[axis]) // 2 for axis in (2, 3))
            skip = skip[:, :, top : top + maps.shape[2], left : left + maps.shape[3]]
            maps = block(torch.cat([skip, maps], dim=1))
        return self.logits(maps)
