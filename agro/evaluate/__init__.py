"""Scores of what any stage says against what was measured; reads any stage, feeds none."""
