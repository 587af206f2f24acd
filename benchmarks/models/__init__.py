"""What has to hold of live models and bundles (`python -m benchmarks.models`), and thirty nights (`python -m benchmarks.models.nights`)."""
