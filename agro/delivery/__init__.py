"""Sending what was let out: recipients, channels, and the record of what went to whom."""
