"""What is done to training pictures: settings that are stored with the model, and what they make."""

from __future__ import annotations

from numbers import Real
from typing import Any

from sklearn.base import BaseEstimator

from glia.core.errors import InputError, near
from glia.core.layout import Layout
from glia.engine.augmented import InputTransform
from glia.engine.image_transforms import Flip, OneAfterAnother, Shift
from glia.engine.kornia_transforms import NAMES, KorniaTransform
from glia.engine.mixing import KINDS, Mixing

FLIPS = ("none", "horizontal", "vertical", "both")


class Augment(BaseEstimator):  # type: ignore[misc]  # scikit-learn carries no types
    """How pictures are varied in training, and looked at in prediction.

    Parameters
    ----------
    shift : float
        Most that a picture is moved, as a share of its sides, in [0, 0.5].
    flip : {"none", "horizontal", "vertical", "both"}
        Mirror images, with a chance of one half. Not for pictures whose mirror image means something else, such as
        letters.
    more : sequence of str
        Further changes by kornia (extra ``images``): "rotation", "affine", "perspective", "elastic", "color_jitter",
        "grayscale", "blur", "noise", "erasing", "sharpness".
    strength : float
        Of these, in (0, 1].
    mix : {"none", "mixup", "cutmix", "both"}
        Whether rows are mixed with each other: see ``glia.engine.mixing.Mixing``.
    alpha : float
        Of the mixing: small values mix little. Above 0.
    test_time : bool
        Whether predictions are the mean over the picture and its mirror images (of ``flip``; left and right if none):
        twice the time.
    """

    def __init__(
        self,
        shift: float = 0.0,
        flip: str = "none",
        more: Any = (),
        strength: float = 0.5,
        mix: str = "none",
        alpha: float = 0.4,
        test_time: bool = False,
    ) -> None:
        self.shift, self.flip, self.more, self.strength = shift, flip, more, strength
        self.mix, self.alpha, self.test_time = mix, alpha, test_time

    def check(self) -> Augment:
        """Return these settings.

        Raises
        ------
        InputError
            If one is wrong.
        """
        if not (isinstance(self.shift, Real) and 0 <= self.shift <= 0.5):
            raise InputError("shift must be a share of the sides in [0, 0.5]", f"shift={self.shift!r}")
        if not (isinstance(self.strength, Real) and 0 < self.strength <= 1):
            raise InputError("strength must be in (0, 1]", f"strength={self.strength!r}")
        if self.flip not in FLIPS:
            raise InputError("flip must be a known word", f"flip={self.flip!r}", near(str(self.flip), FLIPS))
        if self.mix not in ("none", *KINDS):
            raise InputError("mix must be a known word", f"mix={self.mix!r}", near(str(self.mix), ("none", *KINDS)))
        for name in self.more:
            if name not in NAMES:
                raise InputError("changes of pictures must be known", f"more={name!r}", near(str(name), NAMES))
        Mixing(alpha=self.alpha)  # which checks it
        return self

    def transform(self, layout: Layout) -> InputTransform | None:
        """Return what changes a batch of pictures of this layout, ``None`` where nothing does."""
        _, height, width = layout.shape
        parts: list[Any] = []
        rows, columns = round(self.shift * height), round(self.shift * width)
        if rows or columns:
            parts.append(Shift(rows, columns))
        parts += [Flip(axis) for axis, name in ((-1, "horizontal"), (-2, "vertical")) if self.flip in (name, "both")]
        if self.more:
            parts.append(KorniaTransform(tuple(self.more), float(self.strength)))
        return OneAfterAnother(tuple(parts)) if parts else None

    def mixing(self) -> Mixing | None:
        """Return what mixes rows, ``None`` where nothing does."""
        return None if self.mix == "none" else Mixing(self.mix, self.alpha)

    @property
    def views(self) -> tuple[str, ...]:
        """Mirror images that predictions are averaged over, besides the picture itself."""
        if not self.test_time:
            return ()
        return (
            ("horizontal", "vertical")
            if self.flip == "both"
            else ("vertical",)
            if self.flip == "vertical"
            else ("horizontal",)
        )


def as_augment(augment: Any, layout: Layout) -> tuple[Augment, str]:
    """Return the settings that an ``augment=`` argument means, and why where it is "auto".

    Parameters
    ----------
    augment : "auto", "none", None or Augment
        "auto" moves pictures by up to 7 % of their sides, and mirrors those with colours: photographs keep their
        meaning, while grey pictures are often of letters or digits, which do not.
    layout : Layout
        Of the prepared pictures.

    Raises
    ------
    InputError
        If it is none of these, or a setting is wrong.
    """
    if isinstance(augment, Augment):
        return augment.check(), ""
    if augment in (None, "none"):
        return Augment(), ""
    if augment != "auto":
        must = "augment must be 'auto', 'none' or Augment settings"
        raise InputError(must, f"augment={augment!r}", "for instance glia.Augment(flip='horizontal')")
    colour = layout.shape[0] >= 3
    why = "shifts change no meaning" + (
        "; nor do mirror images of photographs" if colour else "; grey pictures may be of letters, which have a side"
    )
    return Augment(shift=0.07, flip="horizontal" if colour else "none"), why
