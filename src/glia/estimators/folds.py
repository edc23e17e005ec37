"""Members that hold out a fold each: every row teaches all members but one, and judges that one."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.model_selection import KFold, StratifiedKFold

from glia.core.seeds import numpy_rng
from glia.engine.rows import Rows
from glia.estimators.inference import network_outputs
from glia.nn.ensemble import MeanNetwork


@dataclass(frozen=True)
class Folds:
    """Which member a row judges; all the other members learn from it.

    Parameters
    ----------
    member : ndarray of int (N,)
        In [0, count); every number occurs.
    count : int
        Members, K ≥ 2.
    """

    member: NDArray[np.intp]
    count: int

    @classmethod
    def draw(cls, rows: int, strata: NDArray[Any] | None, count: int, seed: int) -> Folds:
        """Divide rows at random into folds of about equal size, in which classes keep their shares.

        Parameters
        ----------
        rows : int
            N ≥ ``count``.
        strata : ndarray of int (N,), optional
            Class numbers. Rows of classes with fewer rows than folds are dealt out at random.
        count : int
            K.
        seed : int
            Below 2**32.
        """
        member = np.empty(rows, dtype=np.intp)
        if strata is None:
            parts = KFold(count, shuffle=True, random_state=seed).split(member)
        else:
            few = np.bincount(strata)[strata] < count
            common = np.flatnonzero(~few)
            if len(common) < count:
                return cls.draw(rows, None, count, seed)
            member[few] = numpy_rng(seed, "rare").permutation(int(few.sum())) % count
            split = StratifiedKFold(count, shuffle=True, random_state=seed).split(common, strata[common])
            parts = ((None, common[held]) for _, held in split)
        for number, (_, held) in enumerate(parts):
            member[held] = number
        return cls(member, count)

    def take(self, index: NDArray[np.intp]) -> Folds:
        """Return the folds of some of the rows."""
        return Folds(self.member[index], self.count)

    def parts(self, rows: Rows, judged: NDArray[Any] | None) -> tuple[Rows, Rows]:
        """Return what members learn from and what they are judged by: all rows, with a column of weights for each.

        Parameters
        ----------
        rows : Rows
            Their weights, if any, are (N,).
        judged : ndarray (N,), optional
            Weights of rows that judge.

        Returns
        -------
        train, valid : Rows
            Weights (N, K), 0 where a row does not count; those of training have mean 1 in every column.
        """
        member = torch.from_numpy(self.member).to(rows.x.device)
        held = (member.unsqueeze(1) == torch.arange(self.count, device=rows.x.device)).to(torch.float32)  # (N, K)
        weight = 1.0 - held
        if rows.weight is not None:
            weight = weight * rows.weight.unsqueeze(1)
        weight = weight / weight.mean(0).clamp_min(torch.finfo(weight.dtype).tiny)
        if judged is not None:
            held = held * torch.from_numpy(np.asarray(judged, dtype=np.float32)).to(held.device).unsqueeze(1)
        return replace(rows, weight=weight), replace(rows, weight=held)

    def unseen(
        self, network: MeanNetwork, survivors: list[int], rows: Rows
    ) -> tuple[NDArray[np.float32], NDArray[Any]] | None:
        """Return raw outputs for rows by the member that did not learn from them, (M, O), and the rows' targets.

        Parameters
        ----------
        network : MeanNetwork
            Of the members that are left.
        survivors : list of int
            Which ones those are; rows that judged another one are left out.
        rows : Rows
            N rows.
        """
        outputs, where = [], []
        for number, one in zip(survivors, network.networks, strict=True):
            own = np.flatnonzero(self.member == number)
            if len(own):
                outputs.append(network_outputs(one, rows.x[torch.from_numpy(own).to(rows.x.device)]))
                where.append(own)
        if not where:
            return None
        index = np.concatenate(where)
        order = np.argsort(index)
        return np.concatenate(outputs)[order], rows.y.cpu().numpy()[index[order]]
