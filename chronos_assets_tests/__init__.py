"""The tests, arranged as the package is; each states one behaviour in its docstring."""
