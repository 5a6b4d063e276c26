"""Facts to recommendations with reasons, evidence, doubt, and the decisions that people take on them."""
