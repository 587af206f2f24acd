"""From predictions and prices to trades and equity: the rules of trading, and nothing else.

`rules` names every choice in numbers, `prices` holds the bars, `kernel` is the one loop, `engine` puts them together, `accounting`
checks what came out (or what was stored) from the outside, and `permutation` runs the same loop on shuffled bars. Pure: arrays in,
arrays out. The rules themselves are written in the docstring of `kernel`.
"""
