"""What torch's functions are, by name, for rules about how to pass shares back through them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

_SAME = {
    "iadd": "add", "radd": "add", "isub": "sub", "subtract": "sub", "rsub": "rsub", "imul": "mul", "rmul": "mul",
    "multiply": "mul", "truediv": "div", "itruediv": "div", "idiv": "div", "divide": "div", "true_divide": "div",
    "rdiv": "rdiv", "rtruediv": "rdiv", "rpow": "rpow", "ipow": "pow", "imatmul": "matmul", "rmatmul": "rmatmul",
    "log_sigmoid": "logsigmoid", "negative": "neg", "absolute": "abs", "clip": "clamp", "concat": "cat",
    "concatenate": "cat", "swapaxes": "transpose", "swapdims": "transpose", "movedim": "permute", "get": "get",
    "special_expit": "sigmoid", "max_pool1d_with_indices": "max_pool1d", "max_pool2d_with_indices": "max_pool2d",
    "max_pool3d_with_indices": "max_pool3d",
}  # fmt: skip


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


MOVES = _words(
    "T H mT get getitem setitem view view_as reshape reshape_as flatten unflatten ravel permute transpose t "
    "moveaxis squeeze unsqueeze expand expand_as broadcast_to repeat repeat_interleave tile cat stack hstack "
    "vstack dstack column_stack split tensor_split chunk unbind narrow select index_select gather take "
    "take_along_dim index_copy masked_select slice_copy diagonal diag diag_embed flip roll rot90 clone "
    "contiguous to type type_as float double half bfloat16 cpu cuda detach data requires_grad_ sum mean "
    "nansum neg pad constant_pad_nd dropout dropout1d dropout2d dropout3d alpha_dropout feature_dropout "
    "feature_alpha_dropout avg_pool1d avg_pool2d avg_pool3d adaptive_avg_pool1d adaptive_avg_pool2d "
    "adaptive_avg_pool3d interpolate upsample upsample_nearest upsample_bilinear pixel_shuffle "
    "pixel_unshuffle channel_shuffle unfold fold cumsum triu tril masked_fill masked_scatter where index_fill "
    "fill copy zero index_put scatter identity atleast_1d atleast_2d atleast_3d meshgrid block_diag real "
    "positive adaptive_avg_pool sort topk resolve_conj resolve_neg"
)
"""Linear in the rows, or nothing but another order of values: torch's own gradient passes shares on."""

QUIET = _words(
    "size dim numel stride shape is_contiguous is_floating_point storage_offset len nelement element_size "
    "get_device new_zeros new_ones new_full new_tensor new_empty zeros_like ones_like full_like empty_like "
    "rand_like randn_like isnan isinf isfinite eq ne lt le gt ge equal allclose isclose argmax argmin argsort "
    "any all sign sgn bool long int repr format hash dir retain_grad register_hook "
    "is_complex is_same_size is_cuda is_signed bucketize searchsorted count_nonzero nonzero"
)
"""What returns nothing to differentiate."""

LEAVING = _words("__float__ __int__ __bool__ __index__ __array__ __format__ item tolist numpy")
"""What makes Python or NumPy values of tensors, by torch's own names."""

ELEMENTWISE = _words(
    "relu relu6 leaky_relu prelu elu celu selu gelu silu mish sigmoid tanh softplus softsign logsigmoid "
    "hardtanh hardsigmoid hardswish hardshrink softshrink tanhshrink threshold rrelu exp expm1 exp2 log log1p "
    "log2 log10 sqrt rsqrt square pow rpow abs clamp clamp_min clamp_max reciprocal sin cos tan sinh cosh "
    "asinh atan erf floor ceil round trunc frac nan_to_num"
)
"""One value in, one value out, at the same place."""

RECTIFIERS = _words("relu relu6 leaky_relu prelu elu celu selu gelu silu mish softplus hardswish rrelu")
"""Of those, activations that pass what is above 0 and stop, or all but stop, what is below."""

GATES = _words("sigmoid hardsigmoid")
"""Of those, activations between 0 and 1, which a product uses to let a signal through."""

WEIGHTED = _words("linear conv1d conv2d conv3d conv_transpose1d conv_transpose2d conv_transpose3d")
"""(input, weight, bias, …)."""

PRODUCTS = _words("matmul bmm mm mv dot inner einsum bilinear mul rmatmul tensordot")
MAX_POOLS = _words("max_pool1d max_pool2d max_pool3d adaptive_max_pool1d adaptive_max_pool2d adaptive_max_pool3d")


def name_of(function: Callable[..., Any]) -> tuple[str, bool]:
    """Return the plain name of one of torch's functions, and whether this form of it works in place.

    Operators, methods and functions of one operation share a name: ``x += y``, ``torch.add`` and ``x.add_`` are "add".
    """
    name = getattr(function, "__name__", type(function).__name__)
    operator = name.startswith("__") and name.endswith("__")
    bare = name.strip("_") if operator else name.lstrip("_")
    in_place = (
        bare.endswith("_") if not operator else bare in {"iadd", "isub", "imul", "itruediv", "idiv", "ipow", "imatmul"}
    )
    bare = bare.rstrip("_")
    return _SAME.get(bare, bare), in_place and bare != "requires_grad"
