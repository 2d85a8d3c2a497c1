"""The benchmark's case list: pure data, read by every implementation and by the report.

A case says what is computed, never how. Image cases are Omniglot's shape, 28 x 28 x 1.
"""

import dataclasses
import json

IMAGE_SHAPE = (28, 28, 1)
OUTER_LR = 1e-3
# Keras adds epsilon before bias correction, the others after it; tiny, the difference is below rounding.
ADAM_EPSILON = 1e-12
NORM_EPSILON = 1e-3  # Keras' default


@dataclasses.dataclass(frozen=True)
class Case:
    """One thing to time.

    Attributes:
        name: unique; names results and bars.
        kind: "maml" (second order, Adam outer step) or "protonet" (one episode, Adam step).
        group: which part of the report it belongs to: "main", "pool", "ways", "memory", "protonet", "growth".
        downsample: "stride" (3 x 3 convolution of stride 2) or "pool" (2 x 2 max-pooling, floor).
        n_query: query images per class.
        tasks: tasks per outer update.
        gradient_mode: only tfmeta reads it: "nested" or "mixed".
        curve: for the "growth" group, the argument that varies.
    """

    name: str
    kind: str = "maml"
    group: str = "main"
    filters: int = 64
    downsample: str = "stride"
    n_way: int = 5
    k_shot: int = 1
    n_query: int = 1
    tasks: int = 32
    inner_steps: int = 1
    inner_lr: float = 0.4
    conv_bias: bool = False  # as tfmeta: batch norm removes it
    gradient_mode: str = "nested"
    curve: str = ""

    @property
    def n_support_images(self):
        """Support images of one task."""
        return self.n_way * self.k_shot

    @property
    def n_query_images(self):
        """Query images of one task."""
        return self.n_way * self.n_query

    def replace(self, **changes):
        """A copy with some attributes changed."""
        return dataclasses.replace(self, **changes)

    def to_json(self):
        """The case as one line of JSON."""
        return json.dumps(dataclasses.asdict(self), sort_keys=True)

    @classmethod
    def from_json(cls, text):
        """The case that `to_json` wrote.

        Raises:
            ValueError: if the text is not a case.
        """
        fields = json.loads(text)
        known = {field.name for field in dataclasses.fields(cls)}
        if not isinstance(fields, dict) or not set(fields) <= known:
            raise ValueError(f"a case is a JSON object with keys among {sorted(known)}. Received: text={text!r}")
        return cls(**fields)


def _maml(prefix, group, **settings):
    """The four combinations of 5 or 75 queries a task (5-way) and 1 or 5 inner steps."""
    return [
        Case(f"{prefix}_q{5 * n_query}_s{steps}", group=group, n_query=n_query, inner_steps=steps, **settings)
        for n_query in (1, 15)
        for steps in (1, 5)
    ]


MAIN = _maml("maml", "main")
POOL = _maml("pool", "pool", downsample="pool")
WAYS = [
    # 20-way follows Finn et al. (2017): half the tasks, a smaller inner step.
    Case("ways20_s1", group="ways", n_way=20, tasks=16, inner_lr=0.1),
    Case("ways20_s5", group="ways", n_way=20, tasks=16, inner_lr=0.1, inner_steps=5),
    Case("ways20_pool_s1", group="ways", n_way=20, tasks=16, inner_lr=0.1, downsample="pool"),
]
# Memory against inner steps. 0.05 keeps twenty steps from diverging, which would time arithmetic on NaN.
MEMORY = [
    Case(f"memory_s{steps}", group="memory", n_query=15, inner_steps=steps, inner_lr=0.05)
    for steps in (1, 2, 5, 10, 20)
]
PROTONET = [
    Case("protonet_pool", kind="protonet", group="protonet", downsample="pool", n_way=60, n_query=5, tasks=1),
    Case("protonet_stride", kind="protonet", group="protonet", downsample="stride", n_way=60, n_query=5, tasks=1),
]

_GROWTH = {
    "tasks": (4, 8, 16, 32, 64),
    "n_way": (2, 5, 10, 20),
    "k_shot": (1, 2, 5, 10),
    "inner_steps": (1, 2, 5, 10, 20),
    "filters": (16, 32, 64, 128),
}
GROWTH = [
    Case(f"growth_{curve}_{value}", group="growth", curve=curve, **({"inner_lr": 0.05} | {curve: value}))
    for curve, values in _GROWTH.items()
    for value in values
]

CASES = MAIN + POOL + WAYS + MEMORY + PROTONET + GROWTH

# What --quick runs: each kind of computation once, small enough for a minute or two.
QUICK = [
    Case("quick_maml", group="main", filters=16, tasks=8),
    Case("quick_pool", group="pool", filters=16, tasks=8, downsample="pool"),
    Case("quick_protonet", kind="protonet", group="protonet", filters=16, n_way=10, n_query=5, tasks=1),
]
