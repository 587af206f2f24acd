"""Models of live folds: trained, described, promoted, asked for tomorrow's signal, and taken elsewhere as a bundle."""
