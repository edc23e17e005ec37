"""Other gradients for the operations of any network, for the time of a block: the base of LRP and DeepLIFT."""

from glia.explain.rewriting.mode import Call, Handler, rewriting, varies

__all__ = ["Call", "Handler", "rewriting", "varies"]
