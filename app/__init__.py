"""The page for agronomists: a map of the fields, each field's curves, its advice and the reasons.

It reads published artefacts of a workspace; the one thing it writes is a review decision.
"""
