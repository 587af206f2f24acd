"""What simulations cost and whether they are right: speed, an independent oracle, and p-values on noise."""
