"""What a landscape looks like: estimates with their uncertainty, or a reason why there is none."""
