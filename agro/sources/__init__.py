"""The only code that reads foreign formats or opens a connection."""
