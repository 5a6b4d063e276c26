"""Reference ET, crop coefficients, soil water limits, root-zone balance, outlook and amounts."""
