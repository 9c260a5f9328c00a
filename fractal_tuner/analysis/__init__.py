"""What a landscape looks like: estimates with their uncertainty, or the reason why there is none."""
