"""Years of nights: what a night costs and leaves once the retention policy has filled, and prunes that are killed."""
