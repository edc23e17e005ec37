"""What trains in ``benchmarks/train_speed.py``: Glia and its peers, one small file each.

Every file has one function, ``train(workload, rows, weights, epochs, seed) -> Outcome``, and is imported only in a
process of its own: Keras must know its backend before it is imported, and no peer may find the threads or settings of
another. Nothing here imports a framework, so that the harness can ask what there is.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from importlib.metadata import PackageNotFoundError, version


@dataclass(frozen=True)
class Peer:
    """One way to train.

    Attributes
    ----------
    module : str
        The file in this folder.
    packages : tuple of str
        Distributions that it needs.
    environment : dict
        Variables that must be set before its packages are imported.
    dense_only : bool
        Whether it knows no other networks than dense stacks.
    """

    module: str
    packages: tuple[str, ...]
    environment: dict[str, str] = field(default_factory=dict)
    dense_only: bool = False

    @property
    def missing(self) -> list[str]:
        """Return the packages that are not installed."""
        return [package for package in self.packages if _version(package) is None]

    @property
    def versions(self) -> str:
        """Return its packages with their versions."""
        return ", ".join(f"{package} {_version(package) or 'absent'}" for package in self.packages)


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


GLIA, PLAIN = "glia", "plain torch"
RATE = "matrix rate"
"""Not a peer: what measures the machine itself, in turn with them."""
PEERS = {
    GLIA: Peer("with_glia", ("glia-nn", "torch")),
    PLAIN: Peer("with_torch", ("torch",)),
    "tuned torch": Peer("with_torch_tuned", ("torch",)),
    "scikit-learn": Peer("with_sklearn", ("scikit-learn",), dense_only=True),
    "skorch": Peer("with_skorch", ("skorch", "torch")),
    "lightning": Peer("with_lightning", ("lightning", "torch")),
    "keras on jax": Peer("with_keras", ("keras", "jax"), {"KERAS_BACKEND": "jax"}),
    "keras on torch": Peer("with_keras", ("keras", "torch"), {"KERAS_BACKEND": "torch"}),
}
