"""The default network for texts that is learned from nothing: looked-up vectors, convolutions over words, pooling."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from glia.core.errors import InputError
from glia.core.layout import Layout
from glia.nn.mlp import is_whole
from glia.nn.module_features import masked_mean
from glia.nn.networks import networks
from glia.nn.spec import Problems, Spec

_TOKENS = 1 << 17


class TextConvNetwork(nn.Module):
    """Vectors of tokens, convolutions of several widths, their greatest and mean answers, and a linear layer.

    **Shape**: (B, T, 2) of token number and mask → (B, out_features).
    """

    def __init__(
        self, tokens: int, out_features: int, *, width: int, channels: int, kernels: Sequence[int], dropout: float
    ) -> None:
        super().__init__()
        self.embedding = nn.Embedding(tokens, width)
        nn.init.normal_(self.embedding.weight, std=0.1)
        self.convolutions = nn.ModuleList(nn.Conv1d(width, channels, k, padding=k // 2) for k in kernels)
        self.dropout = nn.Dropout(dropout)
        self.head = nn.Linear(width + channels * len(kernels), out_features)

    def forward(self, x: Tensor) -> Tensor:
        """Return raw scores."""
        most = max(1, _TOKENS // x.shape[1])
        if torch.is_grad_enabled() or len(x) <= most:
            return self._answer(x)
        return torch.cat([self._answer(part) for part in torch.split(x, most)])

    def _answer(self, x: Tensor) -> Tensor:
        mask = x[..., 1] > 0.5
        mask[:, 0] = True
        if not torch.compiler.is_exporting():
            longest = int(mask.sum(1).max())
            x, mask = x[:, :longest], mask[:, :longest]
        vectors = self.dropout(self.embedding(x[..., 0].long())).masked_fill(~mask.unsqueeze(-1), 0.0)  # (B, T, W)
        turned = vectors.transpose(1, 2)
        length = turned.shape[2]
        found = [F.relu(conv(turned)[..., :length]) for conv in self.convolutions]  # even kernels give one step more
        pooled = [answer.masked_fill(~mask.unsqueeze(1), 0.0).amax(2) for answer in found]
        out: Tensor = self.head(self.dropout(torch.cat([masked_mean(vectors, mask), *pooled], dim=1)))
        return out


@networks.register("text_convnet")
class TextConvNet(Spec):
    """Settings of a convolutional network for texts (arXiv 1408.5882).

    Parameters
    ----------
    width : int
        Values of a token's vector.
    channels : int
        Answers of each convolution.
    kernels : sequence of int
        Tokens that convolutions look at, one convolution for each.
    dropout : float
        Of vectors and answers, in [0, 1).
    """

    family = "text_convnet"

    def __init__(
        self, width: int = 96, channels: int = 64, kernels: Sequence[int] = (2, 3), dropout: float = 0.3
    ) -> None:
        self.width, self.channels, self.kernels, self.dropout = width, channels, kernels, dropout

    def build(self, layout: Layout, out_features: int) -> TextConvNetwork:
        """Return a freshly initialised module that maps (B, T, 2) to (B, out_features).

        Raises
        ------
        InputError
            If rows are no texts or settings are wrong.
        """
        tokens = layout.features[0].cardinality if len(layout.features) == 2 else 0
        if len(layout.shape) != 2 or layout.shape[1] != 2 or not tokens:
            do = "use TextClassifier or TextRegressor"
            raise InputError("rows of TextConvNet must be texts", f"rows of shape {layout.shape}", do)
        problems = Problems("TextConvNet")
        for name in ("width", "channels"):
            value = getattr(self, name)
            problems.check(is_whole(value), f"{name} must be at least 1", f"{name}={value!r}")
        good = len(self.kernels) > 0 and all(is_whole(k) for k in self.kernels)
        problems.check(good, "kernels must be whole numbers of at least 1", f"kernels={self.kernels!r}")
        problems.check(0 <= self.dropout < 1, "dropout must be in [0, 1)", f"dropout={self.dropout!r}")
        problems.raise_all()
        return TextConvNetwork(
            tokens, out_features, width=self.width, channels=self.channels, kernels=self.kernels, dropout=self.dropout
        )
