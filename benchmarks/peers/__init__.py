"""The same outer step by other means.

One file per implementation, each with

    build(case, arrays) -> step          step() performs one outer update and returns the loss as a float
    meta_gradient(case, arrays)          (loss, name -> gradient) at the initial weights; only the check asks for it

`arrays` is what `benchmarks.arrays.make_arrays` returns; its dtype is the dtype of the computation.
"""
