"""Timings of whole jobs; nothing here is a test."""
