"""The batch: plan, run, resume, and the command line."""
