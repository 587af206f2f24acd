"""Local Feature Selection: which indicators separate the classes of a target near each bar. Pure: arrays in, arrays out.

Sources: [ARK] Armanfard, Reilly & Komeili, Local Feature Selection for Data Classification, IEEE TPAMI 38 (2016); [MM] Masters, Modern
Data Mining Algorithms in C++ and CUDA C (2020), chapter 3; [PS] Phipson & Smyth (2010). The compiled passes are in
`learning.selectors.lfs_kernel`; this room holds what they need and what is read from their result.
"""
