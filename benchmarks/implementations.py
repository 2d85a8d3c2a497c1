"""Which implementations there are, where they live, which Python runs them and which cases they take part in."""

import dataclasses


@dataclasses.dataclass(frozen=True)
class Implementation:
    """One bar of the picture.

    Attributes:
        name: used in results and on the command line.
        label: used in the picture and the table.
        kind: the `kind` of the cases it computes.
        framework: "tensorflow" runs in the Python that runs the benchmark; "torch" and "jax" in the peers' Python.
        module: where its function is.
        function: `function(case, arrays) -> step`.
        gradient_mode: what the case's `gradient_mode` is set to; tfmeta only.
        unrolled: its program grows with the tasks, and is compiled for minutes by one thread.
    """

    name: str
    label: str
    kind: str
    framework: str
    module: str
    function: str = "build"
    gradient_mode: str = "nested"
    unrolled: bool = False

    @property
    def ours(self):
        """Whether it is tfmeta."""
        return self.module == "benchmarks.ours"


_P = "benchmarks.peers."
IMPLEMENTATIONS = {
    implementation.name: implementation
    for implementation in [
        Implementation("tfmeta", "tfmeta, nested tapes", "maml", "tensorflow", "benchmarks.ours"),
        Implementation(
            "tfmeta_mixed", "tfmeta, mixed mode", "maml", "tensorflow", "benchmarks.ours", gradient_mode="mixed"
        ),
        Implementation("tf_unrolled", "TensorFlow, unrolled", "maml", "tensorflow", _P + "tf_unrolled", unrolled=True),
        Implementation("torch_loop", "PyTorch, loop", "maml", "torch", _P + "torch_loop"),
        Implementation("higher", "higher", "maml", "torch", _P + "torch_higher"),
        Implementation("torch_vmap", "torch.func vmap", "maml", "torch", _P + "torch_vmap"),
        Implementation(
            "torch_vmap_compiled", "torch.func vmap, compiled", "maml", "torch", _P + "torch_vmap", "build_compile"
        ),
        Implementation(
            "torch_loop_compiled", "PyTorch, loop, compiled", "maml", "torch", _P + "torch_vmap", "build_loop_compile"
        ),
        Implementation("jax_vmap", "JAX vmap", "maml", "jax", _P + "jax_maml", "build_vmap"),
        Implementation("jax_map", "JAX lax.map", "maml", "jax", _P + "jax_maml", "build_map"),
        Implementation("jax_unrolled", "JAX unrolled", "maml", "jax", _P + "jax_maml", "build_unrolled", unrolled=True),
        Implementation("tfmeta_protonet", "tfmeta", "protonet", "tensorflow", "benchmarks.ours"),
        Implementation("torch_protonet", "PyTorch", "protonet", "torch", _P + "torch_protonet"),
        Implementation(
            "torch_protonet_compiled", "PyTorch, compiled", "protonet", "torch", _P + "torch_protonet", "build_compile"
        ),
        Implementation(
            "torch_protonet_nhwc",
            "PyTorch, channels last",
            "protonet",
            "torch",
            _P + "torch_protonet",
            "build_channels_last",
        ),
        Implementation(
            "torch_protonet_compiled_nhwc",
            "PyTorch, compiled, channels last",
            "protonet",
            "torch",
            _P + "torch_protonet",
            "build_compile_channels_last",
        ),
        Implementation("jax_protonet", "JAX", "protonet", "jax", _P + "jax_protonet"),
    ]
}

# Curves need tfmeta and one implementation that everybody knows, not every one of them at every point.
_CURVES = ("tfmeta", "tfmeta_mixed", "torch_loop")


def implementations_for(case):
    """The implementations that take part in a case, tfmeta first.

    Args:
        case: a `Case`.

    Returns:
        List of `Implementation`.
    """
    chosen = [i for i in IMPLEMENTATIONS.values() if i.kind == case.kind]
    return [i for i in chosen if i.name in _CURVES] if case.group in ("growth", "memory") else chosen
